"""`ha lab`: the estate on this machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import console
from cli.options import DEFAULT_STACK, Json, Stack
from spec.errors import EXIT_FAILED, EXIT_INTERRUPTED, HaError

if TYPE_CHECKING:
    from lab.lab import Lab

app = typer.Typer(help="The estate on this machine.", no_args_is_help=True, rich_markup_mode=None)

Host = Annotated[str, typer.Argument(help="A host, such as db1.")]


@app.command()
def up(
    stack: Stack = DEFAULT_STACK,
    bare_image: Annotated[
        bool, typer.Option("--bare-image", help="Boot plain Debian hosts, which install all packages themselves.")
    ] = False,
    http_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="This machine's port for the estate's port 80; 8080 by default."),
    ] = None,
    https_port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="This machine's port for the estate's port 443; 8443 by default."),
    ] = None,
) -> None:
    """Boot a stack, or apply its settings to the running lab, and wait until it is healthy."""
    from lab.boot import boot

    try:
        with console.progress() as progress:
            seen = boot(stack, bare_image=bare_image, http_port=http_port, https_port=https_port, progress=progress)
    except KeyboardInterrupt:
        fate = "the lab is running; `ha lab up` continues, `ha lab down` removes it"
        left = fate if _lab().running() else "no lab is running"
        raise HaError(f"interrupted: {left}", exit_code=EXIT_INTERRUPTED) from None
    console.print_status(seen)
    if not seen.healthy:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def down() -> None:
    """Remove the lab and everything that it created on this machine."""
    lab = _lab()
    running = lab.running()
    lab.stop(console.step)
    console.step("the lab is removed" if running else "no lab was running")


@app.command()
def status(json: Json = False) -> None:
    """Show how far each host of the lab has booted. For the state of the estate: `ha --lab status`."""
    lab = _lab()
    if json:
        document: dict[str, Any] = {"running": lab.running(), **(dict(lab.status()) if lab.running() else {})}
        console.print_json(document)
    elif lab.running():
        console.print_phases(lab.host_phases())
        if problem := lab.status().get("problem"):
            console.err.print(f"problem: {problem}", markup=False)
    else:
        console.out.print("no lab is running")


@app.command()
def preview(stack: Stack = DEFAULT_STACK, json: Json = False) -> None:
    """Show what `ha lab up` would change in the running lab."""
    from lab.boot import check, engine_of
    from lab.connect import require_stack

    lab = _lab()
    require_stack(lab, stack)
    check(stack)
    changes = engine_of(lab).preview(stack)
    if json:
        console.print_json(changes.as_json())
    else:
        console.print_changes(changes)


@app.command()
def logs(host: Host) -> None:
    """Show a host's console, cloud-init, set-up and journal, even if it failed to boot."""
    from lab import process

    lab = _lab()
    for path in lab.logs(host):
        console.out.rule(path.name, align="left")
        sys.stdout.write(path.read_text(encoding="utf-8", errors="replace"))
        sys.stdout.flush()
    console.out.rule("journal", align="left")
    process.interactive(lab.journal(host))


@app.command(context_settings={"ignore_unknown_options": True})
def shell(
    host: Host, command: Annotated[list[str] | None, typer.Argument(help="A command; without one, a shell.")] = None
) -> None:
    """Open a root shell on a host, or run one command as root, after `--`."""
    from lab import process

    raise typer.Exit(process.interactive(_lab().on_host(host, command or ["bash", "--login"])))


def _lab() -> Lab:
    # Imported late: operations on AWS do not need the lab.
    from lab.lab import Lab

    return Lab()
