"""IAM policy documents, one for each tier: the AWS calls that its hosts may make. Pure."""

from __future__ import annotations

from typing import Any

from spec.pointer import Pointer
from spec.proofs import NEWEST_PROOF_KEY
from spec.scope import Scope
from spec.secrets import CIPHER_PASSPHRASE, PARAMETERS, parameter_prefix
from spec.tags import NAME_TAG, STACK_TAG, TIER_TAG, public_address_name
from spec.tiers import Tier

Document = dict[str, Any]

BACKUP_KEYS = "pgbackrest/*"
"""pgBackRest's repositories in the backup bucket."""


def assumed_by(service: str) -> Document:
    """The trust of a role that a service of AWS takes, such as `ec2`."""
    principal = {"Service": f"{service}.amazonaws.com"}
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}],
    }


# What the Session Manager agent needs, including Run Command: AmazonSSMManagedInstanceCore without the right to read
# every parameter.
# https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html
_AGENT_ACTIONS = [
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
]


def role_policy(tier: Tier, scope: Scope) -> Document:
    """All that a tier's role may do."""
    prefix = parameter_prefix(scope.project, scope.stack)
    readable = [scope.parameter_arn(f"{prefix}/{p.name}") for p in PARAMETERS if tier in p.readers]
    creatable = [scope.parameter_arn(f"{prefix}/{p.name}") for p in PARAMETERS if tier in p.creators]
    statements = [_allow("SessionManagerAgent", _AGENT_ACTIONS, "*")]
    if tier is Tier.LB and scope.certificate_parameter:
        readable.append(scope.parameter_arn(scope.certificate_parameter))
    if tier in CIPHER_PASSPHRASE.readers:
        path = f"{scope.backup_secrets_path}/{CIPHER_PASSPHRASE.name}"
        passphrases = [scope.parameter_arn(path, region) for region in _backup_regions(scope)]
        readable += passphrases
        creatable += passphrases if tier in CIPHER_PASSPHRASE.creators else []
    if readable:
        statements.append(_allow("ReadOwnParameters", "ssm:GetParameter", sorted(readable)))
    if creatable:
        statements.append(_allow("CreateOwnParameters", "ssm:PutParameter", sorted(creatable)))
        # Nobody may overwrite a parameter: the first host's value counts.
        # https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-policy-conditions.html
        never = {**_allow("NeverOverwrite", "ssm:PutParameter", "*"), "Effect": "Deny"}
        statements.append({**never, "Condition": {"StringEquals": {"ssm:Overwrite": "true"}}})
    also = {Tier.APP: ["releases/*"], Tier.MONITOR: [NEWEST_PROOF_KEY]}
    own = [Pointer.key(tier), f"bundles/{tier}/*", *also.get(tier, [])]
    objects = [f"arn:{scope.partition}:s3:::{scope.artifact_bucket}/{key}" for key in own]
    statements.append(_allow("ReadWhatItRuns", "s3:GetObject", objects))
    if tier is Tier.DB:
        statements += _write_backups(scope)
    if tier is Tier.RESTORE:
        statements += _read_backups(scope)
    if tier is Tier.LB and scope.load_balancers > 1:
        statements += _move_the_public_address(scope)
    # The load balancer alerts when the monitor stops reporting.
    if tier in (Tier.MONITOR, Tier.LB):
        statements.append(_allow("SendAlerts", "sns:Publish", scope.alert_topic_arn))
    return {"Version": "2012-10-17", "Statement": statements}


def _backup_regions(scope: Scope) -> list[str]:
    return [scope.region, *([scope.backup_copy_region] if scope.backup_copy_region else [])]


# What would let somebody on a database host destroy backups for good, or take the protection of later ones away. A
# DeleteObject without a version only hides the object behind a marker, and pgBackRest cannot do without it.
_DESTROYS_BACKUPS = [
    "s3:BypassGovernanceRetention",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:DeleteObjectVersion",
    "s3:PutBucketAcl",
    "s3:PutBucketObjectLockConfiguration",
    "s3:PutBucketOwnershipControls",
    "s3:PutBucketPolicy",
    "s3:PutBucketPublicAccessBlock",
    "s3:PutBucketVersioning",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutObjectAcl",
    "s3:PutObjectLegalHold",
    "s3:PutObjectRetention",
    "s3:PutObjectVersionAcl",
    "s3:PutReplicationConfiguration",
]


