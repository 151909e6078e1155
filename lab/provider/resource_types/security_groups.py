"""Security groups, and their rules one by one."""

from __future__ import annotations

from typing import Any

from lab.provider.cloud import Cloud
from lab.provider.resource_type import Naming, Properties, ResourceType, names
from lab.provider.resource_types.calls import found, given, gone, present
from lab.provider.resource_types.tags import ec2_retag, specification
from lab.provider.values import UNKNOWN
from spec.project import EXAMPLE_ACCOUNT_ID


def _create_group(cloud: Cloud, inputs: Properties) -> str:
    group_id = str(
        cloud.ec2.create_security_group(
            GroupName=inputs["name"],
            Description=inputs["description"],
            VpcId=inputs["vpcId"],
            TagSpecifications=specification("security-group", inputs),
        )["GroupId"]
    )
    # The real provider removes the rule of a new group that allows all outgoing traffic.
    _revoke_all(cloud, group_id)
    return group_id


def _revoke_all(cloud: Cloud, group_id: str) -> None:
    group = _group(cloud, group_id)
    if group and group["IpPermissionsEgress"]:
        cloud.ec2.revoke_security_group_egress(GroupId=group_id, IpPermissions=group["IpPermissionsEgress"])
    if group and group["IpPermissions"]:
        cloud.ec2.revoke_security_group_ingress(GroupId=group_id, IpPermissions=group["IpPermissions"])


def _group(cloud: Cloud, group_id: str) -> Any | None:
    answer = found(lambda: cloud.ec2.describe_security_groups(GroupIds=[group_id]))
    return answer["SecurityGroups"][0] if answer and answer["SecurityGroups"] else None


def _read_group(cloud: Cloud, group_id: str, state: Properties) -> Properties | None:
    group = _group(cloud, group_id)
    if group is None:
        return None
    return {
        "name": group["GroupName"],
        "description": group["Description"],
        "vpcId": group["VpcId"],
        "arn": cloud.arn("ec2", f"security-group/{group_id}"),
        "ownerId": EXAMPLE_ACCOUNT_ID,
    }


def _delete_group(cloud: Cloud, group_id: str, state: Properties) -> None:
    if state.get("revokeRulesOnDelete"):
        _revoke_all(cloud, group_id)
    gone(lambda: cloud.ec2.delete_security_group(GroupId=group_id))


SECURITY_GROUP = ResourceType(
    type="aws:ec2/securityGroup:SecurityGroup",
    inputs=names("name namePrefix description vpcId revokeRulesOnDelete"),
    required=names("vpcId"),
    outputs=names("arn ownerId"),
    replaces=names("name namePrefix description vpcId"),
    defaults={"description": "Managed by Pulumi", "revokeRulesOnDelete": False},
    naming=Naming(max_length=255),
    create=_create_group,
    read=_read_group,
    update=lambda cloud, group_id, old, new, changed: None,  # revokeRulesOnDelete concerns the provider alone
    delete=_delete_group,
    retag=ec2_retag,
)


def _adopt_default(cloud: Cloud, inputs: Properties) -> str:
    groups = cloud.ec2.describe_security_groups(
        Filters=[
            {"Name": "vpc-id", "Values": [inputs["vpcId"]]},
            {"Name": "group-name", "Values": ["default"]},
        ]
    )["SecurityGroups"]
    group_id = str(groups[0]["GroupId"])
    _revoke_all(cloud, group_id)
    if inputs.get("tagsAll"):
        ec2_retag(cloud, group_id, {}, inputs["tagsAll"], [])
    return group_id


DEFAULT_SECURITY_GROUP = ResourceType(
    type="aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    inputs=names("vpcId revokeRulesOnDelete"),
    outputs=names("arn description name ownerId"),
    replaces=names("vpcId"),
    computed=names("vpcId"),
    defaults={"revokeRulesOnDelete": False},
    create=_adopt_default,
    read=_read_group,
    update=lambda cloud, group_id, old, new, changed: None,  # revokeRulesOnDelete concerns the provider alone
    delete=lambda cloud, group_id, state: None,  # a VPC's default group cannot be deleted
    retag=ec2_retag,
)

_SOURCES = ("cidrIpv4", "prefixListId", "referencedSecurityGroupId")


def _permission(inputs: Properties) -> dict[str, Any]:
    text = given(Description=inputs.get("description"))
    # moto requires -1 for a protocol without ports, such as VRRP (112); AWS does not.
    no_port = None if inputs["ipProtocol"] == "-1" else -1
    permission = given(
        IpProtocol=inputs["ipProtocol"],
        FromPort=inputs.get("fromPort", no_port),
        ToPort=inputs.get("toPort", no_port),
    )
    if inputs.get("cidrIpv4"):
        permission["IpRanges"] = [{"CidrIp": inputs["cidrIpv4"], **text}]
    if inputs.get("prefixListId"):
        permission["PrefixListIds"] = [{"PrefixListId": inputs["prefixListId"], **text}]
    if inputs.get("referencedSecurityGroupId"):
        permission["UserIdGroupPairs"] = [{"GroupId": inputs["referencedSecurityGroupId"], **text}]
    return permission


