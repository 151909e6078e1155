"""S3 buckets, their configurations, and objects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.provider.cloud import Cloud, error_code
from lab.provider.resource_type import Naming, Properties, ResourceType, names
from lab.provider.resource_types.calls import again, found, given, gone, present
from lab.provider.resource_types.tags import tag_list, tag_map
from lab.provider.values import UNKNOWN
from lab.provider.wire import is_asset

# --- Bucket


def _create_bucket(cloud: Cloud, inputs: Properties) -> str:
    name = str(inputs["bucket"])
    location = None if cloud.region == "us-east-1" else {"LocationConstraint": cloud.region}
    cloud.s3.create_bucket(
        **given(
            Bucket=name,
            CreateBucketConfiguration=location,
            ObjectLockEnabledForBucket=inputs.get("objectLockEnabled"),
        )
    )
    if inputs["tagsAll"]:
        cloud.s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_list(inputs["tagsAll"])})
    return name


def _read_bucket(cloud: Cloud, name: str, state: Properties) -> Properties | None:
    if found(lambda: cloud.s3.head_bucket(Bucket=name)) is None:
        return None
    # To import it: otherwise the state has its tags.
    tags = None if state else tag_map((found(lambda: cloud.s3.get_bucket_tagging(Bucket=name)) or {}).get("TagSet"))
    return {
        **present({"tags": tags}),
        "bucket": name,
        "arn": f"arn:aws:s3:::{name}",
        "bucketDomainName": f"{name}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{name}.s3.{cloud.region}.amazonaws.com",
        "bucketRegion": cloud.region,
        "hostedZoneId": "Z3AQBSTGFYJSTF",
    }


def _delete_bucket(cloud: Cloud, name: str, state: Properties) -> None:
    if state.get("forceDestroy"):
        gone(lambda: _empty(cloud, name))
    gone(lambda: cloud.s3.delete_bucket(Bucket=name))


def _empty(cloud: Cloud, name: str) -> None:
    for page in cloud.s3.get_paginator("list_object_versions").paginate(Bucket=name):
        for version in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
            # As the real provider does. Who may not do that keeps what is locked.
            cloud.s3.delete_object(
                Bucket=name, Key=version["Key"], VersionId=version["VersionId"], BypassGovernanceRetention=True
            )


def _retag_bucket(cloud: Cloud, name: str, state: Properties, tags: dict[str, str], old: list[str]) -> None:
    cloud.s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tag_list(tags)})


BUCKET = ResourceType(
    type="aws:s3/bucket:Bucket",
    inputs=names("bucket bucketPrefix forceDestroy objectLockEnabled"),
    outputs=names("arn bucketDomainName bucketRegion bucketRegionalDomainName hostedZoneId"),
    replaces=names("bucket bucketPrefix objectLockEnabled"),
    computed=names("objectLockEnabled"),
    defaults={"forceDestroy": False},
    naming=Naming(property="bucket", prefix_property="bucketPrefix", max_length=63, lower_case=True),
    create=_create_bucket,
    read=_read_bucket,
    update=lambda cloud, name, old, new, changed: None,  # forceDestroy concerns the provider alone
    delete=_delete_bucket,
    retag=_retag_bucket,
)

# --- Configurations of a bucket


def _setting(
    type_token: str,
    inputs: str,
    *,
    put: Callable[[Cloud, Properties], Any],
    get: Callable[[Cloud, str], Properties | None],
    delete: Callable[[Cloud, str], Any],
    required: str = "bucket",
    **more: Any,
) -> ResourceType:
    """The type of one configuration of a bucket: its id is the bucket's name, and a new value replaces the old one."""

    def create(cloud: Cloud, wanted: Properties) -> str:
        put(cloud, wanted)
        return str(wanted["bucket"])

    def read(cloud: Cloud, bucket: str, state: Properties) -> Properties | None:
        answer = found(lambda: get(cloud, bucket))
        return None if answer is None else {"bucket": bucket, **answer}

    def update(cloud: Cloud, bucket: str, old: Properties, new: Properties, changed: set[str]) -> None:
        put(cloud, new)

    return ResourceType(
        type=type_token,
        inputs=names(f"bucket {inputs}"),
        required=names(required),
        replaces=names("bucket"),
        create=create,
        read=read,
        update=update,
        delete=lambda cloud, bucket, state: gone(lambda: delete(cloud, bucket)),
        **more,
    )


