"""A running estate, on AWS or in the lab: AWS's API by boto3, hosts by SSM Run Command."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ops.runs import clean, printable
from spec.errors import HaError
from spec.tags import HOST_TAG, NAME_TAG, STACK_TAG, TIER_TAG, public_address_name
from spec.tiers import Tier

Target = Literal["aws", "lab"]
_FIRST_POLL_S, _LAST_POLL_S = 0.1, 1.5  # the API allows few calls a second
_AGENTS_WORD = re.compile(r"\n?failed to run commands: exit status \d+\s*$")
"""The agent adds it to what a command that failed wrote to standard error."""
_RUN_COMMAND = Config(retries={"mode": "standard", "total_max_attempts": 10}, max_pool_connections=32)
"""All hosts are asked at once: a call that is throttled must not make a host count as down."""


@dataclass(frozen=True)
class Instance:
    """A host's instance as EC2 lists it; `state` is EC2's.

    `public_address`: the estate's public address, on the host that has it; not a host's own one.
    """

    instance_id: str
    host: str
    tier: Tier
    address: str
    public_address: str | None
    zone: str
    state: str


@dataclass(frozen=True)
class CommandResult:
    """The result of a command on a host."""

    exit_code: int
    stdout: str
    stderr: str


class CommandFailed(HaError):
    """A command that could not be run on a host, or did not end in time; a console that cannot be read."""


@dataclass(frozen=True)
class Estate:
    """One stack, found by its tags.

    :param url_of: the URL of a public address. In the lab that is a port of this machine.
    """

    stack: str
    region: str
    target: Target
    session: boto3.Session
    endpoint_url: str | None = None
    url_of: Callable[[str], str] = "http://{}".format

    @cached_property
    def _ec2(self) -> Any:
        return self.client("ec2")

    @cached_property
    def _ssm(self) -> Any:
        return self.client("ssm", _RUN_COMMAND)

    def prepare(self) -> None:
        """Create the clients before threads share them."""
        _ = self._ec2, self._ssm

    def client(self, service: str, config: Config | None = None) -> Any:
        """A boto3 client of the estate's account and region. Threads may share clients, but must not create them."""
        session: Any = self.session  # its types accept service names only as literals
        return session.client(service, region_name=self.region, endpoint_url=self.endpoint_url, config=config)

    def instances(self) -> list[Instance]:
        """The stack's hosts that the program made, by name, without terminated ones.

        :raises HaError: when a call to AWS fails.
        """
        return [one for one in self._instances() if not one.tier.traits.on_demand]

    def on_demand(self) -> list[Instance]:
        """The stack's hosts that an operation launched. :raises HaError: when a call to AWS fails."""
        return [one for one in self._instances() if one.tier.traits.on_demand]

    def _instances(self) -> list[Instance]:
        filters = [
            {"Name": f"tag:{STACK_TAG}", "Values": [self.stack]},
            {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped", "shutting-down"]},
        ]
        try:
            pages = self._ec2.get_paginator("describe_instances").paginate(Filters=filters)
            described = [i for page in pages for r in page["Reservations"] for i in r["Instances"]]
            public = {a.get("InstanceId"): a["PublicIp"] for a in self._public_addresses()}
        except (BotoCoreError, ClientError) as error:
            raise HaError(
                f"the hosts of {self.stack!r} cannot be listed: {error}",
                where=f"{self.target}, region {self.region}",
                fix="check the credentials and the region, or use the lab: ha --lab COMMAND",
            ) from None
        found = [_instance(one, public) for one in described]
        return sorted((i for i in found if i is not None and i.state != "shutting-down"), key=lambda i: i.host)

    def _public_addresses(self) -> list[dict[str, Any]]:
        """The estate's public Elastic IP; empty before it exists."""
        known = {STACK_TAG: self.stack, NAME_TAG: public_address_name(self.stack)}
        filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in known.items()]
        found: list[dict[str, Any]] = self._ec2.describe_addresses(Filters=filters)["Addresses"]
        return found

    def run(self, instance_id: str, command: str, *, timeout_s: int = 30) -> CommandResult:
        """Run a shell command as root on a host, through SSM.

        :raises CommandFailed: when the host has no agent, does not answer within `timeout_s`, or SSM refuses.
        """
        ssm = self._ssm
        try:
            sent = ssm.send_command(
                InstanceIds=[instance_id],
                DocumentName="AWS-RunShellScript",
                TimeoutSeconds=max(30, timeout_s),  # SSM's minimum is 30
                Parameters={"commands": [command], "executionTimeout": [str(timeout_s)]},
            )
            return self._await(ssm, sent["Command"]["CommandId"], instance_id, timeout_s)
        except (BotoCoreError, ClientError) as error:
            raise CommandFailed(f"SSM cannot run a command: {error}", where=instance_id) from None

    def _await(self, ssm: Any, command_id: str, instance_id: str, timeout_s: int) -> CommandResult:
        deadline = time.monotonic() + timeout_s
        pause_s = _FIRST_POLL_S
        while time.monotonic() < deadline:
            try:
                seen = ssm.get_command_invocation(CommandId=command_id, InstanceId=instance_id)
            except ssm.exceptions.InvocationDoesNotExist:  # SSM is eventually consistent
                seen = {"Status": "Pending"}
            if seen["Status"] not in ("Pending", "InProgress", "Delayed"):
                if seen["ResponseCode"] < 0:
                    raise CommandFailed(f"SSM reports {seen['StatusDetails']}", where=instance_id)
                stderr = _AGENTS_WORD.sub("", seen["StandardErrorContent"])
                return CommandResult(seen["ResponseCode"], seen["StandardOutputContent"], stderr)
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LAST_POLL_S)
        raise CommandFailed(f"no answer within {timeout_s} s", where=instance_id)

    def console(self, instance_id: str) -> str:
        """What a host printed on its console: the last 64 KB. Data, as it came.

        :raises CommandFailed: when EC2 does not show it.
        """
        try:
            # `Latest`: now. Else EC2 shows what there was shortly after the last start, stop or reboot.
            answer = self._ec2.get_console_output(InstanceId=instance_id, Latest=True)
        except (BotoCoreError, ClientError) as error:
            raise CommandFailed(f"the console cannot be read: {error}", where=instance_id) from None
        return str(answer.get("Output", ""))

    def report(self, instance_id: str, *, timeout_s: int = 30) -> dict[str, Any]:
        """A host's own report (`ha-report`), its texts bounded and without control sequences.

        :raises CommandFailed: when there is none.
        """
        result = self.run(instance_id, "ha-report", timeout_s=timeout_s)
        try:
            document = clean(json.loads(result.stdout))
        except (ValueError, RecursionError):  # a host's output is data: of any form, nested and long
            tail = "".join(printable(result.stderr or result.stdout).splitlines()[-1:]).strip()
            raise CommandFailed(f"ha-report printed no report: {tail[-400:]}", where=instance_id) from None
        if not isinstance(document, dict):
            raise CommandFailed("ha-report printed no report", where=instance_id)
        return document


def _instance(description: dict[str, Any], public: Mapping[str | None, str]) -> Instance | None:
    """None for an instance that is not ours: it has the stack's tag, but none of our tiers."""
    tags = {t["Key"]: t["Value"] for t in description.get("Tags", [])}
    if tags.get(TIER_TAG) not in set(Tier):
        return None
    return Instance(
        instance_id=description["InstanceId"],
        host=tags.get(HOST_TAG, description["InstanceId"]),
        tier=Tier(tags[TIER_TAG]),
        address=description.get("PrivateIpAddress", ""),
        public_address=public.get(description["InstanceId"]),
        zone=description["Placement"]["AvailabilityZone"],
        state=description["State"]["Name"],
    )
