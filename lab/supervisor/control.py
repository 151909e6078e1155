"""The control channel: one line of JSON each way, over a socket in the lab's state."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from spec.errors import HaError

Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]
_PEER = struct.Struct("3i")


@contextlib.contextmanager
def serve(path: Path, operations: Mapping[str, Handler]) -> Iterator[None]:
    """Answers requests `{"operation": NAME, ...}` for as long as the block."""

    class Connection(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client has gone
                request = json.loads(self.rfile.readline() or "{}")
                self.wfile.write(json.dumps(_answer(operations, request), default=str).encode() + b"\n")

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True
        request_queue_size = 64

    with Server(str(path), Connection) as server:
        path.chmod(0o600)
        threading.Thread(target=server.serve_forever, name="control", daemon=True).start()
        yield
        server.shutdown()


def _answer(operations: Mapping[str, Handler], request: Mapping[str, Any]) -> Mapping[str, Any]:
    handler = operations.get(str(request.get("operation")))
    if handler is None:
        return {"error": {"what": f"no such operation: {request.get('operation')}", "where": "", "fix": ""}}
    try:
        return {"result": handler(request)}
    except HaError as error:
        return {"error": {"what": error.what, "where": error.where, "fix": error.fix}}
    except Exception as error:  # reported to the client; the lab goes on
        return {"error": {"what": f"the lab's supervisor failed: {error!r}", "where": "", "fix": ""}}


ANSWER_S = 30.0
"""How long an answer may take."""


def ask(path: Path, operation: str, **arguments: Any) -> Any:
    """The answer to one request.

    :raises HaError: when the supervisor does not answer, or answers with an error.
    """
    try:
        with _connect(path, ANSWER_S) as connection, connection.makefile("rwb") as stream:
            stream.write(json.dumps({"operation": operation, **arguments}).encode() + b"\n")
            stream.flush()
            line = stream.readline()
    except OSError as error:
        raise no_answer(path) from error
    if not line:
        raise HaError("the lab ended before it answered", where=str(path), fix="`ha lab up` starts it again")
    answer = json.loads(line)
    if "error" in answer:
        raise HaError(**answer["error"])
    return answer["result"]


def no_answer(path: Path) -> HaError:
    """The error for a supervisor that does not answer."""
    return HaError("the lab does not answer", where=str(path), fix="end it with `ha lab down`")


def peer_pid(path: Path) -> int:
    """The process id of the supervisor behind the socket, as this process sees it; 0 when there is none."""
    try:
        with _connect(path, 5.0) as connection:
            peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
            pid: int = _PEER.unpack(peer)[0]
            return pid
    except OSError:
        return 0


def _connect(path: Path, timeout_s: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(timeout_s)
    try:
        connection.connect(str(path))
    except OSError:
        connection.close()
        raise
    return connection
