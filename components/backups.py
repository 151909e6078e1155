"""The bucket of the backups, which outlives the stack, and its copy in a second region."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
_RULE_ID = "all"


@dataclass(frozen=True, kw_only=True)
class FoundBuckets:
    """What there is of the scope's backup buckets before the update, by name. `left`: those that exist and are not in
    the stack's state. `locked`: those that exist and have Object Lock, which S3 never turns off.
    """

    left: frozenset[str] = frozenset()
    locked: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class BackupsArgs:
    """`lock_days`: how long nobody can delete a version; with `protect` only."""

    scope: Scope
    lock_days: int
    protect: bool
    found: FoundBuckets
    alert_topic_arn: pulumi.Input[str]


class Backups(Component):
    """A bucket for pgBackRest's repositories: private, encrypted, versioned. With `protect` its versions are locked.
    With a second region, S3 copies all of it to another such bucket there, and an alarm tells when that fails.

    With `protect`, or once one of them has Object Lock, the buckets stay when the stack goes: the deployer can delete
    no locked version. Either both have Object Lock or neither: S3 copies from a bucket with it to one with it only.
    Attributes: `bucket_name`, `copy_bucket_name` (None: there is no second region).
    """

    token: ClassVar[str] = "ha:backups:Backups"

    def __init__(self, name: str, args: BackupsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.scope.stack, opts)
        self._args = args
        self._stays = args.protect or bool(args.found.locked)
        scope = args.scope
        if self._stays and not args.protect:
            pulumi.log.warn(
                f"Object Lock is on in {', '.join(sorted(args.found.locked))}: a destroy leaves the backup buckets and "
                "what is in them (docs/aws.md, section 8)",
                self,
            )
        self.copy_bucket_name: pulumi.Output[str] | None = None
        copy_ready: list[pulumi.Resource] = []
        if scope.backup_copy_bucket is not None:
            # Not the `region` argument: with it the id of an adopted bucket has to name the region, and the id of one
            # that the program made does not, so Pulumi would take them for two.
            there = aws.Provider(f"{name}-copy-region", region=scope.backup_copy_region, opts=self.child())
            self.copy_bucket_name, copy_ready = self._bucket(
                f"{name}-copy", "backups-copy", scope.backup_copy_bucket, provider=there
            )
        self.bucket_name, ready = self._bucket(name, "backups", scope.backup_bucket, lock_after=copy_ready)
        if scope.backup_copy_bucket is not None:
            self._replicate(name, scope.backup_copy_bucket, [*ready, *copy_ready])
        self.register_outputs({"bucket_name": self.bucket_name})

    def _kept(
        self, *depends_on: pulumi.Resource, provider: pulumi.ProviderResource | None = None
    ) -> pulumi.ResourceOptions:
        """Options of a bucket and of what keeps it safe: all of it stays, or goes, with the bucket."""
        return self.child(
            pulumi.ResourceOptions(
                protect=self._args.protect, retain_on_delete=self._stays, depends_on=[*depends_on], provider=provider
            )
        )

    def _bucket(
        self,
        name: str,
        tag: str,
        bucket_name: str,
        lock_after: Sequence[pulumi.Resource] = (),
        provider: pulumi.ProviderResource | None = None,
    ) -> tuple[pulumi.Output[str], list[pulumi.Resource]]:
        """A bucket with all that it needs; returns its name, and what replication waits for."""
        args = self._args
        kept = partial(self._kept, provider=provider)
        adopts = bucket_name in args.found.left
        bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket=bucket_name,
            force_destroy=not self._stays,
            tags=self.tags(tag),
            opts=pulumi.ResourceOptions.merge(
                kept(),
                # Pulumi adopts only what does not differ from the program. The next update sets both.
                pulumi.ResourceOptions(import_=bucket_name, ignore_changes=["forceDestroy", "tags"])
                if adopts
                else None,
            ),
        )
        if adopts and not self._stays:
            pulumi.log.warn(f"{bucket_name} is adopted; a destroy empties it after one more `pulumi up` only", bucket)
        ready: list[pulumi.Resource] = [keep_private(name, bucket, args.scope.bucket_arn(bucket_name), kept)]
        if self._stays:
            retention = aws.s3.BucketObjectLockConfigurationRuleDefaultRetentionArgs(
                mode="GOVERNANCE", days=args.lock_days
            )
            rule = aws.s3.BucketObjectLockConfigurationRuleArgs(default_retention=retention)
            ready.append(
                aws.s3.BucketObjectLockConfiguration(
                    f"{name}-locked",
                    bucket=bucket.id,
                    # Without protection new versions are not locked; locks on what is there stay.
                    rule=rule if args.protect else None,
                    opts=kept(*ready, *lock_after),
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
            opts=kept(*ready),
        )
        return bucket.bucket, ready

    def _replicate(self, name: str, copy: str, ready: list[pulumi.Resource]) -> None:
        """Both buckets need versions, and both or neither Object Lock, before S3 takes the rule."""
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
                    "id": _RULE_ID,
                    "status": "Enabled",
                    "priority": 1,
                    "filter": {"prefix": ""},
                    # Without markers the copy would keep what pgBackRest expired as current, for ever. A marker
                    # destroys nothing: the versions below it are locked in both regions.
                    "delete_marker_replication": {"status": "Enabled"},
                    "destination": {"bucket": scope.bucket_arn(copy), "metrics": {"status": "Enabled"}},
                }
            ],
            # It goes when the copy or the stack does: its role goes too, and each copy would fail.
            opts=self.child(pulumi.ResourceOptions(protect=self._args.protect, depends_on=[policy, *ready])),
        )
        aws.cloudwatch.MetricAlarm(
            f"{name}-copy-failing",
            name=f"{scope.alarm_prefix}backups-copy-failing",
            alarm_description=f"{scope.stack}: S3 could not copy backups to {scope.backup_copy_region}: "
            "docs/runbooks/BackupCopyFailing.md",
            # In the region of the source, unlike the other metrics of replication.
            namespace="AWS/S3",
            metric_name="OperationsFailedReplication",
            dimensions={"SourceBucket": scope.backup_bucket, "DestinationBucket": copy, "RuleId": _RULE_ID},
            statistic="Sum",
            comparison_operator="GreaterThanOrEqualToThreshold",
            threshold=1,
            period=300,
            evaluation_periods=1,
            treat_missing_data="notBreaching",
            alarm_actions=[self._args.alert_topic_arn],
            ok_actions=[self._args.alert_topic_arn],
            tags=self.tags("backups-copy-failing"),
            opts=self.child(),
        )
