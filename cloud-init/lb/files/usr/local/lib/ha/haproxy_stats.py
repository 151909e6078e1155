"""Statistics of this host's HAProxy, from its admin socket."""

import csv
import io
import socket

SOCKET = "/run/haproxy/admin.sock"


def servers(backend: str) -> dict[str, str]:
    """State of each server of a backend, such as UP or DOWN; empty when HAProxy does not answer."""
    try:
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(3)
            admin.connect(SOCKET)
            admin.sendall(b"show stat\n")
            answer = b"".join(iter(lambda: admin.recv(65536), b"")).decode()
    except OSError:
        return {}
    rows = csv.DictReader(io.StringIO(answer.removeprefix("# ")))
    names = {"FRONTEND", "BACKEND"}
    return {r["svname"]: r["status"] for r in rows if r["pxname"] == backend and r["svname"] not in names}