def _versioning(cloud: Cloud, wanted: Properties) -> None:
    status = wanted["versioningConfiguration"]["status"]
    if status != "Disabled":
        cloud.s3.put_bucket_versioning(Bucket=wanted["bucket"], VersioningConfiguration={"Status": status})


def _suspend_versioning(cloud: Cloud, bucket: str) -> None:
    try:
        cloud.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    except Exception as error:
        if error_code(error) != "InvalidBucketState":  # a bucket with Object Lock keeps it
            raise


BUCKET_VERSIONING = _setting(
    "aws:s3/bucketVersioning:BucketVersioning",
    "versioningConfiguration",
    required="bucket versioningConfiguration",
    put=_versioning,
    get=lambda cloud, bucket: {
        "versioningConfiguration": {"status": cloud.s3.get_bucket_versioning(Bucket=bucket).get("Status", "Disabled")}
    },
    delete=_suspend_versioning,
    blocks=names("versioningConfiguration"),
)


def _put_encryption(cloud: Cloud, wanted: Properties) -> None:
    rules = []
    for rule in wanted["rules"]:
        default = rule.get("applyServerSideEncryptionByDefault") or {}
        rules.append(
            given(
                ApplyServerSideEncryptionByDefault=given(
                    SSEAlgorithm=default.get("sseAlgorithm"), KMSMasterKeyID=default.get("kmsMasterKeyId")
                ),
                BucketKeyEnabled=rule.get("bucketKeyEnabled"),
            )
        )
    cloud.s3.put_bucket_encryption(Bucket=wanted["bucket"], ServerSideEncryptionConfiguration={"Rules": rules})


def _get_encryption(cloud: Cloud, bucket: str) -> Properties:
    answer = cloud.s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    return {
        "rules": [
            present(
                {
                    "applyServerSideEncryptionByDefault": present(
                        {
                            "sseAlgorithm": rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"],
                            "kmsMasterKeyId": rule["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID"),
                        }
                    ),
                    # S3 answers false where it was never set.
                    "bucketKeyEnabled": rule.get("BucketKeyEnabled") or None,
                }
            )
            for rule in answer
        ]
    }


BUCKET_ENCRYPTION = _setting(
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "rules",
    required="bucket rules",
    put=_put_encryption,
    get=_get_encryption,
    delete=lambda cloud, bucket: cloud.s3.delete_bucket_encryption(Bucket=bucket),
)

_BLOCKS = {
    "blockPublicAcls": "BlockPublicAcls",
    "blockPublicPolicy": "BlockPublicPolicy",
    "ignorePublicAcls": "IgnorePublicAcls",
    "restrictPublicBuckets": "RestrictPublicBuckets",
}


def _get_block(cloud: Cloud, bucket: str) -> Properties:
    blocked = cloud.s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    return {name: blocked[key] for name, key in _BLOCKS.items()}


BUCKET_PUBLIC_ACCESS_BLOCK = _setting(
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    " ".join(_BLOCKS),
    put=lambda cloud, wanted: cloud.s3.put_public_access_block(
        Bucket=wanted["bucket"],
        PublicAccessBlockConfiguration={key: wanted[name] for name, key in _BLOCKS.items()},
    ),
    get=_get_block,
    delete=lambda cloud, bucket: cloud.s3.delete_public_access_block(Bucket=bucket),
    defaults=dict.fromkeys(_BLOCKS, False),
)

BUCKET_POLICY = _setting(
    "aws:s3/bucketPolicy:BucketPolicy",
    "policy",
    required="bucket policy",
    put=lambda cloud, wanted: cloud.s3.put_bucket_policy(Bucket=wanted["bucket"], Policy=wanted["policy"]),
    get=lambda cloud, bucket: {"policy": cloud.s3.get_bucket_policy(Bucket=bucket)["Policy"]},
    delete=lambda cloud, bucket: cloud.s3.delete_bucket_policy(Bucket=bucket),
    documents=names("policy"),
)

