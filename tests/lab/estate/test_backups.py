"""Backups of the booted estate: they begin by themselves, can be checked, and their host cannot destroy them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lab.waiting import eventually
from spec.project import EXAMPLE_ACCOUNT_ID
from tests.lab.checkout import STACK
from tests.lab.estate.booted import Booted

pytestmark = [pytest.mark.lab, pytest.mark.timeout(300)]

FIRST_S = 120.0
# Each act is tried with the credentials of the host's role; prints {act: error code, "" when it was done}.
TRIES = """
import datetime, json, sys
sys.path.insert(0, "/usr/local/lib/ha")
from botocore.exceptions import ClientError
from ha_host import client, environment
s3, bucket, other = client("s3"), environment()["HA_BACKUP_BUCKET"], sys.argv[1]
version = s3.put_object(Bucket=bucket, Key="pgbackrest/tried", Body=b"x")["VersionId"]
it = {"Bucket": bucket, "Key": "pgbackrest/tried"}
soon = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)}
acts = {
    "write": lambda: s3.put_object(**it, Body=b"y"),
    "hide": lambda: s3.delete_object(**it),
    "delete a version": lambda: s3.delete_object(**it, VersionId=version),
    "delete a locked version": lambda: s3.delete_object(**it, VersionId=version, BypassGovernanceRetention=True),
    "shorten a lock": lambda: s3.put_object_retention(**it, VersionId=version, Retention=soon),
    "write elsewhere": lambda: s3.put_object(Bucket=bucket, Key="tried", Body=b"x"),
    "suspend versions": lambda: s3.put_bucket_versioning(
        Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}
    ),
    "list another stack's": lambda: s3.list_objects_v2(Bucket=other),
    "read another stack's": lambda: s3.get_object(Bucket=other, Key="pgbackrest/tried"),
}
said = {}
for act, call in acts.items():
    try:
        call()
        said[act] = ""
    except ClientError as error:
        said[act] = error.response["Error"]["Code"]
print(json.dumps(said))
"""


def backups(booted: Booted) -> dict[str, Any]:
    """The document of `ha db backups --json`."""
    found: dict[str, Any] = json.loads(booted.ha("--lab", "db", "backups", "--stack", STACK, "--json").stdout)
    return found


def test_the_first_backup_is_made_without_being_asked_for(booted: Booted) -> None:
    eventually("there is a backup to go back to", lambda: bool(backups(booted)["ranges"]), deadline_s=FIRST_S)
    found = backups(booted)
    assert found["backups"][0]["type"] == "full"
    # One that was made on a primary whose last writes a drill had lost on purpose leads nowhere.
    assert found["backups"][0]["fault"] == found["backups"][-1]["fault"] == ""
    assert found["holes"] == []


def test_one_that_is_asked_for_is_made_and_all_of_them_are_good(booted: Booted) -> None:
    made = booted.ha("--lab", "db", "backup", "--stack", STACK, "--json")
    assert made.exit_code == 0, made.stderr
    label = json.loads(made.stdout)["label"]
    assert label in [one["label"] for one in backups(booted)["backups"]]
    checked = booted.ha("--lab", "db", "verify", "--stack", STACK, "--json")
    assert checked.exit_code == 0, checked.stderr
    assert json.loads(checked.stdout)["good"] is True


def test_a_database_host_cannot_destroy_backups_or_read_another_stacks(booted: Booted) -> None:
    other = f"ha-prod-backups-{EXAMPLE_ACCOUNT_ID}-{booted.settings.region}"
    said = json.loads(booted.on_host("db1", "python3", "-c", TRIES, other).stdout)
    denied = {act for act, error in said.items() if error == "AccessDenied"}
    assert {act for act, error in said.items() if not error} == {"write", "hide"}
    assert denied == said.keys() - {"write", "hide"}
