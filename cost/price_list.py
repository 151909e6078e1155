"""How each price is found in AWS's Price List API: exact filters by key, and the units of AWS's answers.

A key that is not here is one that no resource type uses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from cost.prices import Unit
from spec.instance_types import catalogue

# What AWS writes before a usage type of a region; some services write it in us-east-1 too, others do not.
_PREFIXES: Mapping[str, tuple[str, ...]] = {
    "us-east-1": ("", "USE1-"),
    "us-west-2": ("USW2-",),
    "eu-west-1": ("EU-", "EUW1-"),
    "eu-central-1": ("EUC1-",),
    "ap-southeast-1": ("APS1-",),
}
_ELSEWHERE = "{elsewhere}"
"""In a usage type: what AWS writes for the region that data goes to."""

# AWS's unit → how many of ours it is.
_UNITS: Mapping[Unit, Mapping[str, Decimal]] = {
    Unit.HOUR: {"Hrs": Decimal(1), "Hours": Decimal(1), "hours": Decimal(1)},
    Unit.GB: {"GB": Decimal(1)},
    Unit.GB_MONTH: {"GB-Mo": Decimal(1)},
    Unit.IOPS_MONTH: {"IOPS-Mo": Decimal(1)},
    Unit.MIBPS_MONTH: {"MiBps-Mo": Decimal(1), "GiBps-mo": Decimal(1024)},
    Unit.LCU_HOUR: {"LCU-Hrs": Decimal(1)},
    Unit.ALARM_MONTH: {"Alarms": Decimal(1)},
    Unit.METRIC_MONTH: {"Metrics": Decimal(1)},
    Unit.REQUESTS_1K: {"Requests": Decimal("0.001")},
    Unit.REQUESTS_1M: {"Requests": Decimal("0.000001")},
    Unit.NOTIFICATIONS_100K: {"Notifications": Decimal("0.00001")},
}


@dataclass(frozen=True)
class Query:
    """One query of the API.

    :ivar filters: TERM_MATCH filters, field by value.
    :ivar usage_types: the usage types that match; the API has no filter for "one of these", and a filter by a part of
        the name also finds others such as `RegionalNatGateway-Hours`.
    :ivar reserved: the terms of a reservation instead of on demand.
    """

    service: str
    filters: Mapping[str, str]
    unit: Unit
    usage_types: tuple[str, ...]
    reserved: Mapping[str, str] | None = None

    def of_ours(self, aws_unit: str) -> Decimal | None:
        """How many of our units one of AWS's is; None for a unit that is not the one meant."""
        return _UNITS[self.unit].get(aws_unit)


def query(key: str, region: str) -> Query | None:
    """The query for a key, or None for an unused key.

    :raises KeyError: for a region that is not in the table.
    """
    prefixes = _PREFIXES[region]
    for pattern, make in _QUERIES:
        if found := re.fullmatch(pattern, key):
            service, filters, unit, usage, reserved = make(found)
            place = "fromRegionCode" if service == "AWSDataTransfer" else "regionCode"
            return Query(
                service,
                {place: region, **filters},
                unit,
                tuple(prefix + one for prefix in prefixes for one in _usages(usage, region)),
                reserved,
            )
    return None


def _usages(usage: str, region: str) -> list[str]:
    """A usage type; for one to another region, that to each of the table: they must have one price."""
    others = [prefix for other, prefixes in _PREFIXES.items() if other != region for prefix in prefixes if prefix]
    return [usage.replace(_ELSEWHERE, prefix) for prefix in others] if _ELSEWHERE in usage else [usage]


def known_regions() -> list[str]:
    return sorted(_PREFIXES)


Made = tuple[str, Mapping[str, str], Unit, str, Mapping[str, str] | None]
_LINUX = {
    "productFamily": "Compute Instance",
    "tenancy": "Shared",
    "operatingSystem": "Linux",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
}
_ONE_YEAR = {"LeaseContractLength": "1yr", "OfferingClass": "standard", "PurchaseOption": "No Upfront"}


def _instance(found: re.Match[str]) -> Made:
    name = found["type"]
    reserved = _ONE_YEAR if found["reserved"] else None
    return "AmazonEC2", {**_LINUX, "instanceType": name}, Unit.HOUR, f"BoxUsage:{name}", reserved


def _database(found: re.Match[str]) -> Made:
    name = found["type"]
    filters = {"instanceType": name, "databaseEngine": "PostgreSQL", "deploymentOption": "Multi-AZ"}
    return "AmazonRDS", filters, Unit.HOUR, f"Multi-AZUsage:{name}", None


def _cache(found: re.Match[str]) -> Made:
    name = found["type"]
    return "AmazonElastiCache", {"instanceType": name, "cacheEngine": "Redis"}, Unit.HOUR, f"NodeUsage:{name}", None


