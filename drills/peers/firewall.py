"""Opens the security groups for a contender's own traffic while it is deployed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from ops.estate import Estate
from spec import ports
from spec.errors import HaError
from spec.flows import TCP, Flow, Peer
from spec.tags import STACK_TAG, TIER_TAG
from spec.tiers import Tier

ETCD_CLIENTS = 2379
ETCD_MEMBERS = 2380
_MEMBERS = ((Tier.DB, Tier.DB), (Tier.DB, Tier.MONITOR), (Tier.MONITOR, Tier.DB))
PATRONI_FLOWS: tuple[Flow, ...] = (
    *(Flow(source, target, ETCD_MEMBERS, "etcd members") for source, target in _MEMBERS),
    *(Flow(Tier.DB, target, ETCD_CLIENTS, "Patroni to etcd") for target in (Tier.DB, Tier.MONITOR)),
    Flow(Tier.DB, Tier.DB, ports.PRIMARY_CHECK, "Patroni members"),
)


class Firewall:
    """The stack's security groups. Both methods may be called twice."""

    def __init__(self, estate: Estate) -> None:
        self._ec2 = estate.client("ec2")
        filters = [{"Name": f"tag:{STACK_TAG}", "Values": [estate.stack]}]
        self._groups: dict[Peer, str] = {}
        for group in self._ec2.describe_security_groups(Filters=filters)["SecurityGroups"]:
            tags = {tag["Key"]: tag["Value"] for tag in group.get("Tags", [])}
            if TIER_TAG in tags:
                self._groups[Tier(tags[TIER_TAG])] = group["GroupId"]

    def open(self, flows: Sequence[Flow]) -> None:
        """Allows flows between two tiers."""
        for flow in flows:
            self._each_end("authorize", flow, tolerated="InvalidPermission.Duplicate")

    def close(self, flows: Sequence[Flow]) -> None:
        """Forbids them again."""
        for flow in flows:
            self._each_end("revoke", flow, tolerated="InvalidPermission.NotFound")

    def _each_end(self, verb: str, flow: Flow, *, tolerated: str) -> None:
        ends = (("egress", flow.source, flow.target), ("ingress", flow.target, flow.source))
        for direction, own, peer in ends:
            permission: dict[str, Any] = {
                "IpProtocol": TCP,
                "FromPort": flow.port,
                "ToPort": flow.port,
                "UserIdGroupPairs": [{"GroupId": self._groups[peer]}],
            }
            call = getattr(self._ec2, f"{verb}_security_group_{direction}")
            try:
                call(GroupId=self._groups[own], IpPermissions=[permission])
            except ClientError as error:
                if error.response["Error"]["Code"] != tolerated:
                    raise HaError(
                        f"cannot {verb} the flow {flow.name}: {error}", where=f"the security group of {own}"
                    ) from None
