"""What hosts print on their console, which whoever may read it in EC2 sees."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from components.user_data import user_data
from ops.console import UNITS
from tests.unit.cloud_init.rendering import PAIRS, estate, files_of
from tests.unit.cloud_init.sandbox import STEPS
from tests.unit.cloud_init.test_steps_again import STEPS_OF, prepared

SYSTEM = "/etc/systemd/system/"
TO_CONSOLE = "StandardOutput=journal+console"


def _identifier(unit: str) -> str:
    """The name under which a unit prints: its own, else that of its program."""
    given = re.search(r"^SyslogIdentifier=(.*)$", unit, re.MULTILINE)
    program = re.search(r"^ExecStart=(\S+)$", unit, re.MULTILINE)
    assert program
    return given[1] if given else Path(program[1]).name


def test_what_brings_a_host_up_prints_to_the_console_by_names_that_ha_status_looks_for() -> None:
    bootstrap = yaml.safe_load(user_data(estate()["db1"]))["write_files"][0]
    units = {bootstrap["path"]: bootstrap["content"], **files_of("db1")}
    printing = {_identifier(text) for path, text in units.items() if path.startswith(SYSTEM) and TO_CONSOLE in text}
    assert printing | {"ha-change"} == set(UNITS)  # that one's unit is made by ha-bundle


@pytest.mark.parametrize("tier", sorted(STEPS_OF))
def test_steps_print_no_secret(tier: str, tmp_path: Path) -> None:
    """`prepared` has a stand-in for ha-secret, which prints \"value of NAME\"."""
    host = prepared(tmp_path, tier)
    for step in STEPS_OF[tier]:
        done = host.run("bash", f"{host.root}{STEPS}{step}")
        assert done.returncode == 0, done.stderr
        assert "value of" not in done.stdout + done.stderr, step
    if tier in ("app", "cache"):
        assert host.sandbox.calls("ha-secret")


@pytest.mark.parametrize("host", sorted(estate(**PAIRS)))
def test_no_script_traces_itself_or_leaves_a_secret_on_its_output(host: str) -> None:
    for path, text in files_of(host, **PAIRS).items():
        if not text.startswith("#!/bin/bash") or path.endswith("/ha-secret"):
            continue
        assert not re.search(r"set -\w*x|bash -\w*x", text), path
        for line in text.splitlines():
            code = line.partition("#")[0]
            if re.search(r"\bha-secret ", code):
                # Captured, piped, or sent to a file. What `--parameter` alone prints is public.
                assert re.search(r"\$\(ha-secret |ha-secret .*[|>]|--parameter", code), f"{path}: {line}"
