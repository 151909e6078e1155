"""The load against a server that answers as told: what counts as an answer, and that nothing is sent twice."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from drills.load import BrokenAnswer, Load, LoadPlan, parse_answer
from drills.samples import Kind, Sample


@pytest.mark.parametrize(
    "data",
    [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", b"SSH-2.0\r\n\r\n"],
)
def test_half_an_answer_is_none(data: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        parse_answer(data)


def test_a_whole_answer() -> None:
    status, headers = parse_answer(b"HTTP/1.1 201 Created\r\nX-Served-By: app1\r\nContent-Length: 2\r\n\r\n{}")
    assert (status, headers["x-served-by"]) == (201, "app1")


def test_each_request_is_recorded_and_sent_once() -> None:
    seen: Counter[str] = Counter()
    keys: Counter[str] = Counter()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        seen[head.split()[0]] += 1
        keys.update(line for line in head.splitlines() if line.startswith("Idempotency-Key"))
        status = "503 Service Unavailable" if seen["POST"] % 5 == 4 else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nSet-Cookie: s=1; Path=/\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async def run() -> list[Sample]:
        samples: list[Sample] = []
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            plan = LoadPlan(
                host="127.0.0.1", port=port, prefix="p-", user="u", password="x", max_requests=40,
                reads_per_s=200, writes_per_s=200,
            )  # fmt: skip
            await Load(plan, samples.append).run()
        return samples

    samples = asyncio.run(run())
    writes = [one for one in samples if one.kind is Kind.WRITE]
    assert len(samples) == sum(seen.values())
    assert 40 <= len(samples) <= 42
    assert len(keys) == len(writes) == len({one.key for one in writes})
    assert set(keys.values()) == {1}
    assert any(not one.ok for one in writes)


def test_a_visitor_who_cannot_sign_in_is_an_error() -> None:
    plan = LoadPlan(host="127.0.0.1", port=1, prefix="p-", user="u", password="x")
    with pytest.raises(RuntimeError, match="cannot sign in"):
        asyncio.run(Load(plan, lambda _: None).run())
