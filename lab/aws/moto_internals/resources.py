"""Instances, security groups, endpoints, buckets, objects and volumes, where moto differs from AWS."""

from __future__ import annotations

import base64
from functools import wraps
from typing import Any

from lab.aws.moto_internals.patching import LOCK, client_error, replace


def change() -> None:
    """Change what moto does with these resources."""
    _interfaces_end_with_their_instance()
    _launch_templates()
    _changes_of_instances()
    _user_data()
    _security_group_rules()
    _endpoint_routes()
    _bucket_policies()
    _zones_of_volumes()
    _conditional_writes()
    _delete_markers()


def _interfaces_end_with_their_instance() -> None:
    """An interface that RunInstances makes is deleted with its instance, and its Elastic IPs are disassociated.

    In EC2 such an interface has DeleteOnTermination unless the caller says otherwise. In moto it has it only when the
    caller asks for it; without it a replaced host could not have its planned address again.
    """
    from moto.ec2.models.instances import Instance

    prep_nics, terminate = Instance.prep_nics, Instance.terminate

    @wraps(prep_nics)
    def prepare_interfaces(self: Any, nic_spec: list[dict[str, Any]], *args: Any, **kwargs: Any) -> None:
        kept = {
            int(spec["DeviceIndex"])
            for spec in nic_spec
            if spec.get("NetworkInterfaceId") or spec.get("DeleteOnTermination") is False
        }
        prep_nics(self, nic_spec, *args, **kwargs)
        for index, interface in self.nics.items():
            if index not in kept:
                interface.delete_on_termination = True

    @wraps(terminate)
    def end(self: Any) -> Any:
        if self._state.name == "terminated":
            return self._state
        ids = {interface.id for interface in self.nics.values()}
        for address in self.ec2_backend.addresses:
            if address.eni is not None and address.eni.id in ids:
                self.ec2_backend.disassociate_address(association_id=address.association_id)
        previous = terminate(self)
        # moto releases them again when the object is collected: another instance may have them by then.
        self._private_ips.clear()
        return previous

    replace(Instance, "prep_nics", prepare_interfaces)
    replace(Instance, "terminate", end)


def _launch_templates() -> None:
    """What a call leaves out is taken from its launch template, and so are the tags of volumes.

    moto takes some of it from there, but neither interfaces, nor the profile, nor metadata options, nor what a shutdown
    does. It keeps user data of a template's first version in another form than that of later ones.
    """
    from moto.ec2.responses.instances import InstanceResponse

    run_instances = InstanceResponse.run_instances

    @wraps(run_instances)
    def run(self: Any) -> Any:
        template = self._get_param("LaunchTemplate")
        if template:
            data = dict(self.ec2_backend._get_template_from_args(template).data)
            data["TagSpecifications"] = [
                one for one in data.get("TagSpecifications", ()) if one["ResourceType"] != "launch-template"
            ]
            if hasattr(data.get("UserData"), "as_bytes"):
                data["UserData"] = data["UserData"].as_bytes().decode()
            self.params = {**data, **self.params}
        return run_instances(self)

    replace(InstanceResponse, "run_instances", run)


def _changes_of_instances() -> None:
    """A running instance's groups and its profile are replaced; moto adds the groups and keeps the old profile."""
    from moto.ec2.models.iam_instance_profile import IamInstanceProfileAssociationBackend
    from moto.ec2.models.instances import InstanceBackend

    modify = InstanceBackend.modify_instance_security_groups
    replace_profile = IamInstanceProfileAssociationBackend.replace_iam_instance_profile_association

    @wraps(modify)
    def modify_groups(self: Any, instance_id: str, new_group_id_list: list[str]) -> Any:
        instance = modify(self, instance_id, new_group_id_list)
        instance.nics[0]._group_set = list(instance.security_groups)
        return instance

    @wraps(replace_profile)
    def replace_association(self: Any, *args: Any, **kwargs: Any) -> Any:
        association = replace_profile(self, *args, **kwargs)
        profile = {"Arn": association.iam_instance_profile.arn, "Id": association.association_id}
        self.modify_instance_attribute(association.instance_id, "iam_instance_profile", profile)
        return association

    replace(InstanceBackend, "modify_instance_security_groups", modify_groups)
    replace(IamInstanceProfileAssociationBackend, "replace_iam_instance_profile_association", replace_association)


