"""Boots a stack in the lab: starts the lab, applies the program, waits for the hosts and then for the whole estate."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from components.user_data import user_data
from lab.connect import connect
from lab.engine import Engine, Event, Step
from lab.image.contents import ImageKind
from lab.lab import HostPhase, Lab, LabOptions
from lab.program import host_contexts
from lab.supervisor.config import MachineImage
from ops.status import Status, status
from spec.errors import EXIT_USAGE, HaError, Problem, SettingsError
from spec.project import REPOSITORY
from spec.settings import Settings
from spec.stack_file import load_settings

# A promise to nobody: how long to wait before calling a boot stuck. Bare hosts fetch half a gigabyte each.
SETUP_DEADLINE_S = {ImageKind.FULL: 300, ImageKind.BARE: 1800}
HEALTHY_DEADLINE_S = 120
DEFAULT_PORTS = {80: 8080, 443: 8443}
_HOSTS_POLL_S = 0.3
_STATUS_POLL_S = 1.0
_LOG_LINES = 15


class Progress(Protocol):
    """Who watches a boot."""

    def step(self, text: str) -> None:
        """Another part of it begins."""

    def count(self, done: int, latest: str) -> None:
        """How many resources are done, and the latest of them."""

    def phases(self, phases: Sequence[HostPhase]) -> None:
        """How far each host has come."""


def check(stack: str) -> Settings:
    """What can be refused before anything is made: settings, release, user data. :raises HaError: exit code 2."""
    settings = load_settings(REPOSITORY, stack)
    for context in host_contexts(stack, settings).values():
        user_data(context)
    return settings


def check_zones(stack: str, settings: Settings) -> None:
    """The zones must be there in the lab's AWS. :raises SettingsError: naming those that are not."""
    from lab.aws.moto_internals import zones_of

    known = zones_of(settings.region)
    if missing := [zone for zone in settings.network.zones if zone not in known]:
        allowed = f"the zones of {settings.region} are {', '.join(known)}" if known else "the lab knows no such region"
        problem = Problem(path="network.zones", given=", ".join(missing), allowed=allowed)
        raise SettingsError(f"Pulumi.{stack}.yaml", [problem])


def engine_of(lab: Lab) -> Engine:
    """The engine, on the running lab's AWS. :raises HaError: when no lab runs."""
    return Engine(
        project_dir=REPOSITORY,
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
        same_stack(lab, stack)
        if bare_image or http_port or https_port:
            raise HaError(
                "the lab runs already: its image and ports are what it was started with",
                where=str(lab.paths.state),
                fix="leave the options out to apply the settings, or `ha lab down` first",
                exit_code=EXIT_USAGE,
            )
    else:
        check_zones(stack, settings)
        ports = {80: http_port or DEFAULT_PORTS[80], 443: https_port or DEFAULT_PORTS[443]}
        _start(lab, stack, settings, bare_image=bare_image, ports=ports, progress=progress)
    planned = [h.name for h in settings.plan_hosts()]
    with _needing(lab):
        image_kind = ImageKind(lab.status()["image"])
        progress.step("applying the program")
        engine_of(lab).up(stack, _telling(progress))
        progress.step("hosts boot")
        _await_hosts(lab, planned, progress.phases, deadline_s=SETUP_DEADLINE_S[image_kind])
        progress.step("the estate becomes healthy")
        return _await_health(lab, stack, settings, planned)


@contextlib.contextmanager
def _needing(lab: Lab) -> Iterator[None]:
    """Tells whatever fails in the block because the lab was ended meanwhile as just that. :raises HaError:"""
    try:
        yield
    except Exception as error:  # any part may be the first to miss the lab, each in its own way
        if not lab.ended():
            raise
        raise HaError(
            "the lab was ended before the stack was up", where=str(lab.paths.state), fix="`ha lab up` starts one anew"
        ) from error


def same_stack(lab: Lab, stack: str) -> None:
    """:raises HaError: (exit 2) when the running lab is another stack's; (exit 1) when no lab runs."""
    running = lab.status()["stack"]
    if running != stack:
        raise HaError(
            f"the lab runs the stack {running!r}, not {stack!r}",
            where=str(lab.paths.state),
            fix="`ha lab down` ends it",
            exit_code=EXIT_USAGE,
        )


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


def _telling(progress: Progress) -> Callable[[Event], None]:
    """Counts what the engine has done."""
    done = 0

    def tell(event: Event) -> None:
        nonlocal done
        if isinstance(event, Step) and event.status == "done" and event.op != "same":
            done += 1
            progress.count(done, f"{event.op} {event.name}")

    return tell


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
                "\n".join(_told(lab, p) for p in failed),
                where=", ".join(str(p.logs) for p in failed),
                fix="the other hosts stay up: `ha lab logs HOST`, `ha lab shell HOST`; `ha lab down` removes all",
            )
        waiting = [name for name in planned if name not in by_name or by_name[name].stage != "ready"]
        if not waiting:
            return
        if time.monotonic() > deadline:
            told = [_told(lab, by_name[n]) if n in by_name else f"{n}: there is no such host" for n in waiting]
            raise HaError(
                f"not set up within {deadline_s:.0f} s\n" + "\n".join(told),
                where=str(lab.paths.hosts_logs),
                fix="`ha lab logs HOST` shows how far it has come; it may still get there: `ha --lab status`",
            )
        time.sleep(_HOSTS_POLL_S)


def _told(lab: Lab, phase: HostPhase) -> str:
    """A failed host, its step and the last lines of what it said."""
    said = phase.error.strip().splitlines()
    logs = lab.logs(phase.name)
    if not said and logs:
        # Its set-up's log when it came so far, else its console's.
        log = next((p for p in logs if p.name == "ha-setup.log"), logs[0])
        said = log.read_text(encoding="utf-8", errors="replace").splitlines()
    where = f" in step {phase.step}" if phase.step else ""
    return "\n".join([f"{phase.name} {phase.stage}{where}", *(f"    {line}" for line in said[-_LOG_LINES:])])


def _await_health(lab: Lab, stack: str, settings: Settings, planned: Sequence[str]) -> Status:
    """The estate's status once it is healthy, or as it is when it does not become so in time."""
    estate = connect(lab, stack, settings)
    deadline = time.monotonic() + HEALTHY_DEADLINE_S
    while True:
        seen = status(estate, planned)
        if seen.healthy or time.monotonic() > deadline:
            return seen
        time.sleep(_STATUS_POLL_S)
