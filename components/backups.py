"""The bucket of the backups, which outlives the stack, and its copy in a second region."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import pulumi
import pulumi_aws as aws

from components.component import Component
from components.policies import assumed_by, replication_policy
from components.private_bucket import keep_private
from spec.scope import Scope

_ABORT_UPLOADS_DAYS = 7


@dataclass(frozen=True, kw_only=True)
class BackupsArgs:
    """`lock_days`: how long nobody can delete a version; with `protect` only. `existing`: those of the scope's backup
    buckets that exist, in the stack or left by an earlier one, which are adopted.
    """

    scope: Scope
    lock_days: int
    protect: bool
    existing: Collection[str]


class Backups(Component):
    """A bucket for pgBackRest's repositories: private, encrypted, versioned. With `protect` its versions are locked,
    and it stays when the stack goes. With a second region, S3 copies all of it to another such bucket there.

    Attribute: `bucket_name`.
    """

    token: ClassVar[str] = "ha:backups:Backups"

    def __init__(self, name: str, args: BackupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.scope.stack, opts)
        self._args = args
        scope = args.scope
        self.bucket_name, ready = self._bucket(name, "backups", scope.backup_bucket)
        if scope.backup_copy_bucket is not None:
            # Not the `region` argument: with it the id of an adopted bucket has to name the region, and the id of one
            # that the program made does not, so Pulumi would take them for two.
            there = aws.Provider(f"{name}-copy-region", region=scope.backup_copy_region, opts=self.child())
            _, copy_ready = self._bucket(f"{name}-copy", "backups-copy", scope.backup_copy_bucket, there)
            self._replicate(name, scope.backup_copy_bucket, [*ready, *copy_ready])
        self.register_outputs({"bucket_name": self.bucket_name})

    def _kept(
        self, *depends_on: pulumi.Resource, provider: pulumi.ProviderResource | None = None
    ) -> pulumi.ResourceOptions:
        """Options of a bucket and of what keeps it safe: all of it stays when the stack goes."""
        protect = self._args.protect
        return self.child(
            pulumi.ResourceOptions(
                protect=protect, retain_on_delete=protect, depends_on=[*depends_on], provider=provider
            )
        )

    def _bucket(
        self, name: str, tag: str, bucket_name: str, provider: pulumi.ProviderResource | None = None
    ) -> tuple[pulumi.Output[str], list[pulumi.Resource]]:
        """A bucket with all that it needs; returns its name, and what replication waits for."""
        args = self._args
        exists = bucket_name in args.existing
        bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket=bucket_name,
            force_destroy=not args.protect,
            tags=self.tags(tag),
            opts=pulumi.ResourceOptions.merge(
                self._kept(provider=provider),
                # Pulumi refuses to adopt what differs from the program, and S3 knows no `forceDestroy`. What is in the
                # stack already is not imported again: its id is this one.
                pulumi.ResourceOptions(
                    import_=bucket_name if exists else None,
                    ignore_changes=["forceDestroy"] if exists and args.protect else None,
                ),
            ),
        )
        ready: list[pulumi.Resource] = [
            keep_private(name, bucket, args.scope.bucket_arn(bucket_name), partial(self._kept, provider=provider))
        ]
        if args.protect:
            ready.append(
                aws.s3.BucketObjectLockConfiguration(
                    f"{name}-locked",
                    bucket=bucket.id,
                    rule={"default_retention": {"mode": "GOVERNANCE", "days": args.lock_days}},
                    # Not protected: `protect: false` has to remove it. Locks on what is there stay.
                    opts=self.child(pulumi.ResourceOptions(depends_on=[*ready], provider=provider)),
                )
            )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.id,
            rules=[
                {
                    "id": "expired-backups",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrent_version_expiration": {"noncurrent_days": args.lock_days},
                    "expiration": {"expired_object_delete_marker": True},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": _ABORT_UPLOADS_DAYS},
                }
            ],
            opts=self._kept(*ready, provider=provider),
        )
        return bucket.bucket, ready

    def _replicate(self, name: str, copy: str, ready: list[pulumi.Resource]) -> None:
        """Both buckets need versions, and the same kind of lock, before S3 takes the rule."""
        scope = self._args.scope
        role = aws.iam.Role(
            f"{name}-replication",
            name_prefix=f"{scope.project}-{scope.stack}-backups-",
            description=f"S3 copies the backups of {scope.stack}",
            assume_role_policy=json.dumps(assumed_by("s3")),
            permissions_boundary=scope.permissions_boundary_arn,
            tags=self.tags("backups-replication"),
            opts=self.child(),
        )
        policy = aws.iam.RolePolicy(
            f"{name}-replication",
            role=role.name,
            policy=json.dumps(replication_policy(scope, copy)),
            opts=self.child(),
        )
        aws.s3.BucketReplicationConfig(
            f"{name}-replicated",
            bucket=self.bucket_name,
            role=role.arn,
            rules=[
                {
                    "id": "all",
                    "status": "Enabled",
                    "priority": 1,
                    "filter": {"prefix": ""},
                    # Without markers the copy would keep what pgBackRest expired as current, for ever. A marker
                    # destroys nothing: the versions below it are locked in both regions.
                    "delete_marker_replication": {"status": "Enabled"},
                    "destination": {"bucket": scope.bucket_arn(copy)},
                }
            ],
            opts=self._kept(policy, *ready),
        )
