"""The real engine with small programs: what it does, what it says, and what it leaves alone."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from lab.aws.service import AwsService
from lab.waiting import eventually
from spec.errors import EXIT_USAGE, HaError, SettingsError
from tests.engine.conftest import Project

pytestmark = pytest.mark.engine

NETWORK = """
import pulumi
import pulumi_aws as aws

settings = pulumi.Config("ha").require_object("settings")
vpc = aws.ec2.Vpc("vpc", cidr_block=settings["cidr"], tags={"Name": "dev", **settings.get("tags", {})})
group = aws.ec2.SecurityGroup("group", vpc_id=vpc.id, description="a group")
rule = aws.vpc.SecurityGroupIngressRule(
    "rule", security_group_id=group.id, ip_protocol="tcp", from_port=80, to_port=80,
    cidr_ipv4=settings.get("source", "0.0.0.0/0"),
)
pulumi.export("vpc", vpc.id)
pulumi.export("arn", vpc.arn)
pulumi.export("password", pulumi.Output.secret("correct horse"))
"""


def test_a_stack_lives_its_whole_life(project: Project, api: AwsService) -> None:
    project.write(NETWORK)
    before = project.stack_file.read_text(encoding="utf-8")
    ec2 = api.client("ec2")
    vpcs_before = {one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"]}

    planned = project.preview()
    assert {(one.op, one.name) for one in planned.resources} == {
        ("create", name) for name in ("vpc", "group", "rule", "ha-dev")
    }

    outputs = project.up()
    assert outputs["vpc"] in {one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"]} - vpcs_before
    assert outputs["arn"].endswith(outputs["vpc"])
    assert project.engine.outputs("dev")["vpc"] == outputs["vpc"]
    assert "correct horse" not in str(project.engine.export("dev"))

    assert not project.preview()
    assert project.preview().same == 4

    project.change(lambda settings: settings.update(tags={"owner": "ops"}, source="10.0.0.0/8"))
    changes = project.preview()
    assert {(one.op, one.name, tuple(change.path for change in one.properties)) for one in changes.resources} == {
        ("update", "vpc", ("tags.owner",)),
        ("update", "rule", ("cidrIpv4",)),
    }
    rule = next(one for one in changes.resources if one.name == "rule")
    assert (rule.properties[0].kind, rule.properties[0].old, rule.properties[0].new) == (
        "update",
        "0.0.0.0/0",
        "10.0.0.0/8",
    )
    project.up()
    assert not project.preview()
    tags = ec2.describe_vpcs(VpcIds=[outputs["vpc"]])["Vpcs"][0]["Tags"]
    assert {"Key": "owner", "Value": "ops"} in tags

    project.destroy()
    assert {one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"]} == vpcs_before
    assert project.engine.outputs("dev") == {}
    assert "ops" in project.stack_file.read_text(encoding="utf-8")
    assert "encryptionsalt" not in project.stack_file.read_text(encoding="utf-8") + before


def test_a_replacement_replaces_what_depends_on_it(project: Project) -> None:
    project.write(NETWORK)
    project.up()
    project.change(lambda settings: settings.update(cidr="10.30.0.0/16"))
    changes = {one.name: one for one in project.preview().resources}
    assert {name: one.op for name, one in changes.items()} == {
        "vpc": "replace",
        "group": "replace",
        "rule": "replace",
    }
    assert [(one.path, one.kind) for one in changes["vpc"].properties] == [("cidrBlock", "update-replace")]
    project.up()
    assert not project.preview()
    project.destroy()


ROLLING = """
import pulumi
import pulumi_aws as aws

settings = pulumi.Config("ha").require_object("settings")
said = []
before = pulumi.ResourceHook("hand-over", lambda args: pulumi.log.info(f"hand over {args.name}"))
after = pulumi.ResourceHook("healthy", lambda args: pulumi.log.info(f"wait for {args.name}"))
previous = None
for number in (1, 2):
    previous = aws.ec2.Vpc(
        f"host{number}", cidr_block=settings["cidr"],
        opts=pulumi.ResourceOptions(
            delete_before_replace=True, depends_on=[previous] if previous else None,
            hooks=pulumi.ResourceHookBinding(after_create=[after], before_delete=[before]),
        ),
    )
"""


def test_hosts_are_replaced_one_at_a_time_each_deleted_first(project: Project) -> None:
    project.write(ROLLING)
    project.up()
    project.change(lambda settings: settings.update(cidr="10.40.0.0/16"))
    project.up()
    assert project.done("delete-replaced", "create-replacement") == [
        ("delete-replaced", "host1"),
        ("create-replacement", "host1"),
        ("delete-replaced", "host2"),
        ("create-replacement", "host2"),
    ]
    said = [line for line in project.said().splitlines() if line.startswith(("hand over", "wait for"))]
    assert said == ["hand over host1", "wait for host1", "hand over host2", "wait for host2"]
    project.destroy()


REFUSING = """
from spec.errors import Problem, SettingsError
from components.clean_exit import exit_without_traceback

