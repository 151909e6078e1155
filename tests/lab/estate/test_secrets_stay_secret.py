"""No secret value in the engine's state, user data, logs, process lists or the repository: searched by value."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.user_data import LIMIT_BYTES
from lab.boot import engine_of
from spec.project import REPOSITORY
from spec.secrets import CIPHER_PASSPHRASE, PARAMETERS
from tests.lab.checkout import STACK
from tests.lab.estate.booted import Booted

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]
HOSTS = ("app1", "app2", "cache1", "db1", "db2", "lb1", "monitor1")


@pytest.fixture(scope="module")
def needles(booted: Booted) -> dict[str, str]:
    """What to look for, by the parameter it is of: a password whole, of a private key one line of its body."""
    found = {}
    for name, parameter in booted.parameters().items():
        if parameter["Type"] == "SecureString":
            value = parameter["Value"]
            found[name] = value.splitlines()[1] if "PRIVATE KEY" in value else value
    made = {p.name for p in (*PARAMETERS, CIPHER_PASSPHRASE) if p.secret}
    if booted.settings.cache.count == 1:
        made -= {"cache/sentinel-password"}  # a cache that is alone has no sentinels
    assert set(found) == made
    assert all(len(needle) >= 32 for needle in found.values())
    return found


def _leaks(needles: dict[str, str], text: str) -> list[str]:
    return [name for name, needle in needles.items() if needle in text]


def test_the_search_finds_what_is_there(booted: Booted, needles: dict[str, str]) -> None:
    env = booted.on_host("app1", "cat", "/var/www/event-manager/.env").stdout
    assert {"app/session-secret", "app/admin-password", "cache/password"} <= set(_leaks(needles, env))


def test_the_state_has_none(booted: Booted, needles: dict[str, str]) -> None:
    state = engine_of(booted.lab).export(STACK)
    assert state["checkpoint"]["latest"]["resources"]
    assert _leaks(needles, json.dumps(state)) == []


def test_user_data_has_none(booted: Booted, needles: dict[str, str]) -> None:
    def user_data() -> Iterator[str]:
        ec2 = booted.client("ec2")
        running = [{"Name": "instance-state-name", "Values": ["running"]}]
        for reservation in ec2.describe_instances(Filters=running)["Reservations"]:
            for instance in reservation["Instances"]:
                attribute = ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")
                yield base64.b64decode(attribute["UserData"]["Value"]).decode()

    texts = booted.in_network(lambda: list(user_data()))
    assert len(texts) == len(HOSTS)
    assert all(text.startswith("#cloud-config") and len(text.encode()) <= LIMIT_BYTES for text in texts)
    assert [_leaks(needles, text) for text in texts] == [[]] * len(HOSTS)


@pytest.mark.parametrize("host", HOSTS)
def test_logs_have_none(booted: Booted, needles: dict[str, str], host: str) -> None:
    paths = booted.lab.logs(host)
    assert {"console.log", "cloud-init.log", "cloud-init-output.log", "ha-setup.log"} <= {p.name for p in paths}
    for path in paths:
        assert _leaks(needles, path.read_text(encoding="utf-8", errors="replace")) == [], path
    journal = booted.on_host(host, "journalctl", "--no-pager", "--all", "--output=cat").stdout
    assert journal
    assert _leaks(needles, journal) == []


@pytest.mark.parametrize("host", HOSTS)
def test_process_lists_have_none(booted: Booted, needles: dict[str, str], host: str) -> None:
    arguments = booted.on_host(host, "ps", "-eww", "-o", "args").stdout
    assert "systemd" in arguments
    assert _leaks(needles, arguments) == []
    units = booted.on_host(host, "systemctl", "show", "*", "--property=Environment,ExecStart", "--no-pager").stdout
    assert _leaks(needles, units) == []


def test_the_labs_own_logs_have_none(booted: Booted, needles: dict[str, str]) -> None:
    logs = [p for p in Path(booted.state).glob("**/*.log") if p.is_file() and "hosts" not in p.parts]
    assert booted.lab.paths.supervisor_log in logs
    for path in logs:
        assert _leaks(needles, path.read_text(encoding="utf-8", errors="replace")) == [], path


def test_the_repository_has_none(needles: dict[str, str]) -> None:
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert "README.md" in listing
    for name in listing:
        path = REPOSITORY / name
        if path.is_file():
            assert _leaks(needles, path.read_text(encoding="utf-8", errors="replace")) == [], name
