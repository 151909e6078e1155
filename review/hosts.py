"""What each host of a stack does when a change reaches it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from review.document import Action, Fate, HostChange, Verb
from review.file_diffs import PACKAGES, changed_paths
from review.postgres import restart_settings
from review.rendered import Host
from review.services import Service, services
from spec.changes import CHANGE_ORDER
from spec.tiers import Tier

RELEASE: Final = "the release"
"""What an application host runs: no file of its bundle."""
_STEPS: Final = "/usr/local/lib/ha/steps/"
_POSTGRES: Final = "pgautofailover"
_POSTGRES_SETTINGS: Final = "/etc/ha/postgresql.d/"
_STOPS: Final = ("instance_type",)
_IN_PLACE: Final = ("second private_ip", "root volume GiB", "data volume GiB")
"""Of what an instance is, what EC2 changes while it is stopped, and while it runs; all else replaces it:
https://www.pulumi.com/registry/packages/aws/api-docs/ec2/instance/ (docs/fidelity.md)."""
_ALONE: Final = {
    Tier.LB: "no visitor is served",
    Tier.APP: "no visitor is served",
    Tier.DB: "nothing is read or written",
    Tier.CACHE: "requests find no session",
    Tier.MONITOR: "no failover, no metrics and no alerts",
}
"""What is missing while the only host of a tier is away."""
_UNPREPARED: Final = {
    Tier.LB: "the public address moves, if it is here",
    Tier.CACHE: "the sentinels promote the other one, if this is the master",
    Tier.DB: "the monitor promotes the other one, if this is the primary",
}
"""What happens when one of two hosts stops: before a new instance type nothing hands over."""


def in_order(hosts: Iterable[Host]) -> list[Host]:
    """In the order in which they change: by tier, then by number."""
    return sorted(hosts, key=lambda host: (CHANGE_ORDER.index(Tier(host.tier)), len(host.name), host.name))


def host_changes(
    before: Mapping[str, Host], after: Mapping[str, Host], *, new_release: bool, certain: bool
) -> list[HostChange]:
    """Every host of both sides, in the order in which they change.

    :param new_release: whether application hosts may get another release; `certain`: whether they do.
    """
    found = []
    for host in in_order({**before, **after}.values()):
        tier = Tier(host.tier)
        peers = sum(1 for one in after.values() if one.tier == host.tier and one.name != host.name)
        old, new = before.get(host.name), after.get(host.name)
        if old is None or new is None:
            found.append(_added_or_removed(host, "added" if old is None else "removed", peers))
            continue
        fate, because = _fate(old, new)
        actions = list(_actions(old, new))
        if tier is Tier.APP and new_release:
            actions.append(
                Action(verb="restart", unit=tier.traits.main_unit, because=[RELEASE], certain=certain, hands_over=True)
            )
        if fate == "nothing" and (actions or changed_paths(old, new)):
            fate = "changes"
        hands_over = peers > 0 and (fate == "replaced" or any(one.hands_over for one in actions))
        outage = "" if peers else _outage(tier, fate, actions)
        if fate == "restarts" and peers and tier in _UNPREPARED:
            outage = f"{_UNPREPARED[tier]}: nothing hands over before the stop"
        found.append(
            HostChange(
                name=host.name,
                tier=tier,
                fate=fate,
                because=because,
                actions=_merged(actions),
                hands_over=hands_over,
                outage=outage,
            )
        )
    return found


def _added_or_removed(host: Host, fate: Fate, peers: int) -> HostChange:
    return HostChange(
        name=host.name,
        tier=Tier(host.tier),
        fate=fate,
        because=[],
        actions=[],
        hands_over=fate == "removed" and peers > 0,
    )


def _fate(old: Host, new: Host) -> tuple[Fate, list[str]]:
    differ = [name for name in new.instance if old.instance.get(name) != new.instance[name]]
    values = {name: f"{name} {old.instance.get(name) or '-'} → {new.instance[name] or '-'}" for name in differ}
    replaces = [values[name] for name in differ if name not in (*_STOPS, *_IN_PLACE)]
    if old.user_data != new.user_data:
        replaces.append("user data")
    if replaces:
        return "replaced", replaces
    stops = [values[name] for name in differ if name in _STOPS]
    if stops:
        return "restarts", stops
    grown = [values[name] for name in differ]
    return ("changes" if grown else "nothing"), grown


