"""The bucket for bundles, pointers and releases: private, encrypted, versioned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pulumi
import pulumi_aws as aws
from pulumi.runtime import rpc

from components.bundles import Bundle
from components.component import Component
from components.private_bucket import keep_private
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

        def kept(*after: pulumi.Resource) -> pulumi.ResourceOptions:
            """A bucket that is kept must stay private."""
            return self.child(pulumi.ResourceOptions(depends_on=[*after], protect=args.protect))

        versioned = keep_private(name, bucket, args.scope.bucket_arn(args.scope.artifact_bucket), kept)
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
            opts=kept(versioned),
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
