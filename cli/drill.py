"""`ha drill`: faults and changes of the running estate, and what they did."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import console
from cli.options import EstateStack, Json, settings_of
from drills.folders import PUBLISHED_DIR, RESULTS_DIR
from spec.errors import EXIT_PROMISE_BROKEN, EXIT_USAGE, HaError
from spec.project import REPOSITORY

if TYPE_CHECKING:
    from drills.catalogue import Drill
    from drills.fault_injector import FaultInjector
    from drills.results import Outcome, Result
    from spec.settings import Settings

app = typer.Typer(
    help="Faults and changes of the running estate, and what they did.", no_args_is_help=True, rich_markup_mode=None
)
Results = Annotated[Path, typer.Option("--results", help="Folder in which results accumulate.")]
Stored = Annotated[Path, typer.Option("--results", help="Folder, or file of JSON lines, that holds results.")]
LONGEST_HOLD_S = 7000.0
"""Less than after what a fault ends by itself."""


@app.command(name="list")
def list_(stack: EstateStack = "", json: Json = False) -> None:
    """The drills, what they promise, and whether the stack has what they need."""
    from drills.catalogue import CATALOGUE, check_stack, on_stack

    settings = settings_of(stack)
    rows = []
    for drill in (on_stack(one, settings) for one in CATALOGUE.values()):
        try:
            check_stack(drill, settings)
            lacks = ""
        except HaError as refusal:
            lacks = refusal.what
        rows.append(
            {
                "name": drill.name,
                "fault": drill.fault.name,
                "target": str(drill.role),
                "promise": drill.promise.text,
                "runs_on_stack": not lacks,
                "lacks": lacks,
            }
        )
    if json:
        console.print_json(rows)
        return
    table = console.table("drill", "hits", "promise", "on this stack")
    for row in rows:
        table.add_row(str(row["name"]), str(row["target"]), str(row["promise"]), "" if row["runs_on_stack"] else "n/a")
    console.out.print(table)


@app.command()
def run(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Drills, by name; see `ha drill list`.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that the stack can take.")] = False,
    repeat: Annotated[int, typer.Option(min=1, max=100, help="How often each is run.")] = 1,
    hold_s: Annotated[
        float | None, typer.Option("--hold-s", min=1, max=LONGEST_HOLD_S, help="How long each fault or change lasts.")
    ] = None,
    results: Results = RESULTS_DIR,
    stack: EstateStack = "",
    json: Json = False,
) -> None:
    """Run drills one after another. Exit code 3 when a promise is broken."""
    from drills.catalogue import check_stack, find, on_stack, runnable
    from drills.results import keep
    from drills.series import broken_over_repeats, series

    drills = [find(name) for name in names or ()]
    if not context.obj.lab:
        raise HaError(
            "faults of hosts and network are injected by the lab, not on AWS",
            where="ha drill run",
            fix="run it in the lab: `ha --lab drill run`",
            exit_code=EXIT_USAGE,
        )
    settings = settings_of(stack)
    if everything:
        drills += [one for one in runnable(settings) if one not in drills]
    if not drills:
        raise HaError("no drill is named", where="ha drill run", fix="see `ha drill list`", exit_code=EXIT_USAGE)
    for drill in drills:
        check_stack(drill, settings)
    drills = [on_stack(one, settings) for one in drills]
    if hold_s is not None:
        drills = [replace(one, hold_s=hold_s) for one in drills]

    def came(drill: Drill, result: Result) -> None:
        if not drill.self_test:
            keep(result, results)
        console.step(_summary(result))

    with drilling(stack, settings) as injector:
        found = series(drills, repeat, injector, console.step, came)
    for text in (broken := broken_over_repeats(drills, found)):
        console.step(f"{text}: BROKEN")
    if json:
        console.print_json([_document(one) for one in found])
    else:
        _print_results(found)
    if broken or len(found) < len(drills) * repeat or not all(one.kept for one in found):
        raise typer.Exit(EXIT_PROMISE_BROKEN)


@app.command()
def budget(stack: EstateStack = "", json: Json = False) -> None:
    """How long each database fault may take by the stack's timers, and what fences the old primary."""
    from drills.budget import budgets, fence, seconds

    timers = settings_of(stack).timers
    found = budgets(timers)
    if json:
        rows = [{**asdict(one), "total_ms": None if one.unbounded else one.total_ms} for one in found]
        fencing = {"fenced_by_ms": timers.fenced_by_ms, "promoted_from_ms": timers.promoted_from_ms}
        console.print_json({"stack": stack, **fencing, "faults": rows})
        return
    table = console.table("fault", "detection", "fencing", "promotion", "routing", "at most")
    for one in found:
        if one.unbounded:
            table.add_row(one.fault, "", "", "", "", f"no limit: {one.unbounded}")
        else:
            parts = (one.detection_ms, one.fencing_ms, one.promotion_ms, one.routing_ms, one.total_ms)
            table.add_row(one.fault, *(seconds(part) for part in parts))
    console.out.print(table)
    console.out.print(f"\n{fence(timers)}", soft_wrap=True)


