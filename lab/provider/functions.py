"""Functions (data sources) that a program may ask: one entry a token."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from lab.provider.cloud import PARTITION, Cloud

Arguments = dict[str, Any]
Result = Mapping[str, Any]


class FunctionError(Exception):
    """What was asked has no single answer."""


def _filters(args: Arguments) -> list[dict[str, Any]]:
    return [{"Name": one["name"], "Values": one["values"]} for one in args.get("filters") or ()]


def get_ami(cloud: Cloud, args: Arguments) -> Result:
    """The one image that fits, or the newest of several when `mostRecent` says so."""
    asked: dict[str, Any] = {"Filters": _filters(args)}
    if args.get("owners"):
        asked["Owners"] = args["owners"]
    images = cloud.ec2.describe_images(**asked)["Images"]
    if args.get("nameRegex"):
        images = [image for image in images if re.search(args["nameRegex"], image.get("Name", ""))]
    if not images:
        wanted = json.dumps({key: args[key] for key in ("owners", "filters", "nameRegex") if key in args})
        raise FunctionError(
            f"getAmi: Your query returned no results. Please change your search criteria and try again: {wanted}"
        )
    if len(images) > 1 and not args.get("mostRecent"):
        raise FunctionError(
            "getAmi: Your query returned more than one result. Please try a more specific search criteria, "
            "or set mostRecent to true"
        )
    image = max(images, key=lambda one: str(one.get("CreationDate", "")))
    return {
        **args,
        "id": image["ImageId"],
        "imageId": image["ImageId"],
        "arn": f"arn:{PARTITION}:ec2:{cloud.region}::image/{image['ImageId']}",
        "name": image.get("Name"),
        "architecture": image["Architecture"],
        "creationDate": image.get("CreationDate"),
        "description": image.get("Description"),
        "ownerId": image["OwnerId"],
        "region": cloud.region,
        "rootDeviceName": image["RootDeviceName"],
        "rootDeviceType": image["RootDeviceType"],
        "state": image["State"],
        "virtualizationType": image["VirtualizationType"],
    }


def get_caller_identity(cloud: Cloud, args: Arguments) -> Result:
    """Who the program runs as."""
    identity = cloud.client("sts").get_caller_identity()
    return {
        "accountId": identity["Account"],
        "arn": identity["Arn"],
        "id": identity["Account"],
        "userId": identity["UserId"],
    }


def get_region(cloud: Cloud, args: Arguments) -> Result:
    """The region of the stack."""
    return {
        "id": cloud.region,
        "region": cloud.region,
        "name": cloud.region,
        "endpoint": f"ec2.{cloud.region}.amazonaws.com",
        "description": cloud.region,
    }


def get_partition(cloud: Cloud, args: Arguments) -> Result:
    """The partition of the region."""
    return {
        "id": PARTITION,
        "partition": PARTITION,
        "dnsSuffix": "amazonaws.com",
        "reverseDnsPrefix": "com.amazonaws",
    }


def get_availability_zones(cloud: Cloud, args: Arguments) -> Result:
    """The zones of the region, by name."""
    filters = _filters(args)
    if args.get("state"):
        filters.append({"Name": "state", "Values": [args["state"]]})
    zones = cloud.ec2.describe_availability_zones(Filters=filters)["AvailabilityZones"]
    kept = sorted(
        (zone for zone in zones if zone["ZoneName"] not in (args.get("excludeNames") or ())),
        key=lambda zone: str(zone["ZoneName"]),
    )
    return {
        **args,
        "id": cloud.region,
        "region": cloud.region,
        "names": [zone["ZoneName"] for zone in kept],
        "zoneIds": [zone["ZoneId"] for zone in kept],
        "groupNames": [cloud.region],
    }


def get_prefix_list(cloud: Cloud, args: Arguments) -> Result:
    """The addresses of an AWS service in this region."""
    filters = _filters(args)
    if args.get("name"):
        filters.append({"Name": "prefix-list-name", "Values": [args["name"]]})
    lists = cloud.ec2.describe_prefix_lists(Filters=filters)["PrefixLists"]
    fitting = [one for one in lists if args.get("prefixListId") in (None, one["PrefixListId"])]
    found = _only(fitting, "getPrefixList", args)
    entries = cloud.ec2.get_managed_prefix_list_entries(PrefixListId=found["PrefixListId"])["Entries"]
    return {
        **args,
        "id": found["PrefixListId"],
        "name": found["PrefixListName"],
        "cidrBlocks": [entry["Cidr"] for entry in entries],
        "region": cloud.region,
    }


def get_managed_prefix_list(cloud: Cloud, args: Arguments) -> Result:
    """A managed prefix list by its name or id."""
    filters = _filters(args)
    if args.get("name"):
        filters.append({"Name": "prefix-list-name", "Values": [args["name"]]})
    asked = {"PrefixListIds": [args["id"]]} if args.get("id") else {}
    lists = cloud.ec2.describe_managed_prefix_lists(Filters=filters, **asked)["PrefixLists"]
    found = _only(lists, "getManagedPrefixList", args)
    entries = cloud.ec2.get_managed_prefix_list_entries(PrefixListId=found["PrefixListId"])["Entries"]
    return {
        **args,
        "id": found["PrefixListId"],
        "name": found["PrefixListName"],
        "arn": found["PrefixListArn"],
        "addressFamily": found["AddressFamily"],
        "entries": [{"cidr": entry["Cidr"], "description": entry.get("Description", "")} for entry in entries],
        "maxEntries": found.get("MaxEntries", 0),
        "ownerId": found["OwnerId"],
        "region": cloud.region,
        "tags": {},
        "version": found.get("Version", 0),
    }


def _only(found: list[Any], function: str, args: Arguments) -> Any:
    if len(found) != 1:
        raise FunctionError(f"{function}: {len(found)} prefix lists fit {json.dumps(args)}, there must be one")
    return found[0]


def get_policy_document(cloud: Cloud, args: Arguments) -> Result:
    """An IAM policy document as JSON, from statements."""
    known = {"statements", "version", "policyId"}
    unknown = sorted(set(args) - known)
    if unknown:
        raise FunctionError(f"getPolicyDocument: the lab's provider does not know {', '.join(unknown)}")
    document: dict[str, Any] = {"Version": args.get("version", "2012-10-17")}
    if args.get("policyId"):
        document["Id"] = args["policyId"]
    document["Statement"] = [_statement(one) for one in args.get("statements") or ()]
    text = json.dumps(document, indent=2)
    return {**args, "id": str(len(text)), "json": text, "minifiedJson": json.dumps(document, separators=(",", ":"))}


def _one_or_many(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


def _statement(one: Arguments) -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": one["sid"]} if one.get("sid") else {}
    statement["Effect"] = one.get("effect", "Allow")
    for name, key in (
        ("actions", "Action"),
        ("notActions", "NotAction"),
        ("resources", "Resource"),
        ("notResources", "NotResource"),
    ):
        if one.get(name):
            statement[key] = _one_or_many(sorted(one[name]))
    for name, key in (("principals", "Principal"), ("notPrincipals", "NotPrincipal")):
        principals = one.get(name)
        if principals:
            everyone = principals == [{"type": "*", "identifiers": ["*"]}]
            statement[key] = (
                "*" if everyone else {p["type"]: _one_or_many(sorted(p["identifiers"])) for p in principals}
            )
    conditions: dict[str, dict[str, Any]] = {}
    for condition in one.get("conditions") or ():
        conditions.setdefault(condition["test"], {})[condition["variable"]] = _one_or_many(condition["values"])
    if conditions:
        statement["Condition"] = conditions
    return statement


FUNCTIONS: dict[str, Callable[[Cloud, Arguments], Result]] = {
    "aws:ec2/getAmi:getAmi": get_ami,
    "aws:ec2/getManagedPrefixList:getManagedPrefixList": get_managed_prefix_list,
    "aws:ec2/getPrefixList:getPrefixList": get_prefix_list,
    "aws:iam/getPolicyDocument:getPolicyDocument": get_policy_document,
    "aws:index/getAvailabilityZones:getAvailabilityZones": get_availability_zones,
    "aws:index/getCallerIdentity:getCallerIdentity": get_caller_identity,
    "aws:index/getPartition:getPartition": get_partition,
    "aws:index/getRegion:getRegion": get_region,
}
