"""Copies what is written to a bucket with replication rules to the buckets that the rules name, late, as S3 does.

Moto only stores the rules. Here each new version waits for the delay; then S3's role must be allowed to copy it, as the
IAM simulator decides by the role's policies, its trust and the policies of both buckets. The copy has the same key,
version id, bytes, metadata, tags and lock. Not copied, as on S3: what was written before the rule, deletes of versions,
and copies. Not copied here, although S3 does: later changes of an object's tags and lock.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.aws.gate import Roles, bucket_policy
from lab.aws.moto_internals import replication
from lab.aws.moto_internals.replication import Status, Traits, Version
from lab.aws.simulator import IamSimulator, Question
from spec.project import EXAMPLE_ACCOUNT_ID

log = logging.getLogger(__name__)

DELAY_S = 5.0
"""From a write to its copy. AWS promises none; most objects take seconds to 15 minutes."""
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html
_READ = ("s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl")
_READ_LOCKS = ("s3:GetObjectRetention", "s3:GetObjectLegalHold")

Rule = Mapping[str, Any]
"""One rule, by the names of the API."""


@dataclass(frozen=True)
class _Waiting:
    """A version that waits for its copies; `written` is monotonic time in seconds, the others are ARNs."""

    written: float
    version: Version
    role: str
    destinations: Sequence[str]


class Replication:
    """Copies in a thread of its own, one version after the other, in the order in which they were written."""

    def __init__(self, *, simulator: IamSimulator, roles: Roles, client: Callable[[str], Any]) -> None:
        self._simulator = simulator
        self._roles = roles
        self._client = client
        self._delay_s = DELAY_S
        self._waiting: deque[_Waiting] = deque()
        """The first one stays in it until its copy has ended."""
        self._changed = threading.Condition()
        self._open = True

    def delay(self, seconds: float) -> None:
        """Copy this long after a write, also what waits already; `math.inf`: the other region cannot be reached."""
        with self._changed:
            self._delay_s = seconds
            self._changed.notify()

    @property
    def idle(self) -> bool:
        """Whether all that was written is copied, or could not be."""
        return not self._waiting

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Copies for as long as the block."""
        thread = threading.Thread(target=self._copy_all, name="s3-replication", daemon=True)
        thread.start()
        replication.on_new_version(self._written)
        try:
            yield
        finally:
            replication.on_new_version(None)
            with self._changed:
                self._open = False
                self._changed.notify()
            thread.join()

    def _written(self, version: Version, configuration: Mapping[str, Any]) -> None:
        """Called in the middle of the request that writes."""
        found = destinations(configuration["Rule"], version)
        if not found:
            return
        replication.set_status(version, Status.PENDING)
        with self._changed:
            self._waiting.append(_Waiting(time.monotonic(), version, configuration["Role"], found))
            self._changed.notify()

    def _copy_all(self) -> None:
        while (one := self._next()) is not None:
            try:
                status = self._copy(one)
            except Exception:
                log.exception("S3 failed to copy %s", one.version)
                status = Status.FAILED
            replication.set_status(one.version, status)
            self._waiting.popleft()

    def _next(self) -> _Waiting | None:
        """Wait for the next version whose time has come; None at the end."""
        with self._changed:
            while self._open and (wait_s := self._wait_s()) > 0:
                self._changed.wait(min(wait_s, threading.TIMEOUT_MAX))
            return self._waiting[0] if self._open else None

    def _wait_s(self) -> float:
        return self._waiting[0].written + self._delay_s - time.monotonic() if self._waiting else math.inf

    def _copy(self, one: _Waiting) -> Status:
        traits = replication.traits_of(one.version)
        if traits is None:  # deleted before its copy
            return Status.FAILED
        copied = [self._copy_to(destination, one, traits) for destination in one.destinations]
        return Status.COMPLETED if all(copied) else Status.FAILED

    def _copy_to(self, destination: str, one: _Waiting, traits: Traits) -> bool:
        version, bucket = one.version, f"arn:aws:s3:::{one.version.bucket}"
        original, replica = f"{bucket}/{version.key}", f"{destination}/{version.key}"
        needed = [("s3:GetReplicationConfiguration", bucket), ("s3:ListBucket", bucket)]
        if version.marker:
            needed.append(("s3:ReplicateDelete", replica))
        else:
            needed += [(action, original) for action in (*_READ, *(_READ_LOCKS if traits.locked else ()))]
            needed.append(("s3:ReplicateObject", replica))
        if not self._assumable(one.role) or not self._allowed(one.role, needed):
            return False
        # Whoever may not copy tags copies the object without them.
        with_tags = [("s3:GetObjectVersionTagging", original), ("s3:ReplicateTags", replica)]
        tags = traits.tagged and self._allowed(one.role, with_tags)
        return replication.copy_version(version, _bucket(destination), tags=tags)

    def _assumable(self, role: str) -> bool:
        return self._decide(
            Question(
                principal_arn="s3.amazonaws.com",
                action="sts:AssumeRole",
                resource_arn=role,
                account_id=EXAMPLE_ACCOUNT_ID,
                identity_policies={},
                resource_policy=self._roles.of(_name(role)).trust,
            )
        )

    def _allowed(self, role: str, needed: Iterable[tuple[str, str]]) -> bool:
        """Whether a role may do each action on its resource."""
        context = {
            "aws:PrincipalArn": role,
            "aws:PrincipalAccount": EXAMPLE_ACCOUNT_ID,
            "aws:SecureTransport": "true",
        }
        return all(
            self._decide(
                Question(
                    principal_arn=f"arn:aws:sts::{EXAMPLE_ACCOUNT_ID}:assumed-role/{_name(role)}/s3-replication",
                    action=action,
                    resource_arn=resource,
                    account_id=EXAMPLE_ACCOUNT_ID,
                    identity_policies=self._roles.of(_name(role)).policies,
                    resource_policy=bucket_policy(self._client("s3"), _bucket(resource)),
                    context=context,
                )
            )
            for action, resource in needed
        )

    def _decide(self, question: Question) -> bool:
        allowed = self._simulator.decide(question).allowed
        if not allowed:
            log.warning("%s may not %s on %s", question.principal_arn, question.action, question.resource_arn)
        return allowed


def destinations(rules: Sequence[Rule], version: Version) -> list[str]:
    """The ARNs of the buckets that a version is copied to. Of rules for one bucket, that of the highest priority
    counts."""
    by_bucket: dict[str, Rule] = {}
    for rule in sorted(rules, key=lambda one: int(one["Priority"])):
        if rule["Status"] == "Enabled" and version.key.startswith((rule.get("Filter") or {}).get("Prefix") or ""):
            by_bucket[rule["Destination"]["Bucket"]] = rule
    return [bucket for bucket, rule in by_bucket.items() if not version.marker or _with_markers(rule)]


def _with_markers(rule: Rule) -> bool:
    return (rule.get("DeleteMarkerReplication") or {}).get("Status") == "Enabled"


def _name(role_arn: str) -> str:
    return role_arn.rpartition("/")[2]


def _bucket(arn: str) -> str:
    """The name of the bucket in its ARN, or in that of an object."""
    return arn.split(":", 5)[5].partition("/")[0]
