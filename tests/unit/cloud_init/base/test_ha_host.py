"""Parameters as hosts get them: created once, never overwritten, waited for, kept for the next boot."""

from __future__ import annotations

import functools
import io
import stat
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from tests.unit.cloud_init.rendering import program


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "Any")


class Store:
    """SSM Parameter Store, as far as hosts use it."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.failures: list[Exception] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.before_put: Callable[[], object] = lambda: None
        self.clients = 0
        self.elsewhere: Store | None = None

    def new_client(self, service: str, region: str = "") -> Store:
        assert service == "ssm"
        self.clients += 1
        if region:
            assert region == "eu-west-1"
            assert self.elsewhere
            return self.elsewhere
        return self

    def get_parameter(self, **given: Any) -> dict[str, Any]:
        self._called("get", given)
        if given["Name"] not in self.values:
            raise refused("ParameterNotFound")
        return {"Parameter": {"Value": self.values[given["Name"]]}}

    def put_parameter(self, **given: Any) -> None:
        self._called("put", given)
        self.before_put()
        assert given["Overwrite"] is False
        if given["Name"] in self.values:
            raise refused("ParameterAlreadyExists")
        self.values[given["Name"]] = given["Value"]

    def _called(self, what: str, given: dict[str, Any]) -> None:
        self.calls.append((what, given))
        if self.failures:
            raise self.failures.pop(0)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def host(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = program("base/files/usr/local/lib/ha/ha_host.py")
    environment = tmp_path / "host.env"
    environment.write_text("HA_SECRETS_PATH=/ha/dev\nHA_REGION=us-east-1\n")
    monkeypatch.setattr(module, "HOST", environment)
    monkeypatch.setattr(module, "CACHE", tmp_path / "secrets")
    monkeypatch.setattr(module, "client", functools.lru_cache(store.new_client))
    clock = iter(range(10_000))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(module.os, "umask", lambda mask: 0)
    return module


def test_a_missing_secret_is_created_as_a_secure_string(host: ModuleType, store: Store) -> None:
    assert host.parameter("db/app-password", lambda: "made") == "made"
    put = next(given for what, given in store.calls if what == "put")
    assert put == {"Name": "/ha/dev/db/app-password", "Value": "made", "Type": "SecureString", "Overwrite": False}


def test_of_two_hosts_that_create_at_once_the_first_ones_value_counts(host: ModuleType, store: Store) -> None:
    store.before_put = lambda: store.values.setdefault("/ha/dev/db/app-password", "the other's")
    assert host.parameter("db/app-password", lambda: "mine") == "the other's"


def test_a_value_once_read_needs_no_aws(host: ModuleType, store: Store, tmp_path: Path) -> None:
    store.values["/ha/dev/cache/password"] = "kept"
    assert host.parameter("cache/password", None) == "kept"
    store.failures = [AssertionError("asked again")]
    assert host.parameter("cache/password", None) == "kept"


def test_the_cache_is_for_root_alone(
    host: ModuleType, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks: list[int] = []
    monkeypatch.setattr(host.os, "umask", masks.append)
    store.values["/ha/dev/cache/password"] = "kept"
    host.parameter("cache/password", None)
    assert masks == [0o077]
    kept = tmp_path / "secrets/ha/dev/cache/password"
    assert kept.read_text() == "kept\n"
    assert stat.S_ISREG(kept.stat().st_mode)


@pytest.mark.parametrize("failure", [refused("AccessDeniedException"), EndpointConnectionError(endpoint_url="x")])
def test_what_passes_is_waited_out(host: ModuleType, store: Store, failure: Exception) -> None:
    store.values["/ha/dev/cache/password"] = "there"
    store.failures = [failure, failure]
    assert host.parameter("cache/password", None) == "there"
    assert store.clients == 3  # a client that found no credentials never gets any


def test_what_does_not_pass_ends_at_the_deadline(host: ModuleType, store: Store) -> None:
    store.failures = [refused("AccessDeniedException")] * 1000
    with pytest.raises(ClientError, match="AccessDenied"):
        host.parameter("cache/password", None, wait_s=20)
    assert 5 < len(store.calls) < 30


def test_another_hosts_parameter_is_waited_for(host: ModuleType, store: Store) -> None:
    def appears(**given: Any) -> dict[str, Any]:
        if len(store.calls) == 3:
            store.values["/ha/dev/db/ca-certificate"] = "pem\n"
        return Store.get_parameter(store, **given)

    store.get_parameter = appears  # type: ignore[method-assign]
    assert host.parameter("db/ca-certificate", None, "String") == "pem"


def test_a_parameter_that_never_comes_ends_the_wait(host: ModuleType) -> None:
    with pytest.raises(host.Absent):
        host.parameter("db/ca-certificate", None, "String", wait_s=30)


def test_a_full_path_is_taken_as_it_is(host: ModuleType, store: Store) -> None:
    store.values["/certificates/site"] = "pem"
    assert host.parameter("/certificates/site", None) == "pem"


def test_a_value_is_printed_and_nothing_said_of_it(
    host: ModuleType, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    host.main(["app/session-secret", "app/admin-password"])
    out, err = capsys.readouterr()
    values = out.split()
    assert len(set(values)) == 2
    assert all(len(value) >= 32 for value in values)
    assert not any(value in err for value in values)


def test_failure_names_the_parameter_and_the_reason(host: ModuleType, store: Store) -> None:
    store.failures = [refused("AccessDeniedException")] * 1000
    with pytest.raises(SystemExit, match=r"cache/password: not available within 5 s: ClientError: .*AccessDenied"):
        host.main(["--wait=5", "--existing", "cache/password"])


def test_a_given_value_is_put_again_while_ssm_does_not_show_it(
    host: ModuleType, store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Standard input can be read only once."""

    def late(**given: Any) -> dict[str, Any]:
        if len([1 for what, _ in store.calls if what == "put"]) < 2:
            raise refused("ParameterNotFound")
        return Store.get_parameter(store, **given)

    store.get_parameter = late  # type: ignore[method-assign]
    monkeypatch.setattr(host.sys, "stdin", io.StringIO("the authority\n"))
    host.main(["--stdin", "db/ca"])
    assert [given["Value"] for what, given in store.calls if what == "put"] == ["the authority\n"] * 2
    assert capsys.readouterr().out == "the authority\n"


