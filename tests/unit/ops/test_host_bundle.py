"""What hosts are asked about bundles, and what counts as an answer."""

from __future__ import annotations

from typing import Any

import pytest

from ops import host_bundle
from ops.estate import CommandFailed, CommandResult, Instance
from ops.host_bundle import Changed, HostRefused, Lacks
from spec.pointer import Pointer
from spec.tiers import Tier

ON = Instance("i-1", "app1", Tier.APP, "10.20.0.31", None, "us-east-1a", "running")
WANTED = Pointer(bundle="b" * 64, release="c" * 64)


class Answers:
    """An estate of one host that prints what it is told to."""

    def __init__(self, stdout: str = "{}", stderr: str = "", exit_code: int = 0) -> None:
        self.result = CommandResult(exit_code, stdout, stderr)
        self.asked: list[tuple[str, str, int]] = []

    def run(self, instance_id: str, command: str, *, timeout_s: int = 30) -> CommandResult:
        self.asked.append((instance_id, command, timeout_s))
        return self.result


def _estate(*args: Any) -> Any:
    return Answers(*args)


def test_a_host_says_what_it_lacks() -> None:
    estate = _estate('{"lacks": ["jq"], "image": "ha-1"}')
    assert host_bundle.check(estate, ON, WANTED) == Lacks(("jq",), "ha-1")
    assert estate.asked == [("i-1", f"ha-bundle check {WANTED.bundle} {WANTED.release}", host_bundle.CHECK_S)]


def test_a_change_says_what_it_replaces_and_until_when_it_is_confirmed() -> None:
    estate = _estate('{"state": "applied", "error": ""}')
    assert host_bundle.change(estate, ON, WANTED, Pointer(bundle=""), within_s=180, setup_s=240) == Changed(
        "applied", ""
    )
    command = estate.asked[0][1]
    assert '"within_s": 180, "setup_s": 240' in command
    assert estate.asked[0][2] > 2 * 240  # it may have to go back as well
    assert '"replaces": {"bundle": "", "release": null}' in command
    assert command.startswith("ha-bundle change '{")


def test_a_refusal_is_the_last_line_that_the_host_printed() -> None:
    with pytest.raises(HostRefused, match=r"^bundle bbb is damaged\n  where: app1"):
        host_bundle.confirm(_estate("", "noise\nbundle \x1b[31mbbb is damaged\n", 1), ON, WANTED)
    with pytest.raises(HostRefused, match="ha-bundle close ended with exit code 1"):
        host_bundle.close(_estate("", "", 1), ON)


@pytest.mark.parametrize("printed", ["", "null", "[]", "no\n", "[" * 20_000, "1" * 20_000])
def test_what_is_no_answer_is_not_taken_for_one(printed: str) -> None:
    with pytest.raises(CommandFailed, match="ha-bundle back printed no answer"):
        host_bundle.back(_estate(printed), ON, setup_s=180)


def test_answers_are_bounded_and_without_control_sequences() -> None:
    long = "x" * 10_000
    changed = host_bundle.back(_estate(f'{{"state": "{long}", "error": "\\u001b[2J{long}"}}'), ON, setup_s=180)
    assert len(changed.state) <= 20
    assert len(changed.error) <= 2000
    lacks = host_bundle.check(_estate(f'{{"lacks": ["{long}", 1, null, "a\\u0007b"], "image": {{}}}}'), ON, WANTED)
    assert lacks.packages[1:] == ("1", "None", "ab")
    assert len(lacks.packages[0]) <= 100


def test_a_database_host_and_one_that_installs_packages_have_longer() -> None:
    plain, database = host_bundle.setup_s(Tier.APP, installs=False), host_bundle.setup_s(Tier.DB, installs=False)
    # The limits of hand-over and in-maintenance in cloud-init/db, one after the other.
    assert database > 150 + 60 + 150
    assert host_bundle.setup_s(Tier.APP, installs=True) >= plain + 25 * 60
