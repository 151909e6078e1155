"""A steady mix of reads and writes at the estate's public address. Each request is recorded, and none is sent twice.

Requests start at their planned times, however long earlier ones take: a stall shows in every request that a visitor
would have made. Each request has a connection of its own, as each visitor has.

As a program it reads a `LoadPlan` as JSON from standard input and prints one `Sample` a line; SIGTERM ends it early.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import h11

from drills.samples import Kind, Sample

_READ_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class LoadPlan:
    """How much load, where to, and how long at most. `prefix` begins the title of each row that is written."""

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


class BrokenAnswer(Exception):
    """The connection ended before a whole HTTP answer came."""


class AnswerParser:
    """The answer on one connection. `complete` is true when all of it has come."""

    def __init__(self, connection: h11.Connection) -> None:
        self._connection = connection
        self._empty = True
        self.complete = False
        self.status = 0
        self.headers: Mapping[str, str] = {}

    def feed(self, data: bytes) -> None:
        """Takes what was received; nothing is the end of the connection.

        :raises BrokenAnswer: when that is not HTTP, or its end comes before the end of the answer.
        """
        self._empty = self._empty and not data
        try:
            self._connection.receive_data(data)
            while not isinstance(event := self._connection.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    return
                if isinstance(event, h11.Response):
                    self.status = event.status_code
                    self.headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
        except h11.RemoteProtocolError:
            raise BrokenAnswer("no answer" if self._empty else "half an answer") from None
        self.complete = True


class Load:
    """The visitors. `record` is called with each request when it has ended."""

    def __init__(self, plan: LoadPlan, record: Callable[[Sample], None]) -> None:
        self._plan = plan
        self._record = record
        self._cookie = ""
        self._signing_in = asyncio.Lock()
        self._ending = asyncio.Event()
        self._sent = 0

    def end(self) -> None:
        """Starts no more requests; those that run may finish."""
        self._ending.set()

    async def run(self) -> None:
        """Signs in, then sends requests until the plan's end or `end`. :raises RuntimeError: when it cannot sign in."""
        await self._sign_in()
        if not self._cookie:
            raise RuntimeError(f"cannot sign in as {self._plan.user} at {self._plan.host}:{self._plan.port}")
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
        # As a visitor does whose session is gone. The failed write is recorded, and not sent again.
        if status == 401 and cookie == self._cookie:
            await self._sign_in()

    async def _sign_in(self) -> None:
        if self._signing_in.locked():  # another request of this visitor signs in already
            return
        async with self._signing_in:
            who = {"username": self._plan.user, "password": self._plan.password}
            await self._ask(Kind.LOGIN, "POST", "/api/login", who)

    async def _ask(
        self,
        kind: Kind,
        method: str,
        target: str,
        body: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        *,
        key: str = "",
    ) -> int:
        start = time.monotonic()
        status, server, error = 0, "", ""
        try:
            async with asyncio.timeout(self._plan.request_timeout_s):
                answer = await self._exchange(method, target, body, headers or {})
            status, server = answer.status, answer.headers.get("x-served-by", "")
            if kind is Kind.LOGIN and status == 200:
                self._cookie = answer.headers.get("set-cookie", "").partition(";")[0]
        except TimeoutError:
            error = "timeout"
        except (OSError, BrokenAnswer) as failure:
            error = type(failure).__name__ if isinstance(failure, OSError) else str(failure)
        self._record(Sample(kind, start, time.monotonic(), status, server, key, error))
        return status

    async def _exchange(
        self, method: str, target: str, body: dict[str, str] | None, headers: dict[str, str]
    ) -> AnswerParser:
        connection = h11.Connection(h11.CLIENT)
        data = b"" if body is None else json.dumps(body).encode()
        all_headers = {"Host": self._plan.host, "Connection": "close", **headers}
        if self._cookie:
            all_headers["Cookie"] = self._cookie
        if body is not None:
            all_headers |= {"Content-Type": "application/json", "Content-Length": str(len(data))}
        request = h11.Request(method=method, target=target, headers=list(all_headers.items()))
        events = (request, h11.Data(data=data), h11.EndOfMessage())
        reader, writer = await asyncio.open_connection(self._plan.host, self._plan.port)
        try:
            writer.write(b"".join(connection.send(event) or b"" for event in events))
            await writer.drain()
            answer = AnswerParser(connection)
            while not answer.complete:
                answer.feed(await reader.read(_READ_BYTES))
            return answer
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