PASSPHRASE = "/ha-backups/dev/cipher-passphrase"


def test_a_copied_secret_is_read_back_in_the_other_region(host: ModuleType, store: Store) -> None:
    store.elsewhere = Store()
    assert host.copied(PASSPHRASE, lambda: "made", "eu-west-1") == "made"
    assert store.values == store.elsewhere.values == {PASSPHRASE: "made"}
    assert store.elsewhere.calls[-1][0] == "get"


def test_a_stack_that_is_made_again_takes_the_secret_of_the_other_region(host: ModuleType, store: Store) -> None:
    store.elsewhere = Store()
    store.elsewhere.values[PASSPHRASE] = "of old"
    assert host.copied(PASSPHRASE, lambda: "made", "eu-west-1") == "of old"
    assert store.values == {PASSPHRASE: "of old"}


def test_two_regions_with_different_values_are_refused(host: ModuleType, store: Store) -> None:
    store.values[PASSPHRASE] = "one"
    store.elsewhere = Store()
    store.elsewhere.values[PASSPHRASE] = "two"
    with pytest.raises(SystemExit, match="its values in us-east-1 and eu-west-1 are not equal") as refusal:
        host.main(["--copy=eu-west-1", "--wait=5", PASSPHRASE])
    assert "one " not in str(refusal.value)


def test_a_copy_once_read_needs_no_aws(host: ModuleType, store: Store) -> None:
    store.elsewhere = Store()
    host.copied(PASSPHRASE, lambda: "made", "eu-west-1")
    store.failures = store.elsewhere.failures = [AssertionError("asked again")] * 5
    assert host.copied(PASSPHRASE, lambda: "other", "eu-west-1") == "made"


def test_without_an_answer_of_the_other_region_nothing_is_created(host: ModuleType, store: Store) -> None:
    store.elsewhere = Store()
    store.elsewhere.failures = [refused("AccessDeniedException")] * 1000
    with pytest.raises(ClientError, match="AccessDenied"):
        host.copied(PASSPHRASE, lambda: "made", "eu-west-1", wait_s=20)
    assert store.values == {}
