"""Every alert fires when it should and is quiet when it should; every alert has its runbook.

`promtool test rules` judges: each case gives series of one sample every 10 s, and asks after some minutes whether the
alert fires.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from spec.project import REPOSITORY

RULES = REPOSITORY / "cloud-init/monitor/files/etc/prometheus/rules/ha.yml"
RUNBOOKS = REPOSITORY / "docs/runbooks"

Series = dict[str, str]


@dataclass(frozen=True)
class Case:
    """`fires` and `quiet`: series in promtool's notation, name to values."""

    alert: str
    fires: Series
    quiet: Series
    minutes: int = 5


WAL_DIFF = 'pg_stat_replication_pg_wal_lsn_diff{host="db1",application_name="pgautofailover_standby_2"}'
LB1_READY, LB2_READY = 'ha_load_balancer_ready{host="lb1"}', 'ha_load_balancer_ready{host="lb2"}'
TWO_BALANCERS = {'up{job="haproxy",host="lb1"}': "1x60", 'up{job="haproxy",host="lb2"}': "1x60"}
SLAVES1, SLAVES2 = 'redis_connected_slaves{host="cache1"}', 'redis_connected_slaves{host="cache2"}'
TWO_CACHES = {'up{job="redis",host="cache1"}': "1x60", 'up{job="redis",host="cache2"}': "1x60"}
SYNC_REP = 'pg_stat_activity_count{host="db1",state="active",wait_event_type="IPC",wait_event="SyncRep"}'
UP_APP2 = 'haproxy_server_status{host="lb1",proxy="application",server="app2",state="UP"}'
UP_BACKEND = 'haproxy_backend_status{host="lb1",proxy="application",state="UP"}'
STATES_FILE = (
    'node_textfile_mtime_seconds{host="monitor1",file="/var/lib/prometheus/node-exporter/pgautofailover.prom"}'
)
CERTIFICATE = 'ha_certificate_expiry_timestamp_seconds{host="db1"}'
DATA_FREE = 'node_filesystem_avail_bytes{host="db1",mountpoint="/srv/data",fstype="ext4"}'
DATA_SIZE = 'node_filesystem_size_bytes{host="db1",mountpoint="/srv/data",fstype="ext4"}'
DB2_STATE = 'pgautofailover_node_state{host="monitor1",node="db2",reported="%s",goal="%s"}'
DB2_HEALTH = 'pgautofailover_node_health{host="monitor1",node="db2"}'
DB2_SETTLED = 'pgautofailover_node_settled{host="monitor1",node="db2"}'
IS_REPLICA = 'pg_replication_is_replica{host="%s"}'
READ_ONLY = 'pg_settings_default_transaction_read_only{host="%s"}'

WAITING = 'ha_archive_waiting_seconds{host="db1"}'
ARCHIVE_FILE = 'node_textfile_mtime_seconds{host="db1",file="/var/lib/prometheus/node-exporter/archive.prom"}'
NEWEST, INTERVAL = (
    'ha_backup_newest_timestamp_seconds{host="db1",type="%s"}',
    'ha_backup_interval_seconds{host="db1",type="%s"}',
)

CANARY = 'ha_canary_timestamp_seconds{host="%s"}'
PROOF_GOOD, PROOF_AWAITED = (
    'ha_backup_proof_good{host="monitor1"}',
    'ha_backup_proof_awaited_timestamp_seconds{host="monitor1"}',
)

PAIR = {IS_REPLICA % "db1": "0x60", IS_REPLICA % "db2": "1x60"}

