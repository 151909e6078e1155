"""Changes moto where its API differs from AWS's. No other package reaches into moto, whose version is pinned.

`prepare()` changes moto for the whole process; it is safe to repeat. Each function says what AWS does and what moto
does instead. `tests/unit/lab/aws/test_moto_internals.py` and `test_replication.py` test each through the API, so that
another version of moto fails there.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from lab.aws.moto_internals import addresses, buckets, replication, resources, snapshots
from lab.aws.moto_internals.patching import LOCK, PUBLIC_RANGE
from spec.project import EXAMPLE_ACCOUNT_ID

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

__all__ = ["PUBLIC_RANGE", "prepare", "register_image", "report_snapshot", "reset", "wsgi_app", "zones_of"]

_prepared = False


def wsgi_app() -> WSGIApplication:
    """Moto's whole API as one WSGI application; the credential scope of a request names the service."""
    prepare()
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    return DomainDispatcherApplication(create_backend_app)


def reset() -> None:
    """Delete everything that the API holds."""
    prepare()
    from moto.core.base_backend import BackendDict
    from moto.core.model_instances import reset_model_data

    with LOCK:
        BackendDict.reset()
        reset_model_data()


def register_image(*, region: str, name: str, owner: str, architecture: str) -> str:
    """Add a public machine image with an exact name and owner, as Debian's have them. Returns its id.

    The id follows from name and owner, so it is the same in every lab. To register one twice changes nothing.
    """
    prepare()
    from moto.ec2.models import ec2_backends
    from moto.ec2.models.amis import Ami

    image_id = "ami-0" + hashlib.sha256(f"{owner}/{name}".encode()).hexdigest()[:16]
    backend = ec2_backends[EXAMPLE_ACCOUNT_ID][region]
    with LOCK:
        if image_id not in backend.amis:
            backend.amis[image_id] = Ami(
                backend,
                image_id,
                name=name,
                description=f"The lab's stand-in for {name}",
                owner_id=owner,
                public=True,
                virtualization_type="hvm",
                architecture=architecture,
                image_location=f"{owner}/{name}",
                hypervisor="xen",
                root_device_type="ebs",
                root_device_name="/dev/xvda",
                region_name=f"{region}a",
                boot_mode="uefi-preferred",
            )
    return image_id


def report_snapshot(*, region: str, snapshot_id: str, state: str, percent: int) -> None:
    """Set how far a snapshot is; one that was deleted meanwhile is left alone."""
    from moto.ec2.models import ec2_backends

    with LOCK:
        found: Any = ec2_backends[EXAMPLE_ACCOUNT_ID][region].snapshots.get(snapshot_id)
        if found is not None:
            found.status, found.kept_percent = state, percent


def zones_of(region: str) -> list[str]:
    """The names of a region's zones; none for a region that moto does not have."""
    from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend

    return [zone.name for zone in RegionsAndZonesBackend.zones.get(region, ())]


def prepare() -> None:
    """Make moto behave as the lab needs; before the first request."""
    global _prepared  # noqa: PLW0603 - a process has one moto
    with LOCK:
        if _prepared:
            return
        os.environ["MOTO_ACCOUNT_ID"] = EXAMPLE_ACCOUNT_ID
        # Read when the EC2 backend is made: only the stack's image exists, which is registered by name.
        os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
        from moto import settings

        settings.ENABLE_AMI_VALIDATION = True
        settings.EC2_ENABLE_INSTANCE_TYPE_VALIDATION = True
        settings.S3_IGNORE_SUBDOMAIN_BUCKETNAME = True
        addresses.change()
        buckets.change()
        replication.change()
        resources.change()
        snapshots.change()
        _prepared = True
