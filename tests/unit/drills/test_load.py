"""The load against a small server: what counts as an answer, that nothing is sent twice, and what a lost session is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import h11
import pytest

from drills.load import AnswerParser, BrokenAnswer, Load, LoadPlan
from drills.measure import figures
from drills.promises import CACHE, broken_by
from drills.samples import Kind, Sample
from tests.unit.drills.test_promises import measured
from tests.unit.drills.test_run import outcome_of_samples

NO_CONTENT = "Content-Length: 0"
Answer = Callable[[str, dict[str, str]], str]
"""From the request's method and headers to the answer's status line and headers."""


def parsed(*pieces: bytes) -> AnswerParser:
    """The answer that came in these pieces, before the connection ended."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "lb"), ("Connection", "close")]))
    connection.send(h11.EndOfMessage())
    parser = AnswerParser(connection)
    for piece in (*pieces, b""):
        if not parser.complete:
            parser.feed(piece)
    return parser


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no answer"),
        (b"HTTP/1.1 200 OK\r\n", "half an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "half an answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "half an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nabcde", "half an answer"),
        (b"SSH-2.0\r\n\r\n", "half an answer"),
    ],
)
def test_an_answer_that_does_not_come_whole_is_broken(data: bytes, why: str) -> None:
    with pytest.raises(BrokenAnswer, match=f"^{why}$"):
        parsed(data)


@pytest.mark.parametrize(
    "body", [b"Content-Length: 2\r\n\r\n{}", b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b"\r\n{}"]
)
def test_a_whole_answer(body: bytes) -> None:
    data = b"HTTP/1.1 201 Created\r\nX-Served-By: app1\r\n" + body
    for answer in (parsed(data), parsed(*(data[n : n + 1] for n in range(len(data))))):
        assert answer.complete
        assert (answer.status, answer.headers["x-served-by"]) == (201, "app1")


async def run_load(answer: Answer, **plan: object) -> list[Sample]:
    """What is recorded of a load at a server that answers so, with a connection for each request."""
    samples: list[Sample] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if line)
        await reader.readexactly(int(headers.get("Content-Length", 0)))
        writer.write(f"HTTP/1.1 {answer(request, headers)}\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        given = {"max_requests": 40, "reads_per_s": 200, "writes_per_s": 200, **plan}
        where = LoadPlan(host="127.0.0.1", port=port, prefix="p-", user="u", password="x", **given)  # type: ignore[arg-type]
        await Load(where, samples.append).run()
    return samples


def test_each_request_is_recorded_and_sent_once() -> None:
    seen: Counter[str] = Counter()
    keys: Counter[str] = Counter()

    def answer(request: str, headers: dict[str, str]) -> str:
        seen[request.split()[0]] += 1
        keys.update(value for name, value in headers.items() if name == "Idempotency-Key")
        status = "503 Service Unavailable" if seen["POST"] % 5 == 4 else "200 OK"
        return f"{status}\r\nSet-Cookie: s=1; Path=/\r\n{NO_CONTENT}"

    samples = asyncio.run(run_load(answer))
    writes = [one for one in samples if one.kind is Kind.WRITE]
    assert len(samples) == sum(seen.values())
    assert 40 <= len(samples) <= 42
    assert len(keys) == len(writes) == len({one.key for one in writes})
    assert set(keys.values()) == {1}
    assert any(not one.ok for one in writes)


def test_a_server_that_loses_all_sessions_breaks_the_promise_of_the_cache() -> None:
    """The load signs in again, so that its writes succeed after that: the requests that failed must still count."""
    sessions: list[str] = []
    writes = 0

    def answer(request: str, headers: dict[str, str]) -> str:
        nonlocal writes
        if "/api/login" in request:
            sessions.append(f"s={len(sessions)}-{writes}")
            return f"200 OK\r\nSet-Cookie: {sessions[-1]}; Path=/\r\n{NO_CONTENT}"
        if request.startswith("POST"):
            writes += 1
            if writes == 10:
                sessions.clear()
            if headers.get("Cookie") not in sessions:
                return f"401 Unauthorized\r\n{NO_CONTENT}"
        return f"200 OK\r\n{NO_CONTENT}"

    samples = asyncio.run(run_load(answer, max_requests=60))
    found = figures(samples, samples[0].end, samples[-1].end)
    assert [one.kind for one in samples].count(Kind.LOGIN) == 2
    assert samples[-1].ok
    assert found.signed_out == found.failed == found.failures["write 401"] >= 1
    promised = [
        f"{found.failed} requests failed, promised 0 at most",
        f"{found.signed_out} requests found their session gone, promised 0 at most",
    ]
    assert broken_by(CACHE, measured(failed=found.failed, signed_out=found.signed_out)) == promised
    document = outcome_of_samples("cache-kill", samples)
    assert document.broken == tuple(promised)
    assert document.failures == {"write 401": found.signed_out}


def test_a_load_that_cannot_sign_in_ends_with_an_error() -> None:
    plan = LoadPlan(host="127.0.0.1", port=1, prefix="p-", user="u", password="x")
    with pytest.raises(RuntimeError, match=r"cannot sign in as u at 127\.0\.0\.1:1"):
        asyncio.run(Load(plan, lambda _: None).run())
