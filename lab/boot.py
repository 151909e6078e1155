"""Boots a stack in the lab: starts the lab, applies the program, waits for the hosts and then for the whole estate."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from components.bundles import bundles
from components.user_data import user_data
from lab.connect import connect, require_stack
from lab.engine import Engine, Event, Message, Step
from lab.image.contents import ImageKind
from lab.lab import HostPhase, Lab, LabOptions
from lab.program import host_contexts
from lab.supervisor.config import MachineImage
from ops.status import Status, await_healthy
from spec.errors import EXIT_USAGE, HaError, Problem, SettingsError
from spec.project import REPOSITORY
from spec.release import find_release
from spec.settings import Settings
from spec.stack_file import load_settings, stack_file

# A boot that takes longer is reported as failed. Bare hosts download half a gigabyte each.
SETUP_DEADLINE_S = {ImageKind.FULL: 300, ImageKind.BARE: 1800}
HEALTHY_DEADLINE_S = 120
DEFAULT_PORTS = {80: 8080, 443: 8443}
_HOSTS_POLL_S = 0.3
_LOG_LINES = 15


class Progress(Protocol):
    """Shows the progress of a boot."""

    def step(self, text: str) -> None:
        """The next part begins."""

    def count(self, done: int, latest: str) -> None:
        """How many resources are done, and the last of them."""

    def phases(self, phases: Sequence[HostPhase]) -> None:
        """How far each host has come."""


def check(stack: str) -> Settings:
    """Check settings, release, bundles and user data, before anything is made. :raises HaError: exit code 2."""
    settings = load_settings(REPOSITORY, stack)
    find_release(settings, REPOSITORY, source=stack_file(REPOSITORY, stack).name)
    contexts = host_contexts(stack, settings).values()
    bundles(contexts)
    for context in contexts:
        user_data(context)
    return settings


def check_zones(stack: str, settings: Settings) -> None:
    """Check that the stack's zones exist in the lab's AWS. :raises SettingsError: naming those that do not."""
    from lab.aws.moto_internals import zones_of

    known = zones_of(settings.region)
    if missing := [zone for zone in settings.network.zones if zone not in known]:
        allowed = f"the zones of {settings.region} are {', '.join(known)}" if known else "the lab has no such region"
        problem = Problem(path="network.zones", given=", ".join(missing), allowed=allowed)
        raise SettingsError(f"Pulumi.{stack}.yaml", [problem])


def engine_of(lab: Lab, project_dir: Path = REPOSITORY) -> Engine:
    """The engine, on the running lab's AWS, with the program of a folder. :raises HaError: when no lab runs."""
    return Engine(
        project_dir=project_dir,
        state_dir=lab.paths.state,
        endpoint_url=lab.endpoint_url,
        prefix=[str(word) for word in lab.for_engine()],
    )


def boot(
    stack: str,
    *,
    bare_image: bool,
    http_port: int | None,
    https_port: int | None,
    progress: Progress,
) -> Status:
    """Boots a stack, or applies its settings to the lab that runs.

    :raises HaError: exit 2 when something is refused and nothing was made; exit 1 naming a host that failed to boot,
        with the failing step and the last lines of its log; the other hosts stay up.
    """
    settings = check(stack)
    lab = Lab()
    if lab.running():
        require_stack(lab, stack)
        if bare_image or http_port or https_port:
            raise HaError(
                "the lab is running already: its image and its ports cannot be changed",
                where=str(lab.paths.state),
                fix="leave these options out to apply the settings, or run `ha lab down` first",
                exit_code=EXIT_USAGE,
            )
    else:
        check_zones(stack, settings)
        ports = {80: http_port or DEFAULT_PORTS[80], 443: https_port or DEFAULT_PORTS[443]}
        _start(lab, stack, settings, bare_image=bare_image, ports=ports, progress=progress)
    planned = [h.name for h in settings.plan_hosts()]
    with _reporting_its_end(lab):
        image_kind = ImageKind(lab.status()["image"])
        progress.step("applying the program")
        engine_of(lab).up(stack, _showing(progress))
        progress.step("waiting for the hosts")
        _await_hosts(lab, planned, progress.phases, deadline_s=SETUP_DEADLINE_S[image_kind])
        progress.step("waiting for a healthy estate")
        return await_healthy(connect(lab, stack, settings), planned, deadline_s=HEALTHY_DEADLINE_S)


