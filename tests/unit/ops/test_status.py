"""How an estate is judged from what its hosts say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import MagicMock

import pytest

from ops import status as module
from ops.estate import CommandFailed, Instance
from ops.status import Observation, Status, judge, with_consoles
from spec.pointer import Pointer
from spec.tiers import Tier

EXPECTED = ("lb1", "app1", "app2", "db1", "db2", "monitor1", "cache1")
FACTS: dict[str, dict[str, Any]] = {
    "lb1": {"servers": {"app1": "UP", "app2": "UP"}},
    "app1": {"release": "ab" * 32, "release_name": "event-manager-1.0.0"},
    "app2": {"release": "ab" * 32, "release_name": "event-manager-1.0.0"},
    "db1": {"role": "primary", "replication": "sync", "lag_bytes": 0},
    "db2": {"role": "standby", "replication": "none", "lag_bytes": 0},
    "monitor1": {},
    "cache1": {"role": "master"},
}


def _seen(host: str, *, state: str = "running", report: dict[str, Any] | None = None, silence: str = "") -> Observation:
    public = "203.0.113.10" if host == "lb1" and state == "running" else None
    instance = Instance(f"i-{host}", host, Tier(host[:-1]), "10.20.0.1", public, "us-east-1a", state)
    return Observation(instance, report, silence)


def _well(host: str, **facts: Any) -> Observation:
    return _seen(
        host, report={"setup": {"state": "ready"}, "healthy": True, "checks": [], "facts": {**FACTS[host], **facts}}
    )


def _judged(**changed: Observation | None) -> Status:
    seen = {host: _well(host) for host in EXPECTED} | changed
    observations = [o for o in seen.values() if o is not None]
    return judge(observations, expected=EXPECTED, stack="dev", target="lab", url="http://127.0.0.1:8080")


def test_an_estate_where_all_is_well_is_healthy() -> None:
    status = _judged()
    assert status.healthy
    assert status.problems == []
    assert (status.database.primary, status.database.standby, status.database.replication) == ("db1", "db2", "sync")
    assert status.cache.primary == "cache1"
    assert (status.load_balancer.active, status.load_balancer.servers) == ("lb1", {"app1": "UP", "app2": "UP"})


@pytest.mark.parametrize(
    ("report", "state", "detail"),
    [
        ({"setup": {"state": "running", "step": "40-postgres"}}, "booting", "set-up is at step 40-postgres"),
        ({"setup": {}}, "booting", "set-up has not started"),
        (
            {"setup": {"state": "failed", "step": "40-postgres", "error": "no disk\n"}},
            "failed",
            "set-up failed in step 40-postgres: no disk",
        ),
        (
            {
                "setup": {"state": "ready"},
                "healthy": False,
                "checks": [
                    {"name": "ssm-agent", "ok": False, "detail": "cannot be downloaded", "informational": True},
                    {"name": "postgres", "ok": False, "detail": "refused"},
                    {"name": "x", "ok": True, "detail": ""},
                ],
            },
            "ready",
            "postgres (refused)",
        ),
    ],
)
def test_a_host_that_boots_is_told_from_one_that_is_broken(report: dict[str, Any], state: str, detail: str) -> None:
    status = _judged(db2=_seen("db2", report=report))
    host = next(h for h in status.hosts if h.name == "db2")
    assert (host.state, host.healthy, host.detail) == (state, False, detail)
    assert f"db2: {detail}" in status.problems
    assert not status.healthy


def test_a_silent_host_is_unreachable_and_a_stopped_one_stopped() -> None:
    status = _judged(app1=_seen("app1", silence="no answer within 30 s"), app2=_seen("app2", state="stopped"))
    assert {h.name: h.state for h in status.hosts if h.role == "application"} == {
        "app1": "unreachable",
        "app2": "stopped",
    }


def test_of_hosts_that_cannot_be_asked_the_console_is_shown() -> None:
    class Consoles:
        def console(self, instance_id: str) -> str:
            if instance_id == "i-db2":
                raise CommandFailed("the console cannot be read: UnauthorizedOperation", where=instance_id)
            return f"ha-setup[9]: 10-packages: failed on {instance_id}\r\n"

    seen = _judged(app1=_seen("app1", silence="no answer"), db2=_seen("db2", silence="no answer"))
    estate: Any = Consoles()
    assert {host.name: host.console for host in with_consoles(estate, seen).hosts if host.console} == {
        "app1": ["ha-setup[9]: 10-packages: failed on i-app1"],
        "db2": ["the console cannot be read: UnauthorizedOperation"],
    }


def test_a_host_that_is_not_there_is_missed() -> None:
    assert "monitor1: there is no such instance" in _judged(monitor1=None).problems


def test_two_that_claim_to_be_primary_are_no_primary() -> None:
    status = _judged(db2=_well("db2", role="primary"))
    assert status.database.primary is None
    assert not status.healthy


def test_asynchronous_replication_is_a_problem() -> None:
    status = _judged(db1=_well("db1", replication="async"))
    assert any("synchronous" in p for p in status.problems)


def test_without_the_public_address_nobody_reaches_the_site() -> None:
    alone = _well("lb1")
    status = _judged(lb1=Observation(replace(alone.instance, public_address=None), alone.report))
    assert status.load_balancer.active is None
    assert "load balancer: none of its hosts has the public address" in status.problems


def test_a_primary_that_still_speaks_as_a_standby_is_not_synchronous() -> None:
    assert _judged(db1=_well("db1", replication="streaming")).database.replication == "none"


def test_a_server_that_the_load_balancer_lost_is_a_problem() -> None:
    status = _judged(lb1=_well("lb1", servers={"app1": "UP", "app2": "DOWN"}))
    assert "load balancer: app2 is DOWN" in status.problems


def test_of_two_load_balancers_the_one_with_the_address_is_active() -> None:
    report = {"setup": {"state": "ready"}, "healthy": True, "checks": [], "facts": {"active": False, "servers": {}}}
    assert _judged(lb2=_seen("lb2", report=report)).load_balancer.active == "lb1"
    nobody = _judged(lb1=None, lb2=_seen("lb2", report=report))
    assert nobody.load_balancer.active is None
    assert "load balancer: none of its hosts has the public address" in nobody.problems


def test_of_two_caches_the_master_is_primary_and_two_masters_are_none() -> None:
    def second(role: str) -> Observation:
        return _seen(
            "cache2", report={"setup": {"state": "ready"}, "healthy": True, "checks": [], "facts": {"role": role}}
        )

    assert _judged(cache2=second("slave")).cache.primary == "cache1"
    both = _judged(cache2=second("master"))
    assert both.cache.primary is None
    assert "cache: cache1 and cache2 are both master" in both.problems


@pytest.mark.parametrize(("looks", "deadline_s", "healthy"), [(3, 60.0, True), (3, 0.0, False)])
def test_a_healthy_estate_is_waited_for_until_the_deadline(
    monkeypatch: pytest.MonkeyPatch, looks: int, deadline_s: float, healthy: bool
) -> None:
    unhealthy, well = _judged(cache1=None), _judged()
    assert (unhealthy.healthy, well.healthy) == (False, True)
    seen = iter([*[unhealthy] * (looks - 1), well])
    monkeypatch.setattr(module, "POLL_S", 0.0)
    monkeypatch.setattr(module, "status", lambda *_: next(seen))
    assert module.await_healthy(MagicMock(), [], deadline_s=deadline_s).healthy is healthy


def test_a_host_that_runs_something_else_than_its_pointer_names_is_a_problem_with_a_way_out() -> None:
    """Its roll-out may have ended: then no `up` sees a change, and a boot takes what the pointer names."""
    app1 = _well("app1")
    runs = {"bundle": "a" * 64, "release": "c" * 64}
    observed = [replace(app1, report={**(app1.report or {}), "runs": runs})]
    problems = {
        bundle: judge(
            observed,
            expected=(),
            named={Tier.APP: Pointer(bundle=bundle * 64, release="c" * 64)},
            stack="dev",
            target="lab",
            url=None,
        ).problems
        for bundle in "ab"
    }
    (drift,) = set(problems["b"]) - set(problems["a"])
    assert drift.startswith(
        "app1: it runs bundle aaaaaaaaaaaa, release cccccccccccc, but the pointer names bundle bbbb"
    )
    assert drift.endswith("`pulumi up` settles it, or a reboot if that sees no change")


NONE: tuple[Any, ...] = (None, None, None)


@pytest.mark.parametrize(
    ("backups", "archive", "seen"),
    [
        (
            {"newest_full": 1796126400, "newest_any": 1796148000},
            {"waiting_segments": 3, "waiting_seconds": 12.6, "complete": 1},
            ("2026-12-01T18:00:00+00:00", 3, 12),
        ),
        ({"newest_full": 0, "newest_any": 0}, None, NONE),
        (None, {"waiting_segments": 0, "waiting_seconds": 0.0}, (None, 0, 0)),
        ({"newest_any": "x"}, {"waiting_segments": -1, "waiting_seconds": [1]}, NONE),
        ({"newest_any": 1e300}, {"waiting_segments": float("nan"), "waiting_seconds": 2**60}, NONE),
    ],
)
def test_the_primary_says_how_old_the_newest_backup_is(backups: Any, archive: Any, seen: tuple[Any, ...]) -> None:
    told = {"backups": backups, "archive": archive}
    status = _judged(db1=_well("db1", **told), db2=_well("db2", backups={"newest_any": 1}))
    assert status.backups is not None
    found = status.backups
    newest = found.newest.isoformat() if found.newest else None
    assert (newest, found.waiting_segments, found.waiting_s) == seen
    assert status.healthy  # backups do not decide that yet


@pytest.mark.parametrize(
    ("copy", "said"),
    [
        ({"bytes": 4 * 2**28, "of": 5 * 2**29}, "; db2 copies all data anew: 40% of 2.5 GiB)"),
        ({"bytes": 3 * 2**30, "of": 2**30}, "; db2 copies all data anew: 100% of 1.0 GiB)"),
        ({"bytes": 0, "of": None}, "; db2 copies all data anew: it begins)"),
        ({"bytes": "x", "of": -1}, "; db2 copies all data anew: it begins)"),
        (None, "(replication is none)"),
    ],
)
def test_the_primary_says_how_far_a_copy_of_its_data_is(copy: Any, said: str) -> None:
    booting = _seen("db2", report={"setup": {"state": "running", "step": "50-node"}})
    status = _judged(db1=_well("db1", replication="none", copy=copy), db2=booting)
    assert next(one for one in status.problems if one.startswith("database: ")).endswith(said)
    assert not _judged(db2=_well("db2", copy={"bytes": 1, "of": 2})).problems


@pytest.mark.parametrize("told", [{}, {"backups": None, "archive": None}, {"backups": "x", "archive": 1}])
def test_a_primary_that_says_nothing_of_backups_is_not_guessed_about(told: dict[str, Any]) -> None:
    assert _judged(db1=_well("db1", **told)).backups is None
    assert _judged(db1=_well("db1", role="down", backups={"newest_any": 1})).backups is None


PAGE = {"on": True, "until": "2030-05-17T19:30:00Z", "why": "restore", "overdue": False}
OFF = {"on": False}


def _with_pages(lb1: Any, lb2: Any) -> Status:
    second = _seen("lb2", report={**(_well("lb1").report or {}), "facts": {"servers": {}, "maintenance": lb2}})
    return _judged(lb1=_well("lb1", maintenance=lb1), lb2=second)


def test_a_maintenance_page_is_said_and_is_no_problem_while_it_is_planned() -> None:
    status = _with_pages(PAGE, PAGE)
    assert str(status.load_balancer.maintenance) == "maintenance until 2030-05-17T19:30:00Z: restore"
    assert status.healthy


def test_an_overdue_maintenance_page_is_a_problem() -> None:
    status = _with_pages({**PAGE, "overdue": True}, {**PAGE, "overdue": True})
    said = "maintenance until 2030-05-17T19:30:00Z (overdue): restore"
    assert str(status.load_balancer.maintenance) == said
    assert status.problems == [f"load balancer: {host}: {said}" for host in ("lb1", "lb2")]
    assert not status.healthy


@pytest.mark.parametrize(("lb1", "lb2", "without"), [(PAGE, OFF, "lb2"), (OFF, PAGE, "lb1"), (PAGE, None, "lb2")])
def test_a_page_that_only_one_load_balancer_has_is_a_problem(lb1: Any, lb2: Any, without: str) -> None:
    status = _with_pages(lb1, lb2)
    assert status.problems == [f"load balancer: {without} has no maintenance page, and another one has"]
    assert (status.load_balancer.maintenance is not None) == (lb1 is PAGE), "visitors get what lb1 has"


@pytest.mark.parametrize("said", [None, {}, OFF, {"on": 1}, "on", ["on"]])
def test_without_a_maintenance_page_nothing_is_said_of_one(said: Any) -> None:
    status = _with_pages(said, said)
    assert status.load_balancer.maintenance is None
    assert status.healthy
