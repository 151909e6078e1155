"""The load balancer's HAProxy as a host's files configure it, on this machine's loopback; its applications echo."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from spec import ports
from tests.unit.cloud_init.rendering import estate, files_of

CONFIG = "/etc/haproxy/haproxy.cfg"
MAINTENANCE = "/etc/haproxy/maintenance.map"
LOOPBACK, VISITOR, MONITOR = "127.0.0.1", "127.0.0.2", "127.0.0.3"
TIMEOUT_S = 10.0
_CERTIFICATE = re.compile(r"/etc/(?:haproxy|ha)/tls/[a-z-]+\.(?:pem|crt)")
_OF_ROOT = re.compile(r"^ +(?:user|group|chroot) .*\n", re.MULTILINE)
_OF_THE_HOST = re.compile(r"^ +(?:stats socket|log) /(?:run|dev)/.*\n", re.MULTILINE)


def executable() -> str:
    """This machine's HAProxy; the test is skipped where there is none."""
    found = shutil.which("haproxy") or shutil.which("/usr/sbin/haproxy")
    if not found:
        pytest.skip("haproxy is not installed")
    return found


def certificate(folder: Path) -> Path:
    """A self-signed certificate and its key, in one file."""
    key, crt, pair = folder / "key", folder / "crt", folder / "pair.pem"
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subject = ["-subj", "/CN=test", "-days", "2", "-keyout", str(key), "-out", str(crt)]
    subprocess.run([*request, *subject], check=True, capture_output=True)
    pair.write_text(crt.read_text() + key.read_text())
    return pair


def on_this_machine(config: str, pair: Path) -> str:
    """A host's configuration, to be read without root, with one certificate for all and an empty map beside it."""
    maintenance = pair.with_name("maintenance.map")
    maintenance.touch()
    return _OF_ROOT.sub("", _CERTIFICATE.sub(str(pair), config)).replace(MAINTENANCE, str(maintenance))


@dataclass(frozen=True)
class Request:
    """A request as an application got it: header names in lower case, each as often as it came."""

    server: str
    path: str
    headers: Sequence[tuple[str, str]]

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name.lower()]


@dataclass(frozen=True)
class Answer:
    """What the visitor got."""

    code: int
    headers: Mapping[str, str]
    request: Request | None
    """As the application got it; None when another answered."""
    body: str


@dataclass
class Balancer:
    """A running load balancer. `bad` says of a request whether its application answers with 503."""

    local: Mapping[int, int]
    """The port of this machine for each of the load balancer's."""
    received: list[Request] = field(default_factory=list)
    """What applications got, health checks left out."""
    bad: Callable[[Request], bool] = lambda _: False
    folder: Path = Path()
    """With its configuration, its certificate, `maintenance.map` and its master's socket, `master.sock`."""
    master: int = 0
    """The process id of its master."""

    def ask(self, path: str = "/", *headers: tuple[str, str], port: int = ports.HTTP, source: str = VISITOR) -> Answer:
        """A GET at one of the load balancer's ports, from an address of the loopback."""
        visit: http.client.HTTPConnection
        where, own = (LOOPBACK, self.local[port]), (source, 0)
        if port == ports.HTTPS:
            anyone = ssl.create_default_context()
            anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
            visit = http.client.HTTPSConnection(*where, timeout=TIMEOUT_S, source_address=own, context=anyone)
        else:
            visit = http.client.HTTPConnection(*where, timeout=TIMEOUT_S, source_address=own)
        try:
            visit.putrequest("GET", path, skip_host=any(name == "Host" for name, _ in headers))
            for header in headers:
                visit.putheader(*header)
            visit.endheaders()
            answer = visit.getresponse()
            body = answer.read()
        finally:
            visit.close()
        echoed = Request(**json.loads(body)) if answer.getheader("X-Echo") else None
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, echoed, body.decode())


@contextmanager
def balancer(folder: Path, **settings: Any) -> Iterator[Balancer]:
    """The load balancer of a stack with these settings, for as long as the block; its applications speak no TLS, and
    its monitor is at an address of the loopback."""
    settings["application"] = {"tls": False, **settings.get("application", {})}
    pair = certificate(folder)
    text = _OF_THE_HOST.sub("", on_this_machine(files_of("lb1", **settings)[CONFIG], pair))
    hosts = {context.host.name: str(context.host.address) for context in estate(**settings).values()}
    with ExitStack() as stack:
        listeners = {
            port: stack.enter_context(socket.create_server((LOOPBACK, 0)))
            for port in (ports.HTTP, ports.HTTPS, ports.HAPROXY_STATS)
        }
        running = Balancer({port: one.getsockname()[1] for port, one in listeners.items()}, folder=folder)
        for name in (name for name in hosts if name.startswith("app")):
            port = stack.enter_context(_application(name, running))
            text = _replaced(
                text, f"server {name} {hosts[name]}:{ports.APPLICATION}", f"server {name} {LOOPBACK}:{port}"
            )
        for port, listener in listeners.items():
            address = hosts["lb1"] if port == ports.HAPROXY_STATS else ""
            text = _replaced(text, f"bind {address}:{port}", f"bind fd@{listener.fileno()}")
        text = _replaced(text, hosts["monitor1"], MONITOR)
        config = folder / "haproxy.cfg"
        config.write_text(text)
        errors = stack.enter_context((folder / "haproxy.log").open("wb"))
        child = subprocess.Popen(
            [executable(), "-W", "-S", str(folder / "master.sock"), "-f", str(config)],
            pass_fds=[one.fileno() for one in listeners.values()],
            stdout=errors,
            stderr=errors,
        )
        stack.callback(child.wait)
        stack.callback(child.terminate)
        running.master = child.pid
        # A visitor who comes before HAProxy is ready waits in the sockets' queues; if it ended they are refused.
        for listener in listeners.values():
            listener.close()
        yield running


def _replaced(text: str, old: str, new: str) -> str:
    assert re.search(rf"{re.escape(old)}\b", text), f"the configuration has no {old!r}"
    return re.sub(rf"{re.escape(old)}\b", new, text)


@contextmanager
def _application(name: str, running: Balancer) -> Iterator[int]:
    """Answers with what it was asked, at the port that it gives."""

    class Application(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            with suppress(ConnectionError):  # a load balancer that has ended
                super().handle()

        def do_GET(self) -> None:
            request = Request(name, self.path, [(key.lower(), value) for key, value in self.headers.items()])
            health = self.path == "/api/health"
            if not health:
                running.received.append(request)
            body = json.dumps(request.__dict__).encode()
            self.send_response(503 if not health and running.bad(request) else 200)
            self.send_header("X-Echo", name)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # a health check has seen enough
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer((LOOPBACK, 0), Application) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