@contextlib.contextmanager
def _reporting_its_end(lab: Lab) -> Iterator[None]:
    """If the lab was ended during the block, raise that instead of the error that follows from it. :raises HaError:"""
    try:
        yield
    except Exception as error:  # each part fails in its own way without a lab
        if not lab.ended():
            raise
        raise HaError(
            "the lab was ended before the stack was up", where=str(lab.paths.state), fix="`ha lab up` starts it again"
        ) from error


def _start(
    lab: Lab, stack: str, settings: Settings, *, bare_image: bool, ports: Mapping[int, int], progress: Progress
) -> None:
    image = settings.image
    options = LabOptions(
        stack=stack,
        region=settings.region,
        image_kind=ImageKind.BARE if bare_image else ImageKind.FULL,
        machine_images=(MachineImage(name=image.name, owner=image.owner, architecture=image.architecture),),
        ports=dict(ports),
        hosts=len(settings.plan_hosts()),
        vpc_ranges=(settings.network.cidr,),
    )
    lab.start(options, progress.step)


def _showing(progress: Progress) -> Callable[[Event], None]:
    """Counts the resources that the engine is done with, and shows what the program says of its hosts."""
    done = 0

    def show(event: Event) -> None:
        nonlocal done
        if isinstance(event, Message) and event.severity == "info":
            progress.step(event.text)
        if isinstance(event, Step) and event.status == "done" and event.op != "same":
            done += 1
            progress.count(done, f"{event.op} {event.name}")

    return show


def _await_hosts(
    lab: Lab, planned: Sequence[str], show: Callable[[Sequence[HostPhase]], None], *, deadline_s: float
) -> None:
    """Waits until every planned host has set itself up. :raises HaError: for those that failed or did not in time."""
    deadline = time.monotonic() + deadline_s
    while True:
        phases = lab.host_phases()
        show(phases)
        by_name = {p.name: p for p in phases}
        if failed := [p for p in phases if p.stage in ("failed", "crashed")]:
            raise HaError(
                "\n".join(_described(lab, p) for p in failed),
                where=", ".join(str(p.logs) for p in failed),
                fix="read `ha lab logs HOST` or open `ha lab shell HOST`: hosts stay up until `ha lab down`",
            )
        waiting = [name for name in planned if name not in by_name or by_name[name].stage != "ready"]
        if not waiting:
            return
        if time.monotonic() > deadline:
            described = [
                _described(lab, by_name[n]) if n in by_name else f"{n}: no such host in the lab" for n in waiting
            ]
            raise HaError(
                f"hosts not ready within {deadline_s:.0f} s\n" + "\n".join(described),
                where=str(lab.paths.hosts_logs),
                fix="read `ha lab logs HOST`; a slow host may still become ready: see `ha --lab status`",
            )
        time.sleep(_HOSTS_POLL_S)


def _described(lab: Lab, phase: HostPhase) -> str:
    """A failed host, its step and the last lines of its error or log."""
    lines = phase.error.strip().splitlines()
    logs = lab.logs(phase.name)
    if not lines and logs:
        # The log of its set-up if it got that far, else that of its console.
        log = next((p for p in logs if p.name == "ha-setup.log"), logs[0])
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    where = f" in step {phase.step}" if phase.step else ""
    return "\n".join([f"{phase.name} {phase.stage}{where}", *(f"    {line}" for line in lines[-_LOG_LINES:])])
