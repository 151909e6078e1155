"""The load, run as a process on a computer outside AWS."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from drills.fault_injector import FaultInjector
from drills.load import LoadPlan
from drills.samples import Kind, Sample
from spec.errors import HaError
from spec.project import REPOSITORY


class LoadProcess:
    """A running load. Its samples grow while it runs."""

    def __init__(self, child: subprocess.Popen[str], end_within_s: float) -> None:
        self._child = child
        self._end_within_s = end_within_s
        self._samples: list[Sample] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def samples(self) -> Sequence[Sample]:
        return self._samples

    @property
    def acknowledged(self) -> int:
        """How many writes were acknowledged so far."""
        return sum(1 for _ in self._acknowledged_writes())

    def write_acknowledged_within(self, seconds: float) -> bool:
        """Whether a write was acknowledged in the last `seconds`."""
        since = time.monotonic() - seconds
        return any(one.end >= since for one in self._acknowledged_writes())

    def write_acknowledged_that_began_after(self, moment: float) -> bool:
        """Whether a write was acknowledged that began at `moment` or later, so that earlier ones do not wait."""
        return any(one.start >= moment for one in self._acknowledged_writes())

    def _acknowledged_writes(self) -> Iterator[Sample]:
        """The latest first."""
        return (one for one in reversed(list(self._samples)) if one.ok and one.kind is Kind.WRITE)

    @property
    def has_ended(self) -> bool:
        return self._child.poll() is not None

    def end(self) -> None:
        """Starts no more requests, and waits for those that run. Safe to call twice."""
        if not self.has_ended:
            self._child.terminate()
            try:
                self._child.wait(self._end_within_s)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            with contextlib.suppress(json.JSONDecodeError):  # half a line: the process was killed
                fields = json.loads(line)
                self._samples.append(Sample(**{**fields, "kind": Kind(fields["kind"])}))


@contextlib.contextmanager
def running_load(injector: FaultInjector, plan: LoadPlan) -> Iterator[LoadProcess]:
    """Runs the load during the block. :raises HaError: when it ended with an error."""
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            injector.client_argv([sys.executable, "-m", "drills.load"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": str(REPOSITORY)},
            cwd=REPOSITORY,
            start_new_session=True,  # a Ctrl-C on the terminal must not end it before the drill does
        )
        assert child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # its standard error says why
            child.stdin.write(json.dumps(asdict(plan)))
            child.stdin.close()
        load = LoadProcess(child, plan.request_timeout_s + 5)
        try:
            yield load
        finally:
            load.end()
        if child.returncode != 0:
            errors.seek(0)
            last_lines = "\n".join(errors.read().splitlines()[-8:])
            raise HaError(f"the load ended with an error:\n{last_lines}", where="drills/load.py")
