"""The engine's resource hooks: what happens in the running estate around a change of a pointer or a host.

Delete hooks come from the state of the last update, so a hook's name must never change.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import pulumi

from components.hosts import ChangeHooks
from ops import objects, record, roll_out
from ops.connect import connect
from ops.estate import Estate
from ops.in_service import InServiceGate, estate_was_complete
from ops.lease import Lease, process_lease
from ops.overrides import Overrides
from spec.changes import FIXED, IN_FORCE_KEY, of_this_version, refused
from spec.errors import HaError
from spec.in_service import host_of
from spec.overrides import DESTROY, GATES, WITHOUT
from spec.pointer import Pointer
from spec.scope import Scope
from spec.settings import Settings
from spec.tiers import Tier

Inputs = Mapping[str, Any]


def change_hooks(scope: Scope, settings: Settings) -> ChangeHooks:
    """The hooks of this run of the program, on an engine.

    :raises HaError: when the artifact bucket cannot be read with the caller's credentials.
    """
    change = _Change(scope, connect(scope.stack, settings), frozenset(plan.name for plan in settings.plan_hosts()))
    settles = {tier: record.settles(record.read(change.s3, scope.artifact_bucket, tier)) for tier in Tier}
    change.refuse_older_estate()
    _ = change.complete  # as it is now, before anything is made
    return ChangeHooks(
        settings=pulumi.ResourceHookBinding(
            before_update=[_hook("refuses", change.refuses, pulumi.ResourceHookOptions(on_dry_run=True))],
            before_delete=[_hook("stays", change.stays)],
        ),
        pointer=pulumi.ResourceHookBinding(
            before_create=[_hook("roll-out-anew", change.roll_out)],
            after_create=[_hook("rolled-out-anew", change.rolled_out)],
            before_update=[_hook("roll-out", change.roll_out)],
            after_update=[_hook("rolled-out", change.rolled_out)],
        ),
        in_service=pulumi.ResourceHookBinding(
            before_create=[_hook("serves", change.serves)],
            before_update=[_hook("still-serves", change.serves)],
            before_delete=[_hook("hands-over", change.hands_over)],
        ),
        estate=pulumi.ResourceHookBinding(before_delete=[_hook("destroys", change.destroys)]),
        settles=settles,
    )


def _hook(
    name: str, act: Callable[[pulumi.ResourceHookArgs], None], opts: pulumi.ResourceHookOptions | None = None
) -> pulumi.ResourceHook:
    async def run(args: pulumi.ResourceHookArgs) -> None:
        # In a thread: the program's event loop has to answer the engine meanwhile.
        await asyncio.to_thread(act, args)

    return pulumi.ResourceHook(name, run, opts)


@dataclass(frozen=True)
class _Change:
    scope: Scope
    estate: Estate
    planned: frozenset[str]

    @cached_property
    def s3(self) -> Any:
        return self.estate.client("s3")

    @cached_property
    def account(self) -> str:
        return str(self.estate.client("sts").get_caller_identity()["Account"])

    @cached_property
    def complete(self) -> bool:
        return estate_was_complete(self.s3, self.scope.artifact_bucket)

    @cached_property
    def overrides(self) -> Overrides:
        return Overrides(
            s3=self.s3,
            sns=self.estate.client("sns"),
            bucket=self.scope.artifact_bucket,
            topic_arn=self.scope.alert_topic_arn,
            say=_say,
        )

    def refuse_older_estate(self) -> None:
        """:raises HaError: for hosts whose files were in their user data: to change them in place is not possible."""
        pointed = any(objects.read(self.s3, self.scope.artifact_bucket, Pointer.key(tier)).body for tier in Tier)
        if not pointed and (hosts := self.estate.instances()):
            raise HaError(
                f"{', '.join(one.host for one in hosts)} were made by version 0.1.0: an estate of it is rebuilt, not "
                "converted",
                where=f"the stack {self.scope.stack}",
                fix="see CHANGELOG.md; or go on with the version that made it",
            )

    def refuses(self, args: pulumi.ResourceHookArgs) -> None:
        """An estate whose first creation failed takes every change: what made it fail may be among them.

        :raises HaError: with each change that the running estate cannot take; at preview too. No host is called.
        """
        if not self.complete:
            return
        new = Settings.model_validate(json.loads(str((args.new_inputs or {})["content"]))["settings"], strict=False)
        # After an update that failed, hosts have the settings that were wanted then, or still those before.
        found = [str((args.old_inputs or {})["content"]), self._in_force()]
        refused = list(dict.fromkeys(why for document in found if document for why in _refused(document, new)))
        if refused and os.environ.get(GATES) != "off":
            raise self._cannot("\n".join(f"  - {reason}" for reason in refused))
        if refused and not pulumi.runtime.is_dry_run():
            self.overrides.passed("; ".join(refused))

    def _in_force(self) -> str:
        return (objects.read(self.s3, self.scope.artifact_bucket, IN_FORCE_KEY).body or b"").decode()

    def stays(self, args: pulumi.ResourceHookArgs) -> None:
        """Before the object of the settings is deleted: by a destroy, or because its bucket is to be another one."""
        if self.complete and os.environ.get(DESTROY) != "1" and os.environ.get(GATES) != "off":
            raise self._cannot(f"  - {FIXED['artifact_bucket']}: neither its name nor the region can change")

    def _cannot(self, reasons: str) -> HaError:
        return HaError(
            f"the running estate cannot take this change; nothing was changed\n{reasons}",
            where=f"Pulumi.{self.scope.stack}.yaml",
            fix=f"undo it, or accept an outage: {GATES}=off",
        )

    def roll_out(self, args: pulumi.ResourceHookArgs) -> None:
        """Before a pointer is written. One that is made anew while hosts run, because it was deleted by hand, names
        what they shall run as well.
        """
        new = args.new_inputs or {}
        old = args.old_inputs or new
        self._check_account()
        if not self.complete:
            if args.old_inputs:
                self._postpone(old, new)
            return
        roll_out.RollOut(
            estate=self.estate,
            s3=self.s3,
            bucket=self.scope.artifact_bucket,
            lease=self._lease(),
            tier=_tier(new),
            before=self._pointed(old),
            to=_pointer(new),
            settles=_settles(new),
            say=_say,
            planned=self.planned,
            passed=self.overrides.passed if os.environ.get(GATES) == "off" else None,
            without=[name.strip() for name in os.environ.get(WITHOUT, "").split(",") if name.strip()],
        ).run()

    def _postpone(self, old: Inputs, new: Inputs) -> None:
        """Leave the record open: hosts that booted with the old pointer are settled once there is an estate, whose
        health can be waited for.
        """
        tier, to = _tier(new), _pointer(new)
        self._lease().take()
        last = record.read(self.s3, self.scope.artifact_bucket, tier)
        now = datetime.now(UTC)
        opened = record.opened(last, tier=tier, before=_pointer(old), to=to, began=now, settles=_settles(new))
        record.write(self.s3, self.scope.artifact_bucket, opened)
        _say(f"{tier}: the estate was never complete: the `pulumi up` after this one brings {to} to its running hosts")

    def _pointed(self, old: Inputs) -> Pointer:
        """What the pointer says: not what the state says, if an engine was killed after it had written the pointer."""
        stored = objects.read(self.s3, self.scope.artifact_bucket, str(old["key"]))
        try:
            return Pointer.from_json(stored.body or b"", where=str(old["key"]))
        except HaError:  # this update writes it again
            return _pointer(old)

    def rolled_out(self, args: pulumi.ResourceHookArgs) -> None:
        if self.complete:
            bucket, tier = self.scope.artifact_bucket, _tier(args.new_inputs or {})
            roll_out.finish(self.estate, self.s3, bucket, tier, _say)

    def destroys(self, args: pulumi.ResourceHookArgs) -> None:
        """Before the object that says that the estate was complete: only a destroy deletes it, and first of all."""
        if os.environ.get(DESTROY) != "1":
            raise HaError(
                f"the stack {self.scope.stack} is not destroyed",
                where=str((args.old_inputs or {}).get("key")),
                fix=f"{DESTROY}=1 pulumi destroy --run-program",
            )
        if launched := self.estate.on_demand():
            raise HaError(
                f"{', '.join(one.host for one in launched)} is there, which no state knows: its subnet and its group "
                "cannot be deleted",
                where=f"the stack {self.scope.stack}",
                fix="end it first: `ha db restore --end`",
            )

    def hands_over(self, args: pulumi.ResourceHookArgs) -> None:
        host = host_of(str((args.old_inputs or {})["key"]))
        if not self.complete:
            return  # of an estate that was never complete nobody waits for the rest
        # A destroy deletes the estate's object before any host: one that is there means that the word was left behind.
        if os.environ.get(DESTROY) == "1" and not estate_was_complete(self.s3, self.scope.artifact_bucket):
            return
        self._check_account()
        if os.environ.get(GATES) == "off":
            self.overrides.passed(f"{host} does not hand over")
            return
        self._lease().take()
        self._gate().hand_over(host)

    def serves(self, args: pulumi.ResourceHookArgs) -> None:
        host = host_of(str((args.new_inputs or {})["key"]))
        self._check_account()
        if not self.complete:
            return  # at the first creation hosts wait for each other
        if os.environ.get(GATES) == "off":
            self.overrides.passed(f"{host} is not waited for")
            return
        self._gate().gate(host)

    def _gate(self) -> InServiceGate:
        return InServiceGate(estate=self.estate, say=_say)

    def _lease(self) -> Lease:
        return process_lease(self.s3, self.scope.artifact_bucket, "pulumi up")

    def _check_account(self) -> None:
        """:raises HaError: when these credentials are not those of the provider, which may take others."""
        if self.account != self.scope.account:
            raise HaError(
                f"the credentials are of the account {self.account}, but the provider's are of {self.scope.account}",
                where="the hooks, which use boto3's credentials",
                fix="give both the same: AWS_PROFILE, or the provider's settings in the stack file",
            )


def _tier(inputs: Inputs) -> Tier:
    return Tier(str(inputs["key"]).rpartition("/")[2])


def _pointer(inputs: Inputs) -> Pointer:
    return Pointer.from_json(str(inputs["content"]), where=str(inputs["key"]))


def _refused(document: str, new: Settings) -> list[str]:
    """What the change from the settings of a document to new ones is refused for."""
    old = json.loads(document)
    if of_this_version(old["settings"]) is None:
        pulumi.log.warn(
            "the settings of the running estate are of another version: only those that can never change are checked"
        )
    return refused(old["settings"], old["ports"], new)


def _settles(inputs: Inputs) -> int:
    return int((inputs.get("metadata") or {}).get("settles", 0))


def _say(line: str) -> None:
    pulumi.log.info(line)
