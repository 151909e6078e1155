"""Made-up hosts behind the API's Run Command: an instance that is new runs what its tier's pointer says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lab.aws.model import InstanceState
from lab.aws.request import AwsRequest
from lab.aws.run_command import Outcome, RunCommand
from lab.aws.service import AwsService
from lab.aws.snapshot import read_snapshot
from ops.estate import CommandResult
from spec.pointer import Pointer
from spec.tiers import Tier
from tests.unit.ops.fake_hosts import FakeHost, FakeHosts

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

BUCKET = "ha-dev-123456789012-us-east-1"
OTHER_ACCESS_KEY, OTHER_ACCOUNT = "AKIAOTHERACCOUNT0000", "210987654321"


class Hosts(FakeHosts):
    """The hosts of the instances that run. `at_hand_over`: for each that handed over, what was still whole then."""

    def __init__(self, api: AwsService) -> None:
        super().__init__("")
        self.api = api
        self.layer = RunCommand(self._run, self._names)
        self.at_hand_over: dict[str, bool] = {}
        self.pointer_at_change: list[Pointer] = []
        self._instances: dict[str, str] = {}

    def pointer(self, tier: Tier) -> Pointer:
        """What a tier's pointer says."""
        found = self.api.client("s3").get_object(Bucket=BUCKET, Key=Pointer.key(tier))
        return Pointer.from_json(found["Body"].read(), where=tier)

    def keys(self, prefix: str) -> set[str]:
        """The objects in the artifact bucket."""
        found = self.api.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return {one["Key"] for one in found.get("Contents", ())}

    def ids(self) -> dict[str, str]:
        """The running instances, by host."""
        return {name: instance for instance, name in self._names().items()}

    def is_whole(self, name: str) -> bool:
        """Whether an instance runs and has its volume."""
        snapshot = read_snapshot(self.api.snapshot_clients())
        running = {one.name: one.id for one in snapshot.instances if one.state is InstanceState.RUNNING}
        with_volume = {one.attachment.instance_id for one in snapshot.volumes if one.attachment and one.tags}
        return running.get(name) in with_volume

    def ask(self, name: str, command: str) -> CommandResult:
        if command.startswith("ha-bundle change"):
            self.pointer_at_change.append(self.pointer(self[name].tier))
        elif not command.startswith("ha-"):
            self.at_hand_over[name] = self.is_whole(name)
        return super().ask(name, command)

    def _names(self) -> dict[str, str]:
        described = self.api.client("ec2").describe_instances(
            Filters=[{"Name": "instance-state-name", "Values": ["running"]}]
        )
        return {
            one["InstanceId"]: tag["Value"]
            for reservation in described["Reservations"]
            for one in reservation["Instances"]
            for tag in one["Tags"]
            if tag["Key"] == "ha:host"
        }

    def __getitem__(self, name: str) -> FakeHost:
        instance_id = self.ids()[name]
        if self._instances.get(name) != instance_id:
            self._instances[name] = instance_id
            self[name] = host = FakeHost(name)
            host.placed = host.confirmed = self.pointer(host.tier)
        return self.hosts[name]

    def _run(self, instance_id: str, lines: Sequence[str], _: float) -> Outcome:
        name = self._names()[instance_id]
        done = self.ask(name, lines[0])
        return Outcome(done.exit_code, done.stdout, done.stderr)


class OtherAccount:
    """A layer that answers whose the other key is."""

    def handle(self, request: AwsRequest, start_response: StartResponse) -> Iterable[bytes] | None:
        if request.credential is None or request.credential.access_key != OTHER_ACCESS_KEY:
            return None
        if request.operation != "GetCallerIdentity":
            return None
        start_response("200 OK", [("Content-Type", "text/xml")])
        arn = f"arn:aws:iam::{OTHER_ACCOUNT}:user/other"
        result = f"<UserId>A</UserId><Account>{OTHER_ACCOUNT}</Account><Arn>{arn}</Arn>"
        text = f"<GetCallerIdentityResult>{result}</GetCallerIdentityResult>"
        return [f"<GetCallerIdentityResponse>{text}</GetCallerIdentityResponse>".encode()]
