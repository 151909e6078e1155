"""The programs of the network: the uplink, the resolver, the TLS proxy before the API and the published ports.

Each is a program of Debian's with a configuration written here; all end with the supervisor.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path

from trustme import CA, LeafCert

from lab import process
from lab.network import topology
from lab.network.fabric import Fabric
from lab.waiting import eventually

READY_S = 10.0


@contextlib.contextmanager
def uplink(machine_network: int, log: Path) -> Iterator[None]:
    """Lets the internet namespace reach what the machine reaches, without a change to the machine's network.

    :param machine_network: an open descriptor of the machine's network namespace.
    """
    read_end, write_end = os.pipe()
    with contextlib.ExitStack() as stack:
        argv = [
            *("nsenter", f"--net=/proc/self/fd/{machine_network}", "--"),
            *("slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback"),
            *(
                f"--cidr={topology.UPLINK_NETWORK}",
                f"--ready-fd={write_end}",
                "--netns-type=path",
                "/proc/1/ns/net",
                topology.UPLINK,
            ),
        ]
        stack.callback(os.close, read_end)
        try:
            child = stack.enter_context(process.spawn(argv, log=log, pass_fds=(machine_network, write_end)))
        finally:
            os.close(write_end)
        # slirp4netns writes one byte when the link is up; the pipe ends without it when slirp4netns fails.
        if os.read(read_end, 1) != b"1":
            raise _ended(argv, child, log)
        yield


class Resolver:
    """dnsmasq at the address of a VPC's resolver: answers AWS's names and asks the machine's DNS for others."""

    def __init__(self, fabric: Fabric, regions: Sequence[str], directory: Path, log: Path) -> None:
        self._fabric = fabric
        self._log = log
        self._configuration = directory / "dnsmasq.conf"
        s3 = ["s3.amazonaws.com", *(f"s3.{region}.amazonaws.com" for region in regions)]
        lines = [
            *("no-hosts", "no-resolv", "log-facility=-", "pid-file=", "user=root", "group=root", "cache-size=10000"),
            f"except-interface={topology.INTERNET_LINK}",
            f"server={topology.UPLINK_RESOLVER}",
            *(f"address=/{name}/{topology.S3}" for name in s3),
            f"address=/amazonaws.com/{topology.SERVICES}",
        ]
        self._configuration.write_text("\n".join(lines) + "\n", encoding="ascii")

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Runs it for as long as the block; it listens on every address that the fabric has or gets."""
        argv = ["dnsmasq", "--keep-in-foreground", f"--conf-file={self._configuration}"]
        with process.spawn(self._fabric.vpc.argv(argv), log=self._log) as child:

            def answers() -> bool:
                if child.poll() is not None:
                    raise _ended(argv, child, self._log)
                return self._fabric.vpc.connects(str(topology.LINK_LOCAL_RESOLVER), 53)

            eventually("the resolver starts", answers, deadline_s=READY_S, every_s=0.02)
            yield


_HAPROXY_HEAD = """
global
    stats socket {socket} mode 600 level admin
    maxconn 4000
defaults
    timeout connect 5s
    timeout client 10m
    timeout server 10m
"""

_TLS_PROXY = """
    mode http
    option forwardfor
frontend aws
    bind {services}:443 ssl crt {certificate}
    bind {s3}:443 ssl crt {certificate}
    http-request set-header X-Forwarded-Proto https
    default_backend api
backend api
    server api 127.0.0.1:{port}
"""

_PUBLISHED = """
    mode tcp
frontend {name}
    bind fd@{descriptor}
    default_backend {name}
backend {name}
    server estate 192.0.2.1:{port} disabled
"""


def new_authority() -> CA:
    """A certificate authority for one lab. Its key exists in this process alone."""
    return CA(organization_name="Event Manager HA", organization_unit_name="lab", path_length=0)


def service_certificate(authority: CA, regions: Iterable[str]) -> LeafCert:
    """A certificate for the DNS names of AWS's services in these regions; a wildcard covers one label."""
    names = ["*.amazonaws.com", "*.s3.amazonaws.com"]
    for region in sorted(regions):
        names += [f"*.{region}.amazonaws.com", f"*.s3.{region}.amazonaws.com"]
    return authority.issue_cert(*names)


@contextlib.contextmanager
def tls_proxy(authority: CA, regions: Sequence[str], directory: Path) -> Iterator[None]:
    """TLS before the API, at the addresses of AWS's names; it puts the client's address into X-Forwarded-For."""
    certificate = directory / "aws.pem"
    certificate.touch(mode=0o600)
    certificate.write_bytes(service_certificate(authority, regions).private_key_and_cert_chain_pem.bytes())
    control = directory / "tls.sock"  # short: HAProxy takes 97 characters of path
    text = _HAPROXY_HEAD.format(socket=control) + _TLS_PROXY.format(
        services=topology.SERVICES, s3=topology.S3, certificate=certificate, port=topology.API_PORT
    )
    with _haproxy(text, control, directory / "tls-proxy", []):
        yield


class PublishedPorts:
    """Ports of the machine's loopback that lead to the estate's public address, from where clients outside AWS are."""

    def __init__(self, fabric: Fabric, sockets: Mapping[int, int], directory: Path) -> None:
        """`sockets`: the descriptor of a socket that is bound on the machine, by the port of the estate."""
        self._fabric = fabric
        self._sockets = dict(sockets)
        self._directory = directory
        self._control = directory / "ports.sock"
        self._target: IPv4Address | None = None

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Serves the ports for as long as the block; connections are refused until there is a target."""
        text = _HAPROXY_HEAD.format(socket=self._control)
        for port, descriptor in self._sockets.items():
            text += _PUBLISHED.format(name=f"port{port}", descriptor=descriptor, port=port)
        with _haproxy(
            text, self._control, self._directory / "ports", list(self._sockets.values()), self._fabric.client.argv([])
        ):
            yield

    def lead_to(self, target: IPv4Address | None) -> None:
        """Makes the ports lead to a public address."""
        if target == self._target:
            return
        for port in self._sockets:
            server = f"port{port}/estate"
            if target is None:
                self._command(f"set server {server} state maint")
            else:
                self._command(f"set server {server} addr {target} port {port}")
                self._command(f"set server {server} state ready")
        self._target = target

    def _command(self, line: str) -> None:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self._control))
            connection.sendall(line.encode() + b"\n")
            while connection.recv(4096):
                pass


@contextlib.contextmanager
def _haproxy(
    text: str, control: Path, base: Path, descriptors: Sequence[int], prefix: Sequence[process.Argument] = ()
) -> Iterator[None]:
    configuration = base.with_suffix(".cfg")
    configuration.write_text(text, encoding="utf-8")
    argv = [*prefix, "haproxy", "-db", "-f", configuration]
    log = base.with_suffix(".log")
    with process.spawn(argv, log=log, pass_fds=descriptors) as child:

        def answers() -> bool:
            if child.poll() is not None:
                raise _ended(argv, child, log)
            with socket.socket(socket.AF_UNIX) as connection:
                return connection.connect_ex(str(control)) == 0

        eventually("HAProxy starts", answers, deadline_s=READY_S, every_s=0.02)
        yield


def _ended(argv: Sequence[process.Argument], child: subprocess.Popen[bytes], log: Path) -> process.ProgramFailed:
    """The error for a program that ended too early, with the end of its log."""
    output = log.read_text(encoding="utf-8", errors="replace")
    return process.ProgramFailed(process.Finished(tuple(map(str, argv)), child.wait(), "", output))
