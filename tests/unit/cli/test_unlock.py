"""`ha unlock` as a user meets it, in a shell and at a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from ops.lease import KEY, Lease, LeaseLost, look
from spec.errors import HaError
from tests.unit.conftest import REGION, Bucket


@pytest.fixture(autouse=True)
def _connected(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    estate = SimpleNamespace(stack="dev", target="aws", region=REGION, client=bucket.api.client)
    monkeypatch.setattr("cli.connect.connect", lambda *_, **__: estate)


@pytest.fixture
def held(bucket: Bucket) -> Iterator[Lease]:
    with Lease(bucket.s3, bucket.name, "pulumi up") as lease:
        yield lease


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.unlock._at_a_terminal", lambda: True)


def _unlock(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(app, ["unlock", *arguments], input=answer)


@pytest.mark.parametrize("arguments", [[], ["--yes"]])
def test_without_a_lease_it_says_so(arguments: list[str]) -> None:
    done = _unlock(*arguments)
    assert (done.exit_code, done.stdout) == (0, "dev on aws: no operation holds the lease\n")


@pytest.mark.usefixtures("held")
def test_in_a_script_it_shows_the_lease_and_frees_it_only_when_told_to(bucket: Bucket) -> None:
    shown = _unlock()
    assert "dev on aws: 'pulumi up' by " in shown.stdout
    assert isinstance(shown.exception, HaError)
    assert "ha unlock --yes" in shown.exception.fix
    assert look(bucket.s3, bucket.name).held


def test_it_frees_the_lease_and_the_holder_is_told(bucket: Bucket, held: Lease) -> None:
    done = _unlock("--yes")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "the lease is free")
    assert not look(bucket.s3, bucket.name).held
    with pytest.raises(LeaseLost):
        held.check()


@pytest.mark.usefixtures("held", "terminal")
@pytest.mark.parametrize(("answer", "exit_code", "still"), [("y\n", 0, False), ("n\n", 1, True), ("\n", 1, True)])
def test_at_a_terminal_it_asks(bucket: Bucket, answer: str, exit_code: int, still: bool) -> None:
    done = _unlock(answer=answer)
    assert "Has that operation died?" in done.stderr
    assert done.exit_code == exit_code
    assert look(bucket.s3, bucket.name).held is still


@pytest.mark.usefixtures("held", "terminal")
def test_as_json_it_only_reads(bucket: Bucket) -> None:
    shown = json.loads(_unlock("--json").stdout)
    assert shown["lease"]["what"] == "pulumi up"
    assert (shown["stack"], shown["target"], shown["damaged"], shown["freed"]) == ("dev", "aws", "", False)
    assert look(bucket.s3, bucket.name).held
    assert json.loads(_unlock("--json", "--yes").stdout)["freed"] is True
    assert json.loads(_unlock("--json").stdout)["lease"] is None


def test_a_damaged_lease_is_shown_and_replaced(bucket: Bucket) -> None:
    bucket.put(KEY, b"{")
    done = _unlock("--yes")
    assert "dev on aws: the lease is damaged: " in done.stdout
    assert done.exit_code == 0
    with Lease(bucket.s3, bucket.name, "pulumi up"):
        pass


def test_an_account_that_is_not_known_is_told(monkeypatch: pytest.MonkeyPatch, bucket: Bucket) -> None:
    from botocore.exceptions import NoCredentialsError

    def no_credentials() -> None:
        raise NoCredentialsError

    sts = bucket.api.client("sts")
    monkeypatch.setattr(sts, "get_caller_identity", no_credentials)
    failed = _unlock().exception
    assert isinstance(failed, HaError)
    assert "the account of the credentials is not known: Unable to locate credentials" in failed.what
