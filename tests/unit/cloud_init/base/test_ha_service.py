"""What ha-service does to a service, by what changed on disk since it last did something."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cloud_init.simulated_host import SimulatedHost

CONFIG = "/etc/haproxy/haproxy.cfg"
UNIT = "/etc/systemd/system/haproxy.service.d/ha.conf"


@pytest.fixture
def host(tmp_path: Path) -> SimulatedHost:
    return SimulatedHost(tmp_path, "lb1")


def serve(host: SimulatedHost, *options: str, unit: str = "haproxy") -> str:
    done = host.run("ha-service", *options, unit)
    assert done.returncode == 0, done.stderr
    return done.stdout


def declare(host: SimulatedHost, *lines: str) -> None:
    """Another drop-in of HAProxy with a section [X-Ha]."""
    drop_in = host.root / "etc/systemd/system/haproxy.service.d/test.conf"
    drop_in.write_text("\n".join(["[X-Ha]", *lines, ""]))


def test_a_service_that_does_not_run_is_started(host: SimulatedHost) -> None:
    assert serve(host) == "haproxy.service: started\n"
    assert host.did() == ["restart haproxy"]


def test_a_service_that_has_read_everything_is_left_alone(host: SimulatedHost) -> None:
    serve(host)
    host.did()
    assert serve(host) == ""
    assert host.did() == []


@pytest.mark.parametrize("path", ["/etc/haproxy/haproxy.cfg", "/etc/more", "/etc/still-more"])
@pytest.mark.parametrize("verb", ["reload", "restart"])
def test_a_changed_file_gets_what_the_unit_says_once(host: SimulatedHost, verb: str, path: str) -> None:
    """Of every path, in several lines and files."""
    more = "ReloadFor" if verb == "reload" else "RestartFor"
    declare(host, f"{more}={host.root}/etc/more {host.root}/etc/other", f"{more}={host.root}/etc/still-more")
    serve(host)
    host.did()
    host.edit(path)
    verb = "reload" if path == CONFIG else verb
    assert serve(host) == f"haproxy.service: {verb}ed\n"
    assert serve(host) == ""
    assert host.did() == [f"{verb} haproxy"]


@pytest.mark.parametrize("path", [UNIT, "/etc/more"])
def test_of_a_reload_and_a_restart_it_is_the_restart(host: SimulatedHost, path: str) -> None:
    declare(host, f"RestartFor={host.root}/etc/more")
    serve(host)
    host.did()
    host.edit(path)
    host.edit(CONFIG)
    assert serve(host) == "haproxy.service: restarted\n"
    assert host.did() == ["restart haproxy"]


def test_other_sections_say_nothing(host: SimulatedHost) -> None:
    declare(host, "[Service]", f"ReloadFor={host.root}/etc/more", "[X-Ha]", f"ReloadFor={host.root}/etc/still-more")
    serve(host)
    host.edit("/etc/more")
    assert serve(host) == ""
    host.edit("/etc/still-more")
    assert "reloaded" in serve(host)


@pytest.mark.parametrize("words", [[], ["--before=true", "haproxy"], ["reload", "haproxy"], ["--dry-run"]])
def test_other_arguments_are_refused(host: SimulatedHost, words: list[str]) -> None:
    done = host.run("ha-service", *words)
    assert (done.returncode, done.stderr) == (2, "usage: ha-service [--dry-run] UNIT\n")


@pytest.mark.parametrize(
    ("unit", "path"),
    [
        ("prometheus-node-exporter", "/etc/default/prometheus-node-exporter"),
        ("ha-monitor-watch", "/usr/local/lib/ha/monitor-watch"),
    ],
)
def test_the_environment_file_and_the_program_belong_to_the_unit(host: SimulatedHost, unit: str, path: str) -> None:
    serve(host, unit=unit)
    host.did()
    host.edit(path)
    serve(host, unit=unit)
    assert host.did() == [f"restart {unit}"]


def test_a_folder_counts_with_all_files_in_it(host: SimulatedHost) -> None:
    serve(host)
    host.edit("/etc/haproxy/tls/more/site.pem")
    assert "reloaded" in serve(host)


def test_a_link_counts_by_where_it_leads(host: SimulatedHost) -> None:
    link = host.root / "link"
    link.symlink_to(host.root / "etc")
    declare(host, f"ReloadFor={link}")
    serve(host)
    host.edit("/etc/another")
    assert serve(host) == ""
    link.unlink()
    link.symlink_to(host.root / "usr")
    assert "reloaded" in serve(host)


def test_a_file_that_was_removed_is_a_change(host: SimulatedHost) -> None:
    serve(host)
    (host.root / CONFIG.lstrip("/")).unlink()
    assert "reloaded" in serve(host)


@pytest.mark.parametrize(("age_s", "done"), [(-60, ""), (60, "haproxy.service: restarted\n")])
def test_what_others_started_has_read_what_is_older(host: SimulatedHost, age_s: int, done: str) -> None:
    host.started_by_another("haproxy", age_s)
    assert serve(host) == done


def test_what_others_started_reads_a_newer_file_again(host: SimulatedHost) -> None:
    """The time rule as such: the unit is older than the start here, the file is not."""
    program = host.root / "usr/local/sbin/ha-service"
    text = program.read_text().replace('changed_at "${fragments[@]}" "${restart_for[@]}"', "echo 0")
    assert text != program.read_text()
    program.write_text(text)
    host.started_by_another("haproxy", 60)
    assert serve(host) == "haproxy.service: reloaded\n"


def test_a_record_counts_for_its_start_only(host: SimulatedHost) -> None:
    """systemd restarted it while other files were there, which are gone again: it runs with what nobody recorded."""
    serve(host)
    host.started_by_another("haproxy", 60)
    assert "restarted" in serve(host)


def test_what_runs_before_a_restart_runs_before_nothing_else(host: SimulatedHost) -> None:
    host.stand_in("hand-over")
    declare(host, "BeforeRestart=hand-over now", "BeforeRestart=hand-over 'and later'")
    serve(host)
    host.edit(CONFIG)
    serve(host)
    serve(host)
    assert host.sandbox.calls("hand-over") == []
    host.edit(UNIT)
    serve(host)
    assert host.sandbox.calls("hand-over") == ["hand-over now", "hand-over and later"]


def test_a_restart_may_run_through_another_program(host: SimulatedHost) -> None:
    host.stand_in("calmly", 'shift; "$@"')
    declare(host, "RestartThrough=calmly --now", "BeforeRestart=systemctl stop another")
    serve(host)
    host.did()
    host.edit(UNIT)
    assert "restarted" in serve(host)
    assert host.sandbox.calls("calmly") == ["calmly --now systemctl restart haproxy.service"]
    assert host.did() == ["stop another", "restart haproxy"]


def test_a_refused_hand_over_prevents_the_restart(host: SimulatedHost) -> None:
    declare(host, "BeforeRestart=false", "BeforeRestart=true")
    serve(host)
    host.did()
    host.edit(UNIT)
    assert host.run("ha-service", "haproxy").returncode != 0
    assert host.did() == []
    assert serve(host, "--dry-run") == "restart\n", "the next run does it"


def test_a_dry_run_does_nothing(host: SimulatedHost) -> None:
    assert serve(host, "--dry-run") == "start\n"
    assert host.did() == []
    serve(host)
    assert serve(host, "--dry-run") == "\n"
    host.edit(CONFIG)
    assert serve(host, "--dry-run") == "reload\n"
    assert "reloaded" in serve(host)


@pytest.mark.parametrize("how", ["fails", "dies"])
def test_a_failed_start_fails_and_names_the_unit_for_ha_setup(host: SimulatedHost, how: str) -> None:
    (host.root / "units" / how).write_text("haproxy.service\n")
    done = host.run("ha-service", "haproxy")
    assert done.returncode != 0
    assert done.stderr.startswith("Job for haproxy.service failed")
    (host.root / "units" / how).unlink()
    assert "started" in serve(host)


def test_a_unit_whose_condition_is_not_met_is_no_failure(host: SimulatedHost) -> None:
    """As timesyncd's in a container."""
    (host.root / "units/conditions").write_text("systemd-timesyncd.service\n")
    assert serve(host, unit="systemd-timesyncd") == ""


def test_only_digests_are_kept(host: SimulatedHost) -> None:
    host.edit(CONFIG, "a secret\n")
    serve(host)
    kept = [path.read_text() for path in (host.root / "run/ha/services").iterdir()]
    assert kept
    assert not any("secret" in text for text in kept)
