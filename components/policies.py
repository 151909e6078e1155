"""IAM policy documents, one for each tier: the AWS calls that its hosts may make. Pure."""

from __future__ import annotations

from typing import Any

from spec.pointer import Pointer
from spec.scope import Scope
from spec.secrets import PARAMETERS, parameter_prefix
from spec.tags import NAME_TAG, STACK_TAG, TIER_TAG, public_address_name
from spec.tiers import Tier

Document = dict[str, Any]

ASSUMED_BY_EC2: Document = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
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
    if readable:
        statements.append(_allow("ReadOwnParameters", "ssm:GetParameter", sorted(readable)))
    if creatable:
        statements.append(_allow("CreateOwnParameters", "ssm:PutParameter", sorted(creatable)))
        # Nobody may overwrite a parameter: the first host's value counts.
        # https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-policy-conditions.html
        never = {**_allow("NeverOverwrite", "ssm:PutParameter", "*"), "Effect": "Deny"}
        statements.append({**never, "Condition": {"StringEquals": {"ssm:Overwrite": "true"}}})
    own = [Pointer.key(tier), f"bundles/{tier}/*", *(["releases/*"] if tier is Tier.APP else [])]
    objects = [f"arn:{scope.partition}:s3:::{scope.artifact_bucket}/{key}" for key in own]
    statements.append(_allow("ReadWhatItRuns", "s3:GetObject", objects))
    if tier is Tier.LB and scope.load_balancers > 1:
        statements += _move_the_public_address(scope)
    # The load balancer alerts when the monitor stops reporting.
    if tier in (Tier.MONITOR, Tier.LB):
        statements.append(_allow("SendAlerts", "sns:Publish", scope.alert_topic_arn))
    return {"Version": "2012-10-17", "Statement": statements}


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


def artifact_bucket_policy(scope: Scope) -> Document:
    """The bucket accepts TLS connections only."""
    bucket = f"arn:{scope.partition}:s3:::{scope.artifact_bucket}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "TlsOnly",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [bucket, f"{bucket}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


def _allow(sid: str, action: str | list[str], resource: str | list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource}