CASES = (
    Case("Watchdog", fires={"up": "1x60"}, quiet={}),
    Case(
        "HostDown",
        fires={'up{job="node",host="app1"}': "1x10 0x50"},
        quiet={'up{job="node",host="app1"}': "1x27 0x1 1x32", 'up{job="redis",host="cache1"}': "0x60"},
    ),
    Case(
        "DiskFilling",
        fires={DATA_FREE: "10x120", DATA_SIZE: "100x120"},
        quiet={DATA_FREE: "40x120", DATA_SIZE: "100x120"},
        minutes=15,
    ),
    Case(
        "DiskFilling",  # plenty left, gone within hours
        fires={DATA_FREE: "49000000-40000x600", DATA_SIZE: "100000000x600"},
        quiet={DATA_FREE: "99000000-40000x600", DATA_SIZE: "100000000x600"},
        minutes=70,
    ),
    Case("CertificateExpiring", fires={CERTIFICATE: "1000000x900"}, quiet={CERTIFICATE: "2592000x900"}, minutes=120),
    Case(
        "AlertsNotDelivered",
        fires={'alertmanager_notifications_failed_total{integration="sns"}': "0+1x60"},
        quiet={'alertmanager_notifications_failed_total{integration="sns"}': "7x60", 'up{job="alertmanager"}': "1x60"},
    ),
    Case(
        "ApplicationServerDown",
        fires={'up{job="event-manager",host="app1"}': "0x60"},
        quiet={'up{job="event-manager",host="app1"}': "1x60", UP_APP2: "1x60"},
    ),
    Case(
        "ApplicationServerDown",  # an application without metrics: the load balancer's word
        fires={UP_APP2: "0x60"},
        quiet={UP_APP2: "1x26 0x3 1x30"},
    ),
    Case("LoadBalancerDown", fires={UP_BACKEND: "0x60"}, quiet={UP_BACKEND: "1x60", UP_APP2: "0x60"}),
    Case(
        "LoadBalancerDown",
        fires={'up{job="haproxy",host="lb1"}': "0x60"},
        quiet={'up{job="haproxy",host="lb1"}': "1x60"},
    ),
    Case(
        "LoadBalancerNotRedundant",  # the standby says that it is in a fault
        fires={**TWO_BALANCERS, LB1_READY: "1x60", LB2_READY: "1x10 0x50"},
        quiet={**TWO_BALANCERS, LB1_READY: "1x60", LB2_READY: "1x60"},
    ),
    Case(
        "LoadBalancerNotRedundant",  # the standby is gone; one alone is no pair
        fires={'up{job="haproxy",host="lb1"}': "1x60", 'up{job="haproxy",host="lb2"}': "0x60", LB1_READY: "1x60"},
        quiet={'up{job="haproxy",host="lb1"}': "1x60"},
    ),
    Case(
        "MaintenanceOverdue",  # at 20 minutes, 5 were planned
        fires={'ha_maintenance_until_timestamp_seconds{host="lb1"}': "290x120"},
        quiet={'ha_maintenance_until_timestamp_seconds{host="lb1"}': "310x120"},
        minutes=20,
    ),
    Case(
        "MaintenanceOverdue",  # the page is gone
        fires={'ha_maintenance_until_timestamp_seconds{host="lb1"}': "0x120"},
        quiet={'ha_maintenance_until_timestamp_seconds{host="lb1"}': "0x115 stale"},
        minutes=20,
    ),
    Case(
        "RedisNotRedundant",
        fires={**TWO_CACHES, SLAVES1: "1x10 0x50", SLAVES2: "0x60"},
        quiet={**TWO_CACHES, SLAVES1: "0x60", SLAVES2: "1x60"},
    ),
    Case(
        "RedisNotRedundant",  # the replica's host is gone; one alone is no pair
        fires={'up{job="redis",host="cache1"}': "1x60", 'up{job="redis",host="cache2"}': "0x60", SLAVES1: "0x60"},
        quiet={'up{job="redis",host="cache1"}': "1x60", SLAVES1: "0x60"},
    ),
    Case("RedisDown", fires={'redis_up{host="cache1"}': "0x60"}, quiet={'redis_up{host="cache1"}': "1x60"}),
    Case(
        "RedisPersistenceFailing",
        fires={'redis_aof_last_write_status{host="cache1"}': "0x60"},
        quiet={
            'redis_aof_last_write_status{host="cache1"}': "1x60",
            'redis_aof_last_bgrewrite_status{host="cache1"}': "1x60",
        },
    ),
    Case(
        "RedisMemoryNearLimit",
        fires={'redis_memory_used_bytes{host="cache1"}': "95x120", 'redis_memory_max_bytes{host="cache1"}': "100x120"},
        # a limit of 0 is none
        quiet={'redis_memory_used_bytes{host="cache1"}': "95x120", 'redis_memory_max_bytes{host="cache1"}': "0x120"},
        minutes=15,
    ),
    Case("DatabaseDown", fires={'pg_up{host="db2"}': "0x60"}, quiet={'pg_up{host="db2"}': "1x60"}),
    Case(
        "DatabaseDown", fires={'up{job="postgres",host="db2"}': "0x60"}, quiet={'up{job="postgres",host="db2"}': "1x60"}
    ),
    Case(
        "DatabaseReplicationLag",
        fires={'pg_replication_lag_seconds{host="db2"}': "0+1x60"},
        quiet={'pg_replication_lag_seconds{host="db2"}': "9x60", WAL_DIFF: "1000000x60"},
    ),
    Case("DatabaseReplicationLag", fires={WAL_DIFF: "100000000x60"}, quiet={WAL_DIFF: "100000000x3 0x57"}),
    Case(
        "DatabaseReplicationMissing",
        fires={**PAIR, 'pg_replication_lag_seconds{host="db2"}': "0x60"},
        quiet={**PAIR, WAL_DIFF: "0x60"},
    ),
    Case(
        "DatabaseNotRedundant",
        fires={DB2_STATE % ("catchingup", "secondary"): "1x60", DB2_HEALTH: "1x60"},
        quiet={DB2_STATE % ("secondary", "secondary"): "1x60", DB2_HEALTH: "1x60"},
    ),
    Case(
        "DatabaseNotRedundant",  # a secondary, says the monitor, and does not reach it
        fires={DB2_STATE % ("secondary", "secondary"): "1x60", DB2_HEALTH: "0x60"},
        quiet={DB2_STATE % ("secondary", "secondary"): "1x60", DB2_HEALTH: "1x26 0x3 1x30"},
    ),
    Case(
        "DatabaseNodeUnhealthy",
        fires={DB2_HEALTH: "0x60", DB2_SETTLED: "1x60"},
        quiet={DB2_HEALTH: "1x60", DB2_SETTLED: "1x60"},
    ),
    Case(
        "DatabaseNodeUnhealthy",
        fires={DB2_HEALTH: "1x60", DB2_SETTLED: "0x60"},
        quiet={DB2_HEALTH: "1x60", DB2_SETTLED: "1x26 0x3 1x30"},
    ),
    Case("DatabaseCommitStalled", fires={SYNC_REP: "3x60"}, quiet={SYNC_REP: "0 1 0 0 1 0 0x20 1 0x20"}),
    Case(
        "DatabaseTwoWritable",
        fires={
            IS_REPLICA % "db1": "0x60",
            IS_REPLICA % "db2": "0x60",
            READ_ONLY % "db1": "0x60",
            READ_ONLY % "db2": "0x60",
        },
        # out of recovery but read-only: a standby on its way up
        quiet={
            IS_REPLICA % "db1": "0x60",
            IS_REPLICA % "db2": "0x60",
            READ_ONLY % "db1": "0x60",
            READ_ONLY % "db2": "1x60",
        },
    ),
    Case(
        "DatabaseRebuildBlocked",
        fires={'ha_database_rebuild_blocked{host="db2",reason="room"}': "1x60"},
        quiet={'ha_database_rebuild_blocked{host="db2",reason="room"}': "_x60"},
    ),
    Case(
        "DatabaseRebuildRoomLow",
        fires={'ha_database_rebuild_room_ratio{host="db1"}': "0.9x120"},
        quiet={'ha_database_rebuild_room_ratio{host="db1"}': "1.1x120"},
        minutes=15,
    ),
    Case("FailoverMonitorDown", fires={STATES_FILE: "0x60"}, quiet={STATES_FILE: "0+10x60"}),
    Case("FailoverMonitorDown", fires={"up": "1x60"}, quiet={STATES_FILE: "0+10x60"}),
    Case("ArchiveStalled", fires={WAITING: "310x60"}, quiet={WAITING: "0+6x49 0x11", ARCHIVE_FILE: "0+10x60"}),
    Case(
        "ArchiveStalled",  # its program has ended
        fires={WAITING: "0x120", ARCHIVE_FILE: "0x120"},
        quiet={WAITING: "0x120", ARCHIVE_FILE: "0+10x120"},
        minutes=10,
    ),
    Case("ArchiveStalled", fires=PAIR, quiet={**PAIR, WAITING: "0x10 _x6 0x44"}),  # the primary says nothing
    Case(
        "ArchiveQueueNearLimit",
        fires={'ha_archive_queue_used_ratio{host="db1"}': "0.6x60"},
        quiet={'ha_archive_queue_used_ratio{host="db1"}': "0.4x60"},
    ),
    Case(
        "ArchiveIncomplete",
        fires={'ha_archive_complete{host="db1"}': "0x60"},
        quiet={'ha_archive_complete{host="db1"}': "0x12 1x48"},
        minutes=8,
    ),
    Case(
        "BackupOverdue",  # six hours, a quarter more, half an hour and one
        fires={NEWEST % "any": "0x3600", INTERVAL % "any": "21600x3600"},
        quiet={NEWEST % "any": "0x1600 16000x2000", INTERVAL % "any": "21600x3600"},
        minutes=560,
    ),
    Case(
        "BackupOverdue",  # there is no full one
        fires={NEWEST % "full": "-1000000x600", INTERVAL % "full": "604800x600"},
        quiet={NEWEST % "full": "-600000x600", INTERVAL % "full": "604800x600"},
        minutes=90,
    ),
    Case(
        "BackupRepositoryUnreachable",
        fires={'ha_backup_repository_reachable{host="db1"}': "0x120"},
        quiet={'ha_backup_repository_reachable{host="db1"}': "0x55 1x65"},
        minutes=15,
    ),
    Case("CanaryGap", fires={**PAIR, CANARY % "db1": "0x60"}, quiet={**PAIR, CANARY % "db1": "0+10x60"}),
    Case(
        "CanaryGap",  # a failover just before a row, and its metric is gone with the host that wrote the last one
        fires={**PAIR, CANARY % "db1": "-100x60"},
        quiet={IS_REPLICA % "db2": "1x7 0x52", CANARY % "db1": "0x5 55x1", CANARY % "db2": "_x19 180x5 240x35"},
        minutes=3,
    ),
    Case("CanaryGap", fires=PAIR, quiet={IS_REPLICA % "db1": "1x60", IS_REPLICA % "db2": "1x60"}),  # no primary
    Case("BackupProofFailed", fires={PROOF_GOOD: "0x60"}, quiet={PROOF_GOOD: "1x60"}),
    Case(
        "BackupProofOverdue",
        fires={PROOF_AWAITED: "-700000x420"},
        quiet={PROOF_AWAITED: "-680000x420"},
        minutes=70,
    ),
    Case("BackupProofOverdue", fires={"up": "1x420"}, quiet={PROOF_AWAITED: "0x420"}, minutes=70),  # nobody looks
    Case(
        "BackupPassphraseNotCopied",
        fires={'ha_backup_passphrase_copied{host="db1"}': "0x600"},
        quiet={'ha_backup_passphrase_copied{host="db1"}': "0x300 1x300"},
        minutes=75,
    ),
)


