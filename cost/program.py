"""Runs a Pulumi program under Pulumi's mocks and records what it registers: no account, no engine, no network.

As a module it runs a program in this process. As a script (`python -I cost/program.py DIR STACK`) it runs that of
another revision, whose `components` must not meet this one's, and prints what it recorded as JSON.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import json
import runpy
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # -I leaves this checkout off the path
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pulumi
import yaml
from google.protobuf import json_format
from pulumi.runtime import mocks

from cost.garbage_collection import collection_paused
from cost.resources import Registration
from spec.project import EXAMPLE_ACCOUNT_ID, PROJECT

IMAGE_ID = "ami-0123456789abcdef0"

# Answers to the program's calls of AWS; a call without one ends the run with its name.
_ANSWERS: Mapping[str, dict[str, Any]] = {
    "aws:index/getCallerIdentity:getCallerIdentity": {
        "accountId": EXAMPLE_ACCOUNT_ID,
        "arn": "",
        "id": "",
        "userId": "",
    },
    "aws:index/getPartition:getPartition": {"partition": "aws", "id": "aws"},
    "aws:ec2/getAmi:getAmi": {"id": IMAGE_ID, "architecture": "x86_64"},
}


class _Aws(mocks.Mocks):
    """Stands in for the provider: an id and the outputs that the program uses."""

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        state = {**args.inputs, "arn": f"arn:aws:mock:::{args.name}"}
        if args.typ == "aws:ec2/eip:Eip":
            state["publicIp"] = "203.0.113.10"
        if args.typ in ("aws:iam/role:Role", "aws:iam/instanceProfile:InstanceProfile"):
            state["name"] = args.name
        return f"{args.name}-id", state

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        if args.token not in _ANSWERS:
            raise LookupError(
                f"the program calls {args.token}, which has no answer without an account: "
                "add one to cost/program.py, or estimate from an engine's preview (--preview)"
            )
        return _ANSWERS[args.token], []


@dataclass
class Recording:
    """What a run of a program registered, and the URNs of those that registered their outputs."""

    registrations: list[Registration] = field(default_factory=list)
    registered_outputs: set[str] = field(default_factory=set)


class _RecordingMonitor(mocks.MockMonitor):
    """Pulumi's mock monitor, which also keeps each request: mocks alone see no parent and no options."""

    def __init__(self, recording: Recording, stack: str) -> None:
        super().__init__(_Aws())
        self._recording = recording
        self._stack = stack

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """A URN of this run: the SDK asks a setting that the thread it answers on may have from an earlier run."""
        rest = super().make_urn(parent, type_, name).split("::", 2)[2]
        return f"urn:pulumi:{self._stack}::{PROJECT}::{rest}"

    def RegisterResource(self, request: Any) -> Any:
        answer = super().RegisterResource(request)  # type: ignore[no-untyped-call]
        self._recording.registrations.append(
            Registration(
                type=request.type,
                name=request.name,
                inputs=json_format.MessageToDict(request.object),
                parent=request.parent,
                protect=request.protect,
                delete_before_replace=request.deleteBeforeReplace,
                depends_on=tuple(request.dependencies),
                urn=answer.urn,
                retain_on_delete=request.retainOnDelete,
                provider=request.provider,
            )
        )
        return answer

    def RegisterResourceOutputs(self, request: Any) -> Any:
        self._recording.registered_outputs.add(request.urn)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]


@contextmanager
def _own_event_loop() -> Iterator[None]:
    """Makes an event loop for this thread: Pulumi's SDK expects one, and `asyncio.run` leaves none behind."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        asyncio.set_event_loop(None)
        loop.close()


@_own_event_loop()
def record(program_dir: Path, stack: str, config: Mapping[str, Any]) -> Recording:
    """Runs the `__main__.py` of a folder with a stack's configuration (values as in its file).

    What the program prints goes to standard error: standard output is the report's.

    :raises pulumi.RunError: what the program itself refuses; anything else is a fault of the program.
    """
    recording = Recording()
    pulumi.runtime.set_all_config({k: v if isinstance(v, str) else json.dumps(v) for k, v in config.items()})
    mocks.set_mocks(
        _Aws(), project=PROJECT, stack=stack, preview=False, monitor=_RecordingMonitor(recording, stack)
    )  # not a preview: what one resource takes from another would be unknown in it

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def run() -> None:
        runpy.run_path(str(program_dir / "__main__.py"), run_name="__main__")

    with collection_paused(), _short_stack_traces(), redirect_stdout(sys.stderr):
        run()
    return recording


@contextmanager
def _short_stack_traces() -> Iterator[None]:
    """The SDK sends a stack trace with each resource, which nothing reads here: a quarter of the time of a run."""
    limit = getattr(sys, "tracebacklimit", None)
    sys.tracebacklimit = 1
    try:
        yield
    finally:
        if limit is None:
            del sys.tracebacklimit
        else:
            sys.tracebacklimit = limit


@contextmanager
def with_release(program_dir: Path, release: str) -> Iterator[Path]:
    """A view of the program's folder, with a stand-in in the place of its release.

    The program refuses to run without a release and reads all of it, and nothing of one but its digest enters what is
    declared: no price depends on it.
    """
    if not release.endswith(".tar.gz"):  # one that was uploaded before
        yield program_dir
        return
    with tempfile.TemporaryDirectory(prefix="ha-cost-") as temporary:
        view = Path(temporary)
        top = Path(release).parts[0]
        for entry in program_dir.iterdir():
            if entry.name == "__main__.py":  # copied: the program finds its folder by its own resolved path
                shutil.copy(entry, view)
            elif entry.name != top:
                (view / entry.name).symlink_to(entry)
        (view / release).parent.mkdir(parents=True, exist_ok=True)
        _write_stand_in(view / release)
        yield view


def _write_stand_in(path: Path) -> None:
    """The smallest release: its top folder alone. The same bytes each time, as its digest is in what is declared."""
    folder = tarfile.TarInfo(path.name.removesuffix(".tar.gz"))
    folder.type, folder.mode = tarfile.DIRTYPE, 0o755
    with (
        gzip.GzipFile(path, "wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        archive.addfile(folder)


def main(program_dir: Path, stack: str) -> None:
    """Prints the registrations of another revision's stack."""
    sys.path[0] = str(program_dir)
    for name in [one for one in sys.modules if one.partition(".")[0] == "spec"]:
        del sys.modules[name]  # the other revision has a package of that name too
    config = yaml.safe_load((program_dir / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8"))["config"]
    release = (
        config[f"{PROJECT}:settings"].get("application", {}).get("release", "app/build/event-manager-1.0.0.tar.gz")
    )
    with with_release(program_dir, release) as folder:
        recording = record(folder, stack, config)
    json.dump([dataclasses.asdict(r) for r in recording.registrations], sys.stdout)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
