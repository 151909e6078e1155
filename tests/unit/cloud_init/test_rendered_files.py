"""What holds for the files of every host, whatever its tier."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from components.host_files import CLOUD_INIT_DIR, Context, host_files, listed
from spec.tiers import Tier
from tests.unit.cloud_init.rendering import SECRET_SHAPES, estate, files_of

OTHER_SETTINGS = {
    "load_balancer": {
        "certificate_parameter": "/certificates/site",
        "mode": "active-backup",
        "redirect_to_https": True,
    },
    "application": {"tls": False, "metrics_path": None},
}
HOSTS = {**estate(), **{f"{name}-other": context for name, context in estate(**OTHER_SETTINGS).items()}}


@pytest.fixture(params=sorted(HOSTS))
def context(request: pytest.FixtureRequest) -> Context:
    return HOSTS[request.param]


def test_no_file_holds_what_looks_like_a_secret(context: Context) -> None:
    for file in host_files(context):
        for shape in SECRET_SHAPES:
            assert not shape.search(file.content), f"{file.path}: {shape.pattern}"


def test_the_secret_shapes_find_secrets() -> None:
    made = ["-----BEGIN " + "PRIVATE KEY-----", "AKIA" + "A" * 16, "password = " + "x" * 20]
    assert all(any(shape.search(text) for shape in SECRET_SHAPES) for text in made)


def test_every_script_passes_shellcheck(tmp_path: Path) -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    scripts: dict[str, str] = {}  # most are the same on several hosts
    for context in HOSTS.values():
        own = {f.content: f.path for f in host_files(context) if f.content.startswith("#!/bin/bash")}
        assert len(own) >= 9
        scripts |= own
    for number, (content, path) in enumerate(scripts.items()):
        (tmp_path / f"{number}-{Path(path).name}").write_text(content)
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


def test_hosts_know_themselves_and_the_tiers_of_a_fixed_size_by_name() -> None:
    hosts = [context.host for context in estate().values()]
    for name, context in estate().items():
        files = {f.path: f.content for f in host_files(context)}
        known = {line.split()[1]: line.split()[0] for line in files["/etc/hosts"].splitlines()[2:]}
        fixed = {h.name: str(h.address) for h in hosts if h.tier not in (Tier.APP, Tier.RESTORE)}
        assert known == {**fixed, name: str(context.host.address)}


def test_one_more_application_host_changes_only_those_that_must_know_it() -> None:
    before, after = estate(), estate(application={"count": 3})
    changed = {name for name, context in before.items() if host_files(context) != host_files(after[name])}
    assert changed == {"lb1", "monitor1"}


def test_one_alone_has_nothing_of_a_pair() -> None:
    for host in ("lb1", "cache1", "monitor1", "app1"):
        files = files_of(host)
        shared = files.pop("/usr/local/lib/ha/health.py")  # asks at run time whether there is another
        assert shared
        everything = "\n".join([*files, *files.values()])
        for word in ("keepalived", "redis-sentinel", "sentinel-password", "listen sessions"):
            assert word not in everything, (host, word)


def unit(text: str) -> dict[str, str]:
    """The last value of each directive of a unit's [Service] section."""
    lines = text.partition("[Service]\n")[2].partition("\n[")[0].splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


@pytest.mark.parametrize(
    ("host", "drop_in"),
    [
        ("cache1", "redis-server.service.d"),
        ("monitor1", "prometheus.service.d"),
        ("monitor1", "prometheus-alertmanager.service.d"),
    ],
)
def test_services_with_data_need_their_volume_and_come_back(host: str, drop_in: str) -> None:
    text = files_of(host)[f"/etc/systemd/system/{drop_in}/ha.conf"]
    assert "RequiresMountsFor=/srv/data\n" in text.partition("[Service]")[0]
    assert unit(text)["Restart"] == "always"


def test_passwords_are_never_a_programs_argument() -> None:
    """What `$(ha-secret ...)` gives goes to a variable, or to `echo` and `printf`, which are the shell's own."""
    allowed = re.compile(r"\s*(?:\w+=\$\(ha-secret [^)]*\)$|echo |printf )")
    for host in estate():
        for path, text in files_of(host).items():
            lines = [line for line in text.splitlines() if "/steps/" in path and "$(ha-secret" in line]
            assert all(allowed.match(line) for line in lines), f"{path}: {lines}"
