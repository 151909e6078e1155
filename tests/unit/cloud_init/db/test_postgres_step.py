"""Settings that 40-postgres makes of the host and of what the database was before."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cloud_init.rendering import files_of
from tests.unit.cloud_init.sandbox import STEPS, Sandbox

CONTROL = "max_connections setting:              {}"


def sizes(folder: Path, *, here: int | None = None, peer: int | None = None, wanted: int = 100) -> tuple[str, str]:
    """What is said, and max_connections of 20-size.conf, when this node's data and its peer had these."""
    sandbox = Sandbox(folder)
    controldata = f'echo "{CONTROL.format(here)}"' if here else "exit 1"
    answer = f"echo {peer}" if peer else "exit 2"
    sandbox.stand_in("ha-postgres", f"case $1 in pg_controldata) {controldata} ;; psql) {answer} ;; esac")
    sandbox.stand_in("df", "echo Avail; echo 20000M")
    for name in ("ha-secret", "install", "chown"):
        sandbox.stand_in(name)
    sandbox.stand_in("ha-place", 'cat >"$1"')
    replace = {
        "/var/lib/postgresql": str(folder),
        "/etc/ha/postgresql.d": str(folder),
    }
    step = files_of("db2", database={"max_connections": wanted})[f"{STEPS}40-postgres"]
    done = sandbox.run(step, replace)
    assert done.returncode == 0, done.stderr
    lines = (folder / "20-size.conf").read_text().splitlines()
    (value,) = [line.removeprefix("max_connections = ") for line in lines if line.startswith("max_connections")]
    return done.stdout, value


def test_a_new_database_gets_the_setting(tmp_path: Path) -> None:
    assert sizes(tmp_path, wanted=150) == ("", "150")


def test_the_setting_can_be_raised(tmp_path: Path) -> None:
    assert sizes(tmp_path, here=100, peer=100, wanted=200) == ("", "200")


@pytest.mark.parametrize(("here", "peer"), [(200, None), (200, 200), (None, 200)])
def test_a_node_never_has_less_than_its_data_or_its_peer_had(
    tmp_path: Path, here: int | None, peer: int | None
) -> None:
    """Else it does not start as a standby: recovery wants what the primary had."""
    said, value = sizes(tmp_path, here=here, peer=peer)
    assert value == "200"
    assert "stays 200" in said


def test_no_other_file_sets_it_too() -> None:
    assert "\nmax_connections" not in files_of("db1")["/etc/ha/postgresql.d/10-ha.conf"]