def _read_backups(scope: Scope) -> list[dict[str, Any]]:
    """What pgBackRest needs to restore, in the stack's own bucket."""
    bucket = scope.bucket_arn(scope.backup_bucket)
    return [
        _allow("SeeBackups", "s3:ListBucket", bucket),
        _allow("ReadBackups", "s3:GetObject", f"{bucket}/{BACKUP_KEYS}"),
    ]


def _write_backups(scope: Scope) -> list[dict[str, Any]]:
    """What pgBackRest needs, in the stack's own bucket."""
    bucket = scope.bucket_arn(scope.backup_bucket)
    objects = ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
    return [
        # Not by prefix: S3 asks for this right, without one, before it says that an object does not exist.
        _allow("ListBackups", "s3:ListBucket", bucket),
        _allow("WriteBackups", objects, f"{bucket}/{BACKUP_KEYS}"),
        {**_allow("NeverDestroyBackups", _DESTROYS_BACKUPS, "*"), "Effect": "Deny"},
    ]


def replication_policy(scope: Scope, copy: str) -> Document:
    """S3's role: it reads every version of the backup bucket, with its lock, and writes it to the bucket `copy`.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html
    """
    source = scope.bucket_arn(scope.backup_bucket)
    read = [
        "s3:GetObjectLegalHold",
        "s3:GetObjectRetention",
        "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionForReplication",
        "s3:GetObjectVersionTagging",
    ]
    write = ["s3:ReplicateDelete", "s3:ReplicateObject", "s3:ReplicateTags"]
    return {
        "Version": "2012-10-17",
        "Statement": [
            _allow("SeeWhatToCopy", ["s3:GetReplicationConfiguration", "s3:ListBucket"], source),
            _allow("ReadVersions", read, f"{source}/*"),
            _allow("WriteCopies", write, f"{scope.bucket_arn(copy)}/*"),
        ],
    }


def _move_the_public_address(scope: Scope) -> list[dict[str, Any]]:
    """A load balancer may associate the stack's public address, and no other, with a load balancer of the stack.

    Neither id is known before the resource exists, so tags identify them. This limits a call that names an instance.
    Network interfaces have no tags here, so one that names an interface may name any of the account. AWS does not say
    whether a call by instance needs the right to its interface too, so the role has it.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html
    """

    def tagged(sid: str, kind: str, **tags: str) -> dict[str, Any]:
        keys = {STACK_TAG: scope.stack, **tags}
        resource = f"arn:{scope.partition}:ec2:{scope.region}:{scope.account}:{kind}/*"
        condition = {f"aws:ResourceTag/{key}": value for key, value in keys.items()}
        return {**_allow(sid, "ec2:AssociateAddress", resource), "Condition": {"StringEquals": condition}}

    interfaces = f"arn:{scope.partition}:ec2:{scope.region}:{scope.account}:network-interface/*"
    return [
        _allow("SeeWhoHoldsThePublicAddress", "ec2:DescribeAddresses", "*"),
        tagged("MoveThePublicAddress", "elastic-ip", **{NAME_TAG: public_address_name(scope.stack)}),
        tagged("ToALoadBalancer", "instance", **{TIER_TAG: Tier.LB.value}),
        _allow("ByItsInterface", "ec2:AssociateAddress", interfaces),
    ]


def alert_topic_policy(scope: Scope) -> Document:
    """Besides the account's own roles, its alarms and its budget may publish alerts."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "AlarmsAndBudgetOfThisAccount",
                "Effect": "Allow",
                "Principal": {"Service": ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]},
                "Action": "sns:Publish",
                "Resource": scope.alert_topic_arn,
                "Condition": {"StringEquals": {"aws:SourceAccount": scope.account}},
            }
        ],
    }


def bucket_policy(arn: str) -> Document:
    """The bucket accepts TLS connections only."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, f"{arn}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


def _allow(sid: str, action: str | list[str], resource: str | list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource}
