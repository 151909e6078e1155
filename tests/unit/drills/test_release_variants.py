"""Releases that are packed again are releases, and do what their names say."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drills.release_variants import MAIN, ReleaseVariant, repack
from spec.release import find_release
from spec.settings import Settings
from tests.unit.release_archives import write_release

TOP = "event-manager-1.0.0"
ARCHIVE = f"app/build/{TOP}.tar.gz"
PROGRAM = 'process.stdout.write("the application runs");\n'
SETTINGS = Settings.model_validate(
    {
        "region": "us-east-1",
        "network": {"zones": ["us-east-1a", "us-east-1b"]},
        "application": {"release": ARCHIVE},
    }
)


def write_application(path: Path) -> str:
    """A small release; its digest."""
    return write_release(path, {f"{TOP}/package.json": '{"type": "module"}', f"{TOP}/{MAIN}": PROGRAM})


def made(variant: ReleaseVariant, folder: Path) -> str:
    """Makes a variant of the small release in a folder; its digest."""
    write_application(folder / ARCHIVE)
    repack(folder / ARCHIVE, variant)
    return find_release(SETTINGS, folder, source="Pulumi.dev.yaml").digest


@contextlib.contextmanager
def started(variant: ReleaseVariant, folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """The program of a variant, as a host starts it."""
    made(variant, folder)
    with tarfile.open(folder / ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    environment = {"PATH": os.environ["PATH"], "HOST": "127.0.0.1", "PORT": str(port), "TMPDIR": str(folder)}
    child = subprocess.Popen(
        ["node", MAIN], cwd=folder / TOP, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def answer(port: int) -> tuple[int, bytes]:
    """Status and body of the health check, once the program listens."""
    deadline = time.monotonic() + 20
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/api/health")
            found = connection.getresponse()
            return found.status, found.read()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        finally:
            connection.close()


def test_each_is_another_release_and_the_same_each_time(tmp_path: Path) -> None:
    digests = {variant: made(variant, tmp_path / variant) for variant in ReleaseVariant}
    assert len({write_application(tmp_path / "plain.tar.gz"), *digests.values()}) == len(ReleaseVariant) + 1
    assert digests == {variant: made(variant, tmp_path / f"{variant}-again") for variant in ReleaseVariant}


def test_the_good_one_runs_the_program_of_the_release(tmp_path: Path) -> None:
    with started(ReleaseVariant.GOOD, tmp_path, 0) as child:
        out, _ = child.communicate(timeout=20)
        assert (child.returncode, out) == (0, b"the application runs")


@pytest.mark.parametrize(
    ("variant", "says"),
    [(ReleaseVariant.DIES, b"dies at its start"), (ReleaseVariant.NATIVE_MODULE, b"ERR_DLOPEN_FAILED")],
)
def test_two_end_at_once_with_an_error(variant: ReleaseVariant, says: bytes, tmp_path: Path) -> None:
    with started(variant, tmp_path, 0) as child:
        _, err = child.communicate(timeout=20)
        assert child.returncode == 1
        assert says in err


def test_the_unhealthy_one_answers_503_and_says_why(tmp_path: Path) -> None:
    port = free_port()
    with started(ReleaseVariant.UNHEALTHY, tmp_path, port):
        status, body = answer(port)
    assert status == 503
    assert b'"reason":"this release is never healthy"' in body


def test_the_one_that_hangs_runs_and_never_listens(tmp_path: Path) -> None:
    port = free_port()
    with started(ReleaseVariant.HANGS, tmp_path, port) as child:
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(2)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)