def _rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]


def _document(case: Case, series: Series, firing: bool) -> dict[str, Any]:
    expression = f'count(ALERTS{{alertname="{case.alert}", alertstate="firing"}}) > bool 0 or vector(0)'
    expected = {"labels": "{}", "value": int(firing)}
    test = {
        "interval": "10s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": expression, "eval_time": f"{case.minutes}m", "exp_samples": [expected]}],
    }
    return {"rule_files": [f"rules/{case.alert}.yml"], "evaluation_interval": "10s", "tests": [test]}


def _rules_of(alert: str) -> dict[str, Any]:
    """The rule file without other alerts: to evaluate all of them for each case takes ten times as long."""
    document: dict[str, Any] = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    for group in document["groups"]:
        group["rules"] = [rule for rule in group["rules"] if rule.get("alert", alert) == alert]
    return document


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What promtool says of each case, by the stem of its file: nothing if it passed."""
    folder = tmp_path_factory.mktemp("promtool")
    (folder / "rules").mkdir()
    for alert in {case.alert for case in CASES}:
        (folder / "rules" / f"{alert}.yml").write_text(yaml.safe_dump(_rules_of(alert)), encoding="utf-8")
    for number, case in enumerate(CASES):
        for firing, series in ((True, case.fires), (False, case.quiet)):
            path = folder / f"{number}-{'fires' if firing else 'quiet'}.yml"
            path.write_text(yaml.safe_dump(_document(case, series, firing)), encoding="utf-8")
    files = sorted(folder.glob("*.yml"))
    done = subprocess.run(["promtool", "test", "rules", *map(str, files)], capture_output=True, text=True, check=False)
    output = done.stdout + done.stderr
    assert output.count("Unit Testing:") == len(files), output
    _, *parts = re.split(r"Unit Testing:\s+", done.stdout)
    failures = [] if done.returncode == 0 else re.split(r"(?m)^  FAILED:$", done.stderr)[1:]
    said: dict[str, str] = {}
    for part in parts:
        stem = Path(part.split()[0]).stem
        said[stem] = "" if "SUCCESS" in part else failures.pop(0)
    assert not failures, output
    return said


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: CASES[number].alert)
def test_fires(verdicts: dict[str, str], number: int) -> None:
    assert not verdicts[f"{number}-fires"]


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: CASES[number].alert)
def test_is_quiet(verdicts: dict[str, str], number: int) -> None:
    if CASES[number].alert != "Watchdog":  # which is never quiet
        assert not verdicts[f"{number}-quiet"]


def test_every_alert_has_a_case() -> None:
    assert {case.alert for case in CASES} == {rule["alert"] for rule in _rules()}


def test_the_guides_alerts_keep_their_names() -> None:
    names = {rule["alert"] for rule in _rules()}
    assert {"ApplicationServerDown", "DatabaseReplicationLag", "LoadBalancerDown"} <= names


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    hosts = ("components/host.py", "cloud-init/lb/files/usr/local/lib/ha/monitor-watch")
    elsewhere = (*hosts, "components/backups.py", "ops/overrides.py")
    others = "".join((REPOSITORY / path).read_text(encoding="utf-8") for path in elsewhere)
    pages = {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"}
    of_others = {page for page in pages if f"docs/runbooks/{page}.md" in others}
    assert pages - of_others == {rule["alert"] for rule in _rules()}


@pytest.mark.parametrize("rule", _rules(), ids=lambda rule: rule["alert"])
def test_every_alert_says_how_bad_it_is_and_what_it_is(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "none"}
    assert rule["annotations"]["summary"]


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("[A-Z]*[a-z].md")), ids=lambda page: page.stem)
def test_a_runbook_has_its_parts(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.stem}\n")
    for part in ("Meaning", "Impact", "Diagnosis", "Mitigation"):
        assert f"\n**{part}.** " in text, part
