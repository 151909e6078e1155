"""No single point of failure: the loss of the active one of a pair is answered by the other, within the promise."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

import pytest

from lab.waiting import eventually
from tests.lab.estate.booted import Booted, Browser
from tests.lab.estate.visits import visiting
from tests.lab.prod.conftest import power_cycled

pytestmark = pytest.mark.lab

BALANCER_S = 3.0
SESSIONS_S = 5.0
REDUNDANT_S = 90.0


def test_it_is_healthy_in_pairs(prod: Booted) -> None:
    status = prod.status()
    assert status["healthy"], status["problems"]
    assert status["load_balancer"]["active"] in ("lb1", "lb2")
    assert status["cache"]["primary"] in ("cache1", "cache2")
    zones = {h["name"]: h["zone"] for h in status["hosts"]}
    for pair in (("lb1", "lb2"), ("cache1", "cache2"), ("db1", "db2"), ("app1", "app2")):
        assert zones[pair[0]] != zones[pair[1]]


def test_the_sentinels_are_three_of_which_two_may_lead(prod: Booted) -> None:
    ask = (
        "REDISCLI_AUTH=$(ha-secret cache/sentinel-password) redis-cli --tls --cacert /etc/ha/tls/sentinel-ca.crt "
        "-p 26379 sentinel ckquorum sessions"
    )

    def says(host: str, wanted: str) -> bool:
        return prod.on_host(host, "sh", "-c", ask).stdout.startswith(f"{wanted} 3 usable Sentinels")

    for host, wanted in {"cache1": "OK", "cache2": "OK", "monitor1": "NOQUORUM"}.items():
        # A busy machine may make one look lost for a moment.
        eventually(f"{host} says {wanted}", partial(says, host, wanted), deadline_s=15)


def test_the_public_address_is_answered_by_the_other_load_balancer(prod: Booted, tmp_path: Path) -> None:
    before = prod.status()["load_balancer"]["active"]
    other = {"lb1": "lb2", "lb2": "lb1"}[before]
    with visiting(prod, tmp_path / "visits", "/api/health") as visits:
        lost = time.monotonic()
        prod.lab.power_loss(before)
        eventually("visitors are answered again", lambda: len(visits.since(lost + 1)) > 3, deadline_s=15)
    assert visits.longest_gap_s() <= BALANCER_S
    assert prod.status()["load_balancer"]["active"] == other
    # The host that comes back stays on standby: it does not take the address back.
    power_cycled(prod, before)
    eventually("the pair is healthy again", lambda: prod.status()["healthy"], deadline_s=REDUNDANT_S, every_s=2)
    assert prod.status()["load_balancer"]["active"] == other


def test_sessions_outlive_the_redis_that_held_them(prod: Booted, browser: Browser, tmp_path: Path) -> None:
    browser.sign_in()
    before = prod.status()["cache"]["primary"]
    other = {"cache1": "cache2", "cache2": "cache1"}[before]
    with visiting(prod, tmp_path / "visits", "/api/session", browser.cookies()) as visits:
        lost = time.monotonic()
        prod.lab.power_loss(before)
        eventually("the session is read again", lambda: len(visits.since(lost + 1.5)) > 3, deadline_s=20)
    assert visits.longest_gap_s() <= SESSIONS_S
    assert browser.signed_in()
    # It comes back as a replica: as the master that it was, it would bring old sessions back.
    power_cycled(prod, before)
    eventually("the pair is healthy again", lambda: prod.status()["healthy"], deadline_s=REDUNDANT_S, every_s=2)
    assert prod.status()["cache"]["primary"] == other
