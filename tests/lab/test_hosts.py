"""Hosts do what the API says, keep their disks, and give their volumes on."""

from __future__ import annotations

import pytest

from lab.waiting import eventually
from tests.lab.conftest import SmallEstate, launch

pytestmark = pytest.mark.lab


def disk_of(estate: SmallEstate) -> str:
    """Where a host finds the test's volume, as EC2's udev rules name it."""
    return f"/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{estate.ids['volume'].replace('-', '')}"


def test_a_host_has_run_its_user_data_and_knows_its_name(small_estate: SmallEstate) -> None:
    done = small_estate.on_host("app1", "sh", "-c", "hostname; test -e /var/lib/first-boot")
    assert (done.exit_code, done.stdout.strip()) == (0, "app1")


def test_no_unit_of_a_booted_host_failed(small_estate: SmallEstate) -> None:
    for name in ("lb1", "app1"):
        done = small_estate.on_host(name, "systemctl", "is-system-running", "--wait")
        failed = small_estate.on_host(name, "systemctl", "--failed", "--no-legend", "--plain").stdout
        assert (done.stdout.strip(), failed) == ("running", "")


def test_memory_is_limited_to_that_of_the_instance_type(small_estate: SmallEstate) -> None:
    def takes(mib: int) -> bool:
        unit = ("systemd-run", "--wait", "--pipe", "--quiet", "python3", "-c", f"b'x' * ({mib} * 2**20)")
        return small_estate.on_host("app1", *unit).exit_code == 0

    assert takes(500)
    assert not takes(1300), "a t3.micro has 1 GiB"


def test_a_volume_outlives_its_host(small_estate: SmallEstate) -> None:
    disk = disk_of(small_estate)
    small_estate.on_host("app1", "sh", "-ec", f"mkfs.ext4 -q {disk}; mount {disk} /mnt; echo kept > /mnt/file; sync")
    small_estate.call("terminate_instances", InstanceIds=[small_estate.ids["app1"]])
    small_estate.ids["app1"] = launch(small_estate, "app1", "private", "10.77.10.10", "app")
    small_estate.wait_for("app1", "ready")
    assert small_estate.on_host("app1", "test", "-e", disk).exit_code != 0, "not before it is attached"
    small_estate.call(
        "attach_volume", VolumeId=small_estate.ids["volume"], InstanceId=small_estate.ids["app1"], Device="/dev/sdf"
    )
    eventually(
        "the volume appears", lambda: small_estate.on_host("app1", "test", "-b", disk).exit_code == 0, deadline_s=10
    )
    done = small_estate.on_host("app1", "sh", "-ec", f"mount {disk} /mnt; cat /mnt/file; umount /mnt")
    assert done.stdout.strip() == "kept"


def test_a_stopped_host_is_off_and_starts_with_its_disk(small_estate: SmallEstate) -> None:
    instance = [small_estate.ids["app1"]]
    small_estate.on_host("app1", "sh", "-c", "echo mine > /root/file")
    small_estate.call("stop_instances", InstanceIds=instance)
    assert {one.name: one.stage for one in small_estate.lab.host_phases()}["app1"] == "stopped"
    small_estate.call("start_instances", InstanceIds=instance)
    small_estate.wait_for("app1", "ready")
    assert small_estate.on_host("app1", "cat", "/root/file").stdout.strip() == "mine"


def test_a_host_that_reboots_is_back_with_its_network(small_estate: SmallEstate) -> None:
    def booted_at() -> float:
        return {one.name: one.booted_at for one in small_estate.lab.host_phases()}["lb1"]

    before = booted_at()
    small_estate.on_host("lb1", "systemctl", "reboot")
    eventually("lb1 boots again", lambda: booted_at() != before, deadline_s=30)
    small_estate.wait_for("lb1", "ready")
    asked = small_estate.on_host("lb1", "curl", "--silent", "--max-time", "5", "https://ssm.us-east-1.amazonaws.com/")
    assert asked.exit_code == 0


def test_a_host_that_shuts_itself_down_is_stopped_in_the_api(small_estate: SmallEstate) -> None:
    instance = [small_estate.ids["app1"]]
    small_estate.on_host("app1", "systemctl", "poweroff")

    def state() -> str:
        found = small_estate.call("describe_instances", InstanceIds=instance)
        return str(found["Reservations"][0]["Instances"][0]["State"]["Name"])

    eventually("the API calls it stopped", lambda: state() == "stopped", deadline_s=30)
    small_estate.call("start_instances", InstanceIds=instance)
    small_estate.wait_for("app1", "ready")


def test_a_host_that_loses_power_stays_down_and_running_in_the_api(small_estate: SmallEstate) -> None:
    small_estate.lab.power_loss("app1")
    small_estate.wait_for("app1", "crashed")
    instance = [small_estate.ids["app1"]]
    small_estate.call("stop_instances", InstanceIds=instance)
    small_estate.call("start_instances", InstanceIds=instance)
    small_estate.wait_for("app1", "ready")


def test_logs_outlive_the_host(small_estate: SmallEstate) -> None:
    launched = launch(small_estate, "shortlived", "private", "10.77.10.30", "app")
    small_estate.wait_for("shortlived", "ready")
    small_estate.call("terminate_instances", InstanceIds=[launched])
    logs = small_estate.lab.paths.hosts_logs / "shortlived"
    assert "cloud-init" in (logs / launched / "console.log").read_text(encoding="utf-8", errors="replace")
    assert (logs / launched / "cloud-init.log").stat().st_size > 0
    assert list((logs / "journal").rglob("*.journal"))
