"""What hosts do when a change reaches them, on the files of the shipped stacks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from lab.provider.resource_types.instance import INSTANCE
from review.document import HostChange
from review.hosts import RELEASE, host_changes
from review.postgres import needs_restart, restart_settings
from review.rendered import File, Host, Rendered
from review.text import host_line
from tests.unit.review.conftest import edited, hosts_of, with_instance

HAPROXY = "/etc/haproxy/haproxy.cfg"
POSTGRES = "/etc/ha/postgresql.d/10-ha.conf"


def changed(
    before: Mapping[str, Host], after: Mapping[str, Host], *, new_release: bool = False
) -> dict[str, HostChange]:
    found = host_changes(before, after, new_release=new_release, certain=True)
    return {one.name: one for one in found if one.fate != "nothing"}


def told(host: HostChange) -> list[tuple[str, str, bool, bool]]:
    return [(one.unit, one.verb, one.certain, one.hands_over) for one in host.actions]


def test_nothing_changes_when_both_sides_are_the_same(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "prod")
    found = host_changes(hosts, hosts, new_release=False, certain=False)
    assert {one.fate for one in found} == {"nothing"}
    assert [one.name for one in found] == [
        *("app1", "app2", "lb1", "lb2", "cache1", "cache2", "db1", "db2", "monitor1")
    ]


def test_a_configuration_that_is_reloaded_hands_nothing_over(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "prod")
    after = hosts | {name: edited(hosts[name], HAPROXY, "timeout", "timeout ") for name in ("lb1", "lb2")}
    found = changed(hosts, after)
    assert list(found) == ["lb1", "lb2"]
    assert told(found["lb1"]) == [("haproxy", "reload", True, False)]
    assert found["lb1"].actions[0].because == [HAPROXY]
    assert not found["lb1"].hands_over
    assert found["lb1"].outage == ""


def test_a_unit_that_changes_restarts_and_a_pair_hands_over(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "prod")
    unit = "/etc/systemd/system/haproxy.service.d/ha.conf"
    found = changed(hosts, hosts | {"lb1": edited(hosts["lb1"], unit, "[Service]", "[Service]\nNice=-1")})
    assert told(found["lb1"]) == [("haproxy", "restart", True, True)]
    assert found["lb1"].hands_over
    assert found["lb1"].outage == ""


def test_the_only_load_balancer_cannot_hand_over(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "dev")
    unit = "/etc/systemd/system/haproxy.service.d/ha.conf"
    found = changed(hosts, hosts | {"lb1": edited(hosts["lb1"], unit, "[Service]", "[Service]\nNice=-1")})
    assert not found["lb1"].hands_over
    assert found["lb1"].outage == "no visitor is served while haproxy restarts"


def test_a_setting_of_postgresql_reloads_or_restarts_as_postgresql_says(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "prod")
    content = hosts["db1"].files[POSTGRES].content

    def with_setting(line: str) -> dict[str, Host]:
        file = File(content=f"{content}\n{line}\n", executable=False)
        return hosts | {"db1": hosts["db1"].model_copy(update={"files": {**hosts["db1"].files, POSTGRES: file}})}

    reload = changed(hosts, with_setting("checkpoint_timeout = '7min'"))["db1"]
    assert told(reload) == [("pgautofailover", "reload", True, False)]
    restart = changed(hosts, with_setting("max_worker_processes = 9"))["db1"]
    assert [one[:3] for one in told(restart)] == [("pgautofailover", "restart", True)]
    assert restart.hands_over


def test_a_step_that_changes_may_change_what_it_writes(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "dev")
    step = "/usr/local/lib/ha/steps/40-redis"
    found = changed(hosts, hosts | {"cache1": edited(hosts["cache1"], step, "+slowlog|len", "")})
    # It writes the users of the one, and the environment of the other.
    assert {(one[0], one[2]) for one in told(found["cache1"])} == {
        ("redis-server", False),
        ("prometheus-redis-exporter", False),
    }


def test_a_step_that_writes_an_environment_file_may_restart_its_service(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "dev")
    step = "/usr/local/lib/ha/steps/50-application"
    found = changed(hosts, hosts | {"app1": edited(hosts["app1"], step, "ADMIN_PASSWORD=", "X=1\nADMIN_PASSWORD=")})
    assert told(found["app1"]) == [("event-manager", "restart", False, True)]


def test_a_service_stops_when_its_unit_goes_and_runs_on_when_no_step_starts_it(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "dev")
    step, unit = "/usr/local/lib/ha/steps/60-database", "/etc/systemd/system/ha-stalled-disk.service"
    forgotten = edited(hosts["db1"], step, "ha-service ha-stalled-disk\n", "")
    assert changed(hosts, hosts | {"db1": forgotten})["db1"].actions == []
    files = {path: file for path, file in forgotten.files.items() if path != unit}
    gone = changed(hosts, hosts | {"db1": forgotten.model_copy(update={"files": files})})["db1"]
    assert told(gone) == [("ha-stalled-disk", "stop", True, False)]


def test_a_comment_in_a_program_that_no_service_reads_restarts_nothing(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "dev")
    found = changed(hosts, hosts | {"app1": edited(hosts["app1"], "/usr/local/sbin/ha-report", '"""', '""" ')})
    assert found["app1"].fate == "changes"
    assert found["app1"].actions == []


def test_another_image_or_user_data_replaces_and_another_type_stops(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "prod")
    after = hosts | {
        "app1": with_instance(hosts["app1"], image="debian-13-amd64-20270101-2601"),
        "app2": hosts["app2"].model_copy(update={"user_data": hosts["app2"].user_data + "\n"}),
        "cache1": with_instance(hosts["cache1"], instance_type="t3.small"),
        "db1": with_instance(hosts["db1"], **{"data volume GiB": "80"}),
    }
    found = changed(hosts, after)
    assert (found["app1"].fate, found["app1"].hands_over) == ("replaced", True)
    assert found["app1"].because[0].startswith("image debian-13-")
    assert (found["app2"].fate, found["app2"].because) == ("replaced", ["user data"])
    assert (found["cache1"].fate, found["cache1"].because) == ("restarts", ["instance_type t3.micro → t3.small"])
    assert (found["db1"].fate, found["db1"].because) == (
        "changes",
        [f"data volume GiB {hosts['db1'].instance['data volume GiB']} → 80"],
    )


# The inputs of the provider's instance. Another architecture replaces it too; a data volume is no input of it.
INPUTS = {
    "image": "ami",
    "image owner": "ami",
    "zone": "subnetId",
    "private_ip": "privateIp",
    "second private_ip": "secondaryPrivateIps",
    "instance_type": "instanceType",
    "root volume GiB": "rootBlockDevice",
}


def test_what_replaces_a_host_is_what_replaces_the_providers_instance(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "dev")
    assert INPUTS.keys() == hosts["app1"].instance.keys() - {"architecture", "data volume GiB"}
    for name, value in INPUTS.items():
        after = hosts | {"app1": with_instance(hosts["app1"], **{name: "another"})}
        assert (changed(hosts, after)["app1"].fate == "replaced") == (value in INSTANCE.replaces), name


def test_the_only_host_of_a_tier_that_is_replaced_is_missed(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "dev")
    found = changed(hosts, hosts | {"lb1": with_instance(hosts["lb1"], image="debian-13-amd64-20270101-2601")})
    assert found["lb1"].outage == "no visitor is served until another instance serves"


def test_a_host_that_is_replaced_changes_in_place_before(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "prod")
    both = with_instance(edited(hosts["lb1"], HAPROXY, "timeout", "timeout "), image="debian-13-amd64-20270101-2601")
    found = changed(hosts, hosts | {"lb1": both})["lb1"]
    assert (found.fate, told(found)) == ("replaced", [("haproxy", "reload", True, False)])
    assert "before that, in place: haproxy reloads" in host_line(found)


def test_hosts_that_come_and_go_are_named(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "dev")
    fewer = {name: host for name, host in hosts.items() if name != "app2"}
    assert changed(fewer, hosts)["app2"].fate == "added"
    assert (gone := changed(hosts, fewer)["app2"]).fate == "removed"
    assert gone.hands_over


def test_a_release_restarts_the_applications_once(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "dev")
    found = changed(hosts, hosts, new_release=True)
    assert list(found) == ["app1", "app2"]
    assert told(found["app1"]) == [("event-manager", "restart", True, True)]
    assert found["app1"].actions[0].because == [RELEASE]


def test_a_line_that_only_moves_needs_no_restart_of_postgresql() -> None:
    assert restart_settings("port = 5432\nwork_mem = 4MB\n", "work_mem = 5MB\nport = 5432\n") == set()
    assert restart_settings("#port = 5432\n", "port = 5433") == {"port"}


def test_the_settings_that_need_a_restart_are_postgresqls_own() -> None:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not programs:
        pytest.skip("PostgreSQL is not installed on this machine")
    user = None if os.geteuid() else "nobody"  # it refuses root
    command = [str(programs[-1]), "--describe-config"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True, user=user)
    rows = [line.split("\t") for line in listed.stdout.splitlines()]
    theirs = {row[0] for row in rows if row[1] == "postmaster"}
    others = {row[0] for row in rows if row[1] != "postmaster"}
    assert len(theirs) > 40
    assert not needs_restart() & others  # of an older version: it has fewer settings, in the same classes
    assert len(theirs - needs_restart()) <= 2
