"""The one module that reaches into moto (pinned at 5.2.5): what its API does not do as EC2 does.

`prepare()` changes moto for the whole process; it is safe to repeat. Each function says what AWS does and
what moto does instead. `tests/unit/lab_aws/test_moto_internals.py` shows each of them through the API, so that
a moto of another version fails there and nowhere else.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from functools import wraps
from ipaddress import IPv4Network, ip_address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

ACCOUNT_ID = "123456789012"
PUBLIC_RANGE = IPv4Network("203.0.113.0/24")
_prepared = False
_lock = threading.RLock()
_nat_address = threading.local()


def wsgi_app() -> WSGIApplication:
    """Moto's whole API as one WSGI application; the service is told by the credential scope of a request."""
    prepare()
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    return DomainDispatcherApplication(create_backend_app)


def reset() -> None:
    """Forget everything that the API holds."""
    prepare()
    from moto.core.base_backend import BackendDict
    from moto.core.model_instances import reset_model_data

    with _lock:
        BackendDict.reset()
        reset_model_data()


def register_image(*, region: str, name: str, owner: str, architecture: str) -> str:
    """Make a public machine image known by its exact name and owner, as Debian's are. Returns its id.

    The id follows from the name, so that it is the same in every lab. Registering one twice changes nothing.
    """
    prepare()
    from moto.ec2.models import ec2_backends
    from moto.ec2.models.amis import Ami

    image_id = "ami-0" + hashlib.sha256(f"{owner}/{name}".encode()).hexdigest()[:16]
    backend = ec2_backends[ACCOUNT_ID][region]
    with _lock:
        if image_id not in backend.amis:
            backend.amis[image_id] = Ami(
                backend,
                image_id,
                name=name,
                description=f"The lab's stand-in for {name}",
                owner_id=owner,
                public=True,
                virtualization_type="hvm",
                architecture=architecture,
                image_location=f"{owner}/{name}",
                hypervisor="xen",
                root_device_type="ebs",
                root_device_name="/dev/xvda",
                region_name=f"{region}a",
                boot_mode="uefi-preferred",
            )
    return image_id


def prepare() -> None:
    """Make moto behave as the lab needs; before the first request."""
    global _prepared  # noqa: PLW0603 - a process has one moto
    with _lock:
        if _prepared:
            return
        os.environ["MOTO_ACCOUNT_ID"] = ACCOUNT_ID
        # Read when the EC2 backend is made: a stack's image is registered by name, and no others exist.
        os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
        os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"
        from moto import settings

        settings.ENABLE_AMI_VALIDATION = True
        settings.EC2_ENABLE_INSTANCE_TYPE_VALIDATION = True
        settings.S3_IGNORE_SUBDOMAIN_BUCKETNAME = True
        _public_addresses()
        _nat_gateways()
        _interfaces_end_with_their_instance()
        _address_checks()
        _secondary_addresses()
        _security_group_rules()
        _bucket_policies()
        _prepared = True


def _public_addresses() -> None:
    """Public addresses come from `PUBLIC_RANGE`; moto's are 127.x and 54.214.x at random, repeats included."""
    from moto.ec2.models import elastic_ip_addresses, elastic_network_interfaces

    _replace(elastic_ip_addresses, "random_ip", _free_public_address)
    _replace(elastic_network_interfaces, "random_public_ip", _free_public_address)


def _free_public_address() -> str:
    from moto.ec2.models import ec2_backends

    with _lock:
        taken: set[str | None] = set()
        for backend in list(ec2_backends[ACCOUNT_ID].values()):
            taken.update(one.public_ip for one in backend.addresses)
            taken.update(one.public_ip for one in backend.enis.values())
        # The first ten are left to the lab's own routers on that range.
        for number in range(10, PUBLIC_RANGE.num_addresses - 1):
            address = str(PUBLIC_RANGE[number])
            if address not in taken:
                return address
    raise RuntimeError(f"no public address is free in {PUBLIC_RANGE}")


