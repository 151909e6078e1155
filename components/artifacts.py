"""The bucket for bundles, pointers and releases: private, encrypted, versioned."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pulumi
import pulumi_aws as aws
from pulumi.runtime import rpc

from components.bundles import Bundle
from components.component import Component
from components.policies import bucket_policy
from spec.release import Release
from spec.scope import Scope
from spec.tiers import Tier

_OLD_VERSIONS_DAYS = 30


@dataclass(frozen=True, kw_only=True)
class ArtifactsArgs:
    """The bundles and the release to upload; `protect` prevents the bucket's deletion."""

    scope: Scope
    bundles: Mapping[Tier, Bundle]
    release: Release
    protect: bool


class Artifacts(Component):
    """The artifact bucket, with the bundle of each tier and the release in it. Both are kept when the program names
    others: a host, a pointer or a roll-out that goes back may still need them, and their keys contain their digests.

    Without that, a return to a former one would upload it and then delete all versions of its key.

    Attributes: `bucket_name`; `needed`: what a tier's pointer names, by tier.
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
            policy=json.dumps(bucket_policy(args.scope.bucket_arn(args.scope.artifact_bucket))),
            opts=self.child(pulumi.ResourceOptions(depends_on=[closed], protect=args.protect)),
        )
        uploaded = pulumi.ResourceOptions(depends_on=[versioned], retain_on_delete=True)
        self.needed: dict[Tier, list[pulumi.Resource]] = {
            tier: [
                aws.s3.BucketObjectv2(
                    f"{name}-bundle-{tier}",
                    bucket=bucket.id,
                    key=bundle.key,
                    source=_asset(bundle.write(), bundle.digest),
                    source_hash=bundle.digest,
                    tags=self.tags("bundle", tier=tier),
                    opts=self.child(uploaded),
                )
            ]
            for tier, bundle in args.bundles.items()
        }
        if args.release.path:
            self.needed[Tier.APP].append(
                aws.s3.BucketObjectv2(
                    f"{name}-release",
                    bucket=bucket.id,
                    key=args.release.key,
                    source=_asset(args.release.path, args.release.digest),
                    source_hash=args.release.digest,
                    tags=self.tags("release", tier=Tier.APP),
                    opts=self.child(uploaded),
                )
            )
        self.register_outputs({"bucket_name": self.bucket_name})


def _asset(path: Path, digest: str) -> Any:
    """The file as an asset that the engine compares by its digest: for a release that of the uncompressed archive.

    `FileAsset` has no place for a hash; the engine takes one that is given, and computes only a missing one.
    """
    return {rpc._special_sig_key: rpc._special_asset_sig, "hash": digest, "path": str(path)}