def _endpoint_routes() -> None:
    """An endpoint is of type Gateway by default, and its routes follow its route tables.

    moto adds routes only when the endpoint is created, and cannot delete an endpoint that was created without a type.
    """
    from moto.ec2.models.vpcs import VPCBackend

    create, modify = VPCBackend.create_vpc_endpoint, VPCBackend.modify_vpc_endpoint

    @wraps(create)
    def create_vpc_endpoint(self: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs["endpoint_type"] = kwargs.get("endpoint_type") or "Gateway"
        return create(self, *args, **kwargs)

    @wraps(modify)
    def modify_vpc_endpoint(self: Any, vpc_id: str, *args: Any, **kwargs: Any) -> None:
        # The parameter that moto calls `vpc_id` holds the endpoint's id.
        endpoint = self.vpc_end_points[vpc_id]
        before = set(endpoint.route_table_ids)
        modify(self, vpc_id, *args, **kwargs)
        after = set(endpoint.route_table_ids)
        for table in after - before:
            self.create_route(
                table, None, destination_prefix_list_id=endpoint.destination_prefix_list_id, gateway_id=vpc_id
            )
        for table in before - after:
            self.delete_route(table, endpoint.destination_prefix_list_id)

    replace(VPCBackend, "create_vpc_endpoint", create_vpc_endpoint)
    replace(VPCBackend, "modify_vpc_endpoint", modify_vpc_endpoint)


def _user_data() -> None:
    """ModifyInstanceAttribute takes user data encoded once, as every SDK sends it; moto requires it encoded twice."""
    from moto.ec2.responses import instances

    parse = vars(instances)["parse_user_data"]

    def parse_user_data(value: Any) -> Any:
        # Bytes are what moto has decoded already.
        return parse(base64.b64encode(value).decode() if isinstance(value, bytes) else value)

    replace(instances, "parse_user_data", parse_user_data)


def _security_group_rules() -> None:
    """ModifySecurityGroupRules changes a rule's group or prefix list too; moto leaves both as they were."""
    from moto.ec2.models.security_groups import SecurityGroupBackend

    modify = SecurityGroupBackend.modify_security_group_rules

    @wraps(modify)
    def modify_security_group_rules(self: Any, group_id: str, rules: dict[str, dict[str, Any]]) -> None:
        modify(self, group_id, rules)
        group = self.get_security_group_by_name_or_id(group_id)
        for rule_id, wanted in rules.items():
            rule = group.get_rule(rule_id)
            if wanted.get("ReferencedGroupId"):
                rule.source_group = {"GroupId": wanted["ReferencedGroupId"], "OwnerId": self.account_id}
            if wanted.get("PrefixListId"):
                rule.prefix_list_id = wanted["PrefixListId"]

    replace(SecurityGroupBackend, "modify_security_group_rules", modify_security_group_rules)


def _bucket_policies() -> None:
    """The gate applies bucket policies; moto applies a Deny without its condition, and to every caller."""
    from moto.iam.access_control import PermissionResult
    from moto.s3.models import FakeBucket

    replace(FakeBucket, "get_permission", lambda self, action, resource: PermissionResult.NEUTRAL)


def _zones_of_volumes() -> None:
    """EC2 refuses a volume in a zone that does not exist; moto makes one that is in no zone."""
    from moto.ec2.models import EC2Backend

    create_volume = EC2Backend.create_volume

    @wraps(create_volume)
    def create(self: Any, size: int, zone_name: str, *args: Any, **kwargs: Any) -> Any:
        if self.get_zone_by_name(zone_name) is None:
            raise client_error("InvalidZone.NotFound", f"The zone '{zone_name}' does not exist.")
        return create_volume(self, size, zone_name, *args, **kwargs)

    replace(EC2Backend, "create_volume", create)


def _conditional_writes() -> None:
    """PutObject checks If-Match and If-None-Match and writes in one step; in moto another request may come in between.

    S3 answers 409 (ConditionalRequestConflict) to some of those that come at the same time. Here they wait, and get the
    412 or 404 that the one before them causes.
    """
    from moto.s3.responses import S3Response

    put_object = S3Response.put_object

    @wraps(put_object)
    def put(self: Any) -> Any:
        with LOCK:
            return put_object(self)

    replace(S3Response, "put_object", put)


def _delete_markers() -> None:
    """A delete marker can be deleted from a bucket whose versioning was suspended. Moto's has no method for that."""
    from moto.s3.models import FakeDeleteMarker

    def dispose(_: Any) -> None:
        """It holds nothing."""

    FakeDeleteMarker.dispose = dispose  # type: ignore[attr-defined]