def _read_rule(cloud: Cloud, rule_id: str, state: Properties) -> Properties | None:
    # moto answers with the rules of all groups when asked by rule id alone, and ignores ids beside filters.
    answer = found(
        lambda: cloud.ec2.describe_security_group_rules(
            Filters=[{"Name": "group-id", "Values": [state["securityGroupId"]]}]
        )
    )
    rules = {one["SecurityGroupRuleId"]: one for one in answer["SecurityGroupRules"]} if answer else {}
    if rule_id not in rules:
        return None
    rule = rules[rule_id]
    ports = {"fromPort": rule.get("FromPort"), "toPort": rule.get("ToPort")}
    return present(
        {
            "securityGroupId": rule["GroupId"],
            "ipProtocol": rule["IpProtocol"],
            "cidrIpv4": rule.get("CidrIpv4"),
            "prefixListId": rule.get("PrefixListId"),
            "referencedSecurityGroupId": rule.get("ReferencedGroupInfo", {}).get("GroupId"),
            "description": rule.get("Description"),
            # AWS answers -1 for a protocol without ports: it is an input only if the program gave it.
            **{name: port for name, port in ports.items() if port != -1 or state.get(name) == -1},
            "securityGroupRuleId": rule_id,
            "arn": cloud.arn("ec2", f"security-group-rule/{rule_id}"),
        }
    )


def _update_rule(cloud: Cloud, rule_id: str, old: Properties, new: Properties, changed: set[str]) -> None:
    rule = given(
        IpProtocol=new["ipProtocol"],
        FromPort=new.get("fromPort", -1),
        ToPort=new.get("toPort", -1),
        CidrIpv4=new.get("cidrIpv4"),
        PrefixListId=new.get("prefixListId"),
        ReferencedGroupId=new.get("referencedSecurityGroupId"),
        Description=new.get("description", ""),
    )
    cloud.ec2.modify_security_group_rules(
        GroupId=new["securityGroupId"],
        SecurityGroupRules=[{"SecurityGroupRuleId": rule_id, "SecurityGroupRule": rule}],
    )


def _source_changes(old: Properties, new: Properties, changed: set[str]) -> set[str]:
    """AWS cannot change a rule for addresses into one for a group: another kind of source replaces the rule."""
    before = {name for name in _SOURCES if old.get(name)}
    after = {name for name in _SOURCES if new.get(name)}
    return changed & (before | after) if before != after else set()


def _refuse_rule(cloud: Cloud, inputs: Properties) -> list[tuple[str, str]]:
    sources = [name for name in _SOURCES if inputs.get(name)]
    problems = []
    if len(sources) != 1:
        problems.append(("cidrIpv4", f"exactly one of {', '.join(_SOURCES)} must be given, not {len(sources)}"))
    protocol = inputs.get("ipProtocol")
    with_ports = protocol is not UNKNOWN and str(protocol) in ("tcp", "udp", "icmp", "6", "17", "1")
    if with_ports and not {"fromPort", "toPort"} <= set(inputs):
        problems.append(("fromPort", f"{protocol} needs fromPort and toPort"))
    return problems


def _rule_type(kind: str, *, egress: bool) -> ResourceType:
    direction = "egress" if egress else "ingress"

    def create(cloud: Cloud, inputs: Properties) -> str:
        answer = getattr(cloud.ec2, f"authorize_security_group_{direction}")(
            GroupId=inputs["securityGroupId"],
            IpPermissions=[_permission(inputs)],
            TagSpecifications=specification("security-group-rule", inputs),
        )
        return str(answer["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    def delete(cloud: Cloud, rule_id: str, state: Properties) -> None:
        gone(
            lambda: getattr(cloud.ec2, f"revoke_security_group_{direction}")(
                GroupId=state["securityGroupId"], SecurityGroupRuleIds=[rule_id]
            )
        )

    return ResourceType(
        type=f"aws:vpc/securityGroup{kind}Rule:SecurityGroup{kind}Rule",
        inputs=names(
            "securityGroupId ipProtocol fromPort toPort cidrIpv4 prefixListId referencedSecurityGroupId description"
        ),
        required=names("securityGroupId ipProtocol"),
        outputs=names("arn securityGroupRuleId"),
        replaces=names("securityGroupId"),
        create=create,
        read=_read_rule,
        update=_update_rule,
        delete=delete,
        retag=ec2_retag,
        refuse=_refuse_rule,
        also_replaces=_source_changes,
    )


RESOURCE_TYPES = (
    SECURITY_GROUP,
    DEFAULT_SECURITY_GROUP,
    _rule_type("Ingress", egress=False),
    _rule_type("Egress", egress=True),
)
