"""The base tier's smaller steps and programs: the journal, Session Manager's agent, the certificate authority."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from tests.unit.cloud_init.rendering import estate, files_of
from tests.unit.cloud_init.sandbox import STEPS, Sandbox
from tests.unit.cloud_init.simulated_host import SimulatedHost


@pytest.mark.parametrize(("age_s", "restarts"), [(60, True), (-60, False)])
def test_services_that_started_before_their_configuration_read_it(tmp_path: Path, age_s: int, restarts: bool) -> None:
    """`age_s`: how long before its configuration was written the journal started."""
    host = SimulatedHost(tmp_path, "lb1")
    for unit in ("systemd-journald", "systemd-timesyncd"):
        host.started_by_another(unit, age_s)
    host.stand_in("systemd-tmpfiles")
    host.stand_in("journalctl")
    step = Path(f"{host.root}{STEPS}05-host")
    step.write_text(step.read_text().replace("/usr/lib/systemd/systemd-sysctl", "true"))
    host.steps("05-host")
    assert host.did() == (["restart systemd-journald", "restart systemd-timesyncd"] if restarts else [])


PACKAGE = b"a package"
WAIT = re.compile(r"(?:--wait=|SECONDS (?:<|-lt) )(\d+)")


def agent(
    sandbox: Sandbox, *, curl: str = "", content: bytes = PACKAGE, apt: str = "", starts: str = ""
) -> tuple[int, str]:
    """The program's exit status and what it leaves for ha-report."""
    (sandbox.folder / "download").write_bytes(content)
    sandbox.stand_in("dpkg-query", "exit 1")
    sandbox.stand_in("curl", f'{curl}\nwhile [ "$1" != -o ]; do shift; done; cp {sandbox.folder}/download "$2"')
    sandbox.stand_in("apt-get", apt)
    sandbox.stand_in("systemctl", starts)
    settings = {"sha256": {"x86_64": hashlib.sha256(PACKAGE).hexdigest(), "arm64": "0" * 64}}
    program = files_of("lb1", ssm_agent=settings)["/usr/local/lib/ha/ssm-agent"]
    done = sandbox.run(program, {"/run/ha/ssm-agent": f"{sandbox.folder}/run/ssm-agent"})
    return done.returncode, (sandbox.folder / "run" / "ssm-agent").read_text().strip()


def test_the_agent_is_installed_and_started(sandbox: Sandbox) -> None:
    assert agent(sandbox) == (0, "running")
    (install,) = sandbox.calls("apt-get")
    assert "DPkg::Lock::Timeout=1800" in install  # 10-packages may be installing, for long
    assert "install -y" in install
    assert sandbox.calls("systemctl") == ["systemctl enable --now amazon-ssm-agent"]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"curl": "[[ $* != *amazon-ssm-agent.deb ]] || exit 22"}, "cannot be downloaded"),
        ({"apt": "exit 100"}, "cannot be installed"),
        ({"starts": "exit 1"}, "does not start"),
    ],
)
def test_what_may_pass_is_a_failure_so_that_systemd_tries_again(
    sandbox: Sandbox, fault: dict[str, str], said: str
) -> None:
    status, detail = agent(sandbox, **fault)  # type: ignore[arg-type]
    assert status == 1
    assert said in detail


def test_nothing_is_installed_before_systems_manager_can_be_reached(sandbox: Sandbox) -> None:
    """The package starts the agent, which waits for minutes when its first call fails."""
    status, detail = agent(sandbox, curl="[[ $* != *https://ssm.us-east-1.amazonaws.com/ ]] || exit 28")
    assert (status, detail) == (1, "Systems Manager cannot be reached: retrying")
    assert not sandbox.calls("apt-get")
    assert not sandbox.calls("systemctl")


def test_another_package_than_the_pinned_one_is_refused_for_good(sandbox: Sandbox) -> None:
    status, detail = agent(sandbox, content=b"another")
    assert status == 0
    assert "refused" in detail
    assert not sandbox.calls("apt-get")


def test_the_agent_comes_early_keeps_nothing_waiting_and_is_tried_again() -> None:
    files = files_of("db1")
    steps = sorted(path.removeprefix(STEPS) for path in files if path.startswith(STEPS))
    assert steps[0] == "02-ssm-agent"  # whatever fails, packages above all, can be looked at
    assert "systemctl start --no-block ha-ssm-agent\n" in files[f"{STEPS}02-ssm-agent"]
    assert "DPkg::Lock::Timeout=120" in files[f"{STEPS}10-packages"]  # the agent may be installing, for seconds
    unit = files["/etc/systemd/system/ha-ssm-agent.service"]
    assert {"Restart=on-failure", "RestartSec=10", "RestartSteps=6", "RestartMaxDelaySec=15min"} <= set(
        unit.splitlines()
    )


@pytest.mark.parametrize("changing", [False, True])
def test_the_agent_through_which_a_change_came_is_left_alone(sandbox: Sandbox, changing: bool) -> None:
    once = sandbox.folder / "run" / "once"
    if changing:
        once.touch()
    sandbox.stand_in("systemctl")
    assert sandbox.run(files_of("db1")[f"{STEPS}02-ssm-agent"], {"/run/ha/once": str(once)}).returncode == 0
    assert sandbox.calls("systemctl") == ([] if changing else ["systemctl start --no-block ha-ssm-agent"])


def certificate(sandbox: Sandbox, secret: str) -> subprocess.CompletedProcess[str]:
    """ha-certificate as far as the tier's CA: signing by it is not reached."""
    sandbox.stand_in("ha-secret", secret)
    sandbox.stand_in("openssl", 'if [ "$1" = req ]; then touch /dev/null; else exit 9; fi')
    (sandbox.folder / "host.env").write_text("HA_TIER=db\nHA_STACK=dev\nHA_HOST=db1\nHA_ADDRESS=10.0.0.1\n")
    replace = {"/etc/ha/host.env": f"{sandbox.folder}/host.env", "/etc/ha/tls": f"{sandbox.folder}/tls"}
    text = files_of("db1")["/usr/local/sbin/ha-certificate"]
    # The stand-in writes what the real one would.
    key = 'touch "$work/key" "$work/crt"; openssl req'
    return sandbox.run(text, {**replace, "openssl req": key})


def test_an_authority_that_exists_is_taken_and_no_key_made(sandbox: Sandbox) -> None:
    certificate(sandbox, "echo the authority")
    assert [call for call in sandbox.calls("ha-secret") if call.endswith(" db/ca")] == [
        "ha-secret --existing --wait=0 db/ca"
    ]
    assert not [call for call in sandbox.calls("openssl") if call.startswith("openssl req")]


def test_an_authority_that_is_missing_is_made_even_if_another_host_is_first(sandbox: Sandbox) -> None:
    """ha-secret then does not read what it is given: no broken pipe may end the program."""
    certificate(sandbox, '[[ $* != *--existing* ]] || exit 1; echo "the other host\'s"')
    calls = [call for call in sandbox.calls("ha-secret") if call.endswith(" db/ca")]
    assert calls == ["ha-secret --existing --wait=0 db/ca", "ha-secret --stdin db/ca"]
    assert [call for call in sandbox.calls("openssl") if call.startswith("openssl x509")]  # went on with its answer


def test_waits_of_steps_end_within_ten_minutes() -> None:
    waits: list[int] = []
    for name in estate():
        for path, text in files_of(name).items():
            if path.startswith(STEPS):
                found = [int(word) for word in WAIT.findall(text)]
                assert all(wait_s <= 540 for wait_s in found), f"{path}: {found}"
                waits += found
    assert waits
