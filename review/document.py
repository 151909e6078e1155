"""The document of `ha diff`: what its text, `--json`, Markdown and the comment of a pull request show."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from spec.tiers import Tier

Verb = Literal["start", "reload", "restart", "stop"]
Fate = Literal["nothing", "changes", "restarts", "replaced", "added", "removed"]
"""What becomes of a host: nothing; its files change in place; its instance is stopped and started for another type;
another instance takes its place; it is new; it goes."""


class FileDiff(BaseModel, frozen=True):
    """A file of a tier that differs. `diff`: unified, without colour; empty when `omitted` says why there is none."""

    path: str
    change: Literal["added", "removed", "changed"]
    hosts: list[str]
    """The hosts of the tier on which it differs in this way, in the order in which they change."""
    diff: str
    omitted: str = ""


class Action(BaseModel, frozen=True):
    """What happens to a service of a host. `unit`: without `.service`. `certain` false: it may, as a set-up step or a
    program that writes a file of the service differs.
    """

    verb: Verb
    unit: str
    because: list[str]
    """The files for which it happens."""
    certain: bool = True
    hands_over: bool = False
    """Before it, another host takes over what this one is, or it drains."""


class HostChange(BaseModel, frozen=True):
    """What a host does. Hosts stand in the order in which their tiers change. Within a tier, the one that leads (the
    primary, the master, the one with the public address) changes last; only the estate knows which that is. A host
    that is replaced takes its `actions` before, in place.
    """

    name: str
    tier: Tier
    fate: Fate
    because: list[str]
    """Why it is replaced or restarts: inputs such as `instance_type t3.small → t3.medium`. Else empty."""
    actions: list[Action]
    hands_over: bool
    outage: str = ""
    """What visitors notice, when no other host takes over."""


class TierChange(BaseModel, frozen=True):
    """The files of a tier, and the Debian packages that it needs more and less than before."""

    tier: Tier
    files: list[FileDiff]
    packages_added: list[str]
    packages_removed: list[str]


class SettingChange(BaseModel, frozen=True):
    """A setting with another value, by its dotted name; null: there is none on this side."""

    name: str
    before: str | None
    after: str | None


class StackChange(BaseModel, frozen=True):
    """A stack before and after. All hosts of a new stack are added. One whose base cannot be rendered is not
    `compared`, and has none.

    `writes_wait_ms`: how long writes may wait while the primary is handed over, by the timers; null: it is not.
    `refused`: what a running estate does not take, and `pulumi preview` therefore refuses.
    """

    stack: str
    new: bool
    compared: bool = True
    refused: list[str]
    settings: list[SettingChange]
    tiers: list[TierChange]
    hosts: list[HostChange]
    writes_wait_ms: int | None


class Changes(BaseModel, frozen=True):
    """The document of `ha diff --json`. `base` and `head`: what was compared, in words.

    `base_failed`: why the base cannot be rendered; the head then stands alone. `gone`: stacks that only the base has a
    file of. `unreadable`: stacks, by name, whose head cannot be rendered, and why.
    """

    version: Literal[1] = 1
    base: str
    head: str
    base_failed: str = ""
    program: str = ""
    """Why resources may change that this document does not know, in a sentence; empty: they do not."""
    release: str = ""
    """Why application hosts may get another release, in a sentence; empty: they do not."""
    gone: list[str] = []
    unreadable: dict[str, str] = {}
    stacks: list[StackChange]
