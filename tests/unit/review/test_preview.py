"""The engine's preview: what goes, why, and what is refused because it would hide something."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from review.preview import LONGEST_NAME, Preview, Unreadable, read_preview
from tests.unit.review.samples import preview, replaced, step

INSTANCE, VPC = "aws:ec2/instance:Instance", "aws:ec2/vpc:Vpc"


def read(tmp_path: Path, document: Any, stack: str = "dev") -> Preview:
    path = tmp_path / "preview.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return read_preview(path, stack)


def test_each_change_has_the_input_that_causes_it_and_the_most_dangerous_is_first(tmp_path: Path) -> None:
    protected = step("delete", "aws:ebs/volume:Volume", "db1-data", old={})
    protected["oldState"]["protect"] = True
    kept = step("delete", "aws:s3/bucketObject:BucketObject", "bundle-1", old={})
    kept["oldState"]["retainOnDelete"] = True
    found = read(
        tmp_path,
        preview(
            [
                step("same", VPC, "network"),
                step("create", INSTANCE, "app3", new={}),
                step(
                    "update",
                    VPC,
                    "vpc",
                    old={"tags": {"a": "1"}},
                    new={"tags": {"a": "2", "b.c": "x"}},
                    detailedDiff={"tags.a": {"kind": "update"}, 'tags["b.c"]': {"kind": "add"}},
                ),
                kept,
                replaced("lb1", INSTANCE, {"instanceType": "t3.micro"}, {"instanceType": "t3.small"}, "instanceType"),
                protected,
            ]
        ),
    )
    assert [(one.op, one.name, one.type) for one in found.changes] == [
        ("deleted", "db1-data", "aws.ebs.Volume"),
        ("replaced", "lb1", "aws.ec2.Instance"),
        ("deleted", "bundle-1", "aws.s3.BucketObject"),
        ("changed", "vpc", "aws.ec2.Vpc"),
        ("created", "app3", "aws.ec2.Instance"),
    ]
    assert [one.name for one in found.changes if one.kept] == ["bundle-1"]
    assert [one.name for one in found.changes if one.protected] == ["db1-data"]
    ((cause,), vpc) = found.changes[1].causes, found.changes[3].causes
    assert (cause.path, cause.values, cause.replaces) == ("instanceType", "t3.micro → t3.small", True)
    assert [(one.path, one.values) for one in vpc] == [("tags.a", "1 → 2"), ('tags["b.c"]', "none → x")]
    assert found.unchanged == 1


def test_a_long_value_is_shortened_and_one_of_lines_becomes_a_small_diff(tmp_path: Path) -> None:
    blob = {"before": "QUJD" * 7500 + "!", "after": "QUJD" * 7500 + "?"}
    text = {"before": "#cloud-config\n" + "a: 1\n" * 9000, "after": "#cloud-config\n" + "a: 1\n" * 1000 + "b: 2\n"}
    for name, one, lines in (("blob", blob, False), ("text", text, True)):
        found = read(
            tmp_path,
            preview([replaced("db1", INSTANCE, {"userData": one["before"]}, {"userData": one["after"]}, "userData")]),
        )
        (cause,) = found.changes[0].causes
        assert len(cause.values) < 250, name
        assert cause.values.count("sha256") == 2
        before, after = cause.values.split(" → ")
        assert before != after  # the digests tell them apart
        assert bool(cause.lines) is lines
        assert sum(map(len, cause.lines)) < 700


def test_a_digest_is_known_by_its_beginning(tmp_path: Path) -> None:
    old, new = "bundles/app/" + "0a" * 32 + ".tar", "bundles/app/" + "0b" * 32 + ".tar"
    found = read(tmp_path, preview([replaced("bundle", "aws:s3/b:BucketObjectv2", {"key": old}, {"key": new}, "key")]))
    assert found.changes[0].causes[0].values == "bundles/app/0a0a0a0a0a0a….tar → bundles/app/0b0b0b0b0b0b….tar"


def test_what_is_unknown_is_a_word(tmp_path: Path) -> None:
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    found = read(tmp_path, preview([replaced("group", VPC, {"vpcId": "vpc-1"}, {"vpcId": unknown}, "vpcId")]))
    assert found.changes[0].causes[0].values == "vpc-1 → known after the update"


def test_a_failed_preview_says_why_without_a_stack_trace(tmp_path: Path) -> None:
    trace = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: no such zone'
    document = preview([step("same", VPC, "vpc")], ["before hook failed:\n a smaller volume", trace, "preview failed"])
    document["diagnostics"][0]["urn"] = "urn:pulumi:dev::ha::aws:ec2/vpc:Vpc::db1-data"
    document["diagnostics"].append({"severity": "info", "message": "hello"})
    assert read(tmp_path, document).errors == (
        "db1-data: before hook failed: a smaller volume",
        "ValueError: no such zone",
        "the preview failed",
    )


def test_what_is_replaced_with_another_says_so(tmp_path: Path) -> None:
    host = replaced("db1", INSTANCE, {"userData": "a"}, {"userData": "b"}, "userData")
    attached = step("replace", "aws:ec2/volumeAttachment:VolumeAttachment", "db1-data", old={}, new={})
    attached["newState"]["propertyDependencies"] = {"deviceName": [], "instanceId": [host["urn"]]}
    found = read(tmp_path, preview([host, attached]))
    (cause,) = found.changes[1].causes
    assert (cause.path, cause.values) == ("instanceId", "db1, aws.ec2.Instance, is replaced")


def test_a_replacement_in_several_steps_is_one(tmp_path: Path) -> None:
    steps = [
        step("create-replacement", INSTANCE, "lb1"),
        replaced("lb1", INSTANCE, {"ami": "a"}, {"ami": "b"}, "ami"),
        step("delete-replaced", INSTANCE, "lb1"),
    ]
    found = read(tmp_path, preview(steps))
    assert [(one.op, one.causes[0].path) for one in found.changes] == [("replaced", "ami")]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("", "no complete JSON: error: no such stack"),
        ('{"steps": [', "no complete JSON"),
        ("{}", "the engine did not start: error: no such stack"),
        ("[]", "not what `pulumi preview --json` prints"),
        ('{"steps": {}}', "not what `pulumi preview --json` prints"),
        ("[" * 100_000, "nested too deeply"),
        ({"steps": [{"op": "explode", "urn": "urn:pulumi:dev::ha::t::n"}]}, "operation explode"),
        ({"steps": ["x"]}, "a step of it cannot be read"),
        (preview([step("create", VPC, "vpc", stack="prod")]), "is not of project ha, stack dev"),
        (preview([{"op": "create", "urn": "urn:pulumi:dev::other::t::n"}]), "is not of project ha, stack dev"),
        (preview([step("delete", VPC, "x" * (LONGEST_NAME + 1))]), "longer than 200 characters"),
        ({**preview([step("same", VPC, "vpc")]), "changeSummary": {"delete": 1}}, "counts other steps (delete)"),
    ],
)
def test_what_is_no_whole_preview_of_the_stack_is_refused(document: Any, said: str, tmp_path: Path) -> None:
    (tmp_path / "preview.log").write_text("hello\nerror: no such stack\n")
    with pytest.raises(Unreadable) as refused:
        read(tmp_path, document)
    assert said in str(refused.value)


def test_a_preview_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="has not left one"):
        read_preview(tmp_path / "nothing.json", "dev")