_RULE_KEYS = {
    "id": "ID",
    "status": "Status",
    "filter": "Filter",
    "prefix": "Prefix",
    "expiration": "Expiration",
    "days": "Days",
    "date": "Date",
    "expiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
    "noncurrentVersionExpiration": "NoncurrentVersionExpiration",
    "noncurrentDays": "NoncurrentDays",
    "newerNoncurrentVersions": "NewerNoncurrentVersions",
    "abortIncompleteMultipartUpload": "AbortIncompleteMultipartUpload",
    "daysAfterInitiation": "DaysAfterInitiation",
    "transitions": "Transitions",
    "storageClass": "StorageClass",
}
_RULE_NAMES = {key: name for name, key in _RULE_KEYS.items()}


def _renamed(value: Any, table: dict[str, str]) -> Any:
    """A nested structure with its keys in the other spelling. :raises KeyError: for a key that the table lacks."""
    if isinstance(value, dict):
        return {table[key]: _renamed(item, table) for key, item in value.items() if item is not None}
    return [_renamed(item, table) for item in value] if isinstance(value, list) else value


def _refuse_lifecycle(cloud: Cloud, inputs: Properties) -> list[tuple[str, str]]:
    rules = inputs.get("rules")
    if not isinstance(rules, list):
        return []
    unknown = sorted(_keys(rules) - set(_RULE_KEYS))
    return [("rules", f"the lab's provider does not support {name} in a lifecycle rule") for name in unknown]


def _keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for item in value.values() for key in _keys(item)}
    return {key for item in value for key in _keys(item)} if isinstance(value, list) else set()


BUCKET_LIFECYCLE = _setting(
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "rules",
    required="bucket rules",
    put=lambda cloud, wanted: cloud.s3.put_bucket_lifecycle_configuration(
        Bucket=wanted["bucket"], LifecycleConfiguration={"Rules": _renamed(wanted["rules"], _RULE_KEYS)}
    ),
    get=lambda cloud, bucket: {
        "rules": _renamed(cloud.s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"], _RULE_NAMES)
    },
    delete=lambda cloud, bucket: cloud.s3.delete_bucket_lifecycle(Bucket=bucket),
    refuse=_refuse_lifecycle,
)


def _put_lock(cloud: Cloud, wanted: Properties) -> None:
    retention = (wanted.get("rule") or {}).get("defaultRetention")
    rule = retention and {"DefaultRetention": given(Mode=retention["mode"], Days=retention.get("days"))}
    configuration = given(ObjectLockEnabled="Enabled", Rule=rule)
    cloud.s3.put_object_lock_configuration(Bucket=wanted["bucket"], ObjectLockConfiguration=configuration)


def _get_lock(cloud: Cloud, bucket: str) -> Properties:
    configuration = cloud.s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]
    retention = configuration.get("Rule", {}).get("DefaultRetention")
    rule = retention and {"defaultRetention": {"mode": retention["Mode"], "days": retention["Days"]}}
    return present({"objectLockEnabled": configuration["ObjectLockEnabled"], "rule": rule})


BUCKET_LOCK = _setting(
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
    "objectLockEnabled rule",
    put=_put_lock,
    get=_get_lock,
    # S3 never turns Object Lock off; what goes is the default for new objects.
    delete=lambda cloud, bucket: _put_lock(cloud, {"bucket": bucket}),
    defaults={"objectLockEnabled": "Enabled"},
)

_REPLICATION_KEYS = {
    "id": "ID",
    "status": "Status",
    "priority": "Priority",
    "filter": "Filter",
    "prefix": "Prefix",
    "deleteMarkerReplication": "DeleteMarkerReplication",
    "destination": "Destination",
    "bucket": "Bucket",
    "storageClass": "StorageClass",
    "metrics": "Metrics",
}
_REPLICATION_NAMES = {key: name for name, key in _REPLICATION_KEYS.items()}


def _refuse_replication(cloud: Cloud, inputs: Properties) -> list[tuple[str, str]]:
    rules = inputs.get("rules")
    unknown = sorted(_keys(rules) - set(_REPLICATION_KEYS)) if isinstance(rules, list) else []
    return [("rules", f"the lab's provider does not support {name} in a rule of replication") for name in unknown]


def _put_replication(cloud: Cloud, wanted: Properties) -> None:
    configuration = {"Role": wanted["role"], "Rules": _renamed(wanted["rules"], _REPLICATION_KEYS)}
    cloud.s3.put_bucket_replication(Bucket=wanted["bucket"], ReplicationConfiguration=configuration)


