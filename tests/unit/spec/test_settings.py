"""Bad settings: each ends with one message that names the setting, the value and what is allowed, and exit code 2."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from spec.errors import HaError, SettingsError
from spec.project import REPOSITORY
from spec.stack_file import load_settings, parse_settings
from tests.stacks import STACKS


def _given(**changes: Any) -> dict[str, Any]:
    """Good settings with some values changed; `group__name` reaches into a group."""
    settings: dict[str, Any] = {"network": {"cidr": "10.20.0.0/16", "zones": ["us-east-1a", "us-east-1b"]}}
    for path, value in changes.items():
        group, _, name = path.partition("__")
        if name:
            settings.setdefault(group, {})[name] = value
        else:
            settings[group] = value
    return settings


def _refusal(settings: object, region: object = "us-east-1") -> SettingsError:
    before = copy.deepcopy(settings)
    with pytest.raises(SettingsError) as refused:
        parse_settings(settings, region, source="Pulumi.dev.yaml")
    assert settings == before
    assert refused.value.exit_code == 2
    return refused.value


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    # what is wrong: (settings, the path that must be named, what the message must say)
    "a misspelt group": (_given(databse={}), "databse", "did you mean database?"),
    "a misspelt setting": (_given(database__volume_gb=20), "database.volume_gb", "did you mean volume_gib?"),
    "a misspelt timer": (_given(timers__primary_demote=1), "timers.primary_demote", "did you mean primary_demote_ms?"),
    "an unknown word": (_given(database__xyzzy=1), "database.xyzzy", "use one of: "),
    "a string for a number": (_given(application__count="2"), "application.count", "'2'"),
    "a number for a string": (_given(application__release=5), "application.release", "5"),
    "a string for a truth": (_given(protect="yes"), "protect", "'yes'"),
    "a CIDR too small": (
        _given(network__cidr="10.20.0.0/24"),
        "ha:settings",
        "10.20.0.0/24 is too small for these hosts: /23 or larger",
    ),
    "a CIDR too large": (_given(network__cidr="10.0.0.0/8"), "network", "/16 at most"),
    "a public CIDR": (_given(network__cidr="8.8.0.0/16"), "network", "8.8.0.0/16 is public"),
    "a CIDR with host bits": (_given(network__cidr="10.20.0.1/16"), "network.cidr", "did you mean 10.20.0.0/16?"),
    "a tiny CIDR": (_given(network__cidr="10.20.0.0/30"), "ha:settings", "/23 or larger, up to /16"),
    "a number for a CIDR": (_given(network__cidr=10), "network.cidr", "a network in quotes"),
    "a release that a shell would run": (_given(application__release="a b;x.tar.gz"), "application.release", "a b;x"),
    "half a digest": (_given(application__release="ab" * 16), "application.release", "^([0-9a-f]{64}|"),
    "a digest in capitals": (_given(application__release="AB" * 32), "application.release", "^([0-9a-f]{64}|"),
    "a release from elsewhere": (_given(application__release="/tmp/x.tar.gz"), "application.release", "/tmp/x.tar.gz"),
    "the host's own environment": (
        _given(application__environment={"PORT": "1"}),
        "application.environment",
        "the host itself sets PORT: remove it here",
    ),
    "pools larger than the database": (
        _given(application__count=10),
        "ha:settings",
        "for 10 application hosts is 200 connections, but database.max_connections 100 less 15 reserved ones is 85",
    ),
    "a drain that nobody notices": (
        _given(load_balancer__check_interval_ms=2000),
        "ha:settings",
        "timers.application_drain_s 3 is too short: the load balancer notices only after 4400 ms",
    ),
    "an overlapping CIDR": (
        _given(network__reserved_cidrs=["10.20.128.0/20"]),
        "network",
        "10.20.0.0/16 overlaps 10.20.128.0/20",
    ),
    "one zone": (_given(network__zones=["us-east-1a"]), "network.zones", "at least two zones"),
    "no zone": (_given(network__zones=[]), "network.zones", "at least two zones"),
    "a zone twice": (_given(network__zones=["us-east-1a", "us-east-1a"]), "network.zones", "each zone once"),
    "a zone of elsewhere": (
        _given(network__zones=["us-east-1a", "us-west-2a"]),
        "ha:settings",
        "us-west-2a is not a zone of aws:region us-east-1",
    ),
    "an instance type that does not exist": (
        _given(database__instance_type="t3.smal"),
        "database.instance_type",
        "similar ones: t3.small",
    ),
    "an architecture that does not fit the image": (
        _given(cache__instance_type="t4g.micro"),
        "ha:settings",
        "cache.instance_type t4g.micro is arm64, but image.name debian-13-amd64-",
    ),
    "an image that is not pinned": (_given(image__name="debian-13-amd64"), "image.name", "debian-13-amd64"),
    "unsafe timers": (
        _given(timers__fence_lease_ms=2000),
        "timers",
        "an old primary may accept applications for 2150 ms",
    ),
    "a timer of zero": (_given(timers__primary_demote_ms=0), "timers.primary_demote_ms", "more than 0"),
    "one application host": (_given(application__count=1), "application.count", "2 or more"),
    "three databases": (_given(database__count=3), "database.count", "no setting any more, always 2: remove it"),
    "more NAT gateways than zones": (_given(network__nat_gateways=3), "network", "at most one for each zone"),
    "a budget in words": (_given(budget_monthly_usd="215"), "budget_monthly_usd", "a number of dollars"),
    "a negative budget": (_given(budget_monthly_usd=-1), "budget_monthly_usd", "more than 0"),
    "a budget that is no number": (_given(budget_monthly_usd=float("nan")), "budget_monthly_usd", "finite"),
    "a kind that is not there": (_given(load_balancer__kind="nlb"), "load_balancer.kind", "always haproxy: remove it"),
    "a text for a list": (_given(network__zones="us-east-1a"), "network.zones", "a list"),
    "a text for a group": (_given(load_balancer="haproxy"), "load_balancer", "a mapping of settings"),
    "a text for a mapping": (_given(application__environment="A=1"), "application.environment", "a mapping of names"),
    "a list for a number": (_given(cache__count=[1]), "cache.count", "a whole number"),
    "a number below the least": (_given(cache__volume_gib=1), "cache.volume_gib", "4 or more"),
    "a type like no other": (_given(cache__instance_type="xyzzy"), "cache.instance_type", "similar ones: "),
    "more connections than memory": (
        _given(load_balancer__max_connections=5121),  # a t3.micro's 1024 MiB, at 100 KB each half of it
        "load_balancer",
        "max_connections 5121 is too high: the memory of t3.micro allows 5120",
    ),
    "a bucket with a dot": (
        _given(artifact_bucket="artifacts.example"),
        "artifact_bucket",
        "no dots: hosts reach the bucket by a name of S3 whose certificate covers one label",
    ),
    "an ARN for a boundary": (
        _given(permissions_boundary="arn:aws:iam::123456789012:policy/ha-dev-boundary"),
        "permissions_boundary",
        "^[A-Za-z0-9+=,.@_-]{1,128}$",
    ),
    "a bucket in capitals": (_given(artifact_bucket="Artifacts"), "artifact_bucket", "^[a-z0-9][a-z0-9-]{1,61}"),
    "an address that is none": (_given(alerts__email="nobody"), "alerts.email", "nobody"),
    "no retention": (_given(backups__retention_days=0), "backups.retention_days", "1 or more"),
    "a quarter of a year": (_given(backups__retention_days=91), "backups.retention_days", "90 or less"),
    "no full backup": (_given(backups__full_every_days=31), "backups.full_every_days", "30 or less"),
    "five hours": (_given(backups__incremental_every_hours=5), "backups.incremental_every_hours", "6, 8, 12 or 24"),
    "a copy beside the backups": (_given(backups__copy_region="us-east-1"), "ha:settings", "is the stack's own"),
    "a copy in China": (_given(backups__copy_region="cn-north-1"), "ha:settings", "in amazonaws.com"),
    "a copy in a zone": (_given(backups__copy_region="us-west-2a"), "backups.copy_region", "us-west-2a"),
    "a region with a long name": (_given(backups__copy_region="xx-aaaaaaaaaaaaaa-1"), "backups.copy_region", "18"),
    "the region in the wrong place": (_given(region="us-east-1"), "region", "aws:region"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_bad_setting_is_named_with_its_value_and_what_is_allowed(what: str) -> None:
    settings, path, message = REFUSED[what]
    refusal = _refusal(settings)
    assert [p.path for p in refusal.problems] == [path]
    assert message in str(refusal)
    assert "Pulumi.dev.yaml" in str(refusal)
    assert "should" not in str(refusal)  # pydantic's words, which speak of Python


def test_every_mistake_is_told_at_once() -> None:
    refusal = _refusal(_given(databse={}, application__count=1, network__zones=["us-east-1a"]))
    assert {p.path for p in refusal.problems} == {"databse", "application.count", "network.zones"}


@pytest.mark.parametrize("region", ["cn-north-1", "us-iso-east-1", "us-isob-east-1"])
def test_a_region_whose_services_hosts_do_not_reach_is_refused(region: str) -> None:
    (problem,) = _refusal(_given(), region=region).problems
    assert f"{problem}".startswith("aws:region: ")
    assert "amazonaws.com" in problem.allowed


def test_a_missing_region_is_named_by_its_own_key() -> None:
    (problem,) = _refusal(_given(), region=None).problems
    assert str(problem) == "aws:region: nothing is given: it must be set"


@pytest.mark.parametrize("settings", [None, "text", ["list"]])
def test_settings_that_are_no_mapping_are_refused(settings: object) -> None:
    assert [p.path for p in _refusal(settings).problems] == ["ha:settings"]


def test_settings_that_had_one_value_only_are_still_taken_with_it() -> None:
    old = parse_settings(
        _given(load_balancer__kind="haproxy", database__count=2), "us-east-1", source="Pulumi.dev.yaml"
    )
    assert old == parse_settings(_given(), "us-east-1", source="Pulumi.dev.yaml")


@pytest.mark.parametrize("path", sorted(REPOSITORY.glob("Pulumi.*.yaml")), ids=lambda path: path.name)
def test_every_stack_of_this_checkout_is_valid(path: Path) -> None:
    assert load_settings(path.parent, path.name.split(".")[1]).plan_hosts()


@pytest.mark.parametrize(("stack", "hosts"), [("dev", 7), ("prod", 9)])
def test_the_shipped_stacks_have_their_hosts(stack: str, hosts: int) -> None:
    assert len(load_settings(STACKS, stack).plan_hosts()) == hosts


def test_dev_is_the_guides_shape() -> None:
    settings = load_settings(STACKS, "dev")
    machines = [(h.tier.value, settings.hosts_of(h.tier).instance_type) for h in settings.plan_hosts()]
    assert sorted(machines) == [
        ("app", "t3.medium"),
        ("app", "t3.medium"),
        ("cache", "t3.micro"),
        ("db", "t3.small"),
        ("db", "t3.small"),
        ("lb", "t3.micro"),
        ("monitor", "t3.small"),
    ]
    assert settings.budget_monthly_usd == 215


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("config: [unclosed", "is not YAML"),
        ("config:\n\tha:settings: {}", "is not YAML"),
        ("just text", "no config section"),
        ("config:\n  ha:setings: {}", "did you mean ha:settings?"),
        ("config:\n  1: 2", "ha:settings: nothing is given"),
    ],
)
def test_a_broken_stack_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(HaError, match=message) as refused:
        load_settings(tmp_path, "dev")
    assert refused.value.exit_code == 2
    assert "Pulumi.dev.yaml" in refused.value.where


@pytest.mark.parametrize(
    "name", ["My_Stack", "x", "dev.1", "-dev", "a-stack-name-that-is-too-long", "dev-backups", "a-backups-b"]
)
def test_a_stack_name_that_aws_would_not_take_or_that_names_backups_is_refused(name: str) -> None:
    with pytest.raises(HaError, match="is not a valid stack name") as refused:
        load_settings(REPOSITORY, name)
    assert refused.value.exit_code == 2


def test_keys_of_the_provider_are_the_providers_business(tmp_path: Path) -> None:
    config = {"aws:region": "us-east-1", "aws:allowedAccountIds": ["111122223333"], "ha:settings": _given()}
    (tmp_path / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    assert load_settings(tmp_path, "dev").region == "us-east-1"


def test_a_stack_that_does_not_exist_is_told_which_do(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": {}}), encoding="utf-8")
    with pytest.raises(HaError, match="there is no stack 'staging'") as refused:
        load_settings(tmp_path, "staging")
    assert refused.value.exit_code == 2
    assert refused.value.fix == "use one of: dev"


def test_backups_are_locked_until_the_next_full_one_is_older_than_the_retention() -> None:
    settings = parse_settings(_given(), "us-east-1", source="Pulumi.dev.yaml")
    assert settings.backups.lock_days == 14 + 7 + 2
    assert settings.backups.copy_region is None
    longer = parse_settings(_given(backups__retention_days=30), "us-east-1", source="Pulumi.dev.yaml")
    assert longer.backups.lock_days == 39
