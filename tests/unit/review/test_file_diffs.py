"""The files that differ, by tier."""

from __future__ import annotations

import pytest

from review.file_diffs import LONGEST_FILE, PACKAGES, tier_change
from review.rendered import File, Rendered
from spec.tiers import Tier
from tests.unit.review.conftest import edited, hosts_of

HAPROXY = "/etc/haproxy/haproxy.cfg"


def test_a_file_that_differs_alike_on_two_hosts_is_shown_once(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "prod")
    after = hosts | {name: edited(hosts[name], HAPROXY, "maxconn", "maxconn ") for name in ("lb1", "lb2")}
    found = tier_change(Tier.LB, hosts, after, ["lb1", "lb2"])
    assert found is not None
    (file,) = found.files
    assert (file.path, file.change, file.hosts) == (HAPROXY, "changed", ["lb1", "lb2"])
    assert f"--- {HAPROXY}\n+++ {HAPROXY}\n@@ " in file.diff


def test_a_file_that_differs_on_each_host_is_shown_for_each(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "prod")
    after = hosts | {
        name: edited(hosts[name], "/etc/ha/host.env", f"HA_HOST={name}", f"HA_HOST={name}x") for name in ("lb1", "lb2")
    }
    found = tier_change(Tier.LB, hosts, after, ["lb1", "lb2"])
    assert found is not None
    assert [file.hosts for file in found.files] == [["lb1"], ["lb2"]]


def test_no_change_is_none(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "prod")
    assert tier_change(Tier.DB, hosts, hosts, ["db1", "db2"]) is None


@pytest.mark.parametrize(
    ("old", "new", "change", "says"),
    [
        (None, File(content="x\n", executable=False), "added", ""),
        (File(content="x\n", executable=False), None, "removed", ""),
        (File(content="x", executable=False), File(content="x", executable=True), "changed", "becomes executable"),
        (None, File(content="x" * (LONGEST_FILE + 1), executable=False), "added", "too long"),
    ],
)
def test_each_kind_of_change_is_told(
    shipped: Rendered, old: File | None, new: File | None, change: str, says: str
) -> None:
    host = hosts_of(shipped, "dev")["lb1"]

    def having(file: File | None) -> dict[str, object]:
        return {"files": {**host.files, **({"/etc/new": file} if file else {})}}

    before, after = host.model_copy(update=having(old)), host.model_copy(update=having(new))
    found = tier_change(Tier.LB, {"lb1": before}, {"lb1": after}, ["lb1"])
    assert found is not None
    (file,) = found.files
    assert file.change == change
    assert says in file.omitted
    assert bool(file.diff) != bool(file.omitted)


def test_packages_are_told_apart_from_files(shipped: Rendered) -> None:
    hosts = hosts_of(shipped, "dev")
    found = tier_change(Tier.LB, hosts, {"lb1": edited(hosts["lb1"], PACKAGES, "haproxy\n", "varnish\n")}, ["lb1"])
    assert found is not None
    assert (found.packages_added, found.packages_removed) == (["varnish"], ["haproxy"])