def _get_replication(cloud: Cloud, bucket: str) -> Properties:
    configuration = cloud.s3.get_bucket_replication(Bucket=bucket)["ReplicationConfiguration"]
    return {"role": configuration["Role"], "rules": _renamed(configuration["Rules"], _REPLICATION_NAMES)}


BUCKET_REPLICATION = _setting(
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
    "role rules",
    required="bucket role rules",
    put=_put_replication,
    get=_get_replication,
    delete=lambda cloud, bucket: cloud.s3.delete_bucket_replication(Bucket=bucket),
    refuse=_refuse_replication,
)

# --- Object


def _put_object(cloud: Cloud, inputs: Properties) -> str:
    bucket, key = inputs["bucket"], inputs["key"]
    arguments = given(
        Bucket=bucket,
        Key=key,
        ContentType=inputs.get("contentType"),
        Metadata=inputs.get("metadata"),
        Tagging="&".join(f"{name}={value}" for name, value in (inputs.get("tagsAll") or {}).items()) or None,
    )
    source = inputs.get("source") or {}
    if source.get("path"):
        with Path(source["path"]).open("rb") as file:
            cloud.s3.put_object(Body=file, **arguments)
    else:
        text = str(source.get("text") or inputs.get("content") or "")
        cloud.s3.put_object(Body=text.encode(), **arguments)
    return f"{bucket}/{key}"


def _read_object(cloud: Cloud, object_id: str, state: Properties) -> Properties | None:
    answer = found(lambda: cloud.s3.head_object(Bucket=state["bucket"], Key=state["key"]))
    if not answer:
        return None
    return present(
        {
            "bucket": state["bucket"],
            "key": state["key"],
            "contentType": answer.get("ContentType"),
            "metadata": answer.get("Metadata") or None,
            "etag": answer["ETag"].strip('"'),
            "versionId": answer.get("VersionId"),
            "arn": f"arn:aws:s3:::{state['bucket']}/{state['key']}",
        }
    )


def _delete_object(cloud: Cloud, object_id: str, state: Properties) -> None:
    pages = cloud.s3.get_paginator("list_object_versions").paginate(Bucket=state["bucket"], Prefix=state["key"])

    def delete() -> None:
        for page in pages:
            for version in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
                if version["Key"] == state["key"]:
                    cloud.s3.delete_object(Bucket=state["bucket"], Key=state["key"], VersionId=version["VersionId"])

    gone(delete)


def _retag_object(cloud: Cloud, object_id: str, state: Properties, tags: dict[str, str], old: list[str]) -> None:
    cloud.s3.put_object_tagging(Bucket=state["bucket"], Key=state["key"], Tagging={"TagSet": tag_list(tags)})


def _refuse_object(cloud: Cloud, inputs: Properties) -> list[tuple[str, str]]:
    source = inputs.get("source")
    if source is not None and "content" in inputs:
        return [("content", "conflicts with source")]
    if source not in (None, UNKNOWN) and not (is_asset(source) and {"path", "text"} & set(source)):
        return [("source", "the lab's provider takes a file or a text, not an archive or a remote asset")]
    return []


BUCKET_OBJECT = ResourceType(
    type="aws:s3/bucketObjectv2:BucketObjectv2",
    inputs=names("bucket key source content contentType etag metadata sourceHash"),
    required=names("bucket"),
    outputs=names("arn versionId"),
    replaces=names("bucket key"),
    computed=names("contentType etag"),
    naming=Naming(property="key", prefix_property=None, max_length=1024),
    create=_put_object,
    read=_read_object,
    update=lambda cloud, object_id, old, new, changed: again(_put_object, cloud, new),
    delete=_delete_object,
    retag=_retag_object,
    refuse=_refuse_object,
)

RESOURCE_TYPES = (
    BUCKET,
    BUCKET_VERSIONING,
    BUCKET_ENCRYPTION,
    BUCKET_PUBLIC_ACCESS_BLOCK,
    BUCKET_POLICY,
    BUCKET_LIFECYCLE,
    BUCKET_LOCK,
    BUCKET_REPLICATION,
    BUCKET_OBJECT,
)
