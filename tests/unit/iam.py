"""Questions to an IAM simulator about the policies of docs/policies and of hosts, and how tests write them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from components.policies import role_policy
from lab.aws.simulator import IamSimulator, Question
from spec import tags
from spec.project import EXAMPLE_ACCOUNT_ID, REPOSITORY
from spec.scope import Scope
from spec.tiers import Tier

ACCOUNT: Final = EXAMPLE_ACCOUNT_ID
REGION: Final = "us-east-1"
COPY_REGION: Final = "us-west-2"
POLICIES: Final = REPOSITORY / "docs" / "policies"
DOCUMENTED: Final = {
    "deployer": ("deployer-hosts", "deployer-estate", "deployer-operations"),
    "deployer of backups": ("deployer-hosts", "deployer-estate", "deployer-operations", "deployer-backups"),
    "operator": ("operator",),
    "operator of restores": ("operator", "operator-restore"),
    "preview": ("preview",),
    "a role of the deployer's making": ("boundary",),
}
"""Roles and their policies. The deployer has the one for backups while it makes or changes their buckets. The boundary
is the most that a role may do which the deployer creates.
"""
MOST_CHARACTERS: Final = 6144
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
KEY_POLICY: Final = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
            "Action": "kms:*",
            "Resource": "*",
        }
    ],
}
"""What `aws kms create-key` gives a key: the policies of roles decide."""
Document = Mapping[str, Any]


def scope(stack: str) -> Scope:
    return Scope(
        partition="aws",
        account=ACCOUNT,
        region=REGION,
        project="ha",
        stack=stack,
        artifact_bucket=f"ha-{stack}-{ACCOUNT}-{REGION}",
        certificate_parameter=f"/ha/{stack}/lb/certificate",
        permissions_boundary=f"ha-{stack}-boundary",
        load_balancers=2,
        backup_copy_region=COPY_REGION,
    )


def filled(name: str, stack: str = "dev", state_bucket: str = "state", region: str = REGION) -> Any:
    text = (POLICIES / f"{name}.json").read_text(encoding="utf-8")
    for mark, value in {
        "ACCOUNT_ID": ACCOUNT,
        "COPY_REGION": COPY_REGION,
        "REGION": region,
        "STATE_BUCKET": state_bucket,
        "STATE_KEY": "0" * 36,
        "STACK": stack,
    }.items():
        text = text.replace(mark, value)
    return json.loads(text)


@cache
def policies_of(who: str) -> Mapping[str, Document]:
    """The policies of a role for the stack dev: a documented one, or a host's by its tier."""
    if who in DOCUMENTED:
        return {name: filled(name) for name in DOCUMENTED[who]}
    return {who: role_policy(Tier(who), scope("dev"))}


