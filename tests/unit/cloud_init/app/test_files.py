"""What the files of an application host promise."""

from __future__ import annotations

import configparser
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from urllib.parse import quote

import pytest

from spec.timers import Timers
from tests.unit.cloud_init.rendering import PAIRS, files_of


def unit(text: str) -> dict[str, str]:
    """The last value of each directive of a unit's [Service] section."""
    lines = text.partition("[Service]\n")[2].partition("\n[")[0].splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def pgbouncer(**settings: object) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(comment_prefixes=(";", "#"))
    parser.read_string(files_of("app1", **settings)["/etc/pgbouncer/pgbouncer.ini"])
    return parser


def test_the_pool_takes_the_application_alone_and_verifies_the_database() -> None:
    config = pgbouncer()
    assert "listen_addr" not in config["pgbouncer"]
    files = files_of("app1")
    folder = Path(config["pgbouncer"]["unix_socket_dir"])
    service = unit(files["/etc/systemd/system/event-manager.service"])
    assert f"RuntimeDirectory={folder.name}\n" in files["/etc/systemd/system/pgbouncer.service.d/ha.conf"]
    assert files["/etc/pgbouncer/hba.conf"] == 'local "app" "app" peer map=application\n'
    assert files["/etc/pgbouncer/ident.conf"] == f'application {service["User"]} "app"\n'
    socket = quote(str(folder), safe="")
    assert f"DATABASE_URL=postgres://app@{socket}:6432/app\n" in files["/usr/local/lib/ha/steps/50-application"]
    assert config["databases"]["app"] == "host=127.0.0.1 port=5433 dbname=app"
    assert config["pgbouncer"]["server_tls_sslmode"] == "verify-ca"
    assert config["pgbouncer"]["auth_type"] == "hba"
    assert config["pgbouncer"]["pool_mode"] == "transaction"


def test_the_pools_size_is_the_setting() -> None:
    assert pgbouncer(database={"pool_size_per_host": 7})["pgbouncer"]["default_pool_size"] == "7"


def test_the_service_gets_time_to_drain() -> None:
    timers = Timers(application_drain_s=40)
    files = files_of("app1", timers=timers.model_dump())
    service = unit(files["/etc/systemd/system/event-manager.service"])
    assert int(service["TimeoutStopSec"]) > 40 + 10
    assert "DRAIN_SECONDS=40\n" in files["/etc/ha/application.env"]


def test_the_service_is_confined_and_comes_back() -> None:
    service = unit(files_of("app1")["/etc/systemd/system/event-manager.service"])
    wanted = {"User": "event-manager", "Restart": "always", "ProtectSystem": "strict", "NoNewPrivileges": "yes"}
    assert wanted.items() <= service.items()
    assert service["IPAddressDeny"] == "169.254.169.254/32"  # the host's role is not the application's
    assert "MemoryDenyWriteExecute" not in service  # V8 compiles to memory that it runs


def test_another_size_of_application_host_is_no_other_file() -> None:
    """So that it is the same host, resized, and not another one."""
    assert files_of("app1") == files_of("app1", application={"instance_type": "t3.large"})


def test_the_command_is_the_settings_with_systemds_own_signs_doubled() -> None:
    files = files_of("app1", application={"command": "node --title=100% dist/$main.js"})
    service = unit(files["/etc/systemd/system/event-manager.service"])
    assert service["ExecStart"] == "/usr/bin/node --title=100%% dist/$$main.js"


def test_each_application_host_has_its_own_name() -> None:
    for name in ("app1", "app2"):
        assert f"SERVER_ID={name}\n" in files_of(name)["/etc/ha/application.env"]


def test_what_the_stack_adds_to_the_environment_comes_last_and_quoted() -> None:
    environment = {"GREETING": 'say "hi" \\ $HOME'}
    lines = files_of("app1", application={"environment": environment})["/etc/ha/application.env"].splitlines()
    assert lines[-1] == 'GREETING="say \\"hi\\" \\\\ $HOME"'


def test_an_application_without_tls_gets_no_certificate() -> None:
    assert "TLS_CERT_FILE" in files_of("app1")["/etc/ha/application.env"]
    plain = files_of("app1", application={"tls": False})
    assert "TLS_" not in plain["/etc/ha/application.env"]
    assert 'URL = "http://127.0.0.1:5000/api/health"' in plain["/usr/local/lib/ha/health.py"]


def test_the_host_uses_the_release_that_it_is_told_of_at_run_time() -> None:
    step = files_of("app1")["/usr/local/lib/ha/steps/50-application"]
    assert 'ha-release use "$(cat /var/lib/ha/release)"\n' in step


def test_the_report_has_the_releases_digest_and_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = ModuleType("health")
    source = files_of("app1")["/usr/local/lib/ha/health.py"].replace("/var/www/event-manager", str(tmp_path))
    monkeypatch.setitem(sys.modules, "haproxy_stats", SimpleNamespace(servers=dict))
    exec(source, report.__dict__)
    monkeypatch.setitem(report.__dict__, "_ask", lambda: (200, {}))
    assert (report.facts()["release"], report.facts()["release_name"]) == ("", "")
    (tmp_path / "releases/abab/app-1.0.0").mkdir(parents=True)
    (tmp_path / "current").symlink_to(tmp_path / "releases/abab/app-1.0.0")
    assert (report.facts()["release"], report.facts()["release_name"]) == ("abab", "app-1.0.0")


def test_the_applications_tls_goes_through_to_the_master() -> None:
    files = files_of("app1", **PAIRS)
    assert "REDIS_URL=rediss://127.0.0.1:6380\n" in files["/etc/ha/application.env"]
    route = files["/etc/haproxy/haproxy.cfg"].partition("listen sessions\n")[2]
    assert "mode tcp" in route
    for line in (line for line in route.splitlines() if line.strip().startswith("server ")):
        assert " ssl" not in line  # only the check ends TLS
    assert "check-ssl verify required ca-file /etc/ha/tls/cache-ca.crt" in route
