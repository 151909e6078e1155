"""Steps that decide something dangerous, run with programs that only write down what they are asked."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.unit.cloud_init.rendering import files_of

STEPS = "/usr/local/lib/ha/steps/"
LINK = "nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0"
ROOT = "nvme-Amazon_Elastic_Block_Store_vol0fedcba9876543210"


class Sandbox:
    """A folder for the host's files, and stand-ins for its programs whose calls are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, folder / "bin"
        for name in ("bin", "run", "by-id"):
            (folder / name).mkdir()

    def stand_in(self, name: str, script: str = "") -> None:
        program = self.bin / name
        program.write_text(f'#!/bin/bash\necho "{name} $*" >>{self.folder}/calls\n{script}\n')
        program.chmod(0o755)

    def run(self, step: str, replace: dict[str, str], **environment: str) -> subprocess.CompletedProcess[str]:
        for old, new in replace.items():
            assert old in step, old
            step = step.replace(old, new)
        path = f"{self.bin}:{os.environ['PATH']}"
        full = {"PATH": path, "LC_ALL": "C.UTF-8", **environment}
        return subprocess.run(["bash", "-c", step], env=full, capture_output=True, text=True, timeout=30, check=False)

    def calls(self, program: str) -> list[str]:
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.split()[0] == program]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    return Sandbox(tmp_path)


def packages(
    sandbox: Sandbox, *, present: list[str], units: str = "", apt: str = ""
) -> subprocess.CompletedProcess[str]:
    (sandbox.folder / "packages").write_text("curl\nhaproxy\nlib\n")
    listed = "".join(f"echo '{name} installed';" for name in present)
    sandbox.stand_in("dpkg-query", f'if [ "$1" = -W ]; then {listed} else printf "{units}"; fi')
    sandbox.stand_in("dpkg")
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


def volume(
    sandbox: Sandbox, *, blkid: str, links: tuple[str, ...] = (LINK,), size: str = "1024"
) -> subprocess.CompletedProcess[str]:
    for link in links:
        (sandbox.folder / "by-id" / link).touch()
    for name in ("mkfs.ext4", "mount", "resize2fs", "e2fsck", "sleep"):
        sandbox.stand_in(name)
    sandbox.stand_in("findmnt", "echo /dev/nvme0n1p1")
    sandbox.stand_in("lsblk", f"echo {sandbox.folder}/by-id/{ROOT}")
    sandbox.stand_in("mountpoint", "exit 1")
    sandbox.stand_in("blockdev", f"echo {size}")
    sandbox.stand_in("blkid", blkid)
    (sandbox.folder / "fstab").write_text("LABEL=root / ext4 defaults 0 1\nLABEL=old /srv/data ext4 x 0 0\n")
    replace = {
        "/dev/disk/by-id": f"{sandbox.folder}/by-id",
        "-b $link": "-e $link",  # an ordinary file stands in for the disk
        "/run/ha": f"{sandbox.folder}/run",
        "/etc/fstab": f"{sandbox.folder}/fstab",
        "mkdir -p $place": ":",
        "SECONDS < 300": "SECONDS < 1",
    }
    return sandbox.run(files_of("cache1")[f"{STEPS}20-data-volume"], replace, HA_DATA_VOLUME="yes", HA_TIER="cache")


def test_a_blank_volume_is_formatted_and_mounted(sandbox: Sandbox) -> None:
    done = volume(sandbox, blkid="exit 2")
    assert done.returncode == 0, done.stderr
    disk = f"{sandbox.folder}/by-id/{LINK}"
    assert sandbox.calls("mkfs.ext4") == [f"mkfs.ext4 -q -m 1 -L ha-cache {disk}"]
    assert sandbox.calls("mount") == [f"mount -o noatime,lazytime {disk} /srv/data"]
    fstab = (sandbox.folder / "fstab").read_text()
    assert "LABEL=root / ext4" in fstab
    assert [line.split()[0] for line in fstab.splitlines() if " /srv/data " in line] == ["LABEL=ha-cache"]
    assert "nofail" in fstab


def test_a_volume_with_this_tiers_data_is_mounted_as_it_is(sandbox: Sandbox) -> None:
    done = volume(sandbox, blkid="printf 'TYPE=ext4\\nLABEL=ha-cache\\n'")
    assert done.returncode == 0, done.stderr
    assert not sandbox.calls("mkfs.ext4")
    assert sandbox.calls("mount")


@pytest.mark.parametrize(
    "found",
    [
        "printf 'TYPE=ext4\\nLABEL=ha-db\\n'",
        "printf 'TYPE=xfs\\nLABEL=ha-cache\\n'",
        "printf 'PTTYPE=gpt\\n'",
        "echo ambivalent; exit 8",
    ],
)
def test_a_volume_that_holds_something_else_is_left_alone(sandbox: Sandbox, found: str) -> None:
    done = volume(sandbox, blkid=found)
    assert done.returncode == 1
    assert "is left alone" in done.stderr
    assert not sandbox.calls("mkfs.ext4")
    assert not sandbox.calls("mount")


def test_an_unreadable_disk_is_not_taken_for_a_blank_one(sandbox: Sandbox) -> None:
    assert volume(sandbox, blkid="exit 2", size="0").returncode != 0
    assert not sandbox.calls("mkfs.ext4")


def test_partitions_and_namespaces_are_no_data_volumes(sandbox: Sandbox) -> None:
    done = volume(sandbox, blkid="exit 2", links=(f"{LINK}-part1", f"{LINK}_1", f"{LINK}-ns-1"))
    assert done.returncode == 1
    assert "no data volume was attached" in done.stderr


def test_the_disk_that_carries_the_system_is_no_data_volume(sandbox: Sandbox) -> None:
    done = volume(sandbox, blkid="exit 2", links=(LINK, ROOT))
    assert done.returncode == 0, done.stderr
    assert [call.split()[-1] for call in sandbox.calls("mkfs.ext4")] == [f"{sandbox.folder}/by-id/{LINK}"]


def test_two_volumes_are_not_guessed_between(sandbox: Sandbox) -> None:
    done = volume(sandbox, blkid="exit 2", links=(LINK, LINK[:-1] + "1"))
    assert done.returncode == 1
    assert "which is the data volume?" in done.stderr
    assert not sandbox.calls("mkfs.ext4")


def test_a_tier_without_data_has_no_volume_to_wait_for(sandbox: Sandbox) -> None:
    done = sandbox.run(files_of("lb1")[f"{STEPS}20-data-volume"], {}, HA_DATA_VOLUME="", HA_TIER="lb")
    assert done.returncode == 0
    assert "HA_DATA_VOLUME=\n" in files_of("lb1")["/etc/ha/host.env"]
    assert "HA_DATA_VOLUME=yes\n" in files_of("db1")["/etc/ha/host.env"]