@app.command()
def report(
    results: Stored = RESULTS_DIR,
    stack: Annotated[str | None, typer.Option(help="Only this stack's results.")] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write one HTML page here: a picture, tables, a timeline of each run.")
    ] = None,
    jsonl: Annotated[
        Path | None, typer.Option(help="Write the runs here as JSON lines without timelines, as docs/results has them.")
    ] = None,
    json: Json = False,
) -> None:
    """What the drills found, against the guide's figures and our promises: Markdown tables, or files.

    `--results docs/results` shows the published results.
    """
    from drills.html_report import page
    from drills.report import markdown
    from drills.results import kept_results, publish

    if stack is not None:
        settings_of(stack)
    if not results.exists():
        raise HaError(
            f"no results: {results} does not exist",
            where="ha drill report --results",
            fix=f"run a drill first, or take the published results: --results {PUBLISHED_DIR.relative_to(REPOSITORY)}",
            exit_code=EXIT_USAGE,
        )
    _check_target("--html", html)
    _check_target("--jsonl", jsonl)
    if jsonl is not None and jsonl.exists():
        raise HaError(f"{jsonl} exists", where="ha drill report --jsonl", fix="name a new file", exit_code=EXIT_USAGE)
    found = kept_results(results, stack)
    if html is not None:
        html.write_text(page(found), encoding="utf-8")
        console.step(f"wrote {html}")
    if jsonl is not None:
        console.step(f"wrote {publish(found, jsonl)}")
    if json:
        console.print_json([_document(one) for one in found])
    elif html is None and jsonl is None:
        sys.stdout.write(markdown(found))


def _check_target(option: str, file: Path | None) -> None:
    if file is not None and not file.parent.is_dir():
        raise HaError(
            f"there is no folder {file.parent}",
            where=f"ha drill report {option}",
            fix="create it, or name another file",
            exit_code=EXIT_USAGE,
        )


def _document(one: Result) -> dict[str, Any]:
    """A result for a program: every field of an outcome, null where there is none; without its timeline."""
    from drills.results import Outcome

    fields = dict.fromkeys(name for name in Outcome.model_fields if name != "timeline")
    return {**fields, **one.model_dump(mode="json", exclude={"timeline"})}


@contextlib.contextmanager
def drilling(stack: str, settings: Settings) -> Iterator[FaultInjector]:
    """The running lab's stack, healthy and as this checkout says, for one drill command alone. SIGTERM and SIGHUP end
    the block as Ctrl-C does: what it broke is healed first.

    :raises HaError: with exit code 2 when a drill runs already, or the estate runs a contender, is not healthy, or is
        of another checkout.
    """
    from drills.checkout import refuse_other_versions
    from drills.fault_injector import FaultInjector
    from drills.peers.deployment import refuse_contender
    from drills.run import exclusive_lock, healthy_status
    from lab.connect import connect
    from lab.lab import Lab
    from lab.program import host_contexts
    from spec.release import find_release
    from spec.stack_file import stack_file

    release = find_release(settings, REPOSITORY, source=stack_file(REPOSITORY, stack).name)
    lab = Lab()
    injector = FaultInjector(lab, connect(lab, stack, settings), settings)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    with exclusive_lock(FaultInjector.lock_path(lab)):
        refuse_contender(FaultInjector.contender_path(lab))
        seen = healthy_status(injector)
        refuse_other_versions(seen, host_contexts(stack, settings), release.digest)
        yield injector


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _again(outcome: Outcome) -> str:
    return "never" if outcome.redundant_again_s is None else f"{outcome.redundant_again_s:.1f} s"


def _summary(one: Result) -> str:
    from drills.results import Unfinished

    if isinstance(one, Unfinished):
        return f"{one.fault}: no outcome: {one.unfinished}"
    verdict = "kept" if one.kept else f"BROKEN ({'; '.join(one.broken)})"
    failed = f"{one.failed} of {one.requests} failed"
    return f"{one.fault}: writes out {one.outage_s:.2f} s, {failed}, {one.lost} lost: {verdict}"


def _print_results(results: Sequence[Result]) -> None:
    from drills.results import Unfinished

    table = console.table(
        "drill",
        "target",
        "outage",
        "reads out",
        "requests",
        "failed",
        "reads",
        "slowest",
        "lost",
        "two",
        "redundant",
        "",
    )
    for one in results:
        if isinstance(one, Unfinished):
            table.add_row(one.fault, *[""] * 10, "NO OUTCOME")
            continue
        table.add_row(
            *(one.fault, one.target, f"{one.outage_s:.2f} s", f"{one.read_outage_s:.2f} s", str(one.requests)),
            *(str(one.failed), str(one.failed_reads), f"{one.max_latency_s:.2f} s", str(one.lost)),
            *("YES" if one.two_primaries else "no", _again(one), "kept" if one.kept else "BROKEN"),
        )
    console.out.print(table)
