"""A steady mix of reads and writes at the estate's public address, each request recorded; nothing is tried twice.

Requests begin at their planned times however long earlier ones take, so a stall shows as what it is to visitors. Each
has a connection of its own, as each visitor has.

As a program it reads a `LoadPlan` as JSON from standard input and writes one `Sample` a line; SIGTERM ends it early.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass

from drills.samples import Kind, Sample

_END_OF_HEAD = b"\r\n\r\n"
_LIMIT_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """How much load, where to, for how long at most. `prefix` begins every title that is written."""

    host: str
    port: int
    prefix: str
    user: str
    password: str
    reads_per_s: float = 20
    writes_per_s: float = 20
    max_seconds: float = 300
    max_requests: int = 20_000
    request_timeout_s: float = 15


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: dict[str, str]


class BrokenAnswer(Exception):
    """What came is not a whole HTTP answer."""


def parse_answer(data: bytes) -> tuple[int, dict[str, str]]:
    """Status and headers of a whole answer on a connection that was then closed.

    :raises BrokenAnswer: when it ended before its length was reached, or is no HTTP.
    """
    head, separator, body = data.partition(_END_OF_HEAD)
    lines = head.decode("latin-1").split("\r\n")
    parts = lines[0].split(" ", 2)
    if not separator or not parts[0].startswith("HTTP/1.") or len(parts) < 2 or not parts[1].isdigit():
        raise BrokenAnswer("no answer" if not data else "half an answer")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    length = headers.get("content-length")
    if length is not None and (not length.isdigit() or len(body) < int(length)):
        raise BrokenAnswer("half a body")
    if headers.get("transfer-encoding", "").lower() == "chunked" and not body.endswith(b"0\r\n\r\n"):
        raise BrokenAnswer("half a body")
    return int(parts[1]), headers


class Load:
    """The visitors. `record` is told each request when it has ended."""

    def __init__(self, plan: LoadPlan, record: Callable[[Sample], None]) -> None:
        self._plan = plan
        self._record = record
        self._cookie = ""
        self._signing_in = asyncio.Lock()
        self._ending = asyncio.Event()
        self._sent = 0

    def end(self) -> None:
        """No new requests; those that run may finish."""
        self._ending.set()

    async def run(self) -> None:
        """Signs in, then sends requests until the plan's end or `end`. :raises RuntimeError: when it cannot sign in."""
        await self._sign_in()
        if not self._cookie:
            raise RuntimeError("the visitor cannot sign in")
        stop = time.monotonic() + self._plan.max_seconds
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pace(tasks, self._plan.reads_per_s, stop, self._read))
            tasks.create_task(self._pace(tasks, self._plan.writes_per_s, stop, self._write))

    async def _pace(self, tasks: asyncio.TaskGroup, rate: float, stop: float, request: Callable[[], object]) -> None:
        if rate <= 0:
            return
        due = time.monotonic()
        while not self._ending.is_set() and due < stop and self._sent < self._plan.max_requests:
            try:
                await asyncio.wait_for(self._ending.wait(), max(0.0, due - time.monotonic()))
            except TimeoutError:
                self._sent += 1
                tasks.create_task(request())  # type: ignore[arg-type]
                due += 1 / rate

    async def _read(self) -> None:
        await self._ask(Kind.READ, "GET", "/api/events?when=upcoming&limit=10")

    async def _write(self) -> None:
        key = str(uuid.uuid4())
        title = f"{self._plan.prefix}{key}"
        event = {"title": title, "startsAt": "2040-01-01T12:00:00Z"}
        cookie = self._cookie
        status = await self._ask(Kind.WRITE, "POST", "/api/events", event, {"Idempotency-Key": key}, key=title)
        if status == 401 and cookie == self._cookie:
            await self._sign_in()

    async def _sign_in(self) -> None:
        if self._signing_in.locked():  # somebody does already
            return
        async with self._signing_in:
            who = {"username": self._plan.user, "password": self._plan.password}
            await self._ask(Kind.LOGIN, "POST", "/api/login", who)

    async def _ask(
        self,
        kind: Kind,
        method: str,
        path: str,
        body: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        *,
        key: str = "",
    ) -> int:
        start = time.monotonic()
        status, server, error = 0, "", ""
        try:
            async with asyncio.timeout(self._plan.request_timeout_s):
                answer = await self._exchange(method, path, body, headers or {})
            status, server = answer.status, answer.headers.get("x-served-by", "")
            if kind is Kind.LOGIN and status == 200:
                self._cookie = answer.headers.get("set-cookie", "").partition(";")[0]
        except TimeoutError:
            error = "timeout"
        except (OSError, BrokenAnswer) as failure:
            error = type(failure).__name__ if isinstance(failure, OSError) else str(failure)
        self._record(Sample(kind, start, time.monotonic(), status, server, key, error))
        return status

    async def _exchange(self, method: str, path: str, body: dict[str, str] | None, headers: dict[str, str]) -> _Answer:
        plan = self._plan
        data = json.dumps(body).encode() if body is not None else b""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {plan.host}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if self._cookie:
            lines.append(f"Cookie: {self._cookie}")
        if body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
        reader, writer = await asyncio.open_connection(plan.host, plan.port, limit=_LIMIT_BYTES)
        try:
            writer.write("\r\n".join(lines).encode() + _END_OF_HEAD + data)
            await writer.drain()
            return _Answer(*parse_answer(await reader.read(-1)))
        finally:
            writer.close()


def main() -> None:
    """Runs the plan that standard input gives."""
    plan = LoadPlan(**json.load(sys.stdin))

    def record(sample: Sample) -> None:
        sys.stdout.write(json.dumps(asdict(sample)) + "\n")
        sys.stdout.flush()

    async def run() -> None:
        load = Load(plan, record)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, load.end)
        await load.run()

    asyncio.run(run())


if __name__ == "__main__":
    main()
