"""Network namespaces that a mounted file keeps alive, and how to run something inside.

The mount is in the supervisor's own mount namespace: however the supervisor ends, the mount and the namespace end too.
"""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from lab import process
from lab.process import Argument, Finished

CLONE_NEWNET = 0x40000000
T = TypeVar("T")


@dataclass(frozen=True)
class Namespace:
    """A network namespace, by the file that it is reached by."""

    name: str
    path: Path

    @classmethod
    def create(cls, name: str, directory: Path) -> Namespace:
        """Makes one, with its loopback up; it lasts as long as the mount that `directory` is on."""
        path = directory / name
        path.touch()
        process.run(["unshare", f"--net={path}", "ip", "link", "set", "lo", "up"])
        return cls(name, path)

    @classmethod
    def own(cls) -> Namespace:
        """The one that this process is in."""
        return cls("internet", Path("/proc/self/ns/net"))

    def argv(self, command: Sequence[Argument]) -> list[Argument]:
        """The command, to be run inside."""
        return ["nsenter", f"--net={self.path}", "--", *command]

    def run(self, command: Sequence[Argument], *, check: bool = True, stdin: str | None = None) -> Finished:
        """Runs a program inside."""
        return process.run(self.argv(command), check=check, stdin=stdin)

    def ip(self, lines: Sequence[str], *, force: bool = False) -> None:
        """Applies a batch of `ip` commands; with `force` one that fails does not stop the others."""
        if lines:
            options = ["-force"] if force else []
            self.run(["ip", *options, "-batch", "-"], stdin="\n".join(lines) + "\n", check=not force)

    def sysctl(self, values: dict[str, int]) -> None:
        """Sets kernel parameters of this network namespace, such as `net.ipv4.ip_forward`."""

        def write() -> None:
            for name, value in values.items():
                # /proc/sys/net shows the namespace of the thread that opens it.
                Path("/proc/sys", name.replace(".", "/")).write_text(str(value), encoding="ascii")

        self.call(write)

    def has_link(self, name: str) -> bool:
        """Whether a network link of that name is inside."""
        return self.call(lambda: Path("/proc/sys/net/ipv4/conf", name).exists())

    def listen(self, address: str, port: int) -> socket.socket:
        """A TCP socket that listens inside, to be served from any thread."""
        return self.call(lambda: socket.create_server((address, port), reuse_port=False, backlog=128))

    def connects(self, address: str, port: int) -> bool:
        """Whether something inside accepts TCP connections there."""

        def try_it() -> bool:
            with socket.socket() as probe:
                probe.settimeout(1)
                return probe.connect_ex((address, port)) == 0

        return self.call(try_it)

    def call(self, action: Callable[[], T]) -> T:
        """Runs `action` in a thread that is inside; what it opens stays there."""
        results: list[T] = []
        errors: list[BaseException] = []

        def inside() -> None:
            try:
                enter(self.path)
                results.append(action())
            except BaseException as error:  # raised again in the calling thread
                errors.append(error)

        thread = threading.Thread(target=inside, name=f"in-{self.name}")
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return results[0]


def enter(path: Path) -> None:
    """Moves the calling thread into the network namespace of a file."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(handle, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns", str(path))
    finally:
        os.close(handle)
