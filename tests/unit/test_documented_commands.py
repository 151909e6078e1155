"""Commands that users are told to type do not harm the checkout that they type them in, and a role allows each."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from spec.project import REPOSITORY
from tests.unit.iam import ACCOUNT, CHANGES, DOCUMENTED, HOSTS, REGION, STATE, Asked, filled, lines, request

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
AWS: Final = REPOSITORY / "docs" / "aws.md"
OPERATION_PAGES: Final = [
    AWS,
    REPOSITORY / "docs" / "changes.md",
    REPOSITORY / "docs" / "pull-requests.md",
    REPOSITORY / "docs" / "recovery.md",
    *sorted((REPOSITORY / "docs" / "runbooks").glob("*.md")),
]


def test_no_command_deletes_the_settings_of_a_stack() -> None:
    removals = [
        line for page in PAGES for line in page.read_text(encoding="utf-8").splitlines() if "pulumi stack rm" in line
    ]
    assert removals
    assert [line for line in removals if "--preserve-config" not in line] == []


def test_make_lab_hands_its_ports_on() -> None:
    ports = ["HTTP_PORT=8081", "HTTPS_PORT=8444"]
    told = subprocess.run(
        ["make", "--dry-run", "lab", *ports], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert "ha lab up --stack dev --http-port 8081 --https-port 8444" in told.stdout


SET_UP: Final = "an administrator's, of the set-up"
LOCAL: Final = ("ha cost", "ha diff", "ha drill", "ha lab", "ha prices", "pulumi config", "pulumi install")
"""They ask nothing of AWS."""
READ_STATE: Final = """
    s3:ListBucket state-bucket
    s3:GetObject meta
    s3:GetObject state
    s3:GetObject state-tags"""

# What a command of the pages asks of AWS, as `tests.unit.iam` writes it, and the roles that it is for.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "aws cloudwatch set-alarm-state": ("deployer", "cloudwatch:SetAlarmState alarm"),
    "aws ec2 describe-addresses": ("deployer operator", "DescribeAddresses"),
    "aws ec2 describe-images": ("deployer", "DescribeImages"),
    "aws ec2 describe-instance-status": ("deployer operator", "DescribeInstanceStatus"),
    "aws ec2 describe-instance-type-offerings": ("deployer", "DescribeInstanceTypeOfferings"),
    "aws ec2 describe-instances": ("deployer operator", "DescribeInstances"),
    "aws ec2 describe-snapshots": ("deployer", "DescribeSnapshots"),
    "aws ec2 describe-volumes": ("deployer", "DescribeVolumes"),
    "aws ec2 get-console-output": ("deployer operator", "GetConsoleOutput instance"),
    "aws ec2 modify-instance-credit-specification": ("deployer", "ModifyInstanceCreditSpecification instance"),
    "aws ec2 reboot-instances": ("deployer", "RebootInstances instance"),
    "aws ec2 start-instances": ("deployer", "StartInstances instance"),
    "aws ec2 stop-instances": ("deployer", "StopInstances instance"),
    "aws iam attach-role-policy": (SET_UP, ""),
    "aws iam detach-role-policy": (SET_UP, ""),
    "aws iam create-open-id-connect-provider": (SET_UP, ""),
    "aws iam create-policy": (SET_UP, ""),
    "aws iam create-policy-version": (SET_UP, ""),
    "aws iam create-role": (SET_UP, ""),
    "aws iam update-assume-role-policy": (SET_UP, ""),
    "aws kms create-alias": (SET_UP, ""),
    "aws kms create-key": (SET_UP, ""),
    "aws kms describe-key": (SET_UP, ""),
    "aws s3 cp": ("deployer operator", "s3:GetObject record\n s3:ListBucket bucket"),
    "aws s3 ls": ("deployer operator", "s3:ListBucket bucket"),
    "aws s3 mb": (SET_UP, ""),
    "aws s3api delete-objects": ("deployer", "s3:DeleteObject object\n s3:DeleteObjectVersion object"),
    "aws s3api list-object-versions": ("deployer", "s3:ListBucketVersions bucket"),
    "aws s3api put-bucket-versioning": (SET_UP, ""),
    "aws service-quotas get-service-quota": (SET_UP, ""),
    "aws service-quotas request-service-quota-increase": (SET_UP, ""),
    "aws ssm delete-parameters": ("deployer", "ssm:DeleteParameters parameter"),
    "aws ssm get-parameter": ("deployer", "ssm:GetParameter parameter"),
    "aws ssm get-parameters-by-path": ("deployer", "ssm:GetParametersByPath parameters"),
    "aws ssm start-session": (
        "operator",
        "ssm:StartSession host session-document\n ssm:StartSession host port-document\n ssmmessages:OpenDataChannel",
    ),
    "aws sts decode-authorization-message": ("deployer", "sts:DecodeAuthorizationMessage"),
    "aws sts get-caller-identity": ("deployer", "sts:GetCallerIdentity"),
    "ha db backup": ("deployer operator", CHANGES),
    "ha db backups": ("deployer operator", f"{HOSTS}\n s3:GetObject proof"),
    "ha db copy-rows": ("operator of restores", CHANGES),
    "ha db prove": ("operator of restores", f"{CHANGES}\n s3:GetObject proof\n s3:PutObject proof"),
    "ha db restore": ("operator of restores", f"{CHANGES}\n s3:GetObject proof"),
    "ha db snapshots": ("operator of restores", f"{CHANGES}\n DescribeSnapshots\n DeleteSnapshot snapshot"),
    "ha db switchover": ("deployer operator", CHANGES),
    "ha db verify": ("deployer operator", HOSTS),
    "ha status": ("deployer operator", HOSTS),
    "ha unlock": ("deployer operator", CHANGES),
    "pulumi cancel": ("deployer", STATE),
    "pulumi destroy": ("deployer", f"{STATE}{CHANGES}"),
    "pulumi import": ("deployer", STATE),
    "pulumi login": ("deployer preview", "s3:ListBucket state-bucket\n s3:GetObject meta"),
    "pulumi preview": ("deployer preview", f"{READ_STATE}\n kms:Decrypt key"),  # takes no lock
    "pulumi refresh": ("deployer", STATE),
    "pulumi stack": ("deployer preview", READ_STATE),
    "pulumi stack init": ("deployer", STATE),
    "pulumi stack output": ("deployer preview", READ_STATE),
    "pulumi stack rm": ("deployer", STATE),
    "pulumi up": ("deployer", f"{STATE}{CHANGES}"),  # and each resource: test_documented_policies.py
}
_COMMAND: Final = re.compile(
    r"(?<![\w:/.-])(?:aws [a-z0-9-]+ [a-z0-9-]+|pulumi (?:(?:config|stack) [a-z]+|[a-z]+)"
    r"|ha (?:(?:db|lab|drill|image|host|dr) [a-z-]+|[a-z]+))"
)


def shell_of(text: str) -> str:
    """The commands of a page: blocks without their comments, and what is in backticks."""
    blocks = [re.sub(r"(?m)#.*$", "", code) for code in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]
    inline = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return "\n".join([*blocks, *(" ".join(code.split()) for code in inline)])


def commands_of(page: Path) -> set[str]:
    return set(_COMMAND.findall(shell_of(page.read_text(encoding="utf-8"))))


def test_every_command_is_known_and_every_known_one_is_on_a_page() -> None:
    found = {command for page in OPERATION_PAGES for command in commands_of(page)}
    assert {one for one in found - set(COMMANDS) if not one.startswith(LOCAL)} == set()
    assert set(COMMANDS) - found == set()


@pytest.mark.parametrize("command", [one for one, (who, _) in COMMANDS.items() if who != SET_UP])
def test_the_roles_that_a_command_is_for_allow_it(command: str, iam: Asked) -> None:
    roles, table = COMMANDS[command]
    for who in [roles] if roles in DOCUMENTED else roles.split():
        assert [line for line in lines(table) if not iam.allows(who, *request(line))] == [], who


def test_only_the_set_up_takes_an_administrator() -> None:
    later = AWS.read_text(encoding="utf-8").partition("\n## 4. ")[2]
    assert later
    administrators = {one for one, (who, _) in COMMANDS.items() if who == SET_UP}
    assert administrators & set(_COMMAND.findall(shell_of(later))) == set()


STAND_IN: Final = """#!/bin/bash
printf '%s\\0' "$@" | python3 -c 'import json, sys; print(json.dumps(sys.stdin.read().split(chr(0))[:-1]))' >> calls
case "$1 $2" in
  "sts get-caller-identity") echo ACCOUNT ;;
  "kms create-key") echo 00000000-0000-0000-0000-000000000000 ;;
