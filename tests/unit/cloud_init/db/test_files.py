"""What the database and monitor hosts get, rendered for the `dev` stack."""

from __future__ import annotations

import subprocess
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml

from components.host_files import Context, host_files
from spec.project import EXAMPLE_ACCOUNT_ID
from spec.scope import Scope
from spec.settings import Settings
from spec.tiers import Tier

SETTINGS = Settings.model_validate({"region": "us-east-1", "network": {"zones": ["us-east-1a", "us-east-1b"]}})
SCOPE = Scope(
    partition="aws", account=EXAMPLE_ACCOUNT_ID, region="us-east-1", project="ha", stack="dev", artifact_bucket="b"
)


def _files(tier: Tier) -> dict[str, str]:
    hosts = SETTINGS.plan_hosts()
    host = next(host for host in hosts if host.tier is tier)
    context = Context(scope=SCOPE, host=host, hosts=hosts, settings=SETTINGS)
    return {file.path: file.content for file in host_files(context)}


@pytest.fixture(scope="module")
def database() -> dict[str, str]:
    return _files(Tier.DB)


@pytest.fixture(scope="module")
def monitor() -> dict[str, str]:
    return _files(Tier.MONITOR)


def _rules(files: dict[str, str]) -> list[list[str]]:
    lines = files["/etc/ha/pg_hba.conf"].splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("tier", [Tier.DB, Tier.MONITOR])
def test_only_planned_addresses_come_in_over_tls_and_all_else_is_rejected(tier: Tier) -> None:
    peers = {f"{host.address}/32" for host in SETTINGS.plan_hosts() if host.tier in {Tier.DB, Tier.MONITOR}}
    # Application hosts come and go, and the database hosts stay: so their networks, within the security group.
    networks = {str(subnet.cidr) for subnet in SETTINGS.plan_subnets() if not subnet.public}
    for kind, *rest in _rules(_files(tier)):
        if kind == "local":
            assert rest[2] == "peer"
        elif kind == "hostssl":
            assert rest[2] in (networks if rest[1].strip('"') == SETTINGS.database.user else peers)
        elif kind == "hostnossl":
            assert (rest[1].strip('"'), rest[2] in peers) == ("pgautofailover_monitor", True)
        else:
            assert (kind, rest[2:]) == ("host", ["0.0.0.0/0", "reject"])
    assert _rules(_files(tier))[-1][-1] == "reject"


def test_who_comes_in_without_a_password_has_no_rights(database: dict[str, str]) -> None:
    trusted = {rule[2].strip('"') for rule in _rules(database) if rule[-1] == "trust"}
    assert trusted == {"pgautofailover_monitor"}


def test_every_application_host_comes_in(database: dict[str, str]) -> None:
    networks = [IPv4Network(rule[3]) for rule in _rules(database) if rule[2].strip('"') == SETTINGS.database.user]
    for host in SETTINGS.plan_hosts():
        if host.tier is Tier.APP:
            assert any(host.address in network for network in networks), host.name


def test_lines_of_pg_auto_failover_are_word_for_word_its_own(database: dict[str, str]) -> None:
    # pghba_ensure_host_rules_exist compares text: a line that differs is added again.
    for host in SETTINGS.plan_hosts():
        if host.tier is Tier.DB:
            for place in ("replication", '"postgres"'):
                line = f'hostssl {place} "pgautofailover_replicator" {host.address}/32 scram-sha-256\n'
                assert line in database["/etc/ha/pg_hba.conf"]


def test_a_health_check_is_two_round_trips(database: dict[str, str], monitor: dict[str, str]) -> None:
    assert "PGSSLMODE=disable" in monitor["/etc/ha/postgres.env"].splitlines()
    plain = [line for line in database["/etc/ha/pg_hba.conf"].splitlines() if line.startswith("hostnossl ")]
    monitors = [host.address for host in SETTINGS.plan_hosts() if host.tier is Tier.MONITOR]
    assert plain == [f'hostnossl postgres "pgautofailover_monitor" {address}/32 trust' for address in monitors]


def test_both_tiers_keep_state_on_the_data_volume(database: dict[str, str], monitor: dict[str, str]) -> None:
    for files in (database, monitor):
        environment = dict(
            line.split("=", 1) for line in files["/etc/ha/postgres.env"].splitlines() if not line.startswith("#")
        )
        for name in ("PGDATA", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
            assert environment[name].startswith("/srv/data/")


def test_timers_come_from_the_settings(database: dict[str, str], monitor: dict[str, str]) -> None:
    timers = SETTINGS.timers
    at_monitor = monitor["/etc/ha/postgresql.d/10-ha.conf"]
    assert f"primary_demote_timeout = {timers.primary_demote_ms}\n" in at_monitor
    assert f"node_considered_unhealthy_timeout = {timers.node_considered_unhealthy_ms}\n" in at_monitor
    assert f"wal_sender_timeout = '{timers.wal_sender_timeout_ms}ms'" in database["/etc/ha/postgresql.d/10-ha.conf"]
    assert f"config set $timeout {timers.network_partition_s}\n" in database["/usr/local/lib/ha/steps/50-node"]


def test_prometheus_scrapes_every_host(monitor: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "prometheus.yml"
    path.write_text(monitor["/etc/prometheus/prometheus.yml"], encoding="utf-8")
    subprocess.run(["promtool", "check", "config", "--syntax-only", str(path)], check=True)
    jobs = {job["job_name"]: job for job in yaml.safe_load(path.read_text(encoding="utf-8"))["scrape_configs"]}
    hosts = {target["labels"]["host"] for target in jobs["node"]["static_configs"]}
    assert hosts == {host.name for host in SETTINGS.plan_hosts()}
    assert {"haproxy", "event-manager", "postgres", "redis", "prometheus", "alertmanager"} <= jobs.keys()


def test_alertmanager_sends_to_the_topic_of_the_stack(monitor: dict[str, str]) -> None:
    receivers = yaml.safe_load(monitor["/etc/prometheus/alertmanager.yml"])["receivers"]
    (topic,) = [config["topic_arn"] for receiver in receivers for config in receiver.get("sns_configs", [])]
    assert topic == SCOPE.alert_topic_arn