def _outage(tier: Tier, fate: Fate, actions: Iterable[Action]) -> str:
    if fate == "replaced":
        return f"{_ALONE[tier]} until another instance serves"
    if fate == "restarts":
        return f"{_ALONE[tier]} until the instance runs again"
    main = tier.traits.main_unit
    stops = any(one.unit == main and one.verb in ("restart", "stop") for one in actions)
    return f"{_ALONE[tier]} while {main} restarts" if stops else ""


def _actions(old: Host, new: Host) -> Iterator[Action]:
    """What happens to the services. One that no step starts any more runs on while it has a unit."""
    changed = changed_paths(old, new)
    was, now = (services({path: file.content for path, file in side.files.items()}) for side in (old, new))
    for unit in sorted(was.keys() - now.keys()):
        if (path := f"/etc/systemd/system/{unit}.service") in old.files and path not in new.files:
            yield Action(verb="stop", unit=unit, because=[path])
    for unit in sorted(now.keys() - was.keys()):
        yield Action(verb="start", unit=unit, because=sorted(changed.intersection(now[unit].own)))
    for unit in sorted(now.keys() & was.keys()):
        yield from _action(now[unit], changed, old, new)


def _action(service: Service, changed: set[str], old: Host, new: Host) -> Iterator[Action]:
    restart = _under(changed, (*service.own, *service.restart_for))
    reload = _under(changed, service.reload_for)
    if service.unit == _POSTGRES and (needing := _postgres_restarts(reload, old, new)):
        restart += needing
    hands_over = bool(service.before_restart) or service.unit == Tier.APP.traits.main_unit
    if restart:
        yield _made("restart", service, sorted({*restart, *reload}), hands_over=hands_over)
    elif reload:
        yield _made("reload", service, reload)
    else:
        paths = (*service.own, *service.restart_for, *service.reload_for)
        writers = _writers(changed, [path for path in paths if path not in new.files], new)
        if writers:
            # What PostgreSQL does with a setting that a step works out is known only on the host.
            mild = service.unit != _POSTGRES and not _written((*service.own, *service.restart_for), writers, new)
            verb: Verb = "reload" if mild else "restart"
            yield _made(verb, service, writers, certain=False, hands_over=hands_over and not mild)


def _made(
    verb: Verb, service: Service, because: list[str], *, certain: bool = True, hands_over: bool = False
) -> Action:
    return Action(verb=verb, unit=service.unit, because=because, certain=certain, hands_over=hands_over)


def _under(changed: Iterable[str], paths: Iterable[str]) -> list[str]:
    """The changed files that are one of the paths, or in a folder that is."""
    all_paths = tuple(paths)
    return sorted(
        one for one in changed if any(one == path or one.startswith(f"{path.rstrip('/')}/") for path in all_paths)
    )


def _writers(changed: Iterable[str], written: Iterable[str], host: Host) -> list[str]:
    """The set-up steps and programs that changed and mention a file that the host itself writes."""
    return sorted(
        one
        for one in changed
        if one != PACKAGES
        and (file := host.files.get(one)) is not None
        and (one.startswith(_STEPS) or file.executable)
        and any(path in file.content for path in written)
    )


def _written(paths: Iterable[str], writers: Iterable[str], host: Host) -> bool:
    own = [path for path in paths if path not in host.files]
    return any(path in host.files[one].content for one in writers for path in own)


def _postgres_restarts(paths: Iterable[str], old: Host, new: Host) -> list[str]:
    """The files with a setting that needs a restart of PostgreSQL."""

    def content(host: Host, path: str) -> str:
        file = host.files.get(path)
        return file.content if file else ""

    return [
        path
        for path in paths
        if path.startswith(_POSTGRES_SETTINGS) and restart_settings(content(old, path), content(new, path))
    ]


def _merged(actions: Iterable[Action]) -> list[Action]:
    """One action a service: a new release may come on top of a file that it reads."""
    by_unit: dict[str, Action] = {}
    for one in actions:
        was = by_unit.get(one.unit)
        if was is None:
            by_unit[one.unit] = one
            continue
        hardest: Verb = "restart" if "restart" in (was.verb, one.verb) else was.verb
        by_unit[one.unit] = Action(
            verb=hardest,
            unit=one.unit,
            because=[*was.because, *one.because],
            certain=was.certain or one.certain,
            hands_over=was.hands_over or one.hands_over,
        )
    return list(by_unit.values())