def _nat_gateways() -> None:
    """A NAT gateway's private address lies in its subnet and ends with it, its Elastic IP is free again.

    moto draws the address from all of 10.0.0.0/8 and keeps both for ever. Here it is the highest that is
    free: AWS gives any, and planned addresses count from the low end. `PrivateIpAddress` is honoured.
    """
    from moto.ec2.models import nat_gateways
    from moto.ec2.responses.nat_gateways import NatGateways

    backend_class = nat_gateways.NatGatewayBackend
    create, delete, respond = (
        backend_class.create_nat_gateway,
        backend_class.delete_nat_gateway,
        NatGateways.create_nat_gateway,
    )

    @wraps(respond)
    def create_response(self: Any) -> Any:
        _nat_address.asked = self._get_param("PrivateIpAddress")
        return respond(self)

    @wraps(create)
    def create_nat_gateway(self: Any, subnet_id: str, *args: Any, **kwargs: Any) -> Any:
        subnet = self.get_subnet(subnet_id)
        with _lock:
            _nat_address.value = getattr(_nat_address, "asked", None) or _highest_free(subnet)
            _nat_address.asked = None
            subnet.request_ip(_nat_address.value, instance=None)
            return create(self, subnet_id, *args, **kwargs)

    @wraps(delete)
    def delete_nat_gateway(self: Any, nat_gateway_id: str) -> Any:
        gateway = delete(self, nat_gateway_id)
        for address in self.addresses:
            if address.eni is not None and address.eni.id == gateway._eni.id:
                self.disassociate_address(association_id=address.association_id)
        if gateway._eni.id in self.enis:
            gateway._eni.delete()
        return gateway

    _replace(nat_gateways, "random_private_ip", lambda *_: _nat_address.value)
    _replace(backend_class, "create_nat_gateway", create_nat_gateway)
    _replace(backend_class, "delete_nat_gateway", delete_nat_gateway)
    _replace(NatGateways, "create_nat_gateway", create_response)


def _highest_free(subnet: Any) -> str:
    network = IPv4Network(subnet.cidr_block)
    for number in range(network.num_addresses - 2, 3, -1):
        address = str(network[number])
        if address not in subnet._subnet_ips:
            return address
    raise _client_error("InsufficientFreeAddressesInSubnet", f"{subnet.id} has no free address")