@dataclass(frozen=True)
class Call:
    """An action on one resource, with what the request or the resource adds to the context."""

    action: str
    resource: str = "*"
    context: Mapping[str, str | Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    simulator: IamSimulator

    def allows(self, who: str, *calls: Call) -> bool:
        """A request needs every one of its resources allowed."""
        return all(self._allows(who, call) for call in calls)

    def _allows(self, who: str, call: Call) -> bool:
        question = Question(
            principal_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/{who.split()[0]}/session",
            action=call.action,
            resource_arn=call.resource,
            account_id=ACCOUNT,
            identity_policies=policies_of(who),
            resource_policy=KEY_POLICY if call.action.startswith("kms:") else None,
            context={"aws:userid": "AROA:session", "aws:RequestedRegion": REGION, **call.context},
        )
        return self.simulator.decide(question).allowed


# How the tables below write a request: an action, and the resources that it names.
#   vpc      one of the stack      +vpc   one that this request makes, with the stack's tags
#   -volume  one without tags      other words: resources that are known by their names

NAMED: Final = {
    "alarm": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:ha-STACK-db1-status",
    "boundary": f"arn:aws:iam::{ACCOUNT}:policy/ha-STACK-boundary",
    "backup": f"arn:aws:s3:::ha-STACK-backups-{ACCOUNT}-{REGION}/pgbackrest/1/backup.info",
    "backups": f"arn:aws:s3:::ha-STACK-backups-{ACCOUNT}-{REGION}",
    "bucket": f"arn:aws:s3:::ha-STACK-{ACCOUNT}-{REGION}",
    "copy-role": f"arn:aws:iam::{ACCOUNT}:role/ha-STACK-backups-0",
    "budget": f"arn:aws:budgets::{ACCOUNT}:budget/ha-STACK",
    "document": f"arn:aws:ssm:{REGION}:{ACCOUNT}:document/AWS-RunShellScript",
    "history": "arn:aws:s3:::state/.pulumi/history/ha/STACK/STACK-1.history.json",
    "host": f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0",
    "image": f"arn:aws:ec2:{REGION}::image/ami-0",
    "key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{'0' * 36}",
    "lock": "arn:aws:s3:::state/.pulumi/locks/organization/ha/STACK/0.json",
    "meta": "arn:aws:s3:::state/.pulumi/meta.yaml",
    "object": f"arn:aws:s3:::ha-STACK-{ACCOUNT}-{REGION}/pointers/app",
    "parameter": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/ha/STACK/app/admin-password",
    "parameters": f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/ha/STACK/",
    "port-document": f"arn:aws:ssm:{REGION}:{ACCOUNT}:document/AWS-StartPortForwardingSession",
    "profile": f"arn:aws:iam::{ACCOUNT}:instance-profile/ha-STACK-db-0",
    "proof": f"arn:aws:s3:::ha-STACK-{ACCOUNT}-{REGION}/proofs/newest.json",
    "record": f"arn:aws:s3:::ha-STACK-{ACCOUNT}-{REGION}/operations/roll-out/app",
    "role": f"arn:aws:iam::{ACCOUNT}:role/ha-STACK-db-0",
    "session-document": f"arn:aws:ssm:{REGION}:{ACCOUNT}:document/SSM-SessionManagerRunShell",
    "snapshot": f"arn:aws:ec2:{REGION}::snapshot/snap-0",
    "state": "arn:aws:s3:::state/.pulumi/stacks/ha/STACK.json",
    "state-bucket": "arn:aws:s3:::state",
    "state-tags": "arn:aws:s3:::state/.pulumi/stacks/ha/STACK.pulumi-tags",
    "topic": f"arn:aws:sns:{REGION}:{ACCOUNT}:ha-STACK-alerts",
}


def request(line: str, stack: str = "dev") -> list[Call]:
    """A line of a table as the calls that must all be allowed."""
    action, *resources = line.split()
    action = action if ":" in action else f"ec2:{action}"
    if not resources:
        return [Call(action)]
    return [call for resource in resources for call in _calls(action, resource, stack)]


def _calls(action: str, resource: str, stack: str) -> Iterator[Call]:
    keys = {"aws:TagKeys": [tags.NAME_TAG, tags.STACK_TAG, tags.TIER_TAG]}
    if resource in NAMED:
        passed_to = "s3.amazonaws.com" if resource == "copy-role" else "ec2.amazonaws.com"
        context = {**_context(action, stack), "iam:PassedToService": passed_to}
        yield Call(action, NAMED[resource].replace("STACK", stack), context)
        return
    kind = resource.lstrip("+-")
    arn = f"arn:aws:ec2:{REGION}:{ACCOUNT}:{kind}/x-0"
    wanted = {f"aws:RequestTag/{tags.STACK_TAG}": stack, f"aws:RequestTag/{tags.NAME_TAG}": "x", **keys}
    if resource.startswith("+"):
        yield Call(action, arn, wanted)
        yield Call("ec2:CreateTags", arn, {**wanted, "ec2:CreateAction": action.partition(":")[2]})
    elif resource.startswith("-"):
        yield Call(action, arn, wanted if action == "ec2:CreateTags" else {})
    else:
        own = {f"aws:ResourceTag/{tags.STACK_TAG}": stack, f"aws:ResourceTag/{tags.NAME_TAG}": "x"}
        changed = {"aws:TagKeys": [tags.NAME_TAG, tags.HOST_TAG]} if action.endswith("Tags") else {}
        yield Call(action, arn, {**own, **changed})


def _context(action: str, stack: str) -> Mapping[str, str | Sequence[str]]:
    return {
        "iam:PermissionsBoundary": NAMED["boundary"].replace("STACK", stack),
        f"ssm:resourceTag/{tags.STACK_TAG}": stack,
        f"aws:ResourceTag/{tags.STACK_TAG}": stack,
    }


HOSTS: Final = """
    DescribeInstances
    DescribeAddresses
    ssm:SendCommand host document
    ssm:GetCommandInvocation
    s3:GetObject object
    s3:ListBucket bucket"""
"""What `ha` asks of hosts."""
CHANGES: Final = f"""{HOSTS}
    s3:GetObject record
    s3:PutObject record"""
"""An operation takes the lease."""
STATE: Final = """
    s3:ListBucket state-bucket
    s3:GetObject meta
    s3:GetObject state
    s3:PutObject state
    s3:DeleteObject state
    s3:GetObject state-tags
    s3:PutObject state-tags
    s3:DeleteObject state-tags
    s3:PutObject history
    s3:DeleteObject history
    s3:PutObject lock
    s3:GetObject lock
    s3:DeleteObject lock
    kms:Encrypt key
    kms:Decrypt key"""


def lines(table: str) -> list[str]:
    return [line.strip() for line in table.splitlines() if line.strip()]
