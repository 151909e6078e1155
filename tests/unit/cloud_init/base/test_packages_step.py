"""The step that installs what the host's image lacks."""

from __future__ import annotations

import subprocess

from tests.unit.cloud_init.rendering import files_of
from tests.unit.cloud_init.sandbox import STEPS, Sandbox


def packages(
    sandbox: Sandbox, *, present: list[str], units: str = "", apt: str = "", dpkg: str = ""
) -> subprocess.CompletedProcess[str]:
    (sandbox.folder / "packages").write_text("curl\nhaproxy\nlib\n")
    listed = "".join(f"echo '{name} installed';" for name in present)
    sandbox.stand_in("dpkg-query", f'if [ "$1" = -W ]; then {listed} else printf "{units}"; fi')
    sandbox.stand_in("dpkg", dpkg)
    sandbox.stand_in("sleep")
    sandbox.stand_in("systemctl")
    sandbox.stand_in("apt-get", f"cp {sandbox.folder}/policy {sandbox.folder}/seen 2>/dev/null; {apt}")
    replace = {
        "/usr/local/lib/ha/packages": f"{sandbox.folder}/packages",
        "/usr/sbin/policy-rc.d": f"{sandbox.folder}/policy",
        "/run/ha/packages.log": f"{sandbox.folder}/log",
        "/etc/systemd/system": f"{sandbox.folder}/units",
    }
    return sandbox.run(files_of("lb1")[f"{STEPS}10-packages"], replace)


def test_nothing_is_asked_of_the_mirrors_when_nothing_lacks(sandbox: Sandbox) -> None:
    done = packages(sandbox, present=["curl", "haproxy", "lib"])
    assert done.returncode == 0, done.stderr
    assert not sandbox.calls("apt-get")


def test_only_what_lacks_is_installed_and_services_are_held_back_meanwhile(sandbox: Sandbox) -> None:
    done = packages(sandbox, present=["curl"])
    assert done.returncode == 0, done.stderr
    install = sandbox.calls("apt-get")[-1]
    assert install.endswith("install -y --no-install-recommends haproxy lib")
    assert "--force-confold" in install
    assert "exit 101" in (sandbox.folder / "seen").read_text()
    assert not (sandbox.folder / "policy").exists()


def test_a_mirror_that_fails_is_asked_again(sandbox: Sandbox) -> None:
    fails_once = f"[ -e {sandbox.folder}/tried ] || {{ touch {sandbox.folder}/tried; echo no route; exit 100; }}"
    done = packages(sandbox, present=["curl"], apt=fails_once)
    assert done.returncode == 0, done.stderr
    assert "no route" in done.stdout
    assert len(sandbox.calls("apt-get")) == 3  # update, which failed; update; install


def test_it_waits_while_the_agent_is_installed(sandbox: Sandbox) -> None:
    tried = sandbox.folder / "tried"
    busy = f"[ -e {tried} ] || {{ touch {tried}; echo 'dpkg: error: dpkg frontend lock was locked' >&2; exit 2; }}"
    done = packages(sandbox, present=["curl"], dpkg=busy)
    assert done.returncode == 0, done.stderr
    assert "frontend lock" in done.stdout
    assert len(sandbox.calls("apt-get")) == 2  # update, install: after dpkg passed


def test_a_package_that_does_not_exist_is_not_waited_for(sandbox: Sandbox) -> None:
    unknown = '[[ $* != *install* ]] || { echo "E: Unable to locate package lib"; exit 100; }'
    done = packages(sandbox, present=["curl"], apt=unknown)
    assert done.returncode == 1
    assert "E: Unable to locate package lib" in done.stdout
    assert len(sandbox.calls("apt-get")) == 2  # update, install
    assert not (sandbox.folder / "policy").exists()


def test_another_owners_policy_is_left_alone(sandbox: Sandbox) -> None:
    (sandbox.folder / "policy").write_text("#!/bin/sh\nexit 0\n")
    assert packages(sandbox, present=[]).returncode == 0
    assert (sandbox.folder / "policy").read_text() == "#!/bin/sh\nexit 0\n"


def test_services_of_the_packages_do_not_start_at_boot(sandbox: Sandbox) -> None:
    wants = sandbox.folder / "units" / "multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "haproxy.service").touch()
    units = "/usr/lib/systemd/system/haproxy.service\\n/usr/lib/systemd/system/other.service\\n/usr/sbin/haproxy\\n"
    done = packages(sandbox, present=["curl", "haproxy", "lib"], units=units)
    assert done.returncode == 0, done.stderr
    assert sandbox.calls("systemctl") == ["systemctl disable --quiet haproxy.service"]


def test_time_is_kept_from_the_start_of_every_boot(sandbox: Sandbox) -> None:
    """Certificates and AWS calls need it, and the steps before 35 may wait for long."""
    wants = sandbox.folder / "units" / "sysinit.target.wants"
    wants.mkdir(parents=True)
    for unit in ("systemd-timesyncd.service", "e2scrub_reap.service", "haproxy.service"):
        (wants / unit).touch()
    units = "".join(f"/usr/lib/systemd/system/{wanted.name}\\n" for wanted in sorted(wants.iterdir()))
    done = packages(sandbox, present=["curl", "haproxy", "lib"], units=units)
    assert done.returncode == 0, done.stderr
    assert sandbox.calls("systemctl") == ["systemctl disable --quiet haproxy.service"]