def _interfaces_end_with_their_instance() -> None:
    """What RunInstances makes goes with the instance, and gives its Elastic IPs back.

    In EC2 an interface made at launch has DeleteOnTermination unless the caller says otherwise; moto has it
    only when asked, and without it a replaced host could never have its planned address again.
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
        # moto frees them once more when the object is collected: they may be another's by then.
        self._private_ips.clear()
        return previous

    _replace(Instance, "prep_nics", prepare_interfaces)
    _replace(Instance, "terminate", end)


def _address_checks() -> None:
    """A private address must lie in its subnet, neither reserved nor in use; moto answers with a bare 500."""
    from moto.ec2.models.subnets import Subnet

    request_ip = Subnet.request_ip

    @wraps(request_ip)
    def checked(self: Any, ip: str, instance: Any) -> None:
        network, address = IPv4Network(self.cidr_block), ip_address(ip)
        if address not in network:
            raise _client_error(
                "InvalidParameterValue", f"Address {ip} does not fall within the subnet's address range"
            )
        reserved = (*(network[number] for number in range(4)), network[-1])
        if address in reserved:
            raise _client_error("InvalidParameterValue", f"Address {ip} is in subnet's reserved address range")
        with _lock:
            if ip in self._subnet_ips:
                raise _client_error("InvalidIPAddress.InUse", f"Address {ip} is in use.")
            request_ip(self, ip, instance)

    _replace(Subnet, "request_ip", checked)


def _replace(owner: object, name: str, value: object) -> None:
    """Put `value` in the place of something that moto has; a name that it lacks is an error."""
    getattr(owner, name)
    setattr(owner, name, value)


def _client_error(code: str, message: str) -> Exception:
    from moto.ec2.exceptions import EC2ClientError

    return EC2ClientError(code, message)


def _secondary_addresses() -> None:
    """An Elastic IP lands on the private address that AssociateAddress names; moto knows only the first.

    Without this a load balancer that keeps a public address of its own could not also hold a floating one.
    """
    from moto.ec2.models.elastic_ip_addresses import ElasticAddress, ElasticAddressBackend
    from moto.ec2.models.elastic_network_interfaces import NetworkInterface
    from moto.ec2.responses.elastic_ip_addresses import ElasticIPAddresses

    respond = ElasticIPAddresses.associate_address
    associate, disassociate = (
        ElasticAddressBackend.associate_address,
        ElasticAddressBackend.disassociate_address,
    )
    asked = threading.local()

    @wraps(respond)
    def associate_response(self: Any) -> Any:
        asked.private_ip = self._get_param("PrivateIpAddress")
        return respond(self)

    @wraps(associate)
    def associate_address(self: Any, *args: Any, **kwargs: Any) -> Any:
        wanted = getattr(asked, "private_ip", None)
        asked.private_ip = None
        instance, eni = kwargs.get("instance"), kwargs.get("eni")
        interface = eni or (instance.nics[0] if instance else None)
        if wanted and interface and wanted not in {i["PrivateIpAddress"] for i in interface.private_ip_addresses}:
            raise _client_error("InvalidParameterValue", f"{wanted} is not an address of {interface.id}")
        with _lock:
            kept = interface.public_ip if interface else None
            target = self.address_by_ip([kwargs["address"]]) if kwargs.get("address") else []
            target = target or self.address_by_allocation([kwargs["allocation_id"]])
            before = target[0].eni
            address: Any = associate(self, *args, **kwargs)
            if before is not None and before is not interface and before.public_ip == address.public_ip:
                before.public_ip = None
            if interface and interface.instance and not address.instance:
                address.instance = interface.instance
            secondary = bool(interface and wanted and wanted != interface.private_ip_address)
            address.landed_on = wanted if secondary else None
            if interface and secondary:
                interface.public_ip = None if kept == address.public_ip else kept
        return address

    @wraps(disassociate)
    def disassociate_address(self: Any, address: Any = None, association_id: Any = None) -> None:
        found = self.address_by_ip([address]) if address else self.address_by_association([association_id])
        interface = found[0].eni
        kept = interface.public_ip if interface and getattr(found[0], "landed_on", None) else None
        disassociate(self, address=address, association_id=association_id)
        found[0].landed_on = None
        if kept:
            interface.public_ip = kept

    def private_ip_address(self: Any) -> str | None:
        landed_on: str | None = getattr(self, "landed_on", None)
        return landed_on or (self.eni.private_ip_address if self.eni else None)

    def addresses(self: Any, original: Callable[[Any], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        items = original(self)
        on = {
            one.landed_on: one
            for one in self.ec2_backend.addresses
            if one.eni is self and getattr(one, "landed_on", None)
        }
        for item in items:
            if item["PrivateIpAddress"] in on:
                address = on[item["PrivateIpAddress"]]
                item["Association"] = {
                    "allocationId": address.allocation_id,
                    "associationId": address.association_id,
                    "publicIp": address.public_ip,
                    "ipOwnerId": ACCOUNT_ID,
                }
        return items

    listed = vars(NetworkInterface)["instance_private_ip_address_list"].fget
    _replace(ElasticIPAddresses, "associate_address", associate_response)
    _replace(ElasticAddressBackend, "associate_address", associate_address)
    _replace(ElasticAddressBackend, "disassociate_address", disassociate_address)
    _replace(ElasticAddress, "private_ip_address", property(private_ip_address))
    _replace(NetworkInterface, "instance_private_ip_address_list", property(lambda self: addresses(self, listed)))


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

    _replace(SecurityGroupBackend, "modify_security_group_rules", modify_security_group_rules)


def _bucket_policies() -> None:
    """Bucket policies are the gate's business; moto applies a Deny whatever its condition says, to all and sundry."""
    from moto.iam.access_control import PermissionResult
    from moto.s3.models import FakeBucket

    _replace(FakeBucket, "get_permission", lambda self, action, resource: PermissionResult.NEUTRAL)
