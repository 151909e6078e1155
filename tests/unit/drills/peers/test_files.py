"""The files of a contender's hosts; nothing else of the estate differs."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.host_files import HostFile, contexts, host_files
from drills.peers.contenders import CONTENDERS, OURS
from drills.peers.files import Files, differing, files_of
from spec.project import EXAMPLE_ACCOUNT_ID
from spec.scope import Scope
from spec.settings import Settings

SETTINGS = Settings.model_validate({"region": "us-east-1", "network": {"zones": ["us-east-1a", "us-east-1b"]}})
SCOPE = Scope.of(SETTINGS, partition="aws", account=EXAMPLE_ACCOUNT_ID, project="ha", stack="dev")
PATRONI = [name for name, one in CONTENDERS.items() if one.patroni is not None]
TUNING = "/etc/ha/postgresql.d/10-ha.conf"


@cache
def files(name: str) -> Files:
    return files_of(CONTENDERS[name], contexts(SCOPE, SETTINGS))


def patroni(name: str, host: str = "db1") -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(files(name)[host]["/usr/local/lib/ha/patroni.yml"].content)
    return document


def environment(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if line)


@pytest.mark.parametrize("name", PATRONI)
def test_patroni_does_not_adjust_its_timers(name: str) -> None:
    # Others are adjusted with a warning: patroni/config.py, _validate_and_adjust_timeouts.
    dcs = patroni(name)["bootstrap"]["dcs"]
    assert dcs["ttl"] >= 20
    assert dcs["retry_timeout"] >= 3
    assert dcs["loop_wait"] >= 1
    assert dcs["loop_wait"] + 2 * dcs["retry_timeout"] <= dcs["ttl"]


def test_tuned_is_every_timer_at_its_floor_and_defaults_are_those_of_the_documentation() -> None:
    names = ("ttl", "loop_wait", "retry_timeout", "primary_start_timeout")
    assert [patroni("patroni-tuned")["bootstrap"]["dcs"][one] for one in names] == [20, 1, 3, 0]
    assert [patroni("patroni-defaults")["bootstrap"]["dcs"][one] for one in names] == [30, 10, 10, 300]


@pytest.mark.parametrize("name", PATRONI)
def test_patroni_is_as_durable_as_ours(name: str) -> None:
    config = patroni(name)
    assert config["bootstrap"]["dcs"]["synchronous_mode"] is True
    assert config["postgresql"]["data_dir"].startswith("/srv/data/")
    assert "data-checksums" in config["bootstrap"]["initdb"]
    for source in (
        yaml.safe_dump(config),
        *(f.content for f in files(name)["db1"].values() if "/postgresql.d/" in f.path),
    ):
        assert not re.search(r"\b(fsync|synchronous_commit|full_page_writes)\b", source)


@pytest.mark.parametrize("name", PATRONI)
def test_etcd_has_three_members(name: str) -> None:
    hosts = ("db1", "db2", "monitor1")
    members = {host: environment(files(name)[host]["/etc/default/etcd"].content) for host in hosts}
    assert len({one["ETCD_INITIAL_CLUSTER"] for one in members.values()}) == 1
    for host, one in members.items():
        assert one["ETCD_NAME"] == host
        assert f"{host}={one['ETCD_INITIAL_ADVERTISE_PEER_URLS']}" in one["ETCD_INITIAL_CLUSTER"].split(",")
        assert one["ETCD_ADVERTISE_CLIENT_URLS"].removeprefix("http://") in patroni(name)["etcd3"]["hosts"]
        # etcd refuses less: its documentation, "Tuning".
        assert int(one["ETCD_ELECTION_TIMEOUT"]) >= 5 * int(one["ETCD_HEARTBEAT_INTERVAL"])


def test_patroni_may_replicate_from_loopback_and_rewind_from_its_peer() -> None:
    rules = files("patroni-defaults")["db1"]["/etc/ha/pg_hba.conf"].content.splitlines()
    assert "hostssl replication replicator 127.0.0.1/32 scram-sha-256" in rules
    assert sum("rewinder" in rule for rule in rules) == 2
    assert rules[-2:] == [f"host    {what} all 0.0.0.0/0 reject" for what in ("all        ", "replication")]


@pytest.mark.parametrize("name", PATRONI)
def test_patroni_answers_the_checks_of_the_route(name: str) -> None:
    hosts = contexts(SCOPE, SETTINGS)
    route = {file.path: file.content for file in host_files(hosts["app1"])}["/etc/haproxy/haproxy.cfg"]
    assert "    option httpchk OPTIONS /primary\n" in route
    listening = patroni(name)["restapi"]["listen"]
    assert f"    default-server check port {listening.partition(':')[2]} " in route
    assert "ha-primary-check" not in files(name)["db1"]["/usr/local/lib/ha/steps/50-node"].content


def test_pg_auto_failover_gets_its_defaults_and_no_fence() -> None:
    found = files("pg_auto_failover-defaults")
    assert "pg_autoctl config set $timeout 20\n" in found["db1"]["/usr/local/lib/ha/steps/50-node"].content
    monitor, database = (found[host][TUNING].content.splitlines() for host in ("monitor1", "db1"))
    assert {
        "pgautofailover.health_check_period = 5000",
        "pgautofailover.health_check_timeout = '5s'",
        "pgautofailover.health_check_max_retries = 2",
        "pgautofailover.health_check_retry_delay = 2000",
        "pgautofailover.node_considered_unhealthy_timeout = 20000",
        "pgautofailover.primary_demote_timeout = 30000",
        "pgautofailover.startup_grace_period = 10000",
    } <= set(monitor)
    assert {"wal_sender_timeout = '60000ms'", "wal_receiver_timeout = '60000ms'"} <= set(database)
    units = "/etc/systemd/system"
    assert (
        "add element inet ha_fence lease { 5432, 8008 }"
        in found["db1"][f"{units}/ha-fence.service.d/peer.conf"].content
    )
    for stalled in ("disk", "keeper", "standby"):
        assert "sleep infinity" in found["db1"][f"{units}/ha-stalled-{stalled}.service.d/peer.conf"].content


def test_ours_is_what_users_hosts_get() -> None:
    assert differing(files(OURS.name), files(OURS.name)) == {}
    for given in files(OURS.name).values():
        assert not any(re.search(r"(?i)patroni(?!'s)|etcd", file.content) for file in given.values())


@pytest.mark.parametrize("name", [name for name in CONTENDERS if name != OURS.name])
def test_what_is_deployed_is_removed_again(name: str) -> None:
    ours, theirs = files(OURS.name), files(name)
    hosts: dict[str, dict[str, HostFile]] = {host: dict(one) for host, one in ours.items()}
    for now, wanted in ((ours, theirs), (theirs, ours)):
        for host, (gone, new) in differing(now, wanted).items():
            for path in gone:
                del hosts[host][path]
            hosts[host].update({file.path: file for file in new})
        assert hosts == wanted


def test_scripts_pass_shellcheck_and_python_compiles(tmp_path: Path) -> None:
    # Ours are checked with the other hosts' files (tests/unit/cloud_init).
    own = {file for host in files(OURS.name).values() for file in host.values()}
    theirs = {file for name in CONTENDERS for host in files(name).values() for file in host.values()} - own
    assert theirs
    for number, file in enumerate(theirs):
        if file.path.endswith(".py"):
            compile(file.content, file.path, "exec")
        if file.content.startswith("#!/bin/bash"):
            (tmp_path / str(number)).write_text(file.content)
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    scripts = ["shellcheck", "-e", "SC1091", *map(str, tmp_path.iterdir())]
    done = subprocess.run(scripts, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
