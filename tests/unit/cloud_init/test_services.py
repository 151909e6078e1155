"""What the units of every host say that their services read."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from components.host_files import contexts, host_files
from review.services import SECTION, calls, services
from spec.project import EXAMPLE_ACCOUNT_ID
from spec.scope import Scope
from spec.stack_file import load_settings
from tests.stacks import STACKS

KEYS = ("ReloadFor", "RestartFor", "BeforeRestart", "RestartThrough")
UNITS = "/etc/systemd/system/"


def rendered() -> dict[str, dict[str, str]]:
    """The files of every host of the tests' stacks."""
    found = {}
    for stack in sorted(path.name.split(".")[1] for path in STACKS.glob("Pulumi.*.yaml")):
        settings = load_settings(STACKS, stack)
        scope = Scope.of(settings, partition="aws", account=EXAMPLE_ACCOUNT_ID, project="ha", stack=stack)
        for name, context in contexts(scope, settings).items():
            found[f"{stack}-{name}"] = {file.path: file.content for file in host_files(context)}
    return found


HOSTS = rendered()


@pytest.fixture(params=HOSTS)
def files(request: pytest.FixtureRequest) -> dict[str, str]:
    return HOSTS[request.param]


def mentions(text: str, path: str) -> bool:
    """With the end of a name after it: /etc/ha/tl is not mentioned by /etc/ha/tls."""
    return re.search(rf"{re.escape(path)}(?![\w-]|\.\w)", text) is not None


def unknown(files: Mapping[str, str]) -> list[str]:
    """Paths of units that are not in the bundle, and that no step, program or configuration of the host mentions."""
    others = "\n".join(text for path, text in files.items() if not path.startswith(UNITS))
    paths = {path for one in services(files).values() for path in (*one.own, *one.reload_for, *one.restart_for)}
    folders = {path for path in paths if any(file.startswith(f"{path}/") for file in files)}
    return sorted(path for path in paths - folders - set(files) if not mentions(others, path))


def test_every_service_is_ours_or_has_a_drop_in_that_says_what_it_reads(files: dict[str, str]) -> None:
    assert services(files)
    for unit, service in services(files).items():
        ours = f"{UNITS}{unit}.service" in files
        assert ours or any(SECTION in files.get(path, "").splitlines() for path in service.own), unit


def test_every_call_is_found(files: dict[str, str]) -> None:
    scripts = [text for text in files.values() if text.startswith("#!/bin/bash")]
    assert {unit for text in scripts for unit in calls(text)} == set(services(files))


def test_every_path_is_one_of_this_host(files: dict[str, str]) -> None:
    assert unknown(files) == []


@pytest.mark.parametrize("wrong", ["/etc/haproxy/haproxy.cgf", "/etc/haproxy/tl", "/etc/hapro", "/etc/ha/tls/$name"])
def test_a_mistyped_path_is_found(wrong: str) -> None:
    files = dict(HOSTS["prod-lb1"])
    files[f"{UNITS}haproxy.service.d/wrong.conf"] = f"[X-Ha]\nReloadFor={wrong}\n"
    assert unknown(files) == [wrong]


def test_every_line_of_a_section_is_a_key_that_is_known_and_nothing_else_uses_it(files: dict[str, str]) -> None:
    for path, text in files.items():
        if not path.startswith(UNITS):
            continue
        section = ""
        for line in text.splitlines():
            if line.startswith("["):
                section = line
            elif "=" in line and not line.startswith("#"):
                assert (line.partition("=")[0] in KEYS) == (section == SECTION), f"{path}: {line}"


def test_only_what_a_step_starts_says_what_it_reads(files: dict[str, str]) -> None:
    saying = {path for path, text in files.items() if path.startswith(UNITS) and SECTION in text.splitlines()}
    assert saying == {path for one in services(files).values() for path in one.own} & saying


def test_whoever_has_another_beside_it_hands_over_before_a_restart() -> None:
    """Where two hosts serve in turns; a single one has nobody to hand over to."""
    hand_over = "/usr/local/lib/ha/hand-over"
    for host, its in HOSTS.items():
        handing = {unit for unit, one in services(its).items() if one.before_restart == hand_over}
        assert bool(handing) == (hand_over in its), host
    prod = {unit: one.before_restart for unit, one in services(HOSTS["prod-app1"]).items()}
    assert prod["haproxy"] == prod["pgbouncer"] == "systemctl stop event-manager"
