"""Route tables, routes, and the associations of tables with subnets."""

from __future__ import annotations

from typing import Any

from lab.provider.cloud import Cloud
from lab.provider.resource_type import Properties, ResourceType, names
from lab.provider.resource_types.calls import found, gone, present
from lab.provider.resource_types.tags import ec2_retag, specification
from spec.project import EXAMPLE_ACCOUNT_ID


def _create_table(cloud: Cloud, inputs: Properties) -> str:
    table = cloud.ec2.create_route_table(VpcId=inputs["vpcId"], TagSpecifications=specification("route-table", inputs))
    return str(table["RouteTable"]["RouteTableId"])


def _table(cloud: Cloud, table_id: str) -> Any | None:
    answer = found(lambda: cloud.ec2.describe_route_tables(RouteTableIds=[table_id]))
    return answer["RouteTables"][0] if answer and answer["RouteTables"] else None


def _read_table(cloud: Cloud, table_id: str, state: Properties) -> Properties | None:
    table = _table(cloud, table_id)
    if table is None:
        return None
    return {
        "vpcId": table["VpcId"],
        "arn": cloud.arn("ec2", f"route-table/{table_id}"),
        "ownerId": EXAMPLE_ACCOUNT_ID,
    }


ROUTE_TABLE = ResourceType(
    type="aws:ec2/routeTable:RouteTable",
    inputs=names("vpcId"),
    required=names("vpcId"),
    outputs=names("arn ownerId"),
    replaces=names("vpcId"),
    create=_create_table,
    read=_read_table,
    delete=lambda cloud, table_id, state: gone(lambda: cloud.ec2.delete_route_table(RouteTableId=table_id)),
    retag=ec2_retag,
)

_TARGETS = {
    "gatewayId": "GatewayId",
    "natGatewayId": "NatGatewayId",
    "networkInterfaceId": "NetworkInterfaceId",
}


def _route_arguments(inputs: Properties) -> dict[str, Any]:
    arguments = {"RouteTableId": inputs["routeTableId"], "DestinationCidrBlock": inputs["destinationCidrBlock"]}
    return arguments | {_TARGETS[name]: inputs[name] for name in _TARGETS if inputs.get(name)}


def _create_route(cloud: Cloud, inputs: Properties) -> str:
    cloud.ec2.create_route(**_route_arguments(inputs))
    return _route_id(inputs["routeTableId"], inputs["destinationCidrBlock"])


def _route_id(table_id: str, destination: str) -> str:
    # The real provider's id ends with a hash of the destination; nothing but the provider reads it.
    return f"r-{table_id}{destination}"


def _read_route(cloud: Cloud, route_id: str, state: Properties) -> Properties | None:
    table = _table(cloud, state["routeTableId"])
    for route in table["Routes"] if table else ():
        if route.get("DestinationCidrBlock") == state["destinationCidrBlock"]:
            return present(
                {
                    "routeTableId": state["routeTableId"],
                    "destinationCidrBlock": route["DestinationCidrBlock"],
                    **{name: route.get(key) for name, key in _TARGETS.items()},
                    "origin": route.get("Origin"),
                    "state": route.get("State"),
                }
            )
    return None


def _update_route(cloud: Cloud, route_id: str, old: Properties, new: Properties, changed: set[str]) -> None:
    cloud.ec2.replace_route(**_route_arguments(new))


def _delete_route(cloud: Cloud, route_id: str, state: Properties) -> None:
    gone(
        lambda: cloud.ec2.delete_route(
            RouteTableId=state["routeTableId"], DestinationCidrBlock=state["destinationCidrBlock"]
        )
    )


ROUTE = ResourceType(
    type="aws:ec2/route:Route",
    inputs=names("routeTableId destinationCidrBlock gatewayId natGatewayId networkInterfaceId"),
    required=names("routeTableId destinationCidrBlock"),
    outputs=names("origin state"),
    replaces=names("routeTableId destinationCidrBlock"),
    create=_create_route,
    read=_read_route,
    update=_update_route,
    delete=_delete_route,
)


def _create_association(cloud: Cloud, inputs: Properties) -> str:
    answer = cloud.ec2.associate_route_table(RouteTableId=inputs["routeTableId"], SubnetId=inputs["subnetId"])
    return str(answer["AssociationId"])


def _association(cloud: Cloud, subnet_id: str) -> Any | None:
    tables = cloud.ec2.describe_route_tables(Filters=[{"Name": "association.subnet-id", "Values": [subnet_id]}])[
        "RouteTables"
    ]
    for table in tables:
        for association in table["Associations"]:
            if association.get("SubnetId") == subnet_id:
                return association
    return None


def _read_association(cloud: Cloud, association_id: str, state: Properties) -> Properties | None:
    association = _association(cloud, state["subnetId"])
    if association is None:
        return None
    return {"subnetId": association["SubnetId"], "routeTableId": association["RouteTableId"]}


def _update_association(cloud: Cloud, association_id: str, old: Properties, new: Properties, changed: set[str]) -> None:
    # A replacement has a new id, which an update cannot report to the engine: it is found by its subnet.
    association = _association(cloud, old["subnetId"])
    cloud.ec2.replace_route_table_association(
        AssociationId=association["RouteTableAssociationId"] if association else association_id,
        RouteTableId=new["routeTableId"],
    )


def _delete_association(cloud: Cloud, association_id: str, state: Properties) -> None:
    association = _association(cloud, state["subnetId"])
    if association is not None and association["RouteTableId"] == state["routeTableId"]:
        gone(lambda: cloud.ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"]))


ROUTE_TABLE_ASSOCIATION = ResourceType(
    type="aws:ec2/routeTableAssociation:RouteTableAssociation",
    inputs=names("subnetId routeTableId"),
    required=names("subnetId routeTableId"),
    replaces=names("subnetId"),
    create=_create_association,
    read=_read_association,
    update=_update_association,
    delete=_delete_association,
)

RESOURCE_TYPES = (ROUTE_TABLE, ROUTE, ROUTE_TABLE_ASSOCIATION)
