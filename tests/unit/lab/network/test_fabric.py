"""The fabric, with a namespace that only remembers what was done in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.network.fabric import Fabric
from lab.network.namespace import Namespace
from lab.process import Finished, ProgramFailed
from tests.unit.lab.network import snapshots


class Links:
    """The fabric's namespace with some links; a command about another fails, as `ip` does."""

    def __init__(self, *links: str) -> None:
        self.links = links
        self.done: list[str] = []

    def has_link(self, name: str) -> bool:
        return name in self.links

    def sysctl(self, values: dict[str, int]) -> None:
        if not any(f".{link}." in name for name in values for link in self.links):
            raise FileNotFoundError(next(iter(values)))

    def ip(self, lines: list[str], *, force: bool = False) -> None:
        if not force and not all(any(link in line for link in self.links) for line in lines):
            raise ProgramFailed(Finished(("ip",), 1, "", "Cannot find device"))
        self.done += lines

    def run(self, command: list[str], *, stdin: str) -> None:
        assert command[0] == "nft"


def test_a_link_that_is_gone_stops_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    links = Links("e-lb1", "lo")
    monkeypatch.setattr(Namespace, "create", lambda name, directory: links)
    monkeypatch.setattr(Namespace, "own", lambda: Links("vpc"))
    monkeypatch.setattr(Fabric, "_set_up", lambda self: None)
    monkeypatch.setattr(Fabric, "_apply_outside_routes", lambda self, snapshot: None)
    fabric = Fabric(tmp_path)
    fabric.apply(snapshots.snapshot(), {"i-lb1", "i-app1"})
    assert "route replace 10.20.0.10/32 dev e-lb1" in links.done
    assert not any("e-app1" in line for line in links.done)
    # Its host boots again: what could not be set up is not taken for done.
    links.links = ("e-lb1", "e-app1", "lo")
    fabric.apply(snapshots.snapshot(), {"i-lb1", "i-app1"})
    assert "route replace 10.20.10.10/32 dev e-app1" in links.done
