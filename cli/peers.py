"""`ha drill peers`: ours beside other software that keeps a PostgreSQL pair."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cli import console
from cli.drill import drilling
from cli.options import DEFAULT_STACK, EstateStack, Json, settings_of
from drills.folders import PEERS_DIR
from spec.errors import EXIT_USAGE, HaError


def peers(
    context: typer.Context,
    fault: Annotated[
        list[str] | None, typer.Option(help="A fault of the primary, such as power-loss; again for more.")
    ] = None,
    contender: Annotated[
        list[str] | None, typer.Option(help="One of the contenders; again for more. All by default.")
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, max=20, help="How often each fault is done to each contender.")] = 1,
    results: Annotated[Path, typer.Option("--results", help="Folder in which results accumulate.")] = PEERS_DIR,
    stack: EstateStack = "",
    json: Json = False,
) -> None:
    """Ours beside other software for a PostgreSQL pair: same hosts, load and faults. Only in the lab.

    Prints a Markdown table. Limits are promised of ours alone: the exit code does not depend on what is found.
    """
    from drills.peers.compare import FAULTS, compare, find_fault
    from drills.peers.contenders import CONTENDERS
    from drills.peers.contenders import find as find_contender

    faults = [find_fault(name) for name in fault or FAULTS]
    contenders = [find_contender(name) for name in contender or CONTENDERS]
    if not context.obj.lab:
        raise HaError(
            "other software is put in place of the database's, which only the lab's hosts are for",
            where="ha drill peers",
            fix="run it in the lab: `ha --lab drill peers`",
            exit_code=EXIT_USAGE,
        )
    settings = settings_of(stack)

    from drills.peers.deployment import Deployment
    from drills.peers.files import all_files
    from drills.peers.report import markdown
    from lab.program import host_contexts

    files = all_files(host_contexts(stack, settings))
    with drilling(stack, settings) as injector:
        deployment = Deployment(injector, files, injector.contender_path(injector.lab), console.step)
        found = compare(
            contenders, faults, repeat, deployment, results, console.step, _command(stack, fault, contender, repeat)
        )
    if json:
        console.print_json(found.without_timelines())
    else:
        sys.stdout.write(markdown([found]))


def _command(stack: str, faults: Sequence[str] | None, contenders: Sequence[str] | None, repeat: int) -> str:
    """What makes the same again."""
    words = ["ha --lab drill peers", *([] if stack == DEFAULT_STACK else [f"--stack {stack}"])]
    words += [f"--fault {one}" for one in faults or ()] + [f"--contender {one}" for one in contenders or ()]
    return " ".join([*words, *([f"--repeat {repeat}"] if repeat > 1 else [])])
