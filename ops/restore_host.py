"""The host of a restore: launched from the template that the program made, ended by a command, or by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from ops import host_job
from ops.estate import CommandFailed, CommandResult, Estate, Instance
from ops.host_job import StillRuns
from ops.runs import mapping, printable
from spec.errors import HaError
from spec.scope import Scope
from spec.tiers import Tier

BOOT_S: Final = 2400.0
"""On Debian's own image a t3 without CPU credits installs packages first: docs/fidelity.md."""
LISTED_S: Final = 60.0
"""How long EC2 may take to list what it launched."""
_POLL_S: Final = 3.0

Say = Callable[[str], None]


def refuse_second(estate: Estate) -> None:
    """:raises HaError: when there is a host with a restored database already."""
    for one in estate.on_demand():
        raise HaError(
            f"{one.host} ({one.instance_id}) is {one.state} already, for another restore",
            where=f"{estate.stack} on {estate.target}",
            fix="use what it holds, or end it: `ha db restore --end`",
        )


def launch(estate: Estate, scope: Scope, say: Say) -> Instance:
    """:raises HaError: when EC2 refuses."""
    name = scope.launch_template_name(Tier.RESTORE)
    try:
        answer = estate.client("ec2").run_instances(
            LaunchTemplate={"LaunchTemplateName": name, "Version": "$Default"}, MinCount=1, MaxCount=1
        )
    except (BotoCoreError, ClientError) as error:
        raise _launch_refused(estate, name, error) from None
    instance_id = str(answer["Instances"][0]["InstanceId"])
    say(f"launched {instance_id}")
    deadline = time.monotonic() + LISTED_S
    while time.monotonic() < deadline:  # EC2 is eventually consistent
        for one in estate.on_demand():
            if one.instance_id == instance_id:
                return one
        time.sleep(_POLL_S)
    raise HaError(
        f"EC2 launched {instance_id}, but does not list it with the stack's tags",
        where=name,
        fix=f"end it: `aws ec2 terminate-instances --instance-ids {instance_id}`",
    )


def _launch_refused(estate: Estate, name: str, error: Exception) -> HaError:
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    if code == "InvalidIPAddress.InUse":
        return HaError(
            "another restore began at the same moment: its host has the address",
            where=f"{estate.stack} on {estate.target}",
            fix="wait for it, or end it: `ha db restore --end`",
        )
    if code.startswith("InvalidLaunchTemplateName"):
        return HaError(
            f"there is no launch template {name}",
            where=f"{estate.stack} on {estate.target}",
            fix="this estate was made by a version without it: `pulumi up` makes it, and changes no host",
        )
    return HaError(
        f"no host could be launched: {error}",
        where=f"the launch template {name}",
        fix="docs/recovery.md says which rights it takes (docs/policies/operator-restore.json)",
    )


def await_ready(estate: Estate, host: Instance, say: Say) -> None:
    """Wait until the set-up of the host has ended. :raises HaError: when it failed or takes too long."""
    deadline, said = time.monotonic() + BOOT_S, ""
    while time.monotonic() < deadline:
        try:
            setup = mapping(estate.report(host.instance_id).get("setup"))
        except CommandFailed:  # its agent is not there yet
            setup = {}
        if setup.get("state") == "ready":
            return
        if setup.get("state") == "failed":
            raise HaError(
                f"the set-up failed at {setup.get('step')}: {printable(str(setup.get('error')))[-400:]}",
                where=host.host,
                fix="run it again; if it fails again, fix what the step says",
            )
        text = f"{host.host}: {setup.get('step') or 'boots'}"
        if text != said:
            said = text
            say(text)
        time.sleep(_POLL_S)
    raise HaError(
        f"it was not ready within {BOOT_S / 60:.0f} min",
        where=f"{host.host} ({host.instance_id})",
        fix="`aws ec2 get-console-output --latest` shows what it printed",
    )


def run_job(estate: Estate, host: Instance, name: str, command: str, say: Say) -> CommandResult:
    """Run a job of a host and say what it writes meanwhile."""
    try:
        host_job.start(estate, host, name, command)
    except StillRuns:
        raise HaError(
            f"{name} is under way already", where=host.host, fix="wait for its end, or end the host"
        ) from None
    return host_job.wait(estate, host, name, _Progress(estate, host, name, say))


class _Progress:
    """Says the newest line that a job wrote, when it is another one."""

    def __init__(self, estate: Estate, host: Instance, job: str, say: Say) -> None:
        self._estate, self._host, self._job, self._say = estate, host, job, say
        self._said = ""

    def __call__(self) -> None:
        try:
            line = host_job.newest_line(self._estate, self._host, self._job)
        except HaError:  # the job's own end says what is wrong
            return
        if line and line != self._said:
            self._said = line
            self._say(f"{self._host.host}: {line}")


def end_all(estate: Estate, say: Say) -> list[str]:
    """Terminate every host that a restore launched; their names."""
    hosts = estate.on_demand()
    for one in hosts:
        say(f"ending {one.host} ({one.instance_id})")
        end(estate, one)
    return [one.host for one in hosts]


def end(estate: Estate, host: Instance) -> None:
    """Terminate a restore's host, with its volumes. :raises HaError: when EC2 refuses."""
    try:
        estate.client("ec2").terminate_instances(InstanceIds=[host.instance_id])
    except (BotoCoreError, ClientError) as error:
        raise HaError(
            f"{host.host} ({host.instance_id}) could not be ended: {error}",
            where=f"{estate.stack} on {estate.target}",
            fix="it ends by itself a day after its launch",
        ) from None


def ends(estate: Estate, host: Instance) -> str | None:
    try:
        found = mapping(estate.report(host.instance_id).get("facts")).get("ends")
    except CommandFailed:
        return None
    return found if isinstance(found, str) else None