with exit_without_traceback():
    problem = Problem(path="network.cidr", given="8.8.8.0/24", allowed="a private range")
    raise SettingsError("Pulumi.dev.yaml", [problem])
"""


def test_a_refusal_of_the_program_comes_out_as_it_was_raised(project: Project) -> None:
    project.write(REFUSING)
    for operation in (project.preview, project.up):
        with pytest.raises(SettingsError) as refused:
            operation()
        assert refused.value.exit_code == EXIT_USAGE
        assert [one.path for one in refused.value.problems] == ["network.cidr"]
        assert "Traceback" not in str(refused.value)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (
            "import pulumi_aws as aws\naws.sqs.Queue('queue')",
            "the lab's provider does not support the resource type aws:sqs/queue:Queue",
        ),
        (
            "import pulumi_aws as aws\naws.ec2.Vpc('vpc', cidr_block='10.0.0.0/16', ipv6_netmask_length=56)",
            "does not support the property ipv6NetmaskLength of aws:ec2/vpc:Vpc",
        ),
        (
            "import pulumi_aws as aws\naws.route53.get_zone(name='example.com')",
            "the lab's provider does not support the function aws:route53/getZone:getZone",
        ),
        (
            "import pulumi_aws as aws\naws.ec2.get_ami(owners=['1'], filters=[{'name': 'name', 'values': ['x']}])",
            "Your query returned no results",
        ),
        (
            "import pulumi_aws as aws\naws.ec2.Instance('i', ami='ami-0', instance_type='t3.tiny')",
            "the instance type t3.tiny does not exist",
        ),
        ("raise KeyError('the program itself is wrong')", "the program itself is wrong"),
    ],
    ids=["type", "property", "function", "image", "instance type", "program"],
)
def test_an_error_names_what_is_wrong(project: Project, program: str, expected: str) -> None:
    project.write(program)
    with pytest.raises(HaError) as failed:
        project.preview()
    assert expected in str(failed.value)


def test_the_program_gets_a_clean_environment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nonexistent")
    monkeypatch.setenv("AWS_PROFILE", "production")
    project.write("import os, pulumi\npulumi.export('names', sorted(os.environ))")
    names = project.up()["names"]
    assert "AWS_ENDPOINT_URL" in names
    assert not {"AWS_CA_BUNDLE", "AWS_PROFILE"} & set(names)


def test_a_program_is_read_again_each_time(project: Project) -> None:
    (project.directory / "helper.py").write_text("VALUE = 1", encoding="utf-8")
    project.write("import helper, pulumi\npulumi.export('value', helper.VALUE)")
    assert project.up()["value"] == 1
    (project.directory / "helper.py").write_text("VALUE = 2", encoding="utf-8")
    assert project.up()["value"] == 2


WAITING = """
import pathlib, time
import pulumi_aws as aws

aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
here = pathlib.Path(__file__).parent
(here / "waiting").touch()
while not (here / "go on").exists():
    time.sleep(0.05)
"""


def test_one_operation_at_a_time_and_an_interrupted_one_blocks_nobody(project: Project) -> None:
    project.write(WAITING)
    ended: list[BaseException] = []

    def interrupted() -> None:
        try:
            project.engine.up("dev")
        except HaError as error:
            ended.append(error)

    first = threading.Thread(target=interrupted)
    first.start()
    waiting = project.directory / "waiting"
    eventually("the program waits", waiting.exists, deadline_s=30)
    with pytest.raises(HaError, match="another operation"):
        project.preview()
    for child in children_of(os.getpid()):
        if "lab.engine_worker" in command_line(child):
            os.killpg(child, 9)
    first.join(30)
    assert len(ended) == 1
    assert "before it was done" in str(ended[0])
    (project.directory / "go on").touch()
    project.up()
    project.destroy()
    state = str(project.engine.state_dir)
    eventually(
        "no process of the engine is left",
        lambda: not any(state in environment_of(one) for one in processes()),
        deadline_s=10,
    )


def processes() -> list[int]:
    return [int(one.name) for one in Path("/proc").iterdir() if one.name.isdecimal()]


def environment_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:  # it has ended, or is another's
        return ""


def children_of(pid: int) -> list[int]:
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return sorted({int(child) for one in lists for child in one.read_text(encoding="ascii").split()})


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
