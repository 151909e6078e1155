"""What each tier's role may do, as the policy documents say. `tests/unit/lab/aws` asks an IAM simulator."""

from __future__ import annotations

import fnmatch
from dataclasses import replace

import pytest

from components.policies import role_policy
from spec.in_service import ESTATE_KEY, in_service_prefix
from spec.pointer import Pointer, bundle_key
from spec.project import EXAMPLE_ACCOUNT_ID
from spec.proofs import NEWEST_PROOF_KEY, PROOFS_PREFIX
from spec.release import Release
from spec.scope import Scope
from spec.secrets import PARAMETERS
from spec.tiers import Tier

SCOPE = Scope(
    partition="aws",
    account=EXAMPLE_ACCOUNT_ID,
    region="us-east-1",
    project="ha",
    stack="dev",
    artifact_bucket="artifacts",
    certificate_parameter="/certificates/example",
    backup_copy_region="us-west-2",
)


def _resources(tier: Tier, action: str) -> list[str]:
    found: list[str] = []
    for statement in role_policy(tier, SCOPE)["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        if statement["Effect"] == "Allow" and action in actions:
            resource = statement["Resource"]
            found += resource if isinstance(resource, list) else [resource]
    return found


@pytest.mark.parametrize("tier", list(Tier))
def test_a_tier_reads_and_creates_the_parameters_that_the_table_gives_it_and_no_other(tier: Tier) -> None:
    def arns(names: set[str]) -> set[str]:
        return {f"arn:aws:ssm:us-east-1:123456789012:parameter/ha/dev/{name}" for name in names}

    certificate = {SCOPE.parameter_arn("/certificates/example")} if tier is Tier.LB else set()
    path = "/ha-backups/dev/cipher-passphrase"
    backups = {SCOPE.parameter_arn(path), SCOPE.parameter_arn(path, "us-west-2")}
    read, written = backups if tier in (Tier.DB, Tier.RESTORE) else set(), backups if tier is Tier.DB else set()
    readable = {p.name for p in PARAMETERS if tier in p.readers}
    creatable = {p.name for p in PARAMETERS if tier in p.creators}
    assert set(_resources(tier, "ssm:GetParameter")) == arns(readable) | certificate | read
    assert set(_resources(tier, "ssm:PutParameter")) == arns(creatable) | written


@pytest.mark.parametrize("tier", [t for t in Tier if any(t in p.creators for p in PARAMETERS)])
def test_nobody_may_overwrite_a_parameter(tier: Tier) -> None:
    (deny,) = [s for s in role_policy(tier, SCOPE)["Statement"] if s["Sid"] == "NeverOverwrite"]
    assert deny["Effect"] == "Deny"
    assert deny["Action"] == "ssm:PutParameter"
    assert deny["Resource"] == "*"
    assert deny["Condition"] == {"StringEquals": {"ssm:Overwrite": "true"}}


@pytest.mark.parametrize("tier", list(Tier))
def test_no_action_is_a_wildcard_and_star_resources_are_the_agents_alone(tier: Tier) -> None:
    for statement in role_policy(tier, replace(SCOPE, load_balancers=2))["Statement"]:
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        assert not any("*" in a for a in actions)
        if statement["Resource"] == "*" and statement["Effect"] == "Allow":
            assert statement["Sid"] in ("SessionManagerAgent", "SeeWhoHoldsThePublicAddress")


def test_alerts_come_from_the_monitor_and_from_who_watches_it() -> None:
    assert [t for t in Tier if _resources(t, "sns:Publish")] == [Tier.LB, Tier.MONITOR]


@pytest.mark.parametrize("tier", list(Tier))
def test_a_host_reads_its_own_tiers_pointer_and_bundles_and_the_application_releases_too(tier: Tier) -> None:
    objects = {Pointer.key(one): one for one in Tier} | {bundle_key(one, "ab" * 32): one for one in Tier}
    objects |= {Release("ab" * 32).key: Tier.APP, NEWEST_PROOF_KEY: Tier.MONITOR}
    nobodys = {"backups/base": None, "operations/lease": None, in_service_prefix("app1"): None, ESTATE_KEY: None}
    nobodys |= {f"{PROOFS_PREFIX}2026-12-01T12:00:00Z.json": None}
    given = _resources(tier, "s3:GetObject")
    readable = {
        key
        for key in objects | nobodys
        if any(fnmatch.fnmatch(f"arn:aws:s3:::artifacts/{key}", resource) for resource in given)
    }
    assert readable == {key for key, owner in objects.items() if owner is tier}


@pytest.mark.parametrize("tier", list(Tier))
def test_no_host_writes_to_the_artifacts_lists_them_or_acts_on_another_host(tier: Tier) -> None:
    may = {
        action
        for statement in role_policy(tier, replace(SCOPE, load_balancers=2))["Statement"]
        if statement["Effect"] == "Allow" and statement["Sid"] not in ("ListBackups", "WriteBackups", "SeeBackups")
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert {action for action in may if action.startswith("s3:")} == {"s3:GetObject"}
    assert not may & {"ssm:SendCommand", "sts:AssumeRole", "ec2:RunInstances", "iam:PassRole"}


def test_the_host_of_a_restore_reads_backups_and_changes_nothing_anywhere() -> None:
    may = {
        action
        for statement in role_policy(Tier.RESTORE, SCOPE)["Statement"]
        if statement["Sid"] != "SessionManagerAgent"
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert may == {"ssm:GetParameter", "s3:GetObject", "s3:ListBucket"}
    assert _resources(Tier.RESTORE, "s3:ListBucket") == [SCOPE.bucket_arn(SCOPE.backup_bucket)]


def test_the_load_balancer_holds_no_secret_but_its_certificate() -> None:
    secret = {SCOPE.parameter_arn(f"/ha/dev/{p.name}") for p in PARAMETERS if p.secret}
    assert not secret & set(_resources(Tier.LB, "ssm:GetParameter"))


def test_only_a_load_balancer_of_a_pair_may_move_an_address() -> None:
    pair = replace(SCOPE, load_balancers=2)
    may = {
        (tier, scope.load_balancers)
        for tier in Tier
        for scope in (SCOPE, pair)
        if any("ec2:AssociateAddress" in str(s["Action"]) for s in role_policy(tier, scope)["Statement"])
    }
    assert may == {(Tier.LB, 2)}


def test_the_address_and_the_host_that_it_moves_to_are_the_stacks_own() -> None:
    statements = {s["Sid"]: s for s in role_policy(Tier.LB, replace(SCOPE, load_balancers=2))["Statement"]}
    assert statements["MoveThePublicAddress"]["Condition"]["StringEquals"] == {
        "aws:ResourceTag/ha:stack": "dev",
        "aws:ResourceTag/Name": "dev-public",
    }
    assert statements["ToALoadBalancer"]["Condition"]["StringEquals"] == {
        "aws:ResourceTag/ha:stack": "dev",
        "aws:ResourceTag/ha:tier": "lb",
    }


def test_the_monitor_reads_no_session() -> None:
    readable = set(_resources(Tier.MONITOR, "ssm:GetParameter"))
    assert SCOPE.parameter_arn("/ha/dev/cache/sentinel-password") in readable
    assert SCOPE.parameter_arn("/ha/dev/cache/password") not in readable


def test_database_hosts_alone_write_backups_and_have_the_right_to_destroy_them_denied() -> None:
    bucket = "arn:aws:s3:::ha-dev-backups-123456789012-us-east-1"
    assert [t for t in Tier if f"{bucket}/pgbackrest/*" in _resources(t, "s3:PutObject")] == [Tier.DB]
    assert _resources(Tier.DB, "s3:ListBucket") == [bucket]
    (deny,) = [s for s in role_policy(Tier.DB, SCOPE)["Statement"] if s["Sid"] == "NeverDestroyBackups"]
    assert (deny["Effect"], deny["Resource"]) == ("Deny", "*")
    assert {"s3:DeleteObjectVersion", "s3:BypassGovernanceRetention", "s3:PutObjectRetention"} <= set(deny["Action"])
    assert "s3:DeleteObject" not in deny["Action"]  # pgBackRest expires with it
