"""Private and public addresses, as EC2 assigns and releases them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from ipaddress import IPv4Network, ip_address
from typing import Any

from lab.aws.moto_internals.patching import LOCK, PUBLIC_RANGE, client_error, replace
from spec.project import EXAMPLE_ACCOUNT_ID

_nat_address = threading.local()


def change() -> None:
    """Change what moto does with addresses."""
    _public_addresses()
    _nat_gateways()
    _address_checks()
    _secondary_addresses()


def _public_addresses() -> None:
    """Public addresses come from `PUBLIC_RANGE`; moto takes 127.x and 54.214.x at random, with repeats."""
    from moto.ec2.models import elastic_ip_addresses, elastic_network_interfaces

    replace(elastic_ip_addresses, "random_ip", _free_public_address)
    replace(elastic_network_interfaces, "random_public_ip", _free_public_address)


def _free_public_address() -> str:
    from moto.ec2.models import ec2_backends

    with LOCK:
        taken: set[str | None] = set()
        for backend in list(ec2_backends[EXAMPLE_ACCOUNT_ID].values()):
            taken.update(one.public_ip for one in backend.addresses)
            taken.update(one.public_ip for one in backend.enis.values())
        # The first ten are left for routers of the lab on that range.
        for number in range(10, PUBLIC_RANGE.num_addresses - 1):
            address = str(PUBLIC_RANGE[number])
            if address not in taken:
                return address
    raise RuntimeError(f"no public address is free in {PUBLIC_RANGE}")


def _nat_gateways() -> None:
    """A NAT gateway's private address is in its subnet; both its addresses are released when it is deleted.

    moto takes the private address from all of 10.0.0.0/8 and releases neither. Here it is the highest free one: AWS may
    give any, and planned addresses count from the low end. `PrivateIpAddress` has its effect.
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
        with LOCK:
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

    replace(nat_gateways, "random_private_ip", lambda *_: _nat_address.value)
    replace(backend_class, "create_nat_gateway", create_nat_gateway)
    replace(backend_class, "delete_nat_gateway", delete_nat_gateway)
    replace(NatGateways, "create_nat_gateway", create_response)


def _highest_free(subnet: Any) -> str:
    network = IPv4Network(subnet.cidr_block)
    for number in range(network.num_addresses - 2, 3, -1):
        address = str(network[number])
        if address not in subnet._subnet_ips:
            return address
    raise client_error("InsufficientFreeAddressesInSubnet", f"{subnet.id} has no free address")


def _address_checks() -> None:
    """A private address must be in its subnet, and neither reserved nor in use; moto answers with a bare 500."""
    from moto.ec2.models.subnets import Subnet

    request_ip = Subnet.request_ip

    @wraps(request_ip)
    def checked(self: Any, ip: str, instance: Any) -> None:
        network, address = IPv4Network(self.cidr_block), ip_address(ip)
        if address not in network:
            raise client_error("InvalidParameterValue", f"Address {ip} does not fall within the subnet's address range")
        reserved = (*(network[number] for number in range(4)), network[-1])
        if address in reserved:
            raise client_error("InvalidParameterValue", f"Address {ip} is in subnet's reserved address range")
        with LOCK:
            if ip in self._subnet_ips:
                raise client_error("InvalidIPAddress.InUse", f"Address {ip} is in use.")
            request_ip(self, ip, instance)

    replace(Subnet, "request_ip", checked)


def _secondary_addresses() -> None:
    """An Elastic IP is associated with the private address that AssociateAddress names; moto supports only the first.

    Without this a load balancer with a public address of its own could not hold the stack's public address too.
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
            raise client_error("InvalidParameterValue", f"{wanted} is not an address of {interface.id}")
        with LOCK:
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
            address.associated_with = wanted if secondary else None
            if interface and secondary:
                interface.public_ip = None if kept == address.public_ip else kept
        return address

    @wraps(disassociate)
    def disassociate_address(self: Any, address: Any = None, association_id: Any = None) -> None:
        found = self.address_by_ip([address]) if address else self.address_by_association([association_id])
        interface = found[0].eni
        kept = interface.public_ip if interface and getattr(found[0], "associated_with", None) else None
        disassociate(self, address=address, association_id=association_id)
        found[0].associated_with = None
        if kept:
            interface.public_ip = kept

    def private_ip_address(self: Any) -> str | None:
        associated_with: str | None = getattr(self, "associated_with", None)
        return associated_with or (self.eni.private_ip_address if self.eni else None)

    def addresses(self: Any, original: Callable[[Any], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        items = original(self)
        on = {
            one.associated_with: one
            for one in self.ec2_backend.addresses
            if one.eni is self and getattr(one, "associated_with", None)
        }
        for item in items:
            if item["PrivateIpAddress"] in on:
                address = on[item["PrivateIpAddress"]]
                item["Association"] = {
                    "allocationId": address.allocation_id,
                    "associationId": address.association_id,
                    "publicIp": address.public_ip,
                    "ipOwnerId": EXAMPLE_ACCOUNT_ID,
                }
        return items

    listed = vars(NetworkInterface)["instance_private_ip_address_list"].fget
    replace(ElasticIPAddresses, "associate_address", associate_response)
    replace(ElasticAddressBackend, "associate_address", associate_address)
    replace(ElasticAddressBackend, "disassociate_address", disassociate_address)
    replace(ElasticAddress, "private_ip_address", property(private_ip_address))
    replace(NetworkInterface, "instance_private_ip_address_list", property(lambda self: addresses(self, listed)))
