"""The functions (data sources) that a program may call, by their token."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from lab.provider.cloud import PARTITION, Cloud

Arguments = dict[str, Any]
Result = Mapping[str, Any]


class FunctionError(Exception):
    """There is no result, or more than one."""


def get_ami(cloud: Cloud, args: Arguments) -> Result:
    """The one image that fits, or the newest of several when `mostRecent` says so."""
    filters = [{"Name": one["name"], "Values": one["values"]} for one in args.get("filters") or ()]
    asked: dict[str, Any] = {"Filters": filters}
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


def get_partition(cloud: Cloud, args: Arguments) -> Result:
    """The partition of the region."""
    return {
        "id": PARTITION,
        "partition": PARTITION,
        "dnsSuffix": "amazonaws.com",
        "reverseDnsPrefix": "com.amazonaws",
    }


FUNCTIONS: dict[str, Callable[[Cloud, Arguments], Result]] = {
    "aws:ec2/getAmi:getAmi": get_ami,
    "aws:index/getCallerIdentity:getCallerIdentity": get_caller_identity,
    "aws:index/getPartition:getPartition": get_partition,
}
