"""A booted estate as the tests see it: the `ha` that a user runs, the hosts, and a computer outside AWS."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

from lab import process
from lab.aws import service
from lab.lab import Lab
from lab.network.namespace import Namespace
from lab.process import Argument, Finished
from spec.project import REPOSITORY
from spec.settings import Settings
from spec.stack_file import load_settings
from spec.tags import public_address_name
from tests.lab.checkout import HA, STACK, run_ha
from tests.lab.conftest import free_ports

KEPT_LOGS = REPOSITORY / ".logs"
_CURL = ("curl", "--silent", "--show-error", "--max-time", "10")


@dataclass(frozen=True)
class Answer:
    """An HTTP answer as curl saw it."""

    code: int
    headers: dict[str, str]
    body: str

    def json(self) -> Any:
        return json.loads(self.body)


class Booted:
    """The estate of one lab state folder. `ports`: this machine's port by the estate's."""

    def __init__(self, state: Path, ports: Mapping[int, int], stack: str = STACK) -> None:
        self.state = state
        self.stack = stack
        self.ports = ports
        self.lab = Lab(state)
        self.settings: Settings = load_settings(REPOSITORY, stack)
        self.url = f"http://127.0.0.1:{ports[80]}"

    def ha(
        self,
        *arguments: str,
        project_dir: Path = REPOSITORY,
        timeout_s: float = 600,
        program: Sequence[str] = HA,
    ) -> Finished:
        """Runs `ha` as a user does; from another checkout with `project_dir`."""
        return run_ha(arguments, project_dir=project_dir, state=self.state, timeout_s=timeout_s, program=program)

    def up(self, *options: str, project_dir: Path = REPOSITORY, timeout_s: float = 900) -> Finished:
        """Boots the stack, with this machine's ports that are the test's."""
        ports = ("--http-port", str(self.ports[80]), "--https-port", str(self.ports[443]))
        return self.ha(
            "lab", "up", "--stack", self.stack, *ports, *options, project_dir=project_dir, timeout_s=timeout_s
        )

    def status(self) -> dict[str, Any]:
        """The document of `ha --lab status --json`."""
        document: dict[str, Any] = json.loads(self.ha("--lab", "status", "--stack", self.stack, "--json").stdout)
        return document

    def on_host(self, name: str, *command: Argument, check: bool = True, stdin: str | None = None) -> Finished:
        """Runs a command on a host as root."""
        return process.run(self.lab.on_host(name, command), check=check, stdin=stdin)

    def outside(self, *command: Argument, check: bool = True) -> Finished:
        """Runs a command on the computer outside AWS."""
        return process.run(self.lab.in_network(command, client=True), check=check)

    def client(self, service_name: str) -> Any:
        """A boto3 client of the operator. The endpoint is in the lab's network: call it through `in_network`."""
        return service.client(service_name, self.lab.endpoint_url, self.settings.region)

    def in_network(self, action: Any) -> Any:
        """Runs `action` in the lab's internet, where the API is."""
        return Namespace("internet", Path(f"/proc/{self.lab.supervisor_pid()}/ns/net")).call(action)

    def public_address(self) -> str:
        """The address that visitors know."""
        found: str = self.in_network(lambda: self._addresses()[0]["PublicIp"])
        return found

    def _addresses(self) -> list[dict[str, Any]]:
        filters = [{"Name": "tag:Name", "Values": [public_address_name(self.stack)]}]
        addresses: list[dict[str, Any]] = self.client("ec2").describe_addresses(Filters=filters)["Addresses"]
        return addresses

    def parameters(self) -> dict[str, dict[str, Any]]:
        """Every SSM parameter of the stack by its name below the stack's path or that of its backups, decrypted."""
        prefixes = (f"/ha/{self.stack}/", f"/ha-backups/{self.stack}/")

        def read() -> dict[str, dict[str, Any]]:
            pages = self.client("ssm").get_paginator("get_parameters_by_path")
            return {
                parameter["Name"].removeprefix(prefix): parameter
                for prefix in prefixes
                for page in pages.paginate(Path=prefix, Recursive=True, WithDecryption=True)
                for parameter in page["Parameters"]
            }

        found: dict[str, dict[str, Any]] = self.in_network(read)
        return found


@contextmanager
def booted_estate(stack: str, broken: Callable[[], bool]) -> Iterator[Booted]:
    """A stack in a lab of its own. The logs of all hosts are kept in `.logs/` when `broken` says so at the end."""
    state = Path(os.environ.get("HA_TEST_LAB_STATE", "/var/lib/event-manager-ha/lab-tests"))
    estate = Booted(state, free_ports(), stack)
    up = estate.up()
    try:
        assert up.exit_code == 0, f"{up.stdout}\n{up.stderr}"
        yield estate
    finally:
        if broken() or up.exit_code != 0:
            _keep_logs(estate)
        down = estate.ha("lab", "down")
        assert down.exit_code == 0, down.stderr


def _keep_logs(estate: Booted) -> None:
    if estate.lab.paths.hosts_logs.is_dir():
        shutil.copytree(estate.lab.paths.hosts_logs, KEPT_LOGS / estate.stack, dirs_exist_ok=True)


class Browser:
    """A visitor with cookies, that can ask the load balancer or an application host itself."""

    def __init__(self, booted: Booted, jar: Path) -> None:
        self._booted = booted
        self._jar = jar

    def ask(self, method: str, path: str, *, body: dict[str, Any] | None = None, of: str | None = None) -> Answer:
        """One request; `of` names an application host to ask directly, from the load balancer's host."""
        argv: list[str] = [*_CURL, "--include", "--request", method]
        if body is not None:
            argv += ["--header", "Content-Type: application/json", "--data", json.dumps(body)]
        if cookies := self.cookies():
            argv += ["--header", f"Cookie: {cookies}"]
        if of is None:
            done = process.run([*argv, f"{self._booted.url}{path}"])
        else:
            # As the load balancer speaks to it: TLS verified with the tier's authority, and whose request it is.
            argv += ["--header", "X-Forwarded-Proto: http", "--cacert", "/etc/haproxy/tls/application-ca.crt"]
            address = next(h.address for h in self._booted.settings.plan_hosts() if h.name == of)
            argv += ["--resolve", f"{of}:5000:{address}"]  # load balancers know application hosts by address
            done = self._booted.on_host("lb1", *argv, f"https://{of}:5000{path}")
        answer = _parsed(done.stdout)
        self._keep(answer)
        return answer

    def sign_in(self, *, of: str | None = None) -> None:
        """As the administrator."""
        password = self._booted.parameters()["app/admin-password"]["Value"]
        answer = self.ask("POST", "/api/login", body={"username": "admin", "password": password}, of=of)
        assert answer.code == 200, answer.body

    def signed_in(self, *, of: str | None = None) -> bool:
        """Whether its session is known."""
        answer = self.ask("GET", "/api/session", of=of)
        assert answer.code == 200, answer.body
        return bool(answer.json()["user"] == "admin")

    def cookies(self) -> str:
        """What it sends as its Cookie header; empty before it got one."""
        return self._jar.read_text(encoding="utf-8") if self._jar.exists() else ""

    def _keep(self, answer: Answer) -> None:
        if "set-cookie" in answer.headers:
            cookie: SimpleCookie = SimpleCookie(answer.headers["set-cookie"])
            self._jar.write_text("; ".join(f"{k}={m.value}" for k, m in cookie.items()), encoding="utf-8")


def _parsed(text: str) -> Answer:
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    lines = head.splitlines()
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
    return Answer(int(lines[0].split()[1]), headers, body)