def _fixed(service: str, filters: Mapping[str, str], unit: Unit, usage: str) -> Callable[[re.Match[str]], Made]:
    return lambda _found: (service, filters, unit, usage, None)


_TYPES = "|".join(re.escape(name) for name in catalogue())
_QUERIES: tuple[tuple[str, Callable[[re.Match[str]], Made]], ...] = (
    (rf"ec2\.(?P<type>{_TYPES})\.(?P<reserved>reserved-1yr\.)?hour", _instance),
    (r"rds\.postgres\.multi-az\.(?P<type>db\.[a-z0-9]+\.[a-z0-9]+)\.hour", _database),
    (r"elasticache\.redis\.(?P<type>cache\.[a-z0-9]+\.[a-z0-9]+)\.hour", _cache),
    (r"ebs\.gp3\.gb", _fixed("AmazonEC2", {"volumeApiName": "gp3"}, Unit.GB_MONTH, "EBS:VolumeUsage.gp3")),
    (r"ebs\.gp2\.gb", _fixed("AmazonEC2", {"volumeApiName": "gp2"}, Unit.GB_MONTH, "EBS:VolumeUsage.gp2")),
    (r"ebs\.gp3\.iops", _fixed("AmazonEC2", {"volumeApiName": "gp3"}, Unit.IOPS_MONTH, "EBS:VolumeP-IOPS.gp3")),
    (
        r"ebs\.gp3\.throughput",
        _fixed("AmazonEC2", {"volumeApiName": "gp3"}, Unit.MIBPS_MONTH, "EBS:VolumeP-Throughput.gp3"),
    ),
    (r"nat-gateway\.hour", _fixed("AmazonEC2", {"productFamily": "NAT Gateway"}, Unit.HOUR, "NatGateway-Hours")),
    (r"nat-gateway\.gb", _fixed("AmazonEC2", {"productFamily": "NAT Gateway"}, Unit.GB, "NatGateway-Bytes")),
    # It has no product family.
    (
        r"public-ipv4\.hour",
        _fixed("AmazonVPC", {"group": "VPCPublicIPv4Address"}, Unit.HOUR, "PublicIPv4:InUseAddress"),
    ),
    (
        r"transfer\.internet\.gb",
        _fixed("AWSDataTransfer", {"transferType": "AWS Outbound"}, Unit.GB, "DataTransfer-Out-Bytes"),
    ),
    (
        r"transfer\.cross-zone\.gb",
        _fixed("AWSDataTransfer", {"transferType": "IntraRegion"}, Unit.GB, "DataTransfer-Regional-Bytes"),
    ),
    # Its usage types name both regions.
    (
        r"transfer\.inter-region\.gb",
        _fixed("AWSDataTransfer", {"transferType": "InterRegion Outbound"}, Unit.GB, f"{_ELSEWHERE}AWS-Out-Bytes"),
    ),
    (r"s3\.standard\.gb", _fixed("AmazonS3", {"volumeType": "Standard"}, Unit.GB_MONTH, "TimedStorage-ByteHrs")),
    (r"s3\.put", _fixed("AmazonS3", {"productFamily": "API Request"}, Unit.REQUESTS_1K, "Requests-Tier1")),
    (r"s3\.get", _fixed("AmazonS3", {"productFamily": "API Request"}, Unit.REQUESTS_1K, "Requests-Tier2")),
    (
        r"cloudwatch\.alarm",
        _fixed("AmazonCloudWatch", {"productFamily": "Alarm"}, Unit.ALARM_MONTH, "CW:AlarmMonitorUsage"),
    ),
    (
        r"cloudwatch\.metric",
        _fixed("AmazonCloudWatch", {"productFamily": "Metric"}, Unit.METRIC_MONTH, "CW:MetricMonitorUsage"),
    ),
    (r"sns\.requests", _fixed("AmazonSNS", {"productFamily": "API Request"}, Unit.REQUESTS_1M, "Requests-Tier1")),
    (
        r"sns\.email",
        _fixed("AmazonSNS", {"productFamily": "Message Delivery"}, Unit.NOTIFICATIONS_100K, "DeliveryAttempts-SMTP"),
    ),
    (
        r"alb\.hour",
        _fixed("AWSELB", {"productFamily": "Load Balancer-Application"}, Unit.HOUR, "LoadBalancerUsage"),
    ),
    (r"alb\.lcu", _fixed("AWSELB", {"productFamily": "Load Balancer-Application"}, Unit.LCU_HOUR, "LCUUsage")),
    (
        r"rds\.multi-az\.gp3\.gb",
        _fixed("AmazonRDS", {"deploymentOption": "Multi-AZ"}, Unit.GB_MONTH, "RDS:Multi-AZ-GP3-Storage"),
    ),
)
