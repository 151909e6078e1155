"""What every bucket of the estate has: nobody's but the account's, encrypted, versioned, reached over TLS."""

from __future__ import annotations

import json
from collections.abc import Callable

import pulumi
import pulumi_aws as aws

from components.policies import bucket_policy


def keep_private(
    name: str, bucket: aws.s3.Bucket, arn: str, options: Callable[..., pulumi.ResourceOptions]
) -> aws.s3.BucketVersioning:
    """Declare it for a bucket. Returns its versioning, which other settings wait for.

    :param name: that of the bucket's component, or of this one of its buckets.
    :param options: of a resource that waits for those given.
    """
    closed = aws.s3.BucketPublicAccessBlock(
        f"{name}-private",
        bucket=bucket.id,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=options(),
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        f"{name}-encrypted",
        bucket=bucket.id,
        rules=[{"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}],
        opts=options(),
    )
    aws.s3.BucketPolicy(
        f"{name}-tls-only", bucket=bucket.id, policy=json.dumps(bucket_policy(arn)), opts=options(closed)
    )
    return aws.s3.BucketVersioning(
        f"{name}-versioned",
        bucket=bucket.id,
        versioning_configuration={"status": "Enabled"},
        opts=options(),
    )
