"""Answer visitors with a page that says why and until when, in place of the application. See ha-maintenance.

The page is in a map that HAProxy reads from a file when it starts or reloads; workers that run are given the same. One
from before a reload counts too, because its visitors may still send requests. No worker is missed: the file is written
first, and a master that reloads answers only when it can list its new worker.
"""

import argparse
import html
import json
import os
import re
import socket
import string
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MAP = Path("/etc/haproxy/maintenance.map")
PAGE = Path("/usr/local/share/ha/maintenance.html")
METRICS = Path("/var/lib/prometheus/node-exporter/maintenance.prom")
MASTER = "/run/haproxy-master.sock"
LONGEST = 200
ANSWER_S = 3.0
SETTLE_S = 70.0  # longer than a worker of before a reload may stay (hard-stop-after)
SENTENCES = {
    "planned": "The site is expected back by {}.",
    "overdue": "This takes longer than planned: the site was expected back by {}.",
}


def parsed_time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise argparse.ArgumentTypeError(f"{text!r} has no time zone: add Z for UTC")
        return at.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2030-05-17T19:30:00Z") from None


def parsed_reason(text: str) -> str:
    text = text.strip()
    if not text or len(text) > LONGEST or not text.isprintable():
        raise argparse.ArgumentTypeError(
            f"give 1 to {LONGEST} characters in one line, none of them a control character"
        )
    return text


def entries(until: datetime, why: str) -> dict[str, str]:
    """The map: the time in seconds since 1970, and each page in one line of ASCII."""
    when, iso = f"{until:%-d %B %Y, %H:%M} UTC", f"{until:%Y-%m-%dT%H:%M:%SZ}"
    page = string.Template(PAGE.read_text(encoding="utf-8"))
    found = {"until": str(int(until.timestamp()))}
    for state, sentence in SENTENCES.items():
        filled = page.substitute(why=html.escape(why), when=sentence.format(f'<time datetime="{iso}">{when}</time>'))
        found[f"html-{state}"] = " ".join(filled.split()).encode("ascii", "xmlcharrefreplace").decode()
        # `error` and `message` as the application has them.
        answer = {"error": "maintenance", "message": f"{why} {sentence.format(when)}", "why": why, "until": iso}
        found[f"json-{state}"] = json.dumps(answer)
    return found


def state_of(found: dict[str, str]) -> dict[str, Any]:
    """A map as `show` prints it."""
    if not found:
        return {"on": False}
    said = json.loads(found["json-planned"])
    overdue = time.time() >= int(found["until"])
    return {"on": True, "until": said["until"], "why": said["why"], "overdue": overdue}


def on_disk() -> dict[str, str]:
    lines = MAP.read_text(encoding="ascii").splitlines() if MAP.exists() else []
    return dict(line.split(" ", 1) for line in lines)


def ask(command: str) -> str:
    """The answer of HAProxy's master. :raises OSError: when it does not answer."""
    with socket.socket(socket.AF_UNIX) as master:
        master.settimeout(ANSWER_S)
        master.connect(MASTER)
        master.sendall(f"{command}\n".encode())
        master.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: master.recv(65536), b"")).decode()


def workers() -> list[str]:
    """The process ids of all workers, the newest first. :raises OSError: when the master does not answer."""
    lines = [line.split() for line in ask("show proc").splitlines()]
    return [line[0] for line in lines if line[1:2] == ["worker"]]


def held(worker: str) -> dict[str, str]:
    """The map that a worker answers by; empty for one that has ended."""
    lines = re.findall(r"^0x\w+ (\S+) (.*)$", ask(f"@!{worker} show map {MAP}"), re.MULTILINE)
    return dict(lines)


def give(worker: str, wanted: dict[str, str]) -> None:
    """Replace a worker's map, at one moment for all requests."""
    version = re.search(r"New version created: (\d+)", ask(f"@!{worker} prepare map {MAP}"))
    if version:
        for key, value in wanted.items():
            ask(f"@!{worker} add map @{version[1]} {MAP} <<\n{key} {value}\n")
        ask(f"@!{worker} commit map @{version[1]} {MAP}")


def running() -> bool:
    """Whether HAProxy runs, starts or stops. One that starts later reads the file."""
    done = subprocess.run(["systemctl", "is-active", "haproxy"], capture_output=True, text=True, check=False)
    return done.stdout.strip() not in ("inactive", "failed")


def settle() -> None:
    """Make every worker answer by what is on disk. :raises TimeoutError: when one does not."""
    deadline, trouble = time.monotonic() + SETTLE_S, ""
    while running():
        try:
            wanted, there = on_disk(), workers()
            behind = [one for one in there if held(one) != wanted]
            if there and not behind:
                return
            trouble = f"its worker {', '.join(behind)} does not take it" if there else "it has no worker"
            for one in behind:
                give(one, wanted)
        except OSError as error:
            trouble = f"its master does not answer: {error}"
        if time.monotonic() > deadline:
            raise TimeoutError(f"written, but HAProxy is not known to answer by it within {SETTLE_S:.0f} s: {trouble}")
        time.sleep(0.1)


def shown() -> dict[str, Any]:
    """What visitors get. Without an answer of HAProxy, what they get once it runs."""
    try:
        return state_of(held(workers()[0]))
    except (OSError, IndexError):
        return state_of(on_disk())


def write(path: Path, text: str) -> None:
    """What is written holds although the host loses power."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(text, encoding="ascii")
    new.chmod(0o644)
    _flush(new)
    new.replace(path)
    _flush(path.parent)


def _flush(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    os.fsync(opened)
    os.close(opened)


def on(until: datetime, why: str) -> None:
    """:raises TimeoutError: as `settle`."""
    wanted = entries(until, why)
    # The alert first: it is to come for a page that this program did not get to the end of.
    write(METRICS, f"ha_maintenance_until_timestamp_seconds {wanted['until']}\n")
    write(MAP, "".join(f"{key} {value}\n" for key, value in wanted.items()))
    settle()


def off() -> None:
    """:raises TimeoutError: as `settle`."""
    write(MAP, "")
    settle()
    METRICS.unlink(missing_ok=True)


def main(given: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="ha-maintenance", allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    begin = verbs.add_parser("on", allow_abbrev=False)
    begin.add_argument("--until", type=parsed_time, required=True)
    begin.add_argument("--why", type=parsed_reason, required=True)
    for verb in ("off", "show"):
        verbs.add_parser(verb)
    asked = parser.parse_args(given)
    try:
        if asked.verb == "on":
            on(asked.until, asked.why)
        elif asked.verb == "off":
            off()
    except TimeoutError as error:
        sys.exit(f"ha-maintenance: {error}")
    print(json.dumps(shown()))


if __name__ == "__main__":
    main(sys.argv[1:])
