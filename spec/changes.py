"""Which changes of its settings a running estate takes. Hosts change one after the other, so for a while old and new
settings are in force side by side. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, Final

from pydantic import ValidationError

from spec import ports
from spec.settings import Settings
from spec.tiers import Tier

CHANGE_ORDER: Final = (Tier.APP, Tier.LB, Tier.CACHE, Tier.DB, Tier.MONITOR)
"""A bad change should meet first the host whose loss costs least: an application host has another one beside it that
serves already. Those who must know a new application host, its load balancers and the monitor, come after it."""
WANTED_KEY: Final = "settings"
"""Key in the artifact bucket of the settings that the last update wanted."""
IN_FORCE_KEY: Final = "settings-in-force"
"""Key of those that every host had when an update last ended."""
FIXED: Final[Mapping[str, str]] = {
    "region": "an estate does not move: make another stack there",
    "network.cidr": "addresses of running hosts cannot change",
    "artifact_bucket": "hosts, pointers and the record of roll-outs are in it",
    "database.name": "the database exists under its name",
    "database.user": "the role exists under its name, and both ends of its connections use it",
    "application.tls": "load balancers and application hosts would have to change at the same moment",
    "load_balancer.count": "the public address would move before there is a host that takes it",
    "cache.count": "application hosts, sentinels and caches would have to change at the same moment",
}
"""Settings that cannot change while the estate runs, and why."""
_ALL_MIXES: Final = 10
"""Up to so many changed settings every mix is checked, beyond it those in which one differs from all others."""
_GROUPS = ("load_balancer", "application", "database", "timers")
"""Groups with rules between settings that several tiers use."""


def of_this_version(settings: Mapping[str, Any]) -> Settings | None:
    """Settings out of a JSON document; None: another version of this program wrote them."""
    try:
        return Settings.model_validate(settings, strict=False)
    except ValidationError:
        return None


def refused(old: Mapping[str, Any], old_ports: Mapping[str, int], new: Settings) -> list[str]:
    """What a change from the settings of a JSON document is refused for, also when they are of another version."""
    before = of_this_version(old)
    return refused_links(old_ports) + (refused_fixed(old, new) if before is None else refused_changes(before, new))


def refused_changes(old: Settings, new: Settings) -> list[str]:
    """One sentence for each change that the running estate cannot take. Empty: it takes all."""
    before, after = leaves(old.model_dump()), leaves(new.model_dump())
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    found = [f"{path} cannot change while the estate runs: {why}" for path, why in FIXED.items() if path in changed]
    found += _moved_hosts(old, new) if not found else []
    found += [
        f"{path} cannot shrink from {before[path]} to {after[path]}: the data is on it"
        for path in sorted(changed)
        if path.endswith("volume_gib") and path in before and path in after and after[path] < before[path]
    ]
    was, wanted = old.backups.copy_region, new.backups.copy_region
    if old.protect and was not in (None, wanted):
        found.append(
            f"backups.copy_region cannot change from {was} to {wanted or 'none'}, because the copy is protected. Take "
            "three steps, each with `pulumi up`: `protect: false`, then the other copy_region, then `protect: true`. "
            "The old copy stays in S3; make a full backup for the new one (docs/recovery.md)"
        )
    return found + (_unsafe_mixes(old, new) if not found else [])


def refused_fixed(old: Mapping[str, Any], new: Settings) -> list[str]:
    """As `refused_changes`, for settings of another version of this program: only those that never change."""
    before, after = leaves(old), leaves(new.model_dump(mode="json"))
    return [
        f"{path} cannot change while the estate runs: {why}"
        for path, why in FIXED.items()
        if path in before and before[path] != after.get(path)
    ]


def refused_links(old: Mapping[str, int]) -> list[str]:
    """One sentence for each port that this checkout moves: both ends of a connection cannot change at once."""
    new = ports.by_name()
    return [
        f"the port {name} cannot move from {old[name]} to {new[name]} in one step: serve both, then drop the old one"
        for name in sorted(old.keys() & new.keys())
        if old[name] != new[name]
    ]


def leaves(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested groups by their dotted names, such as `application.count`."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        found |= leaves(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def _moved_hosts(old: Settings, new: Settings) -> list[str]:
    """Hosts with data that would have to be in another zone, and hosts that would have another address."""
    before = {host.name: host for host in old.plan_hosts()}
    found = []
    for host in new.plan_hosts():
        was = before.get(host.name)
        if was is not None and was.zone != host.zone:
            what = "volume" if host.tier.traits.data_volume else "address"
            found.append(f"network.zones: {host.name} cannot move from {was.zone} to {host.zone}: its {what} is there")
        elif was is not None and was.address != host.address:
            found.append(f"network: {host.name} cannot move from {was.address} to {host.address}")
    return found


def _unsafe_mixes(old: Settings, new: Settings) -> list[str]:
    """Mixes of old and new settings that would be refused as settings. Each may be in force during the change."""
    before, after = old.model_dump(), new.model_dump()
    changed = [
        (group, name)
        for group in _GROUPS
        for name in before[group]
        if name in after[group] and before[group][name] != after[group][name]
    ]
    for mix in _mixes(changed):
        document = {**after, **{group: dict(after[group]) for group in _GROUPS}}
        for group, name in mix:
            document[group][name] = before[group][name]
        try:
            Settings.model_validate(document, strict=False)
        except ValidationError as invalid:
            kept = ", ".join(f"{group}.{name}" for group, name in mix)
            reason = invalid.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            return [
                f"while hosts change one after the other, some have the old {kept} and others the new settings: "
                f"{reason}. Take two steps"
            ]
    return []


def _mixes(changed: list[tuple[str, str]]) -> Iterator[tuple[tuple[str, str], ...]]:
    """The settings that are still old, in each mix; neither none nor all of them."""
    count = len(changed)
    sizes = range(1, count) if count <= _ALL_MIXES else (1, count - 1)
    for size in sizes:
        yield from combinations(changed, size)
