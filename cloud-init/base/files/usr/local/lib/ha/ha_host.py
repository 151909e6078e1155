"""The stack's parameters and other AWS calls, retried for as long as a slow first boot may take."""

import functools
import os
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOST = Path("/etc/ha/host.env")
CACHE = Path("/var/lib/ha/secrets")  # so that a reboot needs no AWS API; ha-secret reads it too


class Absent(Exception):
    """The parameter or object does not exist (yet)."""


class Differs(Exception):
    """A parameter has another value in the other region."""


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def environment() -> dict[str, str]:
    """HA_*: this host's name, tier, addresses."""
    return dict(line.split("=", 1) for line in HOST.read_text(encoding="utf-8").splitlines())


@functools.lru_cache
def client(service: str, connect_s: float = 3, read_s: float = 15, attempts: int = 2, region: str = "") -> Any:
    """A client of an AWS service in the host's region or another one, with its timeouts and its number of attempts."""
    import boto3
    from botocore.config import Config

    make: Any = boto3.client  # its types accept service names as literals only
    config = Config(connect_timeout=connect_s, read_timeout=read_s, retries={"total_max_attempts": attempts})
    trust = "/etc/ssl/certs/ca-certificates.crt"
    return make(service, region_name=region or environment()["HA_REGION"], config=config, verify=trust)


def patiently(
    what: str, deadline: float, absent: str, service: str, operation: str, *, region: str = "", **given: Any
) -> Any:
    """The result of an AWS call. Raises Absent on that error code; retries other errors until the deadline.

    A new role's policy takes effect late, and the metadata service and the network may not be available yet.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    pause_s, told = 0.5, ""
    while True:
        try:
            return getattr(client(service, region=region), operation)(**given)
        except (BotoCoreError, ClientError) as error:
            if getattr(error, "response", {}).get("Error", {}).get("Code") == absent:
                raise Absent(what) from None
            if time.monotonic() + pause_s > deadline:
                raise
            if str(error) != told:
                told = str(error)
                say(f"{what}: retrying after: {told}")
        client.cache_clear()  # a client that was created before there were credentials never gets any
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 10)


def parameter(
    name: str, create: Callable[[], str] | None, kind: str = "SecureString", wait_s: float = 300, region: str = ""
) -> str:
    """A parameter of the stack, or of any full path. A missing one is created, or waited for if `create` is None.

    Parameters are never overwritten: when two hosts create one at the same time, the second uses the first one's value.
    `region`: another one than the host's.
    """
    path = name if name.startswith("/") else f"{environment()['HA_SECRETS_PATH']}/{name}"
    what = f"{path} in {region}" if region else path
    cached = CACHE / region / path.strip("/")
    if cached.is_file():
        return cached.read_text(encoding="utf-8").rstrip()
    deadline, told = time.monotonic() + wait_s, False
    while True:
        try:
            ask = {"Name": path, "WithDecryption": True}
            found = patiently(what, deadline, "ParameterNotFound", "ssm", "get_parameter", region=region, **ask)
            break
        except Absent:
            if time.monotonic() > deadline:
                raise
        if create:
            new = {"Name": path, "Value": create(), "Type": kind, "Overwrite": False}
            try:
                patiently(what, deadline, "ParameterAlreadyExists", "ssm", "put_parameter", region=region, **new)
                say(f"{what}: created")
            except Absent:
                pass  # another host was first
            continue
        if not told:
            say(f"{what}: waiting for the host that creates it")
            told = True
        time.sleep(1)
    value: str = found["Parameter"]["Value"].rstrip()
    os.umask(0o077)
    cached.parent.mkdir(parents=True, exist_ok=True)
    new_file = cached.with_name(f"{cached.name}.{os.getpid()}")
    new_file.write_text(value + "\n", encoding="utf-8")
    new_file.replace(cached)
    return value


def copied(path: str, create: Callable[[], str], region: str, wait_s: float = 300) -> str:
    """A secret that has the same value in another region, as read there. A new one takes the value that the other
    region has: a stack that is made again in its region goes on with what it wrote before.

    :raises Differs: when both regions have one and they are not equal.
    """

    def kept() -> str:
        ask = {"Name": path, "WithDecryption": True}
        try:
            found = patiently(
                path, time.monotonic() + wait_s, "ParameterNotFound", "ssm", "get_parameter", region=region, **ask
            )
        except Absent:
            return create()
        value: str = found["Parameter"]["Value"].rstrip()
        return value

    value = parameter(path, kept, wait_s=wait_s)
    if parameter(path, lambda: value, wait_s=wait_s, region=region) != value:
        for where in ("", region):  # what a person corrects in SSM is read again
            (CACHE / where / path.strip("/")).unlink()
        raise Differs(f"its values in {environment()['HA_REGION']} and {region} are not equal")
    return value


def main(given: list[str]) -> None:
    """See ha-secret."""
    options, names = [g for g in given if g[0] == "-"], [g for g in given if g[0] != "-"]
    wait_s = float(next((o[7:] for o in options if o.startswith("--wait=")), 300))
    region = next((o[7:] for o in options if o.startswith("--copy=")), "")
    kind = "String" if "--parameter" in options else "SecureString"
    create: Callable[[], str] | None = lambda: secrets.token_urlsafe(32)  # noqa: E731
    if "--stdin" in options:
        create = functools.cache(sys.stdin.read)  # put again while SSM does not show it yet
    elif "--existing" in options or kind == "String":
        create = None
    for name in names:
        try:
            print(copied(name, create, region, wait_s) if region and create else parameter(name, create, kind, wait_s))
        except Exception as error:  # boto3 is imported late, so its exceptions cannot be named here
            sys.exit(f"{name}: not available within {wait_s:.0f} s: {type(error).__name__}: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
