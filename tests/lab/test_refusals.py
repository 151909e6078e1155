"""What `ha lab up` refuses: exit code 2, a message that names it, and nothing made. No host boots here."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from components.bundles import MOST_BYTES
from lab.process import Finished
from tests.lab.checkout import copy_checkout, edit, run_ha
from tests.lab.conftest import free_ports

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout that each test puts back as it was."""
    return copy_checkout(tmp_path_factory.mktemp("checkout") / "copy")


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """Where the lab's state would be, in a folder that must stay empty."""
    (tmp_path / "room").mkdir()
    return tmp_path / "room"


def up(
    project_dir: Path,
    room: Path,
    *,
    ports: Mapping[int, int] | None = None,
    prefix: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    state: Path | str | None = None,
) -> Finished:
    """`ha lab up`, which must refuse."""
    chosen = ports or free_ports()
    arguments = ["lab", "up", "--http-port", str(chosen[80]), "--https-port", str(chosen[443])]
    return run_ha(
        arguments,
        project_dir=project_dir,
        state=state or room / "lab",
        prefix=prefix,
        environment=environment,
        timeout_s=100,
    )


def check(done: Finished, room: Path, *named: str) -> None:
    """Refused by name, and nothing is left."""
    assert done.exit_code == 2, f"{done.stdout}\n{done.stderr}"
    assert done.stdout == ""
    for part in named:
        assert part in done.stderr
    assert "Traceback" not in done.stderr
    assert list(room.iterdir()) == []


def _too_much(project_dir: Path) -> None:
    ballast = project_dir / "cloud-init/cache/files/etc/ballast"
    ballast.write_text("x" * (MOST_BYTES + 1), encoding="ascii")


def _in_stack(old: str, new: str) -> Callable[[Path], None]:
    return lambda project_dir: edit(project_dir / "Pulumi.dev.yaml", old, new)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_in_stack("budget_monthly_usd", "budget_montly_usd"), ["budget_montly_usd", "budget_monthly_usd"]),
        (_in_stack("10.20.0.0/16", "10.20.0.0/27"), ["network", "10.20.0.0/27"]),
        (_in_stack("event-manager-1.0.0", "event-manager-9.9.9"), ["application.release", "event-manager-9.9.9"]),
        (_in_stack("config:", "config: ["), ["Pulumi.dev.yaml"]),
        (_too_much, ["the bundle of cache", str(MOST_BYTES)]),
    ],
    ids=["misspelt setting", "range too small", "no such release", "no YAML", "bundle too large"],
)
def test_a_stack_that_cannot_be(original: Path, room: Path, change: Callable[[Path], None], named: list[str]) -> None:
    stack_file, ballast = original / "Pulumi.dev.yaml", original / "cloud-init/cache/files/etc/ballast"
    before = stack_file.read_text(encoding="utf-8")
    change(original)
    try:
        done = up(original, room)
    finally:
        stack_file.write_text(before, encoding="utf-8")
        ballast.unlink(missing_ok=True)
    check(done, room, *named)


def test_a_busy_port(original: Path, room: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        check(up(original, room, ports=free_ports() | {443: port}), room, f"port {port} of this machine is busy")


def test_one_port_for_two(original: Path, room: Path) -> None:
    port = free_ports()[80]
    check(up(original, room, ports={80: port, 443: port}), room, f"port {port} of this machine cannot lead to two")


def test_an_address_range_in_use_on_the_machine(original: Path, room: Path) -> None:
    script = 'ip link set lo up && ip address add 10.20.7.1/24 dev lo && exec "$@"'
    done = up(original, room, prefix=["unshare", "--net", "--", "sh", "-c", script, "sh"])
    check(done, room, "10.20.0.0/16 of the stack is in use on this machine: 10.20.7.0/24", "network.cidr")


def test_a_full_disk(original: Path, room: Path) -> None:
    # Seen in this mount namespace alone; what is left there is looked at before it ends.
    script = f'mount -t tmpfs -o size=16m small {room} && {{ "$@"; code=$?; ls -A {room} >&2; exit $code; }}'
    done = up(original, room, prefix=["unshare", "--mount", "--", "sh", "-c", script, "sh"])
    check(done, room, "no room for", "HA_LAB_STATE")
    assert not done.stderr.splitlines()[-1].startswith("lab")


def test_no_root(original: Path, room: Path) -> None:
    # A user namespace without a mapping: this user is nobody there, without any capability.
    check(up(original, room, prefix=["unshare", "--user", "--"]), room, "the lab needs root")


def test_no_pulumi_cli(original: Path, room: Path) -> None:
    done = up(original, room, environment={"HA_PULUMI": str(room / "pulumi")})
    check(done, room, "there is no Pulumi CLI at", "HA_PULUMI")


@pytest.mark.parametrize("command", ["up", "down"])
def test_a_folder_that_is_not_the_labs(original: Path, tmp_path: Path, command: str) -> None:
    (tmp_path / "thesis").write_text("years of work", encoding="utf-8")
    done = run_ha(["lab", command], project_dir=original, state=tmp_path)
    assert (done.exit_code, done.stdout) == (2, ""), done.stderr
    assert "no lab made" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]


@pytest.mark.parametrize("state", ["some/folder", "/dev/null/lab"])
def test_a_state_that_is_no_folder(original: Path, room: Path, state: str) -> None:
    check(up(original, room, state=state), room, "the lab's state cannot be")
