"""The load as a program of its own on a computer outside AWS, and what it has told so far."""

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

from drills.ground import Ground
from drills.load import LoadPlan
from drills.samples import Kind, Sample
from spec.errors import HaError
from spec.project import REPOSITORY


class Visitors:
    """Running load. Its samples grow while it runs."""

    def __init__(self, child: subprocess.Popen[str], patience_s: float) -> None:
        self._child = child
        self._patience_s = patience_s
        self._samples: list[Sample] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def samples(self) -> Sequence[Sample]:
        return self._samples

    @property
    def acknowledged(self) -> int:
        """Writes that were acknowledged so far."""
        return sum(1 for _ in self._latest_writes())

    def wrote_within(self, seconds: float) -> bool:
        """Whether a write was acknowledged so lately."""
        since = time.monotonic() - seconds
        return any(one.end >= since for one in self._latest_writes())

    def answered_from(self, moment: float) -> bool:
        """Whether a write that began at that moment or later was acknowledged: what waited before it is through."""
        return any(one.start >= moment for one in self._latest_writes())

    def _latest_writes(self) -> Iterator[Sample]:
        """Those that were acknowledged, the latest first."""
        return (one for one in reversed(list(self._samples)) if one.ok and one.kind is Kind.WRITE)

    @property
    def gone(self) -> bool:
        """Whether the load ended by itself."""
        return self._child.poll() is not None

    def end(self) -> None:
        """No new requests; waits until those that run have ended. Ending twice is harmless."""
        if not self.gone:
            self._child.terminate()
            try:
                self._child.wait(self._patience_s)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            with contextlib.suppress(json.JSONDecodeError):  # it was ended in the middle of a line
                fields = json.loads(line)
                self._samples.append(Sample(**{**fields, "kind": Kind(fields["kind"])}))


@contextlib.contextmanager
def visiting(ground: Ground, plan: LoadPlan) -> Iterator[Visitors]:
    """Load for as long as the block. :raises HaError: when it cannot be started, or broke."""
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            ground.client_argv([sys.executable, "-m", "drills.load"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "PYTHONPATH": str(REPOSITORY)},
            cwd=REPOSITORY,
            start_new_session=True,  # a Ctrl-C is the drill's: it ends the load in its own time
        )
        assert child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # what it says on standard error tells more
            child.stdin.write(json.dumps(asdict(plan)))
            child.stdin.close()
        visitors = Visitors(child, plan.request_timeout_s + 5)
        try:
            yield visitors
        finally:
            visitors.end()
        if child.returncode != 0:
            errors.seek(0)
            raise HaError("the load broke\n" + "\n".join(errors.read().splitlines()[-8:]), where="drills/load.py")
