"""The rules of the estate, each held against everything that the program declares, for every stack."""

from __future__ import annotations

import json
import re
from ipaddress import IPv4Address
from itertools import pairwise

import yaml

from components.user_data import LIMIT_BYTES
from spec import ports
from spec.changes import CHANGE_ORDER
from spec.flows import FLOWS, TCP, WORLD, Flow, flows
from spec.project import EXAMPLE_ACCOUNT_ID, REPOSITORY
from spec.stack_file import load_settings, read_stack_config
from spec.tiers import PLANNED_TIERS, Tier
from tests.stacks import STACKS
from tests.unit.program.recorded import Program, Resource, run_program

INSTANCE = "aws:ec2/instance:Instance"
VOLUME = "aws:ebs/volume:Volume"
ASSOCIATION = "aws:ec2/eipAssociation:EipAssociation"
BUCKET = "aws:s3/bucket:Bucket"
LOCK = "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration"
REPLICATION = "aws:s3/bucketReplicationConfig:BucketReplicationConfig"
OBJECT = "aws:s3/bucketObjectv2:BucketObjectv2"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
EGRESS = "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule"

# Types that AWS gives no tags.
UNTAGGED = {
    "aws:ec2/eipAssociation:EipAssociation",
    "aws:ec2/route:Route",
    "aws:ec2/routeTableAssociation:RouteTableAssociation",
    "aws:ec2/volumeAttachment:VolumeAttachment",
    "aws:iam/rolePolicy:RolePolicy",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
    "aws:s3/bucketPolicy:BucketPolicy",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
    "aws:s3/bucketVersioning:BucketVersioning",
    "aws:sns/topicPolicy:TopicPolicy",
}


def test_public_subnets_hold_only_load_balancers_and_nat(program: Program) -> None:
    public = {s.name + "-id" for s in program.of("aws:ec2/subnet:Subnet") if s.name.startswith("network-public-")}
    private = [s for s in program.of("aws:ec2/subnet:Subnet") if s.name.startswith("network-private-")]
    assert len(public) == len(private) >= 2
    assert all(not s.inputs["mapPublicIpOnLaunch"] for s in program.of("aws:ec2/subnet:Subnet"))
    for instance in program.of(INSTANCE):
        in_public = instance.inputs["subnetId"] in public
        assert in_public == (instance.inputs["tags"]["ha:tier"] == "lb"), instance.name
        if not in_public:
            assert instance.inputs["associatePublicIpAddress"] is False
    assert {g.inputs["subnetId"] for g in program.of("aws:ec2/natGateway:NatGateway")} <= public


def test_every_tier_spreads_over_the_zones(program: Program) -> None:
    subnets = {s.name + "-id": s.inputs["availabilityZone"] for s in program.of("aws:ec2/subnet:Subnet")}
    for tier in Tier:
        hosts = [i for i in program.of(INSTANCE) if i.inputs["tags"]["ha:tier"] == tier]
        assert len({subnets[h.inputs["subnetId"]] for h in hosts}) == min(2, len(hosts))


def test_a_volume_is_in_the_zone_of_its_host(program: Program) -> None:
    subnets = {s.name + "-id": s.inputs["availabilityZone"] for s in program.of("aws:ec2/subnet:Subnet")}
    for volume in program.of(VOLUME):
        host = program.named(INSTANCE, volume.name.removesuffix("-data"))
        assert volume.inputs["availabilityZone"] == subnets[host.inputs["subnetId"]]


def test_security_group_rules_are_exactly_the_flows(program: Program) -> None:
    groups = {f"firewall-{tier}-id": tier for tier in Tier}

    allowed = flows_of(program)

    def seen(type_: str, *, inbound: bool) -> set[tuple[object, object, object]]:
        rules = set()
        for rule in program.of(type_):
            own: object = groups[rule.inputs["securityGroupId"]]
            peer: object = WORLD
            if "referencedSecurityGroupId" in rule.inputs:
                peer = groups[rule.inputs["referencedSecurityGroupId"]]
                assert "cidrIpv4" not in rule.inputs
            else:
                assert rule.inputs["cidrIpv4"] == "0.0.0.0/0"
            assert rule.inputs.get("fromPort") == rule.inputs.get("toPort")
            tcp = rule.inputs["ipProtocol"] == TCP
            what = int(rule.inputs["fromPort"]) if tcp else rule.inputs["ipProtocol"]
            rules.add(((peer, own) if inbound else (own, peer)) + (what,))
        return rules

    def listed(chosen: list[Flow]) -> set[tuple[object, object, object]]:
        return {(f.source, f.target, f.port if f.protocol == TCP else f.protocol) for f in chosen}

    assert seen(INGRESS, inbound=True) == listed([f for f in allowed if f.target != WORLD])
    assert seen(EGRESS, inbound=False) == listed([f for f in allowed if f.source != WORLD])


