"""Snapshots of the hosts' data volumes: the state before something is overwritten, until a person drops it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from ops.estate import Estate, Instance
from ops.runs import printable
from spec.errors import EXIT_USAGE, HaError
from spec.tags import HOST_TAG, STACK_TAG, WHY_TAG, tags

_CHARACTERS: Final = 255
"""The most of a snapshot's description; a tag's value may have one more."""
Say = Callable[[str], None]


class Snapshot(BaseModel):
    """A snapshot as EC2 lists it. `state`: `pending`, `completed` or `error`; `progress`: per cent, as EC2 writes it.

    `size_gib`: of its volume, of which EC2 bills what is used.
    """

    id: str
    host: str
    why: str
    volume: str
    size_gib: int
    state: str
    progress: str
    started: datetime


class Snapshots(BaseModel):
    """The document of `ha db snapshots --json`. `dropped`: those that this command dropped."""

    stack: str
    target: str
    snapshots: list[Snapshot]
    dropped: list[str]


def take(estate: Estate, hosts: Sequence[Instance], why: str, say: Say) -> list[Snapshot]:
    """Take a snapshot of each data volume of the hosts: of what is on the volume now, also while the host runs.

    It returns when EC2 has accepted them. What is written to the volumes later is not in them, though they may be
    `pending` for long.

    :raises HaError: when a host has no data volume: nothing was taken; when EC2 refuses, naming what was taken before.
    """
    volumes = _data_volumes(estate, hosts)
    ec2 = estate.client("ec2")
    taken: list[Snapshot] = []
    for host, volume in volumes:
        marks = {**tags(estate.stack, f"{host.host}-data", tier=host.tier, host=host.host), WHY_TAG: why}
        listed = [{"Key": key, "Value": value[:_CHARACTERS]} for key, value in marks.items()]
        try:
            answer = ec2.create_snapshot(
                VolumeId=volume,
                Description=why[:_CHARACTERS],
                TagSpecifications=[{"ResourceType": "snapshot", "Tags": listed}],
            )
        except (BotoCoreError, ClientError) as error:
            before = ", ".join(one.id for one in taken)
            raise HaError(
                f"no snapshot of {volume} could be taken: {error}",
                where=host.host,
                fix=_RIGHTS + (f"; what was taken before it is kept: {before}" if before else ""),
            ) from None
        taken.append(_snapshot({**answer, "Tags": listed}))
        say(f"{host.host}: {taken[-1].id} keeps what is on {volume}")
    return taken


_RIGHTS: Final = "docs/policies/operator-restore.json has the rights that it takes"


def _data_volumes(estate: Estate, hosts: Sequence[Instance]) -> list[tuple[Instance, str]]:
    """The attached volumes of the hosts, but for the root ones."""
    ids = [one.instance_id for one in hosts]
    try:
        answer = estate.client("ec2").describe_instances(InstanceIds=ids) if ids else {"Reservations": []}
    except (BotoCoreError, ClientError) as error:
        raise HaError(f"the volumes cannot be listed: {error}", where=_where(estate), fix=_RIGHTS) from None
    described = {one["InstanceId"]: one for group in answer["Reservations"] for one in group["Instances"]}
    found = []
    for host in hosts:
        one = described.get(host.instance_id, {})
        attached = [
            (host, str(mapping["Ebs"]["VolumeId"]))
            for mapping in one.get("BlockDeviceMappings", ())
            if mapping["DeviceName"] != one.get("RootDeviceName")
        ]
        if not attached:
            raise HaError(
                "it has no data volume of which a snapshot could be taken",
                where=f"{host.host} ({host.instance_id})",
                fix="`pulumi up --refresh` attaches its volume",
            )
        found += attached
    return found


def of_stack(estate: Estate) -> list[Snapshot]:
    """The snapshots that have the stack's tag, newest first. :raises HaError: when EC2 refuses."""
    filters = [{"Name": f"tag:{STACK_TAG}", "Values": [estate.stack]}]
    try:
        pages = estate.client("ec2").get_paginator("describe_snapshots").paginate(OwnerIds=["self"], Filters=filters)
        found = [_snapshot(one) for page in pages for one in page["Snapshots"]]
    except (BotoCoreError, ClientError) as error:
        raise HaError(f"the snapshots cannot be listed: {error}", where=_where(estate), fix=_RIGHTS) from None
    # EC2 lists those of one moment in the order in which they were taken, as far as it keeps one.
    return sorted(found, key=lambda one: one.started)[::-1]


def drop(estate: Estate, ids: Sequence[str], say: Say) -> list[str]:
    """Delete snapshots of the stack, naming each one first; the ids of those that were deleted.

    :raises HaError: when one is not the stack's: nothing was deleted; when EC2 refuses.
    """
    known = {one.id: one for one in of_stack(estate)}
    strange = [one for one in ids if one not in known]
    if strange:
        raise HaError(
            f"no snapshot of this stack: {', '.join(map(printable, strange))}; nothing was dropped",
            where=_where(estate),
            fix="`ha db snapshots` lists those that there are",
            exit_code=EXIT_USAGE,
        )
    ec2 = estate.client("ec2")
    dropped: list[str] = []
    for one in dict.fromkeys(ids):
        say(f"dropping {in_words(known[one])}")
        try:
            ec2.delete_snapshot(SnapshotId=one)
        except (BotoCoreError, ClientError) as error:
            raise HaError(
                f"{one} could not be dropped: {error}",
                where=_where(estate),
                fix=_RIGHTS + (f"; dropped before it: {', '.join(dropped)}" if dropped else ""),
            ) from None
        dropped.append(one)
    return dropped


def in_words(one: Snapshot) -> str:
    """One line about a snapshot."""
    return f"{one.id}: {one.host or one.volume}, {one.size_gib} GiB, {one.started:%Y-%m-%d %H:%M} UTC, {one.why}"


def _where(estate: Estate) -> str:
    return f"{estate.stack} on {estate.target}"


def _snapshot(described: dict[str, Any]) -> Snapshot:
    marks = {one["Key"]: printable(one["Value"]) for one in described.get("Tags", ())}
    return Snapshot(
        id=described["SnapshotId"],
        host=marks.get(HOST_TAG, ""),
        why=marks.get(WHY_TAG, ""),
        volume=described["VolumeId"],
        size_gib=described["VolumeSize"],
        state=described["State"],
        progress=described.get("Progress") or "0%",
        started=described["StartTime"],
    )
