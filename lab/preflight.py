"""Checks the machine before a lab is started. Each refusal comes before anything is made, with exit code 2."""

from __future__ import annotations

import json
import os
import shutil
import socket
import sys
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network
from pathlib import Path

from lab import process
from lab.image.build import NEEDED_GIB, check_room, image_path
from lab.image.contents import ImageKind, contents
from lab.network.topology import OWN_RANGES
from lab.paths import cache_directory
from lab.pulumi_cli import find_pulumi
from spec.errors import EXIT_USAGE, HaError
from spec.project import REPOSITORY

STATE_GIB = 4.0
"""What seven hosts write while they set themselves up, with some room."""

WATCHES_PER_HOST = 8
"""inotify instances that a booted host's systemd and services hold (56 were counted with seven hosts)."""

_WATCHES_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
_MOST_PORT = 65535
_PORT_OPTIONS = {80: "--http-port", 443: "--https-port"}
_WIDEST_USE = 8
"""Prefix length of the widest private range. A route to a wider range is a default route, or a part of one."""

PROGRAMS: Mapping[str, str] = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "dnsmasq": "dnsmasq-base",
    "haproxy": "haproxy",
    "slirp4netns": "slirp4netns",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
    "node": "nodejs",
}
"""The programs that the lab runs, and the Debian package of each."""


def refused(what: str, *, where: str = "", fix: str = "") -> HaError:
    """A refusal: nothing was made, exit code 2."""
    return HaError(what, where=where, fix=fix, exit_code=EXIT_USAGE)


def check_root() -> None:
    """:raises HaError: without root."""
    if os.geteuid() != 0:
        raise refused(
            "the lab needs root: it makes namespaces, mounts and block devices",
            fix="run the command as root (sudo)",
        )


def check_system() -> None:
    """Linux, root, and the programs. :raises HaError: naming all that is missing."""
    if sys.platform != "linux":
        raise refused(f"the lab needs Linux; this is {sys.platform}", fix="run it on a Debian 12 or 13 machine")
    check_root()
    missing = sorted({package for program, package in PROGRAMS.items() if not find_program(program)})
    if missing:
        raise refused(
            f"the lab needs programs that are not installed: packages {', '.join(missing)}",
            fix=f"apt-get install {' '.join(missing)}",
        )


def check_setup() -> None:
    """What `make setup` installs for the lab: the Pulumi CLI, and Node's packages of the IAM simulator."""
    find_pulumi()
    folder = REPOSITORY / "lab" / "aws" / "iam-simulator"
    if not (folder / "node_modules").is_dir():
        raise refused(
            "the packages of the lab's IAM simulator are not installed", where=str(folder), fix="run `make setup`"
        )


def find_program(name: str) -> str | None:
    """Where a program is, on the path that children get."""
    return shutil.which(name, path=process.PATH)


def check_kernel() -> None:
    """Overlay mounts, loop devices, tun, cgroups and nftables, tried out in namespaces that end at once."""
    for path, what in (
        ("/dev/loop-control", "loop devices"),
        ("/dev/net/tun", "the tun device"),
        ("/sys/fs/cgroup", "control groups"),
    ):
        if not Path(path).exists():
            raise refused(
                f"this kernel or container has no {what}",
                where=path,
                fix="run the lab on a machine, not in a container",
            )
    if "overlay" not in Path("/proc/filesystems").read_text(encoding="ascii"):
        process.run(["modprobe", "overlay"], check=False)
    script = (
        "mount -t tmpfs try /mnt && cd /mnt && mkdir l u w r && mount -t overlay o -o lowerdir=l,upperdir=u,workdir=w r"
        " && ip link add try0 type veth peer name try1 && nft add table ip try"
        " && nft add chain ip try c '{ type nat hook postrouting priority 100; }' && nft add rule ip try c masquerade"
    )
    tried = process.run(["unshare", "--mount", "--net", "--pid", "--fork", "sh", "-c", script], check=False)
    if tried.exit_code != 0:
        raise refused(
            "the kernel lacks something that the lab needs (namespaces, overlay, veth or nftables)",
            where=tried.stderr.strip()[:500],
            fix="run the lab on a machine with a Debian kernel, not in a container",
        )


