"""The bootstrap as text: short enough to read, the same for every host but for names."""

from __future__ import annotations

import pytest
import yaml

from components import user_data as module
from components.host_files import Context, contexts
from components.user_data import LIMIT_BYTES, user_data
from spec.errors import EXIT_USAGE, HaError
from spec.project import EXAMPLE_ACCOUNT_ID, PROJECT
from spec.scope import Scope
from spec.settings import Settings
from spec.stack_file import STACK_NAME
from spec.tiers import Tier
from tests.unit.cloud_init.rendering import PAIRS, SECRET_SHAPES, estate

HOSTS = estate(**PAIRS)


@pytest.fixture(params=sorted(HOSTS))
def context(request: pytest.FixtureRequest) -> Context:
    return HOSTS[request.param]


def longest() -> dict[str, Context]:
    """Hosts with the longest name of each kind that the settings allow, in the region with the longest name."""
    stack, bucket, region = "s" * 20, "b" * 63, "ap-southeast-1"
    assert STACK_NAME.fullmatch(stack)
    assert not STACK_NAME.fullmatch(f"{stack}s")
    settings = Settings.model_validate(
        {"region": region, "network": {"zones": [f"{region}a", f"{region}b"]}, "artifact_bucket": bucket, **PAIRS}
    )
    with pytest.raises(ValueError, match="artifact_bucket"):
        Settings.model_validate({**settings.model_dump(), "artifact_bucket": f"{bucket}b"})
    return contexts(
        Scope.of(settings, partition="aws", account=EXAMPLE_ACCOUNT_ID, project=PROJECT, stack=stack), settings
    )


def test_the_longest_names_fit() -> None:
    for name, context in longest().items():
        text = user_data(context)
        assert "b" * 63 in text
        assert len(text.encode()) <= LIMIT_BYTES == 4096, name


def test_longer_user_data_is_refused_with_the_host_and_the_file(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(user_data(context).encode())
    monkeypatch.setattr(module, "LIMIT_BYTES", size)
    user_data(context)
    monkeypatch.setattr(module, "LIMIT_BYTES", size - 1)
    with pytest.raises(HaError, match=f"user data of {context.host.name} is {size} bytes") as refused:
        user_data(context)
    assert refused.value.exit_code == EXIT_USAGE
    assert refused.value.where == "cloud-init/user-data.yaml.j2"


def test_it_is_text_that_a_person_can_read(context: Context) -> None:
    text = user_data(context)
    assert text.isascii()
    assert all(line == line.rstrip() and line.isprintable() and len(line) <= 124 for line in text.splitlines())


def test_it_is_a_cloud_config_that_writes_and_starts_the_bootstrap_and_nothing_else(context: Context) -> None:
    text = user_data(context)
    assert text.startswith("#cloud-config\n")
    document = yaml.safe_load(text)
    assert set(document) == {
        "hostname",
        "preserve_hostname",
        "manage_etc_hosts",
        "disable_root",
        "ssh_pwauth",
        "runcmd",
        "write_files",
    }
    assert document["hostname"] == context.host.name
    assert document["manage_etc_hosts"] is False  # cloud-init would write over ours
    assert document["ssh_pwauth"] is False
    unit, program = document["write_files"]
    assert (unit["path"], program["path"]) == (
        "/etc/systemd/system/ha-bootstrap.service",
        "/usr/local/sbin/ha-bootstrap",
    )
    assert f"\nExecStart={program['path']}\n" in unit["content"]
    # Or a host whose boot fails once, as on a full disk, is away until somebody reboots it.
    assert "\nRestart=on-failure\nRestartSec=30\n" in unit["content"]
    assert program["permissions"] == "0755"
    compile(program["content"], program["path"], "exec")
    assert [word for command in document["runcmd"] for word in command if word == "ha-bootstrap"]


def test_it_holds_no_secret(context: Context) -> None:
    for shape in SECRET_SHAPES:
        assert not shape.search(user_data(context)), shape.pattern


def test_hosts_of_a_tier_have_the_same_but_for_their_names() -> None:
    texts = {
        tier: {user_data(c).replace(name, "NAME") for name, c in HOSTS.items() if c.host.tier is tier} for tier in Tier
    }
    assert all(len(found) == 1 for found in texts.values())
    assert len({text.replace(f'"{tier}"', '"TIER"') for tier, found in texts.items() for text in found}) == 1


def test_no_setting_but_a_name_is_another_one() -> None:
    """A change of user data replaces the host."""
    others = estate(application={"count": 3, "instance_type": "t3.large"}, timers={"application_drain_s": 9}, **PAIRS)
    assert all(user_data(others[name]) == user_data(context) for name, context in HOSTS.items())
