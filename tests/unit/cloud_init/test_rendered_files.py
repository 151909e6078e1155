"""What holds for the files of every host, whatever its tier."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from components.user_data import CLOUD_INIT_DIR, Context, host_files, listed, user_data
from tests.unit.cloud_init.rendering import estate

OTHER_SETTINGS = {
    "load_balancer": {
        "certificate_parameter": "/certificates/site",
        "mode": "active-backup",
        "redirect_to_https": True,
    },
    "application": {"tls": False, "metrics_path": None},
}
HOSTS = {**estate(), **{f"{name}-other": context for name, context in estate(**OTHER_SETTINGS).items()}}
# Room for what later work adds; the limit itself is refused by user_data().
ROOM_BYTES = 300
SECRET_SHAPES = (
    re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"),
    re.compile(r"(?:AKIA|ASIA)[0-9A-Z]{16}"),
    re.compile(r"(?i)(?:password|secret|token)\s*[=:]\s*[\"']?[A-Za-z0-9+/_-]{16,}"),
)


@pytest.fixture(params=sorted(HOSTS))
def context(request: pytest.FixtureRequest) -> Context:
    return HOSTS[request.param]


def test_user_data_fits_and_is_the_same_bytes_twice(context: Context) -> None:
    first = user_data(context)
    assert first == user_data(context)
    assert len(first) <= 16_384 - ROOM_BYTES


def test_user_data_carries_every_file_as_it_is(context: Context) -> None:
    document = yaml.safe_load(gzip.decompress(user_data(context)))
    carried = {entry["path"]: entry["content"] for entry in document["write_files"]}
    assert carried == {f.path: f.content for f in host_files(context)}
    assert document["manage_etc_hosts"] is False  # cloud-init would write over ours


def test_no_file_holds_what_looks_like_a_secret(context: Context) -> None:
    for file in host_files(context):
        for shape in SECRET_SHAPES:
            assert not shape.search(file.content), f"{file.path}: {shape.pattern}"


def test_the_secret_shapes_find_secrets() -> None:
    made = ["-----BEGIN " + "PRIVATE KEY-----", "AKIA" + "A" * 16, "password = " + "x" * 20]
    assert all(any(shape.search(text) for shape in SECRET_SHAPES) for text in made)


def test_every_script_passes_shellcheck(context: Context, tmp_path: Path) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    scripts = [f for f in host_files(context) if f.content.startswith("#!/bin/bash")]
    assert len(scripts) >= 9
    for number, script in enumerate(scripts):
        (tmp_path / f"{number}-{Path(script.path).name}").write_text(script.content)
    done = subprocess.run(
        ["shellcheck", "-e", "SC1091", *map(str, tmp_path.iterdir())], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_every_python_file_compiles_after_rendering(context: Context) -> None:
    files = [f for f in host_files(context) if f.path.endswith(".py") or f.content.startswith("#!/usr/bin/python3")]
    assert len(files) >= 4
    for file in files:
        compile(file.content, file.path, "exec")


def test_programs_are_executable_and_configuration_is_not(context: Context) -> None:
    for file in host_files(context):
        assert file.executable == file.content.startswith("#!"), file.path


def test_steps_stop_at_the_first_error(context: Context) -> None:
    steps = [f for f in host_files(context) if f.path.startswith("/usr/local/lib/ha/steps/")]
    assert steps
    for step in steps:
        assert "\nset -euo pipefail\n" in step.content, step.path
        assert re.fullmatch(r"[0-9]{2}-[a-z-]+", Path(step.path).name)


def test_nothing_that_a_step_starts_is_enabled_by_itself(context: Context) -> None:
    """A unit of ours that names an install target would start before its volume and configuration are there."""
    for file in host_files(context):
        if file.path.endswith(".service") and "[Install]" in file.content:
            assert file.path == "/etc/systemd/system/ha-setup.service"


@pytest.mark.parametrize("tier", ["base", "lb", "app", "cache"])
def test_lists_of_packages_and_services_are_sorted_and_unique(tier: str) -> None:
    for name in ("packages", "services"):
        lines = listed(CLOUD_INIT_DIR / tier / name)
        assert lines == sorted(set(lines))


def test_hosts_know_each_other_by_name() -> None:
    files = {f.path: f.content for f in host_files(estate()["lb1"])}
    for context in estate().values():
        assert f"{context.host.address} {context.host.name}\n" in files["/etc/hosts"]
