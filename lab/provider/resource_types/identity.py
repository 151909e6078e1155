"""Roles, their policies, and instance profiles."""

from __future__ import annotations

import json
from urllib.parse import unquote

from lab.provider.cloud import Cloud
from lab.provider.resource_type import Naming, Properties, ResourceType, names
from lab.provider.resource_types.calls import found, given, gone, present
from lab.provider.resource_types.tags import tag_list


def _text(document: object) -> str:
    """A policy from IAM as JSON: boto3 has parsed it, or it is URL-encoded."""
    return unquote(document) if isinstance(document, str) else json.dumps(document)


def _create_role(cloud: Cloud, inputs: Properties) -> str:
    cloud.iam.create_role(
        **given(
            RoleName=inputs["name"],
            Path=inputs["path"],
            AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
            Description=inputs.get("description"),
            MaxSessionDuration=inputs["maxSessionDuration"],
            PermissionsBoundary=inputs.get("permissionsBoundary"),
            Tags=tag_list(inputs["tagsAll"]) or None,
        )
    )
    return str(inputs["name"])


def _read_role(cloud: Cloud, name: str, state: Properties) -> Properties | None:
    answer = found(lambda: cloud.iam.get_role(RoleName=name))
    if not answer:
        return None
    role = answer["Role"]
    return present(
        {
            "name": role["RoleName"],
            "path": role["Path"],
            "assumeRolePolicy": _text(role["AssumeRolePolicyDocument"]),
            "description": role.get("Description"),
            "maxSessionDuration": role.get("MaxSessionDuration"),
            "permissionsBoundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
            "arn": role["Arn"],
            "uniqueId": role["RoleId"],
            "createDate": role["CreateDate"].isoformat(),
        }
    )


def _update_role(cloud: Cloud, name: str, old: Properties, new: Properties, changed: set[str]) -> None:
    if "assumeRolePolicy" in changed:
        cloud.iam.update_assume_role_policy(RoleName=name, PolicyDocument=new["assumeRolePolicy"])
    if changed & {"description", "maxSessionDuration"}:
        cloud.iam.update_role(
            RoleName=name,
            Description=new.get("description", ""),
            MaxSessionDuration=new["maxSessionDuration"],
        )
    if "permissionsBoundary" in changed:
        if boundary := new.get("permissionsBoundary"):
            cloud.iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=boundary)
        else:
            cloud.iam.delete_role_permissions_boundary(RoleName=name)


def _retag_role(cloud: Cloud, name: str, state: Properties, tags: dict[str, str], old: list[str]) -> None:
    if old:
        cloud.iam.untag_role(RoleName=name, TagKeys=old)
    if tags:
        cloud.iam.tag_role(RoleName=name, Tags=tag_list(tags))


ROLE = ResourceType(
    type="aws:iam/role:Role",
    inputs=names("assumeRolePolicy description maxSessionDuration name namePrefix path permissionsBoundary"),
    required=names("assumeRolePolicy"),
    outputs=names("arn createDate uniqueId"),
    replaces=names("name namePrefix path"),
    defaults={"maxSessionDuration": 3600, "path": "/"},
    documents=names("assumeRolePolicy"),
    naming=Naming(max_length=64),
    create=_create_role,
    read=_read_role,
    update=_update_role,
    delete=lambda cloud, name, state: gone(lambda: cloud.iam.delete_role(RoleName=name)),
    retag=_retag_role,
)


def _put_role_policy(cloud: Cloud, inputs: Properties) -> str:
    cloud.iam.put_role_policy(RoleName=inputs["role"], PolicyName=inputs["name"], PolicyDocument=inputs["policy"])
    return f"{inputs['role']}:{inputs['name']}"


def _read_role_policy(cloud: Cloud, policy_id: str, state: Properties) -> Properties | None:
    role, _, name = policy_id.partition(":")
    answer = found(lambda: cloud.iam.get_role_policy(RoleName=role, PolicyName=name))
    return {"role": role, "name": name, "policy": _text(answer["PolicyDocument"])} if answer else None


def _delete_role_policy(cloud: Cloud, policy_id: str, state: Properties) -> None:
    role, _, name = policy_id.partition(":")
    gone(lambda: cloud.iam.delete_role_policy(RoleName=role, PolicyName=name))


ROLE_POLICY = ResourceType(
    type="aws:iam/rolePolicy:RolePolicy",
    inputs=names("name namePrefix policy role"),
    required=names("policy role"),
    replaces=names("name namePrefix role"),
    documents=names("policy"),
    naming=Naming(max_length=128),
    create=_put_role_policy,
    read=_read_role_policy,
    update=lambda cloud, policy_id, old, new, changed: cloud.iam.put_role_policy(
        RoleName=new["role"], PolicyName=policy_id.partition(":")[2], PolicyDocument=new["policy"]
    ),
    delete=_delete_role_policy,
)


def _create_profile(cloud: Cloud, inputs: Properties) -> str:
    name = str(inputs["name"])
    cloud.iam.create_instance_profile(InstanceProfileName=name, Path=inputs["path"], Tags=tag_list(inputs["tagsAll"]))
    if inputs.get("role"):
        cloud.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=inputs["role"])
    return name


def _read_profile(cloud: Cloud, name: str, state: Properties) -> Properties | None:
    answer = found(lambda: cloud.iam.get_instance_profile(InstanceProfileName=name))
    if not answer:
        return None
    profile = answer["InstanceProfile"]
    return present(
        {
            "name": profile["InstanceProfileName"],
            "path": profile["Path"],
            "role": profile["Roles"][0]["RoleName"] if profile["Roles"] else None,
            "arn": profile["Arn"],
            "uniqueId": profile["InstanceProfileId"],
            "createDate": profile["CreateDate"].isoformat(),
        }
    )


def _update_profile(cloud: Cloud, name: str, old: Properties, new: Properties, changed: set[str]) -> None:
    if old.get("role"):
        gone(lambda: cloud.iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=old["role"]))
    if new.get("role"):
        cloud.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=new["role"])


def _delete_profile(cloud: Cloud, name: str, state: Properties) -> None:
    _update_profile(cloud, name, state, {}, {"role"})
    gone(lambda: cloud.iam.delete_instance_profile(InstanceProfileName=name))


def _retag_profile(cloud: Cloud, name: str, state: Properties, tags: dict[str, str], old: list[str]) -> None:
    if old:
        cloud.iam.untag_instance_profile(InstanceProfileName=name, TagKeys=old)
    if tags:
        cloud.iam.tag_instance_profile(InstanceProfileName=name, Tags=tag_list(tags))


INSTANCE_PROFILE = ResourceType(
    type="aws:iam/instanceProfile:InstanceProfile",
    inputs=names("name namePrefix path role"),
    outputs=names("arn createDate uniqueId"),
    replaces=names("name namePrefix path"),
    defaults={"path": "/"},
    naming=Naming(max_length=128),
    create=_create_profile,
    read=_read_profile,
    update=_update_profile,
    delete=_delete_profile,
    retag=_retag_profile,
)

RESOURCE_TYPES = (ROLE, ROLE_POLICY, INSTANCE_PROFILE)
