"""The script of the hand-over, run as SSM runs it, with a PostgreSQL that is made up."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ops.switchover import HAND_OVER

# Loses the session that looks twice, then answers `f` (it may be written to); refuses what it is told to refuse.
HA_POSTGRES = """#!/bin/bash
echo "$*" >>"$LOG"
case "$*" in
  *"${REFUSES:-nothing}"*) echo "ERROR:  refused" >&2; exit 1 ;;
  *"is_in_recovery()") echo "${IN_RECOVERY:-t}" ;;
  *"config get pg_autoctl.monitor") echo "postgres://monitor1/pg_auto_failover" ;;
  *"-d postgres") grep watch >>"$LOG"; [ "$(grep -c watch "$LOG")" -lt 3 ] && exit 2; printf '\\nf\\n' ;;
esac
"""


def run(
    tmp_path: Path, refuses: str = "", in_recovery: str = "t"
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    stub = tmp_path / "ha-postgres"
    stub.write_text(HA_POSTGRES)
    stub.chmod(0o755)
    log = tmp_path / "log"
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "LOG": str(log), "IN_RECOVERY": in_recovery}
    if refuses:
        environment["REFUSES"] = refuses
    done = subprocess.run(
        ["sh", "-c", HAND_OVER], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    return done, log.read_text().splitlines()


def test_it_asks_the_monitor_and_waits_until_this_node_commits(tmp_path: Path) -> None:
    done, calls = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert 100 <= int(done.stdout) < 30_000
    order = [
        "-c checkpoint",
        "config get",
        "pg_is_in_recovery",
        "perform_failover",
        *["-d postgres", "\\watch"] * 3,
        "pg_logical_emit_message",
    ]
    assert len(calls) == len(order)
    assert all(word in call for word, call in zip(order, calls, strict=True)), calls
    assert "postgres://monitor1/pg_auto_failover" in calls[3]


def test_a_node_that_became_the_primary_meanwhile_does_not_hand_it_back(tmp_path: Path) -> None:
    done, calls = run(tmp_path, in_recovery="f")
    assert done.returncode == 1
    assert "this host is no longer the standby" in done.stderr
    assert not any("perform_failover" in call for call in calls)


@pytest.mark.parametrize("refuses", ["checkpoint", "perform_failover", "pg_logical_emit_message"])
def test_what_is_refused_ends_it(tmp_path: Path, refuses: str) -> None:
    done, calls = run(tmp_path, refuses)
    assert done.returncode != 0
    assert "ERROR:  refused" in done.stderr
    assert done.stdout == ""
    assert refuses in calls[-1]
