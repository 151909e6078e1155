"""The policies of docs/policies: enough for what the program, the commands and the pages need, and for nothing else.

An IAM simulator decides. It knows the Service Authorization Reference: a condition on a key that an action does not
have, or an action on another kind of resource, fails here.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from components.policies import replication_policy, role_policy
from spec import tags
from spec.pointer import Pointer
from spec.project import REPOSITORY
from spec.tiers import Tier
from tests.unit.iam import (
    ACCOUNT,
    CHANGES,
    COPY_REGION,
    DOCUMENTED,
    HOSTS,
    MOST_CHARACTERS,
    NAMED,
    POLICIES,
    REGION,
    STATE,
    Asked,
    Call,
    Document,
    filled,
    lines,
    request,
    scope,
)
from tests.unit.program.recorded import program_of

# What the AWS provider calls to make, read, change, tag and delete a resource of each type that the program declares.
NEEDED: Final = {
    "aws:ec2/vpc:Vpc": """
        CreateVpc +vpc
        DescribeVpcs
        DescribeVpcAttribute
        ModifyVpcAttribute vpc
        CreateTags vpc
        DeleteTags vpc
        DeleteVpc vpc""",
    "aws:ec2/subnet:Subnet": """
        CreateSubnet +subnet vpc
        DescribeSubnets
        ModifySubnetAttribute subnet
        CreateTags subnet
        DeleteSubnet subnet""",
    "aws:ec2/internetGateway:InternetGateway": """
        CreateInternetGateway +internet-gateway
        DescribeInternetGateways
        AttachInternetGateway internet-gateway vpc
        CreateTags internet-gateway
        DetachInternetGateway internet-gateway vpc
        DeleteInternetGateway internet-gateway""",
    "aws:ec2/routeTable:RouteTable": """
        CreateRouteTable +route-table vpc
        DescribeRouteTables
        CreateTags route-table
        DeleteRouteTable route-table""",
    "aws:ec2/route:Route": """
        CreateRoute route-table
        ReplaceRoute route-table
        DeleteRoute route-table""",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": """
        AssociateRouteTable route-table subnet
        ReplaceRouteTableAssociation route-table subnet
        DisassociateRouteTable route-table subnet""",
    "aws:ec2/eip:Eip": """
        AllocateAddress +elastic-ip
        DescribeAddresses
        DescribeAddressesAttribute
        CreateTags elastic-ip
        DisassociateAddress elastic-ip -network-interface
        ReleaseAddress elastic-ip""",
    "aws:ec2/eipAssociation:EipAssociation": """
        AssociateAddress elastic-ip instance -network-interface
        DisassociateAddress elastic-ip -network-interface""",
    "aws:ec2/natGateway:NatGateway": """
        CreateNatGateway +natgateway elastic-ip subnet
        DescribeNatGateways
        CreateTags natgateway
        DeleteNatGateway natgateway""",
    "aws:ec2/vpcEndpoint:VpcEndpoint": """
        CreateVpcEndpoint +vpc-endpoint route-table vpc
        DescribeVpcEndpoints
        DescribePrefixLists
        ModifyVpcEndpoint vpc-endpoint route-table
        CreateTags vpc-endpoint
        DeleteVpcEndpoints vpc-endpoint""",
    # The provider takes over the group that the VPC was made with: tags it, and removes its rules.
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": """
        DescribeSecurityGroups
        CreateTags -security-group
        RevokeSecurityGroupIngress security-group
        RevokeSecurityGroupEgress security-group""",
    "aws:ec2/securityGroup:SecurityGroup": """
        CreateSecurityGroup +security-group vpc
        DescribeSecurityGroups
        DescribeNetworkInterfaces
        RevokeSecurityGroupEgress security-group
        CreateTags security-group
        DeleteSecurityGroup security-group""",
    # It tags a rule once the rule is there.
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": """
        AuthorizeSecurityGroupIngress security-group -security-group-rule
        CreateTags -security-group-rule
        DescribeSecurityGroupRules
        ModifySecurityGroupRules security-group security-group-rule
        CreateTags security-group-rule
        RevokeSecurityGroupIngress security-group""",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": """
        AuthorizeSecurityGroupEgress security-group -security-group-rule
        CreateTags -security-group-rule
        DescribeSecurityGroupRules
        ModifySecurityGroupRules security-group security-group-rule
        RevokeSecurityGroupEgress security-group""",
    # It tags the root volume once the instance runs.
    "aws:ec2/instance:Instance": """
        DescribeImages
        RunInstances +instance image subnet security-group -volume -network-interface
        iam:PassRole role
        CreateTags -volume
        DescribeInstances
        DescribeInstanceAttribute
        DescribeInstanceCreditSpecifications
        DescribeInstanceTypes
        DescribeIamInstanceProfileAssociations
        DescribeLaunchTemplates
        DescribeTags
        DescribeVolumes
        ModifyInstanceAttribute instance
        ModifyInstanceCreditSpecification instance
        ModifyInstanceMetadataOptions instance
        ModifyVolume volume
        DescribeVolumesModifications
        AssociateIamInstanceProfile instance
        ReplaceIamInstanceProfileAssociation instance
        DisassociateIamInstanceProfile instance
        StopInstances instance
        StartInstances instance
        CreateTags instance
        DeleteTags volume
        TerminateInstances instance""",
    "aws:ec2/launchTemplate:LaunchTemplate": """
        CreateLaunchTemplate +launch-template
        DescribeLaunchTemplates
        DescribeLaunchTemplateVersions
        CreateLaunchTemplateVersion launch-template
        ModifyLaunchTemplate launch-template
        CreateTags launch-template
        DeleteLaunchTemplate launch-template""",
    "aws:ebs/volume:Volume": """
        CreateVolume +volume
        DescribeVolumes
        ModifyVolume volume
        CreateTags volume
        DeleteVolume volume""",
    "aws:ec2/volumeAttachment:VolumeAttachment": """
        AttachVolume instance volume
        StopInstances instance
        DetachVolume instance volume""",
    "aws:iam/role:Role": """
        iam:CreateRole role
        iam:GetRole role
        iam:ListRolePolicies role
        iam:ListAttachedRolePolicies role
        iam:UpdateRole role
        iam:UpdateRoleDescription role
        iam:PutRolePermissionsBoundary role
        iam:TagRole role
        iam:UntagRole role
        iam:ListInstanceProfilesForRole role
        iam:DeleteRole role""",
    "aws:iam/rolePolicy:RolePolicy": """
        iam:PutRolePolicy role
        iam:GetRolePolicy role
        iam:DeleteRolePolicy role""",
    "aws:iam/instanceProfile:InstanceProfile": """
        iam:CreateInstanceProfile profile
        iam:GetInstanceProfile profile
        iam:AddRoleToInstanceProfile profile
        iam:PassRole role
        iam:TagInstanceProfile profile
        iam:RemoveRoleFromInstanceProfile profile
        iam:DeleteInstanceProfile profile""",
    "aws:s3/bucket:Bucket": """
        s3:CreateBucket bucket
        s3:ListBucket bucket
        s3:GetBucketLocation bucket
        s3:GetBucketAcl bucket
        s3:GetBucketCORS bucket
        s3:GetBucketLogging bucket
        s3:GetBucketObjectLockConfiguration bucket
        s3:GetBucketPolicy bucket
        s3:GetBucketRequestPayment bucket
        s3:GetBucketTagging bucket
        s3:GetBucketVersioning bucket
        s3:GetBucketWebsite bucket
        s3:GetAccelerateConfiguration bucket
        s3:GetEncryptionConfiguration bucket
        s3:GetLifecycleConfiguration bucket
        s3:GetReplicationConfiguration bucket
        s3:ListTagsForResource bucket
        s3:PutBucketTagging bucket
        s3:TagResource bucket
        s3:UntagResource bucket
        s3:ListBucketVersions bucket
        s3:DeleteObjectVersion object
        s3:DeleteBucket bucket""",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": """
        s3:PutLifecycleConfiguration bucket
        s3:GetLifecycleConfiguration bucket""",
    "aws:s3/bucketPolicy:BucketPolicy": """
        s3:PutBucketPolicy bucket
        s3:GetBucketPolicy bucket
        s3:DeleteBucketPolicy bucket""",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": """
        s3:PutBucketPublicAccessBlock bucket
        s3:GetBucketPublicAccessBlock bucket""",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": """
        s3:PutEncryptionConfiguration bucket
        s3:GetEncryptionConfiguration bucket""",
    "aws:s3/bucketVersioning:BucketVersioning": """
        s3:PutBucketVersioning bucket
        s3:GetBucketVersioning bucket""",
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": """
        s3:PutBucketObjectLockConfiguration backups
        s3:GetBucketObjectLockConfiguration backups""",
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": """
        s3:PutReplicationConfiguration backups
        iam:PassRole copy-role
        s3:GetReplicationConfiguration backups""",
    "aws:s3/bucketObjectv2:BucketObjectv2": """
        s3:PutObject object
        s3:PutObjectTagging object
        s3:AbortMultipartUpload object
        s3:GetObject object
        s3:GetObjectTagging object
        s3:ListBucketVersions bucket
        s3:DeleteObject object
        s3:DeleteObjectVersion object""",
    "aws:sns/topic:Topic": """
        sns:CreateTopic topic
        sns:TagResource topic
        sns:UntagResource topic
        sns:GetTopicAttributes topic
        sns:SetTopicAttributes topic
        sns:ListTagsForResource topic
        sns:DeleteTopic topic""",
    "aws:sns/topicPolicy:TopicPolicy": """
        sns:SetTopicAttributes topic
        sns:GetTopicAttributes topic""",
    "aws:sns/topicSubscription:TopicSubscription": """
        sns:Subscribe topic
        sns:ListSubscriptionsByTopic topic
        sns:GetSubscriptionAttributes topic
        sns:SetSubscriptionAttributes topic
        sns:Unsubscribe topic""",
    "aws:cloudwatch/metricAlarm:MetricAlarm": """
        cloudwatch:PutMetricAlarm alarm
        cloudwatch:DescribeAlarms
        cloudwatch:ListTagsForResource alarm
        cloudwatch:TagResource alarm
        cloudwatch:UntagResource alarm
        cloudwatch:DeleteAlarms alarm""",
    "aws:budgets/budget:Budget": """
        budgets:ModifyBudget budget
        budgets:ViewBudget budget
        budgets:TagResource budget
        budgets:UntagResource budget
        budgets:ListTagsForResource budget""",
}


def test_the_table_has_every_type_that_the_program_declares() -> None:
    declared = {
        one.type for one in program_of("prod").resources if not one.is_component and one.type.startswith("aws:")
    }
    missing = declared - set(NEEDED)
    assert not missing
    assert set(NEEDED) - declared <= {"aws:sns/topicSubscription:TopicSubscription"}  # only with an address


@pytest.mark.parametrize("type_", NEEDED)
def test_the_deployer_makes_changes_and_deletes_its_own_stack(type_: str, iam: Asked) -> None:
    table = lines(NEEDED[type_])
    of_backups = [line for line in table if "backups" in line or "copy-role" in line]
    denied = [line for line in table if line not in of_backups and not iam.allows("deployer", *request(line))]
    denied += [line for line in of_backups if not iam.allows("deployer of backups", *request(line))]
    assert not denied


@pytest.mark.parametrize("type_", NEEDED)
def test_the_deployer_of_dev_does_nothing_of_it_to_prod(type_: str, iam: Asked) -> None:
    changes = [line for line in lines(NEEDED[type_]) if len(line.split()) > 1]
    allowed = [line for line in changes if iam.allows("deployer of backups", *request(line, "prod"))]
    assert not allowed


def on_backups(type_: str) -> list[str]:
    """The calls of a type of bucket, on a backup bucket."""
    table = [line.replace(" bucket", " backups").replace(" object", " backup") for line in lines(NEEDED[type_])]
    return [line for line in table if len(line.split()) > 1]


OF_BUCKETS: Final = [one for one in NEEDED if one.startswith("aws:s3/bucket") and "Objectv2" not in one]


@pytest.mark.parametrize("type_", OF_BUCKETS)
def test_backup_buckets_are_made_and_deleted_with_a_policy_of_their_own_and_seen_without(
    type_: str, iam: Asked
) -> None:
    table = on_backups(type_)
    assert [line for line in table if not iam.allows("deployer of backups", *request(line))] == []
    seen = [line for line in table if iam.allows("deployer", *request(line))]
    assert seen == [line for line in table if READS.match(line) and "ListBucketVersions" not in line]


@pytest.mark.parametrize("bucket", ["backups", "backup"])
def test_nobody_unlocks_shares_or_holds_a_backup(bucket: str, iam: Asked) -> None:
    ways = ["s3:BypassGovernanceRetention", "s3:PutObjectRetention", "s3:PutObjectLegalHold", "s3:PutObjectAcl"]
    ways = ways if bucket == "backup" else ["s3:PutBucketAcl", "s3:PutBucketOwnershipControls"]
    taken = [(who, way) for who in ROLES for way in ways if iam.allows(who, *request(f"{way} {bucket}"))]
    assert taken == []


def test_only_database_hosts_write_backups_and_only_restores_read_them_too(iam: Asked) -> None:
    makes = {"a role of the deployer's making"}
    for name, hosts in {"GetObject": {"db", "restore"}, "PutObject": {"db"}, "AbortMultipartUpload": {"db"}}.items():
        may = {who for who in ROLES if iam.allows(who, *request(f"s3:{name} backup"))}
        assert may == makes | hosts, name


def test_what_deletes_versions_is_the_deployer_while_it_makes_the_buckets(iam: Asked) -> None:
    """It empties those of a stack without protection; Object Lock keeps the others."""
    for line in ("s3:DeleteObjectVersion backup", "s3:DeleteBucket backups"):
        assert [who for who in ROLES if iam.allows(who, *request(line))] == ["deployer of backups"]


# What would destroy backups, read another's, or weaken what protects those to come.
@pytest.mark.parametrize(
    "line",
    [
        *("s3:DeleteObjectVersion backup", "s3:PutObjectRetention backup", "s3:BypassGovernanceRetention backup"),
        *("s3:PutObjectLegalHold backup", "s3:GetObjectVersion backup", "s3:ListBucketVersions backups"),
        *("s3:PutBucketVersioning backups", "s3:PutLifecycleConfiguration backups", "s3:PutBucketPolicy backups"),
        *("s3:PutReplicationConfiguration backups", "s3:PutBucketObjectLockConfiguration backups"),
        *("s3:DeleteBucket backups", "s3:PutEncryptionConfiguration backups"),
    ],
)
def test_a_database_host_destroys_no_backup(line: str, iam: Asked) -> None:
    assert not iam.allows("db", *request(line))


def test_a_database_host_reaches_the_backups_of_its_stack_only(iam: Asked) -> None:
    for action, bucket in (("s3:GetObject", "backup"), ("s3:PutObject", "backup"), ("s3:ListBucket", "backups")):
        assert iam.allows("db", *request(f"{action} {bucket}"))
        assert not iam.allows("db", *request(f"{action} {bucket}", "prod"))
    bucket = NAMED["backups"].replace("STACK", "dev")
    assert not iam.allows("db", Call("s3:PutObject", f"{bucket}/elsewhere"))
    assert not iam.allows("db", Call("s3:GetObject", f"{bucket.replace(REGION, COPY_REGION)}/pgbackrest/1/backup.info"))


@pytest.mark.parametrize("region", [REGION, COPY_REGION, "eu-west-1"])
def test_the_passphrase_is_made_once_in_both_regions(region: str, iam: Asked) -> None:
    passphrase = f"arn:aws:ssm:{region}:{ACCOUNT}:parameter/ha-backups/dev/cipher-passphrase"
    for who in ROLES:
        may = who in ("db", "a role of the deployer's making") and region != "eu-west-1"
        reads = may or (who == "restore" and region != "eu-west-1")
        assert iam.allows(who, Call("ssm:GetParameter", passphrase)) == reads
        assert iam.allows(who, Call("ssm:PutParameter", passphrase, {"ssm:Overwrite": "false"})) == may
        assert not iam.allows(who, Call("ssm:PutParameter", passphrase, {"ssm:Overwrite": "true"}))


# A call that needs the right name, and the input of the program that the name is or begins with.
NAMES: Final = {
    "aws:budgets/budget:Budget": ("budgets:ModifyBudget", f"arn:aws:budgets::{ACCOUNT}:budget/", "name"),
    "aws:cloudwatch/metricAlarm:MetricAlarm": (
        "cloudwatch:PutMetricAlarm",
        f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:",
        "name",
    ),
    "aws:iam/instanceProfile:InstanceProfile": (
        "iam:CreateInstanceProfile",
        f"arn:aws:iam::{ACCOUNT}:instance-profile/",
        "namePrefix",
    ),
    "aws:iam/role:Role": ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/", "namePrefix"),
    "aws:s3/bucket:Bucket": ("s3:CreateBucket", "arn:aws:s3:::", "bucket"),
    "aws:sns/topic:Topic": ("sns:CreateTopic", f"arn:aws:sns:{REGION}:{ACCOUNT}:", "name"),
}


@pytest.mark.parametrize("type_", NAMES)
def test_the_programs_names_are_those_that_the_policies_mean(type_: str, iam: Asked) -> None:
    action, beginning, name = NAMES[type_]
    for stack in ("prod", "dev"):
        resources = program_of(stack).of(type_)
        assert resources
        for one in resources:
            call = Call(action, beginning + one.inputs[name], BOUNDED)
            assert iam.allows("deployer of backups", call) == (stack == "dev"), call


@pytest.mark.parametrize("table", [HOSTS, CHANGES, STATE], ids=["hosts", "changes", "state"])
def test_the_deployer_operates_its_own_stack_only(table: str, iam: Asked) -> None:
    assert [line for line in lines(table) if not iam.allows("deployer", *request(line))] == []
    shared = {"s3:ListBucket state-bucket", "s3:GetObject meta", "kms:Encrypt key", "kms:Decrypt key"}
    changes = [line for line in lines(table) if len(line.split()) > 1 and line not in shared]
    assert [line for line in changes if iam.allows("deployer", *request(line, "prod"))] == []


def test_the_operator_operates_its_own_stack_only(iam: Asked) -> None:
    assert [line for line in lines(CHANGES) if not iam.allows("operator", *request(line))] == []
    changes = [line for line in lines(CHANGES) if len(line.split()) > 1]
    assert [line for line in changes if iam.allows("operator", *request(line, "prod"))] == []


def launch(stack: str, **context: str) -> list[Call]:
    """What `ha db restore` asks of EC2: all but the template comes from the template."""

    def arn(kind: str) -> str:
        return f"arn:aws:ec2:{REGION}:{ACCOUNT if kind != 'image' else ''}:{kind}/x-0"

    tagged = {f"aws:RequestTag/{tags.STACK_TAG}": stack, f"aws:RequestTag/{tags.TIER_TAG}": "restore"}
    own = {f"aws:ResourceTag/{tags.STACK_TAG}": stack}
    parts = ("image", "instance", "network-interface", "security-group", "subnet", "volume")
    role = {"iam:PassedToService": "ec2.amazonaws.com"}
    return [
        Call("ec2:RunInstances", arn("launch-template"), {f"aws:ResourceTag/{tags.STACK_TAG}": stack}),
        *(Call("ec2:RunInstances", arn(kind), {**tagged, **own, **FROM_TEMPLATE, **context}) for kind in parts),
        *(
            Call("ec2:CreateTags", arn(kind), {**tagged, "ec2:CreateAction": "RunInstances"})
            for kind in ("instance", "volume")
        ),
        Call("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/ha-{stack}-restore-0", role),
    ]


def test_an_operator_of_restores_launches_what_the_template_says_and_nothing_else(iam: Asked) -> None:
    who = "operator of restores"
    assert iam.allows(who, *launch("dev"))
    assert not iam.allows(who, *launch("prod"))
    assert not iam.allows("operator", *launch("dev"))
    # Another subnet, image or role than the template's.
    assert not iam.allows(who, *launch("dev", **{"ec2:IsLaunchTemplateResource": "false"}))
    assert not iam.allows(who, *request("iam:PassRole role"))
    host = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0"
    for tier, may in (("restore", True), ("db", False)):
        own = {f"aws:ResourceTag/{tags.STACK_TAG}": "dev", f"aws:ResourceTag/{tags.TIER_TAG}": tier}
        assert iam.allows(who, Call("ec2:TerminateInstances", host, own)) == may


def snapshot_of(stack: str, *, of: str = "", tagged: str = "") -> list[Call]:
    """What `ops.snapshots.take` asks of EC2: a snapshot of a stack's volume, with the stack's tag."""
    own = {f"aws:ResourceTag/{tags.STACK_TAG}": of or stack}
    keys = [tags.NAME_TAG, tags.STACK_TAG, tags.TIER_TAG, tags.HOST_TAG, tags.WHY_TAG]
    wanted = {f"aws:RequestTag/{tags.STACK_TAG}": tagged or stack, "aws:TagKeys": keys}
    return [
        Call("ec2:CreateSnapshot", f"arn:aws:ec2:{REGION}:{ACCOUNT}:volume/vol-0", own),
        Call("ec2:CreateSnapshot", NAMED["snapshot"], wanted),
        Call("ec2:CreateTags", NAMED["snapshot"], {**wanted, "ec2:CreateAction": "CreateSnapshot"}),
    ]


def test_an_operator_of_restores_takes_and_drops_snapshots_of_its_own_stack_only(iam: Asked) -> None:
    who = "operator of restores"
    assert iam.allows(who, *request("DescribeInstances"), *request("DescribeSnapshots"), *snapshot_of("dev"))
    assert not iam.allows(who, *snapshot_of("prod"))
    assert not iam.allows(who, *snapshot_of("dev", of="prod"))
    assert not iam.allows(who, *snapshot_of("dev", tagged="prod"))
    assert not iam.allows("operator", *snapshot_of("dev"))
    for stack, may in (("dev", True), ("prod", False)):
        own = {f"aws:ResourceTag/{tags.STACK_TAG}": stack}
        assert iam.allows(who, Call("ec2:DeleteSnapshot", NAMED["snapshot"], own)) == may
        # A tag later would make another's snapshot one of this stack.
        retagged = {**own, f"aws:RequestTag/{tags.STACK_TAG}": "dev", "aws:TagKeys": [tags.STACK_TAG]}
        assert not iam.allows(who, Call("ec2:CreateTags", NAMED["snapshot"], retagged))
        for action in ("ModifySnapshotAttribute", "CopySnapshot", "CreateVolume", "ModifySnapshotTier"):
            assert not iam.allows(who, Call(f"ec2:{action}", NAMED["snapshot"], own)), action


def test_what_snapshots_call_is_in_the_test_above() -> None:
    text = (REPOSITORY / "ops" / "snapshots.py").read_text(encoding="utf-8")
    calls = set(re.findall(r"\b(?:ec2|client\(\"ec2\"\))\.([a-z]+_[a-z]+)\(", text)) - {"get_paginator"}
    calls |= set(re.findall(r'get_paginator\("(\w+)"\)', text))
    assert calls == {"create_snapshot", "delete_snapshot", "describe_instances", "describe_snapshots"}


READS: Final = re.compile(r"(ec2:)?Describe|\w+:(Describe|Get|List|View)")


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_preview_reads_every_stack(stack: str, iam: Asked) -> None:
    table = [line for type_ in NEEDED for line in lines(NEEDED[type_]) if READS.match(line)]
    table = [line for line in table if "ListBucketVersions" not in line]  # read before a bucket is emptied
    table += ["s3:GetObject record", "s3:ListBucket state-bucket", "s3:GetObject meta", "s3:GetObject state"]
    table += ["s3:GetObject state-tags", "kms:Decrypt key"]
    assert [line for line in table if not iam.allows("preview", *request(line, stack))] == []


def test_a_preview_changes_nothing(iam: Asked) -> None:
    changes = {line for type_ in NEEDED for line in lines(NEEDED[type_]) if not READS.match(line)}
    changes |= {line for line in lines(f"{CHANGES}{STATE}") if not READS.match(line)} - {"kms:Decrypt key"}
    assert [line for line in sorted(changes) if iam.allows("preview", *request(line))] == []


def own(stack: str = "dev") -> dict[str, str]:
    return {
        f"{prefix}:{word}/{tags.STACK_TAG}": stack for prefix, word in (("aws", "ResourceTag"), ("ssm", "resourceTag"))
    }


def ec2(kind: str) -> str:
    return f"arn:aws:ec2:{REGION}:{ACCOUNT}:{kind}/x-0"


FROM_TEMPLATE: Final = {
    "ec2:LaunchTemplate": f"arn:aws:ec2:{REGION}:{ACCOUNT}:launch-template/lt-0",
    "ec2:IsLaunchTemplateResource": "true",
}
PROD: Final = own("prod")
TO_DEV: Final = {"aws:RequestTag/ha:stack": "dev", "aws:TagKeys": ["ha:stack"]}
BOUNDED: Final = {"iam:PermissionsBoundary": f"arn:aws:iam::{ACCOUNT}:policy/ha-dev-boundary"}
ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/ha-dev-db-0"
BACKUPS: Final = f"arn:aws:s3:::ha-prod-backups-{ACCOUNT}-eu-west-1"
OIDC: Final = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"

# Known ways from some rights to more, or from one stack to another. Nobody may take any.
ESCALATIONS: Final = {
    "a new version of the boundary": Call("iam:CreatePolicyVersion", f"arn:aws:iam::{ACCOUNT}:policy/ha-dev-boundary"),
    "another version of the boundary": Call(
        "iam:SetDefaultPolicyVersion", f"arn:aws:iam::{ACCOUNT}:policy/ha-dev-boundary"
    ),
    "deletion of the boundary": Call("iam:DeletePolicy", f"arn:aws:iam::{ACCOUNT}:policy/ha-dev-boundary"),
    "a policy of its own": Call("iam:CreatePolicy", f"arn:aws:iam::{ACCOUNT}:policy/ha-dev-mine"),
    "a role without boundary": Call("iam:CreateRole", ROLE),
    "a role within another boundary": Call(
        "iam:CreateRole", ROLE, {"iam:PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"}
    ),
    "another boundary for a role": Call(
        "iam:PutRolePermissionsBoundary",
        ROLE,
        {"iam:PermissionsBoundary": "arn:aws:iam::aws:policy/AdministratorAccess"},
    ),
    "no boundary for a role": Call("iam:DeleteRolePermissionsBoundary", ROLE, BOUNDED),
    "rights for a role without boundary": Call("iam:PutRolePolicy", ROLE),
    "an administrator's policy on a role": Call(
        "iam:AttachRolePolicy", ROLE, {**BOUNDED, "iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"}
    ),
    "who may assume a host's role": Call("iam:UpdateAssumeRolePolicy", ROLE, BOUNDED),
    "rights of its own role": Call("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/deployer-ha-dev", BOUNDED),
    "trust in its own role": Call("iam:UpdateAssumeRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/deployer-ha-dev"),
    "a longer session of its own role": Call("iam:UpdateRole", f"arn:aws:iam::{ACCOUNT}:role/github-ha-dev"),
    "the role of prod's deployer": Call("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/deployer-ha-prod"),
    "prod's role for an instance of its own": Call(
        "iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/ha-prod-db-0", {"iam:PassedToService": "ec2.amazonaws.com"}
    ),
    "a role for a function": Call("iam:PassRole", ROLE, {"iam:PassedToService": "lambda.amazonaws.com"}),
    "a role for a stack of CloudFormation": Call(
        "iam:PassRole", ROLE, {"iam:PassedToService": "cloudformation.amazonaws.com"}
    ),
    "a user in a group": Call("iam:AddUserToGroup", f"arn:aws:iam::{ACCOUNT}:group/administrators"),
    "a key of a user": Call("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/administrator"),
    "a password of a user": Call("iam:UpdateLoginProfile", f"arn:aws:iam::{ACCOUNT}:user/administrator"),
    "another issuer of tokens": Call("iam:CreateOpenIDConnectProvider", OIDC),
    "another certificate of the issuer": Call("iam:UpdateOpenIDConnectProviderThumbprint", OIDC),
    "another audience of the issuer": Call("iam:AddClientIDToOpenIDConnectProvider", OIDC),
    "the tag of another's instance": Call("ec2:CreateTags", ec2("instance"), {**PROD, **TO_DEV}),
    "the tag of an instance without one": Call("ec2:CreateTags", ec2("instance"), TO_DEV),
    "the tag of another's volume": Call("ec2:CreateTags", ec2("volume"), {**PROD, **TO_DEV}),
    "the tag of another's volume, by its Name": Call(
        "ec2:CreateTags", ec2("volume"), {"aws:ResourceTag/Name": "theirs", **TO_DEV}
    ),
    "another spelling of the tag": Call(
        "ec2:CreateTags", ec2("instance"), {**own(), "aws:RequestTag/HA:Stack": "prod", "aws:TagKeys": ["HA:Stack"]}
    ),
    "its own instance in prod": Call(
        "ec2:CreateTags",
        ec2("instance"),
        {**own(), "aws:RequestTag/ha:stack": "prod", "aws:TagKeys": ["ha:stack"]},
    ),
    "no tag of its own": Call("ec2:DeleteTags", ec2("instance"), {**own(), "aws:TagKeys": ["ha:stack"]}),
    "no tags at all": Call("ec2:DeleteTags", ec2("instance"), own()),
    "a new instance in prod": Call(
        "ec2:RunInstances", ec2("instance"), {"aws:RequestTag/ha:stack": "prod", "aws:TagKeys": ["ha:stack"]}
    ),
    "a new instance in prod's subnet": Call("ec2:RunInstances", ec2("subnet"), {**PROD, **TO_DEV}),
    "a new instance in prod's group": Call("ec2:RunInstances", ec2("security-group"), {**PROD, **TO_DEV}),
    "a new subnet in prod's network": Call("ec2:CreateSubnet", ec2("vpc"), {**PROD, **TO_DEV}),
    "a volume of another's snapshot": Call(
        "ec2:CreateVolume", f"arn:aws:ec2:{REGION}::snapshot/snap-0", {**PROD, **TO_DEV}
    ),
    "user data of another's instance": Call("ec2:ModifyInstanceAttribute", ec2("instance"), PROD),
    "another's rules": Call("ec2:AuthorizeSecurityGroupIngress", ec2("security-group"), PROD),
    "another's interface": Call("ec2:ModifyNetworkInterfaceAttribute", ec2("network-interface")),
    "another's routes": Call("ec2:ReplaceRoute", ec2("route-table"), PROD),
    "the end of another's instance": Call("ec2:TerminateInstances", ec2("instance"), PROD),
    "another's public address": Call("ec2:AssociateAddress", ec2("elastic-ip"), PROD),
    "a snapshot of another's volume": Call("ec2:CreateSnapshot", ec2("volume"), PROD),
    "a snapshot for another account": Call("ec2:ModifySnapshotAttribute", f"arn:aws:ec2:{REGION}::snapshot/snap-0"),
    "an image of a host": Call("ec2:CreateImage", ec2("instance"), own()),
    "another's launch template": Call("ec2:CreateLaunchTemplateVersion", ec2("launch-template"), PROD),
    "an instance from another's template": Call("ec2:RunInstances", ec2("launch-template"), PROD),
    "a template's instance in another's subnet": Call("ec2:RunInstances", ec2("subnet"), {**PROD, **FROM_TEMPLATE}),
    "a key for another's instance": Call("ec2-instance-connect:SendSSHPublicKey", ec2("instance"), PROD),
    "a command on another's host": Call("ssm:SendCommand", ec2("instance"), PROD),
    "a command by another document": Call(
        "ssm:SendCommand", f"arn:aws:ssm:{REGION}:{ACCOUNT}:document/AWS-RunRemoteScript"
    ),
    "a session on another's host": Call("ssm:StartSession", ec2("instance"), PROD),
    "a session of somebody else": Call(
        "ssm:ResumeSession",
        f"arn:aws:ssm:{REGION}:{ACCOUNT}:session/other-0",
        {"ssm:resourceTag/aws:ssmmessages:session-id": "AROA:other"},
    ),
    "a document of its own": Call("ssm:CreateDocument", f"arn:aws:ssm:{REGION}:{ACCOUNT}:document/mine"),
    "commands by association": Call("ssm:CreateAssociation", ec2("instance"), own()),
    "commands by automation": Call(
        "ssm:StartAutomationExecution", f"arn:aws:ssm:{REGION}:{ACCOUNT}:automation-definition/AWS-RunShell:1"
    ),
    "the tag of a parameter": Call(
        "ssm:AddTagsToResource", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/ha/prod/app/admin-password"
    ),
    "another's secret": Call("ssm:GetParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/ha/prod/db/password"),
    "another's secrets": Call("ssm:GetParametersByPath", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/ha/prod/"),
    "a secret beside the stack": Call(
        "ssm:GetParameter", f"arn:aws:ssm:eu-west-1:{ACCOUNT}:parameter/ha-backups/dev/0"
    ),
    "a secret of Secrets Manager": Call(
        "secretsmanager:GetSecretValue", f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:theirs"
    ),
    "another's parameter": Call(
        "ssm:PutParameter",
        f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/ha/prod/db/password",
        {"ssm:Overwrite": "false"},
    ),
    "a value that is there": Call(
        "ssm:PutParameter",
        f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/ha/dev/db/password",
        {"ssm:Overwrite": "true"},
    ),
    "the policy of another's bucket": Call("s3:PutBucketPolicy", f"arn:aws:s3:::ha-prod-{ACCOUNT}-{REGION}"),
    "what another's hosts run": Call("s3:PutObject", f"arn:aws:s3:::ha-prod-{ACCOUNT}-{REGION}/pointers/app"),
    "another's state": Call("s3:PutObject", "arn:aws:s3:::state/.pulumi/stacks/ha/prod.json"),
    "the format of the state": Call("s3:PutObject", "arn:aws:s3:::state/.pulumi/meta.yaml"),
    "the policy of the state's bucket": Call("s3:PutBucketPolicy", "arn:aws:s3:::state"),
    "the policy of backups": Call("s3:PutBucketPolicy", BACKUPS),
    "the lock of backups": Call("s3:PutObjectRetention", f"{BACKUPS}/0"),
    "the way around the lock of backups": Call("s3:BypassGovernanceRetention", f"{BACKUPS}/0"),
    "versions of backups": Call("s3:DeleteObjectVersion", f"{BACKUPS}/0"),
    "backups without versions": Call("s3:PutBucketVersioning", BACKUPS),
    "an early end of backups": Call("s3:PutLifecycleConfiguration", BACKUPS),
    "what backups hold": Call("s3:GetObject", f"{BACKUPS}/0"),
    "another key": Call("kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{'1' * 36}"),
    "the name of the state's key": Call("kms:CreateAlias", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/pulumi"),
    "grants of the state's key": Call("kms:CreateGrant", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{'0' * 36}"),
    "another's alerts": Call("sns:SetTopicAttributes", f"arn:aws:sns:{REGION}:{ACCOUNT}:ha-prod-alerts"),
    "another's alarms": Call(
        "cloudwatch:DeleteAlarms", f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:ha-prod-db1-status"
    ),
    "another's budget": Call("budgets:ModifyBudget", f"arn:aws:budgets::{ACCOUNT}:budget/ha-prod"),
    "an action of a budget": Call("budgets:CreateBudgetAction", f"arn:aws:budgets::{ACCOUNT}:budget/ha-dev/action/0"),
    "code of a function": Call("lambda:UpdateFunctionCode", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:theirs"),
}
ROLES: Final = [*DOCUMENTED, *(tier.value for tier in Tier)]


@pytest.mark.parametrize("who", ROLES)
def test_no_role_takes_a_way_to_more(who: str, iam: Asked) -> None:
    taken = [name for name, call in ESCALATIONS.items() if iam.allows(who, call)]
    assert not taken


# An address of its own, with an interface that it names: interfaces have no tags, and EC2 takes the address that the
# interface had away. No policy can deny it: docs/aws.md says so. Who no longer may goes from this list and that page.
TO_ANOTHERS_INTERFACE: Final = [
    Call("ec2:AssociateAddress", ec2("elastic-ip"), {**own(), "aws:ResourceTag/Name": "dev-public"}),
    Call("ec2:AssociateAddress", ec2("network-interface")),
]


def test_who_reaches_anothers_interface_is_known(iam: Asked) -> None:
    assert [who for who in ROLES if iam.allows(who, *TO_ANOTHERS_INTERFACE)] == [
        "deployer",
        "deployer of backups",
        "a role of the deployer's making",
        "lb",
    ]


# Ways within dev itself: the deployer's business, and nobody else's.
@pytest.mark.parametrize("who", [one for one in ROLES if not one.startswith("deployer")])
def test_only_the_deployer_changes_what_a_host_is_or_runs(who: str, iam: Asked) -> None:
    changes = [
        *("ModifyInstanceAttribute instance", "CreateTags instance", "RunInstances +instance", "iam:PassRole role"),
        *("iam:CreateRole role", "iam:PutRolePolicy role", "iam:AddRoleToInstanceProfile profile"),
        *("s3:PutObject object", "s3:DeleteObject object", "s3:PutBucketPolicy bucket", "s3:PutObject state"),
        *("AuthorizeSecurityGroupIngress security-group", "sns:SetTopicAttributes topic"),
        *("cloudwatch:DeleteAlarms alarm", "budgets:ModifyBudget budget", "ssm:DeleteParameters parameter"),
    ]
    assert [line for line in changes if iam.allows(who, *request(line))] == []


@pytest.mark.parametrize("tier", list(Tier))
def test_a_host_sends_no_commands_not_even_to_itself(tier: Tier, iam: Asked) -> None:
    assert not iam.allows(tier.value, *request("ssm:SendCommand host document"))
    assert not iam.allows(tier.value, *request("ssm:StartSession host session-document"))


def test_a_preview_reads_no_parameter_wherever_it_is(iam: Asked) -> None:
    for region in (REGION, "eu-west-1"):
        for name in ("ha/dev/db/password", "ha-backups/dev/cipher", "theirs"):
            assert not iam.allows(
                "preview", Call("ssm:GetParameter", f"arn:aws:ssm:{region}:{ACCOUNT}:parameter/{name}")
            )
    denied = next(s for s in filled("preview")["Statement"] if s["Sid"].startswith("NoSecrets"))
    # Also when somebody attaches ReadOnlyAccess beside it.
    assert denied["Effect"] == "Deny"
    assert denied["Resource"] == "*"


@pytest.mark.parametrize("tier", list(Tier))
def test_the_boundary_takes_nothing_from_a_host(tier: Tier, iam: Asked) -> None:
    _within_the_boundary(role_policy(tier, scope("dev")), iam)


def test_the_boundary_takes_nothing_from_the_role_that_copies_backups(iam: Asked) -> None:
    copy = scope("dev").backup_copy_bucket
    assert copy
    _within_the_boundary(replication_policy(scope("dev"), copy), iam)


def _within_the_boundary(policy: Document, iam: Asked) -> None:
    for statement in policy["Statement"]:
        if statement["Effect"] == "Deny":
            continue
        actions, resources = (listed(statement[key]) for key in ("Action", "Resource"))
        context = {"ssm:Overwrite": "false", **statement.get("Condition", {}).get("StringEquals", {})}
        for action in actions:
            for resource in resources:
                arn = resource if resource == "*" else resource.replace("*", "x-0")
                assert iam.allows("a role of the deployer's making", Call(action, arn, context)), (action, arn)


def test_the_boundary_lets_parameters_be_decrypted_and_nothing_else(iam: Asked) -> None:
    """Whether the policy of the key aws/ssm grants that by itself, beside a boundary, AWS does not say."""
    for service, allowed in (
        (f"ssm.{REGION}", True),
        (f"ssm.{COPY_REGION}", True),
        ("ssm.eu-west-1", False),
        (f"s3.{REGION}", False),
    ):
        context = {"kms:ViaService": f"{service}.amazonaws.com"}
        for action in ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"):
            call = Call(action, NAMED["key"], context)
            assert iam.allows("a role of the deployer's making", call) == allowed, (action, service)
    assert not iam.allows("a role of the deployer's making", Call("kms:Decrypt", NAMED["key"]))


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


@pytest.mark.parametrize("path", sorted(POLICIES.glob("*.json")), ids=lambda path: str(path.stem))
def test_a_policy_fits_iam_and_says_only_what_is_filled_in(path: Path) -> None:
    document = filled(path.stem, "s" * 20, "b" * 63, "ap-northeast-1")
    assert len(re.sub(r"\s", "", json.dumps(document))) <= MOST_CHARACTERS
    assert not re.search(r"[A-Z]+_[A-Z]+", json.dumps(document))


def test_a_role_has_no_more_policies_than_iam_attaches() -> None:
    assert all(len(names) <= 10 for names in DOCUMENTED.values())
    named = {name for names in DOCUMENTED.values() for name in names}
    trusts = {f"trust-{who}" for who in ("people", "github", "preview", "prove")}
    assert {path.stem for path in POLICIES.glob("*.json")} == named | trusts


def test_the_deployer_writes_the_programs_tags_and_no_other_key() -> None:
    statements = {one["Sid"]: one for one in filled("deployer-hosts")["Statement"]}
    keys = {tags.NAME_TAG, tags.STACK_TAG, tags.TIER_TAG, tags.HOST_TAG}
    for sid in ("TagAtCreation", "TagWhatTheProviderTagsAfterCreation"):
        assert set(statements[sid]["Condition"]["ForAllValues:StringEquals"]["aws:TagKeys"]) == keys
    later = statements["NeverMoveWhatIsTagged"]["Condition"]["ForAllValues:StringEquals"]["aws:TagKeys"]
    assert set(later) == keys - {tags.STACK_TAG}


def called_by_ops() -> set[str]:
    """The calls that the sources of `ops` make, as lines of the tables above."""
    estate, objects, overrides, prune = (
        (REPOSITORY / "ops" / f"{name}.py").read_text(encoding="utf-8")
        for name in ("estate", "objects", "overrides", "prune")
    )
    ec2_calls = re.findall(r"_ec2\.((?:describe|get_console)_\w+)\(", estate) + re.findall(
        r'_ec2\.get_paginator\("(\w+)"\)', estate
    )
    found = {f"ec2:{name}" for name in ec2_calls}
    found |= {f"ssm:{name}" for name in re.findall(r"\bssm\.([a-z]\w+_\w+)\(", estate)}
    found |= {f"s3:{name}" for name in re.findall(r"\bs3\.([a-z]\w+_\w+)\(", objects)}
    found |= {f"own-s3:{name}" for name in re.findall(r"\bs3\.([a-z]\w+_object)\(", prune)}
    listings = {"list_object_versions": "list_bucket_versions", "list_objects_v2": "list_bucket"}
    found |= {f"own-s3:{listings[name]}" for name in re.findall(r's3\.get_paginator\("(\w+)"\)', prune)}
    found |= {f"sns:{name}" for name in re.findall(r"\bsns\.(\w+)\(", overrides)}
    assert {one.partition(":")[0] for one in found} == {"ec2", "ssm", "s3", "own-s3", "sns"}, found
    return {_line(one) for one in found}


def _line(call: str) -> str:
    service, _, name = call.partition(":")
    action = f"{service.removeprefix('own-')}:{''.join(word.title() for word in name.split('_'))}"
    resource = {"ec2": "", "ssm": "", "s3": "record", "own-s3": "object", "sns": "topic"}[service]
    special = {
        "ssm:SendCommand": "host document",
        "ec2:GetConsoleOutput": "host",
        "s3:ListBucket": "bucket",
        "s3:ListBucketVersions": "bucket",
    }
    return f"{action} {special.get(action, resource)}"


def test_what_hooks_and_commands_call_is_allowed(iam: Asked) -> None:
    assert [line for line in called_by_ops() if not iam.allows("deployer", *request(line))] == []
    hooks_alone = ("sns:", "s3:Delete", "s3:ListBucketVersions")
    for line in called_by_ops():
        if not line.startswith(hooks_alone) and not line.endswith("object"):
            assert iam.allows("operator", *request(line)), line


@pytest.mark.parametrize("who", ["deployer", "operator"])
def test_pointers_are_read_and_a_missing_one_is_seen(who: str, iam: Asked) -> None:
    # S3 answers 404 to a missing object only to those who may list the bucket.
    assert iam.allows(who, *request("s3:ListBucket bucket"))
    bucket = NAMED["bucket"].replace("STACK", "dev")
    assert all(iam.allows(who, Call("s3:GetObject", f"{bucket}/{Pointer.key(tier)}")) for tier in Tier)


def test_an_operator_writes_no_pointer_and_no_bundle(iam: Asked) -> None:
    bucket = NAMED["bucket"].replace("STACK", "dev")
    for key in ("pointers/app", "bundles/app/0.tar", "releases/0.tar.gz", "settings", "in-service"):
        assert not iam.allows("operator", Call("s3:PutObject", f"{bucket}/{key}")), key
