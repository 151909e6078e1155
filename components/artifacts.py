"""The bucket for releases: private, encrypted, versioned."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pulumi
import pulumi_aws as aws
from pulumi.runtime import rpc

from components.component import Component
from components.policies import artifact_bucket_policy
from spec.release import Release
from spec.scope import Scope
from spec.tiers import Tier

_OLD_VERSIONS_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class ArtifactsArgs:
    """The release to upload; `protect` prevents the bucket's deletion."""

    scope: Scope
    release: Release
    protect: bool


class Artifacts(Component):
    """The artifact bucket and the release in it.

    Attributes: `bucket_name`; `release`: an application host should not boot before its release is uploaded. None for a
    release that was uploaded before.
    """

    token: ClassVar[str] = "ha:artifacts:Artifacts"

    def __init__(self, name: str, args: ArtifactsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(name, args.scope.stack, opts)
        bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket=args.scope.artifact_bucket,
            force_destroy=not args.protect,
            tags=self.tags("artifacts"),
            opts=self.child(pulumi.ResourceOptions(protect=args.protect)),
        )
        self.bucket_name: pulumi.Output[str] = bucket.bucket
        # A bucket that is kept must stay private.
        kept = pulumi.ResourceOptions(protect=args.protect)
        closed = aws.s3.BucketPublicAccessBlock(
            f"{name}-private",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self.child(kept),
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encrypted",
            bucket=bucket.id,
            rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
            opts=self.child(kept),
        )
        versioned = aws.s3.BucketVersioning(
            f"{name}-versioned",
            bucket=bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=self.child(kept),
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.id,
            rules=[
                {
                    "id": "old-versions",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "noncurrent_version_expiration": {"noncurrent_days": _OLD_VERSIONS_DAYS},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
                }
            ],
            opts=self.child(pulumi.ResourceOptions(depends_on=[versioned], protect=args.protect)),
        )
        aws.s3.BucketPolicy(
            f"{name}-tls-only",
            bucket=bucket.id,
            policy=json.dumps(artifact_bucket_policy(args.scope)),
            opts=self.child(pulumi.ResourceOptions(depends_on=[closed], protect=args.protect)),
        )
        self.release: pulumi.Resource | None = None
        if args.release.path:
            self.release = aws.s3.BucketObjectv2(
                f"{name}-release",
                bucket=bucket.id,
                key=args.release.key,
                source=_asset(args.release.path, args.release.digest),
                source_hash=args.release.digest,
                tags=self.tags("release", tier=Tier.APP),
                # Kept: hosts keep running older releases, and going back needs them. Without this, a return to a former
                # release would upload it and then delete all versions of its key.
                opts=self.child(pulumi.ResourceOptions(depends_on=[versioned], retain_on_delete=True)),
            )
        self.register_outputs({"bucket_name": self.bucket_name})


def _asset(path: Path, digest: str) -> Any:
    """The file as an asset that the engine compares by the release's digest, not by that of the compressed bytes.

    `FileAsset` has no place for a hash; the engine takes one that is given, and computes only a missing one.
    """
    return {rpc._special_sig_key: rpc._special_asset_sig, "hash": digest, "path": str(path)}
