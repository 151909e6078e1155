"""Snapshots of EBS volumes, where moto differs from AWS."""

from __future__ import annotations

from functools import wraps
from typing import Any

from lab.aws.moto_internals.patching import client_error, replace


def change() -> None:
    """Change what moto does with snapshots."""
    _pending_until_reported()
    _volumes_of_snapshots()


def _pending_until_reported() -> None:
    """A snapshot is pending until its bytes are kept (`report_snapshot`), and has the size that its volume had.

    moto completes it at once, and its size follows that of the volume.
    """
    from moto.ec2.models.elastic_block_store import Snapshot

    make = Snapshot.__init__

    @wraps(make)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        self.kept_gib = self.volume.size
        self.kept_percent = 100 if self.from_ami else 0
        self.status = "completed" if self.from_ami else "pending"

    replace(Snapshot, "__init__", init)
    replace(Snapshot, "progress", property(lambda self: f"{self.kept_percent}%"))
    replace(Snapshot, "volume_size", property(lambda self: self.kept_gib))


def _volumes_of_snapshots() -> None:
    """EC2 makes no volume of a snapshot that is not completed, or larger than the volume. moto does both.

    https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html
    """
    from moto.ec2.models import EC2Backend

    create_volume = EC2Backend.create_volume

    @wraps(create_volume)
    def create(self: Any, size: Any, zone_name: str, snapshot_id: str | None = None, *args: Any, **kwargs: Any) -> Any:
        if snapshot_id:
            snapshot = self.get_snapshot(snapshot_id)
            size = size or snapshot.volume_size
            if snapshot.status != "completed":
                raise client_error("IncorrectState", f"Snapshot '{snapshot_id}' is {snapshot.status}.")
            if size < snapshot.volume_size:
                raise client_error(
                    "InvalidParameterValue",
                    f"Volume of size {size}GB is smaller than snapshot '{snapshot_id}', "
                    f"expect size >= {snapshot.volume_size}GB",
                )
        return create_volume(self, size, zone_name, snapshot_id, *args, **kwargs)

    replace(EC2Backend, "create_volume", create)
