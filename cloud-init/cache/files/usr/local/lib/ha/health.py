"""The cache's part of ha-report: Redis answers over TLS, and its writes reach the disk."""

import socket
import ssl
from pathlib import Path
from typing import Any

from ha_host import environment, parameter


def _ask() -> dict[str, str]:
    """Redis's INFO as a dictionary. :raises OSError: when Redis does not answer, or refuses."""
    password = parameter("cache/password", None, wait_s=0)
    trust = ssl.create_default_context(cafile="/etc/ha/tls/ca.crt")
    address = environment()["HA_ADDRESS"]
    with (
        socket.create_connection((address, 6379), timeout=3) as plain,
        trust.wrap_socket(plain, server_hostname=address) as redis,
    ):
        redis.sendall(f"AUTH exporter {password}\r\nINFO\r\nQUIT\r\n".encode())
        answer = b"".join(iter(lambda: redis.recv(65536), b"")).decode()
    if not answer.startswith("+OK"):
        raise OSError(answer.splitlines()[0])
    return dict(line.split(":", 1) for line in answer.splitlines() if ":" in line)


def checks() -> list[dict[str, Any]]:
    try:
        said = _ask()
    except OSError as error:
        return [{"name": "redis", "ok": False, "detail": str(error)}]
    written = said["aof_enabled"] == "1" and said["aof_last_write_status"] == said["aof_last_bgrewrite_status"] == "ok"
    memory = f"{said['used_memory_human']} of {said['maxmemory_human']}, {said['evicted_keys']} evicted"
    pair = []
    if said["role"] == "slave":
        link = said["master_link_status"]
        pair = [{"name": "replication", "ok": link == "up", "detail": f"from {said['master_host']}: {link}"}]
    elif Path("/etc/redis/role.conf").exists():
        replicas = int(said["connected_slaves"])
        pair = [{"name": "replication", "ok": replicas > 0, "detail": f"to {replicas} replicas"}]
    return [
        *pair,
        {"name": "redis", "ok": said["loading"] == "0", "detail": said["redis_version"]},
        {"name": "append-only file", "ok": written, "detail": said["aof_last_write_status"]},
        {"name": "memory", "ok": True, "detail": memory, "informational": True},
        {"name": "data volume", "ok": Path("/srv/data").is_mount(), "detail": ""},
    ]


def facts() -> dict[str, Any]:
    try:
        return {"role": _ask()["role"]}
    except OSError:
        return {"role": "down"}