def check_watches(hosts: int) -> None:
    """Enough inotify instances for all hosts: root may have so many, and systemd does not boot without them."""
    limit, used = int(_WATCHES_LIMIT.read_text(encoding="ascii")), watches_in_use()
    needed = hosts * WATCHES_PER_HOST
    if used + needed > limit:
        raise refused(
            f"{hosts} hosts need about {needed} inotify instances; {used} of root's {limit} are in use",
            where="fs.inotify.max_user_instances",
            fix=f"end another lab, or run `sysctl fs.inotify.max_user_instances={max(512, 2 * (used + needed))}`",
        )


def watches_in_use() -> int:
    """inotify instances that processes of root hold."""
    found = 0
    for process_dir in Path("/proc").glob("[0-9]*"):
        try:
            if process_dir.stat().st_uid == 0:
                found += sum(str(fd.readlink()) == "anon_inode:inotify" for fd in (process_dir / "fd").iterdir())
        except OSError:
            continue  # the process has ended meanwhile
    return found


def check_disk(kind: ImageKind, state: Path) -> None:
    """Room for the image (unless it is built) and the hosts' disks."""
    needed_gib = 0.0 if image_path(contents(kind)).is_dir() else NEEDED_GIB[kind]
    cache = cache_directory()
    if _disk_of(cache) == _disk_of(state):
        check_room(state, needed_gib + STATE_GIB, "the lab")
    else:
        check_room(cache, needed_gib, "the host image")
        check_room(state, STATE_GIB, "the hosts' disks")


def _disk_of(path: Path) -> int:
    return next(parent for parent in (path, *path.parents) if parent.exists()).stat().st_dev


def check_addresses(ranges: Iterable[IPv4Network]) -> None:
    """The stack's ranges must not be in use on this machine or by the lab: hosts could not reach both."""
    used = machine_networks()
    for wanted in ranges:
        for network, what in OWN_RANGES.items():
            if wanted.overlaps(network):
                raise refused(
                    f"the address range {wanted} of the stack overlaps one that the lab itself uses: {network}",
                    where=what,
                    fix="give the stack another range (network.cidr in its settings)",
                )
        for network, where in used:
            if wanted.overlaps(network):
                raise refused(
                    f"the address range {wanted} of the stack is in use on this machine: {network}",
                    where=where,
                    fix="give the stack another range (network.cidr in its settings)",
                )


def machine_networks() -> list[tuple[IPv4Network, str]]:
    """The IPv4 ranges that this machine has addresses in or routes to, without its default route.

    VPNs set a default route in two parts (0.0.0.0/1 and 128.0.0.0/1); these are left out too.
    """
    found = []
    for link in json.loads(process.run(["ip", "-json", "-4", "address"]).stdout):
        for address in link.get("addr_info", ()):
            if "local" in address:
                network = IPv4Network(f"{address['local']}/{address['prefixlen']}", strict=False)
                found.append((network, f"interface {link['ifname']}"))
    for route in json.loads(process.run(["ip", "-json", "-4", "route", "show", "table", "main"]).stdout):
        network = IPv4Network("0.0.0.0/0" if route["dst"] == "default" else route["dst"], strict=False)
        if network.prefixlen >= _WIDEST_USE:
            found.append((network, f"route by {route.get('dev', 'no device')}"))
    return found


def bind_ports(ports: Mapping[int, int]) -> dict[int, socket.socket]:
    """Listening sockets on the machine's loopback, by the port of the estate that each leads to.

    :param ports: port of the machine by port of the estate.
    :raises HaError: naming the port that is busy, is not a port number, or is given twice; none stays bound then.
    """
    for port in ports.values():
        if not 1 <= port <= _MOST_PORT:
            raise refused(
                f"{port} is not a port number", where="ports of this machine", fix=f"choose one from 1 to {_MOST_PORT}"
            )
    if len(set(ports.values())) < len(ports):
        raise refused(
            f"port {max(ports.values(), key=list(ports.values()).count)} of this machine cannot lead to two ports",
            where=", ".join(f"{port} -> {estate_port}" for estate_port, port in ports.items()),
            fix="choose another port for one of them",
        )
    bound: dict[int, socket.socket] = {}
    for estate_port, port in ports.items():
        try:
            bound[estate_port] = socket.create_server(("127.0.0.1", port), backlog=256)
        except OSError as error:
            for one in bound.values():
                one.close()
            raise refused(
                f"port {port} of this machine is busy",
                where=f"127.0.0.1:{port} ({os.strerror(error.errno or 0)})",  # str(error) repeats the address
                fix=f"stop what listens there, or choose another port: `ha lab up {_PORT_OPTIONS[estate_port]} N`",
            ) from error
    return bound