def flows_of(program: Program) -> tuple[Flow, ...]:
    count = {tier: sum(i.inputs["tags"]["ha:tier"] == tier for i in program.of(INSTANCE)) for tier in Tier}
    return flows(load_balancers=count[Tier.LB], caches=count[Tier.CACHE])


def test_one_host_of_a_tier_has_no_flows_of_a_pair() -> None:
    assert flows(load_balancers=1, caches=1) == FLOWS
    assert not any(f.protocol != TCP or f.source == f.target == Tier.CACHE for f in FLOWS)


def test_the_world_reaches_80_and_443_of_the_load_balancer_only() -> None:
    from_world = {(f.target, f.port) for f in flows(load_balancers=2, caches=2) if f.source == WORLD}
    assert from_world == {(Tier.LB, ports.HTTP), (Tier.LB, ports.HTTPS)}


def test_descriptions_of_rules_have_only_characters_that_ec2_takes(program: Program) -> None:
    for rule in [*program.of(INGRESS), *program.of(EGRESS)]:
        assert re.fullmatch(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}", rule.inputs["description"])


def test_rules_are_never_inline_and_the_default_group_is_empty(program: Program) -> None:
    for group in program.of("aws:ec2/securityGroup:SecurityGroup"):
        assert not {"ingress", "egress"} & set(group.inputs)
    (default,) = program.of("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
    assert not {"ingress", "egress"} & set(default.inputs)


def test_instances_demand_imdsv2_and_have_no_key_pair(program: Program) -> None:
    for instance in program.of(INSTANCE):
        options = instance.inputs["metadataOptions"]
        assert options["httpTokens"] == "required"
        assert options["httpPutResponseHopLimit"] == 1
        assert "keyName" not in instance.inputs
        assert "userDataBase64" not in instance.inputs  # a preview shows the text


def test_volumes_are_encrypted_gp3(program: Program) -> None:
    for volume in program.of(VOLUME):
        assert (volume.inputs["encrypted"], volume.inputs["type"]) == (True, "gp3")
    for instance in program.of(INSTANCE):
        root = instance.inputs["rootBlockDevice"]
        assert (root["encrypted"], root["volumeType"], root["volumeSize"] >= 8) == (True, "gp3", True)


def test_burstable_instances_run_with_standard_credits_and_are_watched(program: Program) -> None:
    watched = {a.name for a in program.of("aws:cloudwatch/metricAlarm:MetricAlarm")}
    for instance in program.of(INSTANCE):
        assert instance.inputs["instanceType"].startswith("t3.")
        assert instance.inputs["creditSpecification"] == {"cpuCredits": "standard"}
        assert {f"{instance.name}-status", f"{instance.name}-credits"} <= watched


def test_what_holds_data_or_the_public_address_is_protected_and_nothing_else(program: Program) -> None:
    protected = {(r.type, r.name) for r in program.resources if r.protect}
    volumes = {(VOLUME, v.name) for v in program.of(VOLUME)}
    caches = {i.name for i in program.of(INSTANCE) if i.inputs["tags"]["ha:tier"] == "cache"}
    assert {v for _, v in volumes} == {"db1-data", "db2-data", "monitor1-data", *(f"{name}-data" for name in caches)}
    assert protected == volumes | {
        *((r.type, r.name) for r in program.resources if r.type.startswith("aws:s3/bucket") and r.type != OBJECT),
        ("aws:ec2/eip:Eip", "public-address"),
    }


def test_hosts_are_replaced_by_deleting_first(program: Program) -> None:
    for resource in [*program.of(INSTANCE), *program.of("aws:ec2/volumeAttachment:VolumeAttachment")]:
        assert resource.delete_before_replace, resource.name
    assert all(i.inputs["userDataReplaceOnChange"] for i in program.of(INSTANCE))


def waited_for(program: Program) -> dict[str, set[str]]:
    """What is made before a resource, by URN: all that it depends on, directly or not."""
    found: dict[str, set[str]] = {}
    for resource in program.resources:  # in the order in which they were registered: those it depends on come first
        found[resource.urn] = set(resource.depends_on).union(*(found[one] for one in resource.depends_on))
    return found


def test_a_host_waits_for_its_way_out_its_rules_its_policy_and_its_tiers_pointer(program: Program) -> None:
    needed = {r.urn for t in (INGRESS, EGRESS, "aws:ec2/route:Route") for r in program.of(t)}
    before = waited_for(program)
    for instance in program.of(INSTANCE):
        tier = instance.inputs["tags"]["ha:tier"]
        policy = program.named("aws:iam/rolePolicy:RolePolicy", f"identity-{tier}")
        pointer = program.named(OBJECT, f"pointer-{tier}")
        assert needed | {policy.urn, pointer.urn} <= before[instance.urn], instance.name


def test_one_pointer_or_host_of_the_whole_estate_changes_at_a_time(program: Program) -> None:
    before, chain = waited_for(program), [program.named(OBJECT, "settings")]
    for tier in CHANGE_ORDER:
        hosts = [i for i in program.of(INSTANCE) if i.inputs["tags"]["ha:tier"] == tier]
        chain.append(program.named(OBJECT, f"pointer-{tier}"))
        chain += [r for h in hosts for r in (h, program.named(OBJECT, f"{h.name}-in-service"))]
    chain.append(program.named(OBJECT, "in-service"))
    assert set(PLANNED_TIERS) == set(CHANGE_ORDER)
    for earlier, later in pairwise(chain):
        assert earlier.urn in before[later.urn], f"{later.name} does not wait for {earlier.name}"
        assert later.urn not in before[earlier.urn]


def test_a_host_is_in_service_when_all_of_it_is_there_and_out_of_it_before_any_of_it_goes(program: Program) -> None:
    parts = [*program.of("aws:ec2/volumeAttachment:VolumeAttachment"), *program.of(ASSOCIATION)]
    assert len(parts) > len(program.of(VOLUME))
    for instance in program.of(INSTANCE):
        serving = program.named(OBJECT, f"{instance.name}-in-service")
        own = [part.urn for part in parts if part.inputs["instanceId"] == f"{instance.name}-id"]
        assert {instance.urn, *own} <= set(serving.depends_on)
        assert serving.delete_before_replace
        # Another instance is another key, so a replacement of the one replaces the other.
        assert serving.inputs["key"] == f"in-service/{instance.name}/{instance.name}-id"
        assert json.loads(serving.inputs["content"]) == {"instance_type": instance.inputs["instanceType"]}


def test_a_pointer_names_what_is_uploaded_before_it_and_kept_after_it(program: Program) -> None:
    before = waited_for(program)
    for tier in Tier:
        pointer = program.named(OBJECT, f"pointer-{tier}")
        assert pointer.inputs["key"] == f"pointers/{tier}"
        named = json.loads(pointer.inputs["content"])
        assert set(named) == ({"bundle", "release"} if tier is Tier.APP else {"bundle"})
        keys = {"bundle": f"bundles/{tier}/{named['bundle']}.tar"}
        names = {"bundle": f"artifacts-bundle-{tier}", "release": "artifacts-release"}
        if tier is Tier.APP:
            keys["release"] = f"releases/{named['release']}.tar.gz"
        for what, key in keys.items():
            resource = program.named(OBJECT, names[what])
            assert resource.inputs["key"] == key
            assert resource.inputs["source"]["hash"] == resource.inputs["sourceHash"] == named[what]
            assert resource.retain_on_delete
            assert resource.urn in before[pointer.urn]


def test_addresses_are_the_planned_ones(program: Program) -> None:
    for instance in program.of(INSTANCE):
        assert IPv4Address(instance.inputs["privateIp"]).is_private
    addresses = [i.inputs["privateIp"] for i in program.of(INSTANCE)]
    addresses += [a for i in program.of(INSTANCE) for a in i.inputs.get("secondaryPrivateIps", ())]
    gateways = [g.inputs["privateIp"] for g in program.of("aws:ec2/natGateway:NatGateway")]
    assert len({*addresses, *gateways}) == len(addresses) + len(gateways)


def test_everything_is_tagged_with_its_stack_and_hosts_with_their_tier(program: Program) -> None:
    for resource in program.resources:
        if resource.is_component or resource.type.startswith("pulumi:") or resource.type in UNTAGGED:
            assert "tags" not in resource.inputs, resource.type
            continue
        tags = resource.inputs["tags"]
        assert tags["ha:stack"] in ("dev", "prod"), resource.urn
        assert tags["Name"].startswith(tags["ha:stack"] + "-"), resource.urn
    for resource in [*program.of(INSTANCE), *program.of(VOLUME)]:
        assert resource.inputs["tags"]["ha:host"] == resource.name.removesuffix("-data")
        assert resource.inputs["tags"]["ha:tier"] in set(Tier)


def test_every_resource_has_a_parent_and_every_component_registers_its_outputs(program: Program) -> None:
    components = {r.urn for r in program.resources if r.is_component}
    for resource in program.resources:
        if resource.is_component:
            token = resource.type.split(":")
            assert token[1] == token[2].lower() or token[1] == token[2].lower().rstrip("s"), resource.type
        elif not resource.type.startswith("pulumi:"):
            assert resource.parent in components, resource.urn
    assert components <= program.registered_outputs


def test_every_bucket_is_private_encrypted_and_versioned_and_takes_tls_only(program: Program) -> None:
    def of(type_: str) -> dict[str, Resource]:
        return {r.inputs["bucket"]: r for r in program.of(type_)}

    blocks = of("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
    versions = of("aws:s3/bucketVersioning:BucketVersioning")
    keys = of("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration")
    policies = of("aws:s3/bucketPolicy:BucketPolicy")
    buckets = program.of(BUCKET)
    assert {b.name for b in buckets} >= {"artifacts-bucket", "backups-bucket"}
    for bucket in buckets:
        closed = blocks[f"{bucket.name}-id"].inputs
        assert all(
            closed[k] for k in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
        )
        assert versions[f"{bucket.name}-id"].inputs["versioningConfiguration"] == {"status": "Enabled"}
        (rule,) = keys[f"{bucket.name}-id"].inputs["rules"]
        assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}
        (statement,) = json.loads(policies[f"{bucket.name}-id"].inputs["policy"])["Statement"]
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        arn = f"arn:aws:s3:::{bucket.inputs['bucket']}"
        assert statement["Resource"] == [arn, f"{arn}/*"]


def test_backups_are_locked_and_outlive_a_protected_stack(program: Program) -> None:
    buckets = [b.name for b in program.of(BUCKET) if b.name.startswith("backups")]
    for bucket in buckets:
        parts = [r for r in program.resources if r.inputs.get("bucket") == f"{bucket}-id"]
        assert len(parts) == 6
        for kept in [program.named(BUCKET, bucket), *parts]:
            assert (kept.protect, kept.retain_on_delete) == (True, True), kept.name
        (lock,) = [r for r in parts if r.type == LOCK]
        assert lock.inputs["rule"] == {"defaultRetention": {"mode": "GOVERNANCE", "days": 14 + 7 + 2}}
        (lifecycle,) = [r for r in parts if "Lifecycle" in r.type]
        (rule,) = lifecycle.inputs["rules"]
        assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 14 + 7 + 2}
        assert rule["expiration"] == {"expiredObjectDeleteMarker": True}
        assert rule["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 7}
        assert not program.named(BUCKET, bucket).inputs["forceDestroy"]


def test_without_protection_backups_are_not_locked_and_go_with_the_stack() -> None:
    program = run_program("prod", protect=False)
    assert not program.of(LOCK)
    for resource in program.resources:
        if resource.name.startswith("backups"):
            assert (resource.protect, resource.retain_on_delete) == (False, False), resource.name
    assert all(bucket.inputs["forceDestroy"] for bucket in program.of(BUCKET))


def test_backups_are_copied_to_the_second_region_once_both_buckets_are_locked_the_copy_first() -> None:
    program = run_program("prod")
    (config,) = program.of(REPLICATION)
    (rule,) = config.inputs["rules"]
    copy = program.named(BUCKET, "backups-copy-bucket")
    assert rule["destination"] == {
        "bucket": f"arn:aws:s3:::{copy.inputs['bucket']}",
        "metrics": {"status": "Enabled"},
    }
    assert (rule["filter"], rule["deleteMarkerReplication"]) == ({"prefix": ""}, {"status": "Enabled"})
    assert (config.protect, config.retain_on_delete) == (True, False)  # its role goes with the stack
    before = waited_for(program)
    assert {lock.urn for lock in program.of(LOCK)} <= before[config.urn]
    own, of_copy = (program.named(LOCK, name) for name in ("backups-locked", "backups-copy-locked"))
    assert of_copy.urn in before[own.urn]
    assert program.named("aws:iam/rolePolicy:RolePolicy", "backups-replication").urn in before[config.urn]
    role = program.named("aws:iam/role:Role", "backups-replication")
    (trust,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert trust["Principal"] == {"Service": "s3.amazonaws.com"}
    (provider,) = program.of("pulumi:providers:aws")
    assert provider.inputs["region"] == "us-west-2"
    in_copy = {r.name for r in program.resources if r.provider.startswith(provider.urn)}
    copied = {r.name for r in program.resources if r.name.startswith("backups-copy-")}
    assert in_copy == copied - {provider.name, "backups-copy-failing"}
    assert not run_program("dev").of(REPLICATION)


def test_a_copy_that_fails_is_alerted_by_the_metric_of_its_rule() -> None:
    program = run_program("prod")
    (rule,) = program.of(REPLICATION)[0].inputs["rules"]
    alarm = program.named("aws:cloudwatch/metricAlarm:MetricAlarm", "backups-copy-failing")
    assert alarm.inputs["dimensions"] == {
        "SourceBucket": program.named(BUCKET, "backups-bucket").inputs["bucket"],
        "DestinationBucket": rule["destination"]["bucket"].rpartition(":")[2],
        "RuleId": rule["id"],
    }
    assert (alarm.inputs["namespace"], alarm.inputs["metricName"]) == ("AWS/S3", "OperationsFailedReplication")


def test_no_database_host_writes_a_backup_before_all_of_its_buckets_is_there(program: Program) -> None:
    before = waited_for(program)
    of_backups = {r.urn for r in program.resources if r.name.startswith("backups-") and not r.is_component}
    databases = [i for i in program.of(INSTANCE) if i.inputs["tags"]["ha:tier"] == "db"]
    for later in [program.named(OBJECT, "pointer-db"), *databases]:
        assert of_backups <= before[later.urn], later.name


def test_the_topic_takes_alarms_and_has_no_key_that_would_stop_them(program: Program) -> None:
    (topic,) = program.of("aws:sns/topic:Topic")
    assert "kmsMasterKeyId" not in topic.inputs
    (policy,) = program.of("aws:sns/topicPolicy:TopicPolicy")
    (statement,) = json.loads(policy.inputs["policy"])["Statement"]
    assert set(statement["Principal"]["Service"]) == {"cloudwatch.amazonaws.com", "budgets.amazonaws.com"}
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": EXAMPLE_ACCOUNT_ID}}
    for alarm in program.of("aws:cloudwatch/metricAlarm:MetricAlarm"):
        assert alarm.inputs["alarmActions"] == ["arn:aws:mock:::alerts-topic"]


def test_a_boundary_limits_every_role_when_the_settings_name_one(program: Program) -> None:
    assert not any("permissionsBoundary" in role.inputs for role in program.of("aws:iam/role:Role"))
    roles = run_program("prod", permissions_boundary="ha-dev-boundary").of("aws:iam/role:Role")
    arn = f"arn:aws:iam::{EXAMPLE_ACCOUNT_ID}:policy/ha-dev-boundary"
    assert [role.inputs["permissionsBoundary"] for role in roles] == [arn] * (len(Tier) + 1)  # and S3's


def test_the_budget_is_the_stacks(program: Program) -> None:
    (budget,) = program.of("aws:budgets/budget:Budget")
    assert (budget.inputs["limitAmount"], budget.inputs["limitUnit"]) == ("215", "USD")
    stack = program.of(INSTANCE)[0].inputs["tags"]["ha:stack"]
    assert budget.inputs["costFilters"] == [{"name": "TagKeyValue", "values": [f"user:ha:stack${stack}"]}]


def test_the_budget_counts_what_was_used_and_warns_before_it_is_spent(program: Program) -> None:
    (budget,) = program.of("aws:budgets/budget:Budget")
    assert budget.inputs["costTypes"] == {"includeCredit": False, "includeRefund": False}
    warnings = {(one["notificationType"], one["threshold"]): one for one in budget.inputs["notifications"]}
    assert set(warnings) == {("ACTUAL", 80), ("FORECASTED", 100)}
    assert all(one["subscriberSnsTopicArns"] == ["arn:aws:mock:::alerts-topic"] for one in warnings.values())


def test_every_alarm_names_a_runbook_that_is_there(program: Program) -> None:
    for alarm in program.of("aws:cloudwatch/metricAlarm:MetricAlarm"):
        runbook = alarm.inputs["alarmDescription"].rpartition(": ")[2]
        assert (REPOSITORY / runbook).is_file(), runbook


def test_user_data_is_small_readable_and_the_same_each_time(program: Program) -> None:
    stack = program.of(INSTANCE)[0].inputs["tags"]["ha:stack"]
    again = run_program(stack)
    for instance in program.of(INSTANCE):
        text = instance.inputs["userData"]
        assert len(text.encode()) <= LIMIT_BYTES
        assert text.startswith("#cloud-config\n")
        assert yaml.safe_load(text)["hostname"] == instance.name
        assert again.named(INSTANCE, instance.name).inputs["userData"] == text


def test_a_second_nat_gateway_gives_each_zone_its_own() -> None:
    network = {"cidr": "10.20.0.0/16", "zones": ["us-east-1a", "us-east-1b"], "nat_gateways": 2}
    program = run_program("dev", network=network)
    routes = {r.inputs["natGatewayId"] for r in program.of("aws:ec2/route:Route") if "natGatewayId" in r.inputs}
    assert routes == {"network-nat-us-east-1a-id", "network-nat-us-east-1b-id"}


def test_one_nat_gateway_stands_in_the_monitors_zone(program: Program) -> None:
    subnets = {one.name: one.inputs["availabilityZone"] for one in program.of("aws:ec2/subnet:Subnet")}
    (gateway,) = program.of("aws:ec2/natGateway:NatGateway")
    monitor = program.named(INSTANCE, "monitor1")
    zone_of = {f"{name}-id": zone for name, zone in subnets.items()}
    assert zone_of[gateway.inputs["subnetId"]] == zone_of[monitor.inputs["subnetId"]]


def test_other_sizes_are_no_other_user_data_and_no_other_bundle(program: Program) -> None:
    stack = program.of(INSTANCE)[0].inputs["tags"]["ha:stack"]
    settings, hosts_of = read_stack_config(STACKS, stack)["ha:settings"], load_settings(STACKS, stack).hosts_of
    larger = {"t3.micro": "t3.small", "t3.small": "t3.medium", "t3.medium": "t3.large"}
    groups = {tier.traits.settings_group: larger[hosts_of(tier).instance_type] for tier in Tier}
    resized = run_program(stack, **{g: {**settings.get(g, {}), "instance_type": size} for g, size in groups.items()})
    for instance in program.of(INSTANCE):
        other = resized.named(INSTANCE, instance.name)
        assert other.inputs["instanceType"] != instance.inputs["instanceType"]
        assert other.inputs["userData"] == instance.inputs["userData"], instance.name
    for tier in Tier:
        pointer = f"pointer-{tier}"
        assert resized.named(OBJECT, pointer).inputs == program.named(OBJECT, pointer).inputs