esac
"""


@pytest.mark.parametrize("repository", ["octocat@123456/my-repo@456789", "octocat/my-repo"])
def test_the_set_up_makes_the_roles_that_the_policies_mean(repository: str, tmp_path: Path) -> None:
    """`repository`: as GitHub writes it in a token."""
    pages = AWS.read_text(encoding="utf-8"), (REPOSITORY / "docs/pull-requests.md").read_text(encoding="utf-8")
    second = pages[0].partition("## 2. ")[2].partition("## 3. ")[0]
    blocks = [*re.findall(r"```sh\n(.*?)```", second, re.DOTALL)[:2]]
    blocks += re.findall(r"```sh\n(.*?)```", pages[1].partition("## Set-up")[2], re.DOTALL)[:1]
    for name in ("aws", "pulumi"):
        (tmp_path / name).write_text(STAND_IN.replace("ACCOUNT", ACCOUNT), encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "policies").symlink_to(REPOSITORY / "docs" / "policies")
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = re.sub(r"(?m)^( *repository=)\S+", rf"\g<1>{repository}", "\n".join(blocks))
    assert repository in script
    subprocess.run(["bash", "-euc", script], cwd=tmp_path, env=environment, check=True)
    made = [json.loads(line) for line in (tmp_path / "calls").read_text(encoding="utf-8").splitlines()]

    def option(call: list[str], name: str) -> str:
        return call[call.index(name) + 1]

    documents = {
        option(call, "--policy-name"): json.loads(option(call, "--policy-document"))
        for call in made
        if call[1] == "create-policy"
    }
    key = "00000000-0000-0000-0000-000000000000"
    wanted = {f"ha-dev-{name}": name for names in DOCUMENTED.values() for name in names}
    assert set(documents) == set(wanted)
    for policy, name in wanted.items():
        expected = json.dumps(filled(name, state_bucket="my-pulumi-state", region=REGION)).replace("0" * 36, key)
        assert documents[policy] == json.loads(expected)
    roles = {option(call, "--role-name"): call for call in made if call[1] == "create-role"}
    people = {"deployer-ha-dev", "operator-ha-dev", "restorer-ha-dev"}
    assert set(roles) == {*people, "github-ha-dev", "prove-ha-dev", "preview-ha"}
    # The deployer may change roles whose names begin so: those of hosts.
    assert not [role for role in roles if role.startswith("ha-")]
    for role, subjects in (
        ("github-ha-dev", f"repo:{repository}:environment:dev"),
        ("prove-ha-dev", f"repo:{repository}:environment:prove-dev"),
        ("preview-ha", [f"repo:{repository}:pull_request", f"repo:{repository}:ref:refs/heads/main"]),
    ):
        (trust,) = json.loads(option(roles[role], "--assume-role-policy-document"))["Statement"]
        assert trust["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"] == subjects
    attached: dict[str, set[str]] = {role: set() for role in roles}
    for call in (one for one in made if one[1] == "attach-role-policy"):
        attached[option(call, "--role-name")].add(option(call, "--policy-arn").rpartition("/")[2])
    deployer = {f"ha-dev-{name}" for name in DOCUMENTED["deployer"]}
    assert attached["deployer-ha-dev"] == attached["github-ha-dev"] == deployer
    assert attached["operator-ha-dev"] == {"ha-dev-operator"}
    assert attached["restorer-ha-dev"] == attached["prove-ha-dev"] == {"ha-dev-operator", "ha-dev-operator-restore"}
    assert attached["preview-ha"] == {"ha-dev-preview"}
