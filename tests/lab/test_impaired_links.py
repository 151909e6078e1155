"""Links that are impaired: slow and lossy, between two small namespaces; needs root, and no lab."""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from lab import process
from lab.network import impaired_links
from lab.network.namespace import Namespace

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

NEAR, FAR = "10.99.1.2", "10.99.2.2"
PORT = 7
COUNT = 1500


@pytest.fixture
def world(tmp_path: Path) -> Iterator[dict[str, Namespace]]:
    """A router between two hosts, with a link each: `e-near` and `e-far`."""
    with ExitStack() as stack:
        process.run(["mount", "-t", "tmpfs", "impaired", tmp_path])
        stack.callback(process.run, ["umount", "--recursive", "--lazy", tmp_path])
        spaces = {name: Namespace.create(name, tmp_path) for name in ("router", "near", "far")}
        router = spaces["router"]
        router.sysctl({"net.ipv4.ip_forward": 1, "net.ipv6.conf.all.disable_ipv6": 1})
        for number, name in ((1, "near"), (2, "far")):
            router.ip(
                [
                    f"link add e-{name} type veth peer name ens5 netns {spaces[name].path}",
                    f"address add 10.99.{number}.1/24 dev e-{name}",
                    f"link set e-{name} up",
                ]
            )
            spaces[name].ip(
                [
                    f"address add 10.99.{number}.2/24 dev ens5",
                    "link set ens5 up",
                    f"route add default via 10.99.{number}.1",
                ]
            )
        yield spaces


@contextmanager
def impaired(router: Namespace, max_delay_s: float, loss: float) -> Iterator[subprocess.Popen[str]]:
    """Impairs both directions between the hosts for as long as the block."""
    child = process.converse(router.argv([sys.executable, "-I", impaired_links.__file__]))
    plan = impaired_links.Plan(
        links={"e-near": [FAR], "e-far": [NEAR]}, delay_up_to_s=max_delay_s, loss=loss, max_seconds=60
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(plan.to_json() + "\n")
    child.stdin.flush()
    assert child.stdout.readline().strip() == impaired_links.READY
    try:
        yield child
    finally:
        child.communicate(timeout=10)
        assert child.returncode in (0, 143)


def round_trips(world: dict[str, Namespace]) -> list[float]:
    """How long datagrams took to the far host and back; what was lost is not among them."""
    far = world["far"].call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    near = world["near"].call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with far, near:
        far.bind((FAR, PORT))
        for one in (far, near):
            one.settimeout(0.001)
        found: list[float] = []
        sent = 0
        quiet_from = time.monotonic() + 1
        while sent < COUNT or time.monotonic() < quiet_from:
            if sent < COUNT:
                near.sendto(repr(time.monotonic()).encode(), (FAR, PORT))
                sent += 1
                quiet_from = time.monotonic() + 1
            with suppress(TimeoutError):
                far.sendto(*far.recvfrom(100))
            with suppress(TimeoutError):
                found.append(time.monotonic() - float(near.recv(100)))
        return found


def qdiscs(router: Namespace) -> str:
    return router.run(["tc", "qdisc", "show"]).stdout


def test_datagrams_are_late_and_some_are_lost_and_none_are_afterwards(world: dict[str, Namespace]) -> None:
    with impaired(world["router"], 0.2, 0.01):
        times = round_trips(world)
    # Two ways, each 0 to 0.2 s late and each losing one in a hundred: 30 of 1500, with a spread of 5.4. A machine that
    # is busy with other things makes them later, but not earlier.
    assert 0.17 < statistics.mean(times) < 0.35
    assert 0.3 < max(times) < 1.0
    assert 8 <= COUNT - len(times) <= 58
    assert "clsact" not in qdiscs(world["router"])
    assert "impaired" not in world["router"].run(["ip", "-brief", "link"]).stdout
    times = round_trips(world)
    assert len(times) == COUNT
    assert statistics.mean(times) < 0.1


def test_a_stream_arrives_whole(world: dict[str, Namespace]) -> None:
    data = bytes(range(256)) * 1000
    listener = world["far"].listen(FAR, PORT)
    with listener, impaired(world["router"], 0.02, 0.01):
        sender = world["near"].call(lambda: socket.create_connection((FAR, PORT), 20))
        receiver, _ = listener.accept()
        with sender, receiver:
            sender.settimeout(60)
            receiver.settimeout(60)

            def send() -> None:
                sender.sendall(data)
                sender.shutdown(socket.SHUT_WR)

            # Beside the reader: neither end's buffers hold all of it.
            sending = threading.Thread(target=send)
            sending.start()
            got = b"".join(iter(lambda: receiver.recv(65536), b""))
            sending.join()
    assert got == data


def test_a_signal_ends_it_and_undoes_it(world: dict[str, Namespace]) -> None:
    with impaired(world["router"], 0.2, 0.01) as child:
        assert "clsact" in qdiscs(world["router"])
        child.terminate()
        child.wait(10)
    assert "clsact" not in qdiscs(world["router"])
