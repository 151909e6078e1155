"""The step that mounts the data volume, and formats only what is blank."""

from __future__ import annotations

import subprocess

import pytest

from tests.unit.cloud_init.rendering import files_of
from tests.unit.cloud_init.sandbox import STEPS, Sandbox

LINK = "nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0"


ROOT = "nvme-Amazon_Elastic_Block_Store_vol0fedcba9876543210"


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
    assert "so it is not used" in done.stderr
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
    assert "more than one data volume is attached" in done.stderr
    assert not sandbox.calls("mkfs.ext4")


def test_a_tier_without_data_has_no_volume_to_wait_for(sandbox: Sandbox) -> None:
    done = sandbox.run(files_of("lb1")[f"{STEPS}20-data-volume"], {}, HA_DATA_VOLUME="", HA_TIER="lb")
    assert done.returncode == 0
    assert "HA_DATA_VOLUME=\n" in files_of("lb1")["/etc/ha/host.env"]
    assert "HA_DATA_VOLUME=yes\n" in files_of("db1")["/etc/ha/host.env"]
