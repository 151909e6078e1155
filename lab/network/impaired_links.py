"""Delays and drops packets on links at random, as the kernel's netem does; in user space, as not all kernels have it.

A program for the namespace that forwards the packets; it needs nothing but Python. A packet that is about to leave by a
host's link, and comes from a given address, is redirected to a tap device (tc's `mirred`). It waits here for a random
time of its own and goes on through a packet socket that bypasses traffic control. Routing and firewall rules have
handled it before, once. Packets may overtake each other, as with `netem delay 100ms 100ms loss 1%`.

It reads a plan as one line of JSON from standard input, prints `ready`, and ends when its standard input ends, on a
signal, or after `max_seconds`. It removes all that it made before it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

TUNSETIFF = 0x400454CA
IFF_TAP_WITHOUT_HEADER = 0x0002 | 0x1000
SOL_PACKET, PACKET_QDISC_BYPASS = 263, 20
ETHERTYPE_IPV4 = b"\x08\x00"
FRAME_BYTES = 65536
STDIN = 0
READY = "ready"
ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`links`: for each link, by its name, the source addresses of the packets to impair.

    Each packet is delayed by 0 to `delay_up_to_s` and dropped with the probability `loss`.
    """

    links: dict[str, list[str]]
    delay_up_to_s: float
    loss: float
    max_seconds: float

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class ImpairedLink:
    """One link whose packets are delayed and dropped."""

    def __init__(self, link: str, tap: str, sources: Sequence[str]) -> None:
        self.tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(self.tap, TUNSETIFF, struct.pack("16sH22x", tap.encode(), IFF_TAP_WITHOUT_HEADER))
        self._out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._out.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
        self._out.bind((link, 0))
        _run("ip", "link", "set", tap, "up")
        restore(link)
        _run("tc", "qdisc", "add", "dev", link, "clsact")
        for source in sources:
            match = ["protocol", "ip", "prio", "1", "u32", "match", "ip", "src", f"{source}/32"]
            _run("tc", "filter", "add", "dev", link, "egress", *match, *_redirected(tap))

    def held(self) -> Iterator[bytes]:
        """The frames that came since the last call."""
        while True:
            try:
                frame = os.read(self.tap, FRAME_BYTES)
            except BlockingIOError:
                return
            # The tap is a link of its own, on which the kernel may send frames too.
            if frame[12:14] == ETHERTYPE_IPV4:
                yield frame

    def send(self, frame: bytes) -> None:
        """Sends a frame on; it is lost when the host is gone or its queue is full."""
        with contextlib.suppress(OSError):
            self._out.send(frame)


def _redirected(tap: str) -> list[str]:
    return ["action", "mirred", "egress", "redirect", "dev", tap]


def restore(link: str) -> None:
    """Ends the redirection of a link's packets. No error when there is none, or no such link."""
    subprocess.run(["tc", "qdisc", "del", "dev", link, "clsact"], check=False, capture_output=True)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)


def impair(plan: Plan, links: Sequence[ImpairedLink]) -> None:
    """Delays and drops frames until standard input ends or the time is up."""
    waiting: list[tuple[float, int, ImpairedLink, bytes]] = []
    by_tap = {one.tap: one for one in links}
    number = 0
    end = time.monotonic() + plan.max_seconds
    while (now := time.monotonic()) < end:
        while waiting and waiting[0][0] <= now:
            _, _, link, frame = heapq.heappop(waiting)
            link.send(frame)
        due = waiting[0][0] if waiting else end
        readable, _, _ = select.select([STDIN, *by_tap], [], [], max(0.0, min(due, end) - time.monotonic()))
        if STDIN in readable:  # nothing follows the plan, so it has ended
            return
        now = time.monotonic()
        for tap in readable:
            for frame in by_tap[tap].held():
                if random.random() >= plan.loss:
                    number += 1
                    due = now + random.uniform(0, plan.delay_up_to_s)
                    heapq.heappush(waiting, (due, number, by_tap[tap], frame))


def main() -> None:
    """Runs the plan that standard input gives."""
    plan = Plan(**json.loads(sys.stdin.readline()))
    for ending in ENDINGS:
        signal.signal(ending, lambda number, _: sys.exit(128 + number))
    try:
        links = [
            ImpairedLink(link, f"impaired{index}", plan.links[link]) for index, link in enumerate(sorted(plan.links))
        ]
        print(READY, flush=True)
        impair(plan, links)
    finally:
        for ending in ENDINGS:
            signal.signal(ending, signal.SIG_IGN)
        for link in plan.links:
            restore(link)


if __name__ == "__main__":
    main()
