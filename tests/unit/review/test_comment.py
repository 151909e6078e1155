"""The comment of a pull request: nothing dangerous is left out, it fits, and no text of a stranger is markup in it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cost.diff import AtBase, Diff
from cost.estimate import UnpricedResource
from review.comment import COMMENT_BYTES, MARKER, NAMES_BYTES, Comment, changes_alone, comment, cost_alone
from review.document import Changes, FileDiff
from review.preview import LONGEST_NAME, Missing, Preview, read_preview
from tests.unit.review import samples
from tests.unit.review.samples import preview, replaced, step

INSTANCE, VOLUME = "aws:ec2/instance:Instance", "aws:ebs/volume:Volume"
GITHUB_CHARACTERS = 65_536


def previewed(document: dict[str, Any], stack: str = "dev") -> Preview:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "preview.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        return read_preview(path, stack)


def test_it_says_what_goes_the_cost_and_the_gate() -> None:
    lb1 = replaced("lb1", INSTANCE, {"userData": "a" * 30_000}, {"userData": "b" * 30_000}, "userData")
    found = previewed(preview([lb1, step("create", INSTANCE, "app3", new={}), step("delete", VOLUME, "old", old={})]))
    text = comment(changes=samples.changes(), cost=samples.cost(), previews=[found]).text
    assert text.startswith(MARKER + "\n")
    assert "- ⚠️ dev: deletes 1, replaces 1, creates 1\n" in text
    assert "- deleted old, aws.ebs.Volume\n- replaced lb1, aws.ec2.Instance\n      userData (replaces it): aaa" in text
    assert "+ created app3, aws.ec2.Instance" in text
    assert "| lb1 | changes | reload haproxy.service |" in text
    assert "-old\n+new" in text
    assert "Writes wait 1.25 s at most" in text
    row = "| dev | $178.50 | $208.87 | +$30.37 | - | $215.00 | ✅ $6.13 left of the budget of $215.00 |"
    assert row in text
    assert "❌" not in text
    assert "Not all of it fits" not in text
    assert "fork" not in text


def test_over_budget_and_unpriced_have_different_words() -> None:
    over = comment(cost=samples.cost(budget_usd=Decimal(200), within_budget=False)).text
    assert "❌ dev: $8.87 over the budget of $200.00" in over
    thing = UnpricedResource(component="database", resource="db", type="aws:rds/instance:Instance", reason="who knows")
    unpriced = comment(cost=samples.cost(unpriced=[thing], within_budget=False)).text
    assert "❌ dev: 1 resource is not priced, so the estimate is not complete" in unpriced
    assert "NOT PRICED database/db (aws:rds/instance:Instance): who knows" in unpriced


def test_what_a_change_says_of_its_own_cost_needs_a_person() -> None:
    at_base = AtBase(before_usd=Decimal("178.50"), after_usd=Decimal("740.10"), not_priced=[])
    cost = samples.cost(budget_before_usd=Decimal(200), at_base=at_base)
    cost = cost.model_copy(update={"edited": ["cost/prices/us-east-1.json"]})
    text = comment(cost=cost).text
    label = "❌ A person has to agree, with the label cost-approved:"
    assert f"{label} it changes how costs are estimated or shown: cost/prices/us-east-1.json" in text
    assert f"{label} it raises the budget of dev from $200.00 to $215.00" in text
    assert f"{label} dev costs $740.10 at the base's prices, over its budget of $215.00" in text
    assert "| +$30.37 | +$561.60 | $200.00 → $215.00 | ❌ $6.13 left of the budget of $215.00 |" in text
    approved = comment(cost=cost, approved=True, changes=samples.changes()).text
    assert "❌" not in approved
    assert "✅ Approved with the label cost-approved: it raises the budget of dev" in approved
    assert label in cost_alone(cost)


def test_who_does_not_run_the_change_says_which_files_it_edits() -> None:
    claimed = samples.cost().model_copy(update={"edited": ["cost/claimed.py"]})
    line = (
        "❌ A person has to agree, with the label cost-approved: it changes how costs are estimated or shown: cost/x.py"
    )
    for text in (comment(cost=claimed, edited=["cost/x.py"]).text, comment(edited=["cost/x.py"]).text):
        assert line in text
        assert "claimed" not in text
    assert "A person has to agree" not in comment(cost=claimed, edited=[]).text


def test_a_new_stacks_budget_needs_a_person() -> None:
    at_base = AtBase(before_usd=None, after_usd=Decimal("208.87"), not_priced=[])
    cost = samples.cost(before_usd=None, at_base=at_base)
    reason = "dev is new, so its budget of $215.00 is the change's own"
    assert f"❌ A person has to agree, with the label cost-approved: {reason}" in comment(cost=cost).text
    assert "| ❌ $6.13 left" in comment(cost=cost).text
    assert "| ✅ $6.13 left" in comment(cost=cost, approved=True).text


def test_a_stack_whose_file_is_gone_is_said_once() -> None:
    changes = samples.changes().model_copy(update={"gone": ["old"]})
    cost = samples.cost().model_copy(update={"gone": ["old"]})
    line = "- ❌ old: its stack file is gone; its estate is not"
    assert comment(changes=changes, cost=cost).text.count(line) == 1
    for text in (comment(changes=changes).text, comment(cost=cost).text, cost_alone(cost), changes_alone(changes)):
        assert line in text


def test_what_is_protected_and_goes_is_red() -> None:
    goes = step("delete", VOLUME, "db1-data", old={})
    goes["oldState"]["protect"] = True
    text = comment(previews=[previewed(preview([goes, step("delete", VOLUME, "other", old={})]))]).text
    assert "- ❌ dev: deletes 2; these are protected: db1-data\n" in text
    nothing = comment(previews=[previewed(preview([step("create", INSTANCE, "app3", new={})]))]).text
    assert "- ✅ dev: creates 1\n" in nothing


def test_the_worst_is_said_first_and_never_cut() -> None:
    calm = [previewed(preview([step("create", INSTANCE, "a", stack=f"s{n}", new={})]), f"s{n}") for n in range(12)]
    changes = samples.changes().model_copy(update={"unreadable": {f"u{n}": "no settings" for n in range(18)}})
    goes = previewed(preview([step("delete", VOLUME, "old", old={})]))
    lines = [li for li in comment(previews=[*calm, goes], changes=changes, cost=samples.cost()).text.splitlines() if li]
    said = [line for line in lines if line.startswith("- ")][:20]
    assert [line[:3] for line in said[:18]] == ["- ❌"] * 18
    assert said[18].startswith("- ⚠️ dev")
    assert said[19] == "- ❌ and 13 more: read the run's summary"


def test_characters_that_hide_or_reorder_text_are_not_shown() -> None:
    hidden = "a\u202eb\u200bc\x1b[31md"
    diff = samples.cost()
    line = diff.stacks[0].lines[0].model_copy(update={"component": hidden, "resource": hidden})
    cost = diff.model_copy(update={"stacks": [diff.stacks[0].model_copy(update={"lines": [line]})]})
    changes = samples.changes(diff=f"+{hidden}")
    tier = changes.stacks[0].tiers[0].model_copy(update={"packages_added": [hidden]})
    stack = changes.stacks[0].model_copy(update={"tiers": [tier]})
    text = comment(changes=changes.model_copy(update={"stacks": [stack]}), cost=cost).text
    assert text.count("a b cd") == 3  # the file, the package, the component
    assert not {"\u202e", "\u200b", "\x1b"} & set(text)


def test_a_run_that_does_not_know_its_stacks_is_red() -> None:
    text = comment(unlisted=True).text
    assert "- ❌ There is no preview: the job that lists the stacks did not succeed" in text
    assert "none ran" not in text


def test_each_part_that_is_missing_is_said() -> None:
    text = comment(previews=[Missing("dev", "the run has not left one")]).text
    assert "❌ There is no preview of dev to show: the run has not left one" in text
    assert "❌ What the hosts do is not known" in text
    assert "❌ There is no estimate" in text
    assert "There is no preview: none ran" in comment().text


def test_what_was_before_may_be_unknown() -> None:
    found = samples.cost(before_usd=None, before_failed="No module named 'gone'", difference_usd=Decimal("208.87"))
    text = comment(cost=found).text
    assert "❌ What dev cost before is not known: No module named 'gone'" in text
    assert "| dev | - | $208.87 | not known |" in text


def test_a_failed_preview_shows_what_it_has() -> None:
    found = previewed(preview([step("delete", VOLUME, "db1-data", old={})], ["a smaller volume is refused"]))
    text = comment(previews=[found]).text
    assert "❌ The preview of dev failed, and what it shows is not all: a smaller volume is refused" in text
    assert "- deleted db1-data" in text


def test_what_a_running_estate_refuses_is_red() -> None:
    found = samples.changes()
    stack = found.stacks[0].model_copy(update={"refused": ["database.volume_gib: smaller"]})
    text = comment(changes=found.model_copy(update={"stacks": [stack], "unreadable": {"prod": "no settings"}})).text
    assert "❌ dev: a running estate refuses this: database.volume_gib: smaller" in text
    assert "❌ prod cannot be rendered: no settings" in text


def test_created_resources_have_names_while_there_is_room_and_are_counted_by_type_beyond() -> None:
    def of(count: int) -> Comment:
        steps = [step("create", INSTANCE if n % 2 else VOLUME, f"resource-{n}", new={}) for n in range(count)]
        return comment(previews=[previewed(preview(steps))])

    first = of(139)
    assert "creates 139" in first.text
    assert all(f"+ created resource-{n}, aws" in first.text for n in range(139))
    many = of(3000)
    assert "+ created 1500 × aws.ec2.Instance" in many.text
    assert "resource-17" not in many.text
    assert "+ created resource-17, aws" in many.summary


def test_stacks_beyond_those_that_fit_are_counted_and_in_the_summary() -> None:
    goes = preview([step("delete", VOLUME, "volume", old={})])
    made = comment(previews=[replace(previewed(goes), stack=f"stack{n}") for n in range(25)])
    assert "❌ The previews of 20 stacks are shown, of 25" in made.text
    assert "stack24" not in made.text
    assert "### Resources of stack24: deletes 1" in made.summary


# Sizes.


def test_what_does_not_fit_is_in_the_summary_and_the_dangerous_stays() -> None:
    updates = [
        step("update", INSTANCE, f"host{n}", old={"x": "1"}, new={"x": "2"}, detailedDiff={"x": {"kind": "update"}})
        for n in range(2000)
    ]
    goes = [step("delete", VOLUME, f"volume{n}", old={}) for n in range(50)]
    made = comment(
        changes=samples.changes(diff="+" + "long " * 40, files=900),
        cost=samples.cost(),
        previews=[previewed(preview([*updates, *goes]))],
        summary_url="https://github.com/o/r/actions/runs/1",
    )
    assert COMMENT_BYTES * 0.95 < len(made.text.encode()) <= COMMENT_BYTES < GITHUB_CHARACTERS
    assert "in [the summary of the run](https://github.com/o/r/actions/runs/1)" in made.text
    assert all(f"volume{n}," in made.text for n in range(50))
    assert "| dev | $178.50 |" in made.text
    assert "host1999" in made.summary
    assert "899.cfg" in made.summary
    assert "Not all of it fits" not in made.summary


@pytest.mark.parametrize("stacks", [3, 500])
def test_any_number_of_stacks_with_names_of_any_length_fits(stacks: int) -> None:
    diff, found = samples.cost(), samples.changes(diff="+x\n" * 20_000)
    names = [f"{n}-" + "…" * 70_000 for n in range(stacks)]
    cost = Diff(
        base="x" * 70_000, head="y", stacks=[diff.stacks[0].model_copy(update={"stack": name}) for name in names]
    )
    one = found.stacks[0].model_copy(update={"refused": ["z" * 70_000] * 3})
    all_changes = Changes(base="", head="", stacks=[one.model_copy(update={"stack": name}) for name in names])
    text = comment(changes=all_changes, cost=cost, previews=[Missing(name, "w" * 70_000) for name in names]).text
    assert len(text.encode()) <= COMMENT_BYTES
    assert "❌" in text


def test_so_many_removals_that_only_their_names_fit_are_all_named() -> None:
    goes = [step("delete", VOLUME, f"{n:04}-volumes", old={}) for n in range(2000)]
    rest = [step("create", INSTANCE, "app3", new={})]
    text = comment(previews=[previewed(preview([*goes, *rest]))], cost=samples.cost()).text
    assert all(f"{n:04}-volumes" in text for n in range(2000))
    assert "Not all of it fits" in text
    assert "❌ The preview" not in text
    assert len(text.encode()) <= COMMENT_BYTES


def test_a_preview_whose_removals_cannot_be_named_is_red() -> None:
    goes = [step("delete", VOLUME, f"{n:04}-" + "v" * 190, old={}) for n in range(1000)]
    made = comment(previews=[previewed(preview(goes))])
    assert (
        "❌ There is no preview of dev to show: it removes 1,000 resources, more than a comment can name" in made.text
    )
    assert "0999-v" in made.summary


names = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=LONGEST_NAME)
values = st.recursive(
    st.none() | st.integers() | st.text(max_size=300), lambda v: st.dictionaries(names, v, max_size=2)
)
steps = st.builds(
    lambda op, name, before, after, kind: step(
        op, INSTANCE, name, old={"x": before}, new={"x": after}, detailedDiff={"x": {"kind": kind}}
    ),
    st.sampled_from(["create", "update", "replace", "delete", "same"]),
    names,
    values,
    values,
    st.sampled_from(["update", "update-replace"]),
)


@settings(max_examples=40)
@given(st.lists(st.lists(steps, max_size=40), max_size=4), st.integers(1, 60), st.booleans())
@example([[step("delete", VOLUME, "`" * (LONGEST_NAME - 3), old={})]], 1, True)
@example([[step("delete", VOLUME, f"volume-{n}", old={}) for n in range(40)]], 50, True)
@example([[step("replace", INSTANCE, "…" * 190 + str(n), old={"x": "é" * 30_000}) for n in range(40)]] * 4, 1, True)
def test_whatever_the_preview_each_resource_that_goes_is_named_and_it_fits(
    stacks: list[list[dict[str, Any]]], times: int, with_rest: bool
) -> None:
    """`times`: each resource that often, with other names. When names of a preview do not fit, that is said in red."""
    previews = []
    for number, found in enumerate(stacks):
        many = [{**one, "urn": one["urn"] + (f".{n}" if n else "")} for one in found for n in range(times)]
        unique = list({one["urn"]: one for one in many}.values())
        if unique:
            name = f"stack{number}"
            dressed = [{**one, "urn": one["urn"].replace("urn:pulumi:dev", f"urn:pulumi:{name}", 1)} for one in unique]
            previews.append(previewed(preview(dressed), name))
    rest = {"changes": samples.changes(diff="+x\n" * 9000), "cost": samples.cost()} if with_rest else {}
    text = comment(previews=previews, **rest).text  # type: ignore[arg-type]
    assert len(text) < GITHUB_CHARACTERS
    assert len(text.encode()) <= COMMENT_BYTES
    room = NAMES_BYTES - 500
    for one in previews:
        shown = f"### Resources of {one.stack}:" in text
        assert shown or f"❌ There is no preview of {one.stack} to show: it removes" in text
        needed = sum(len(resource.name.encode()) + 2 for resource in one.removed)
        assert shown or needed > room
        if shown:
            section = text.split(f"### Resources of {one.stack}:")[1].split("\n#")[0]
            assert all(resource.name in section for resource in one.removed)
            room -= needed


# A stranger's text.

NASTY = [
    "@everyone look",
    "<img src=x onerror=alert(1)>",
    "[click](https://example.org)",
    "| a | table |",
    "```\n# Approved\n```",
    "</details><h1>LGTM</h1>",
    "![x](y)",
    "**approved**",
    "`code`",
    "<!-- ha: pull request -->",
    "https://example.org",
    "see WWW.example.org",
    "GH-17",
    "a\nb",
]


def outside_of_code(text: str) -> str:
    """The text that GitHub reads as markup: all but what is between fences."""
    kept, fence = [], ""
    for line in text.splitlines():
        if fence:
            fence = "" if line == fence else fence
        elif line.startswith("```"):
            fence = re.sub(r"(text|diff)$", "", line)
        else:
            kept.append(line)
    assert not fence
    return "\n".join(kept)


@pytest.mark.parametrize("nasty", NASTY)
def test_text_from_a_stranger_is_words_alone(nasty: str) -> None:
    diff, changed = samples.cost(stack=nasty, region=nasty, before_failed=nasty), samples.changes(nasty, diff=nasty)
    unpriced = [UnpricedResource(component=nasty, resource=nasty, type=nasty, reason=nasty)]
    line = diff.stacks[0].lines[0].model_copy(update={"component": nasty, "resource": nasty})
    stack = diff.stacks[0].model_copy(update={"unpriced": unpriced, "before_unpriced": unpriced, "lines": [line]})
    host = changed.stacks[0].hosts[0].model_copy(update={"name": nasty, "because": [nasty], "outage": nasty})
    files = [
        FileDiff(path=nasty, change="changed", hosts=[nasty], diff=nasty),
        FileDiff(path=nasty, change="added", hosts=[nasty], diff="", omitted=nasty),
    ]
    tier = changed.stacks[0].tiers[0].model_copy(update={"files": files, "packages_added": [nasty]})
    set_ = [one.model_copy(update={"name": nasty, "before": nasty}) for one in changed.stacks[0].settings]
    stacks = [
        changed.stacks[0].model_copy(update={"refused": [nasty], "hosts": [host], "tiers": [tier], "settings": set_})
    ]
    goes = previewed(preview([replaced(nasty, INSTANCE, {"x": nasty}, {"x": "1"}, "x")], [nasty]))
    text = comment(
        changes=changed.model_copy(update={"stacks": stacks, "base_failed": nasty, "unreadable": {nasty: nasty}}),
        cost=Diff(base=nasty, head=nasty, stacks=[stack], edited=[nasty]),
        previews=[goes, Missing(nasty, nasty)],
    ).text
    markup = outside_of_code(text).replace(MARKER, "", 1)
    assert nasty not in markup
    for sign in ("://", "WWW.", "GH-17", "@", "[", "]", "*", "<img", "<h1", "<!--"):
        assert sign not in markup, sign
    assert (
        markup.count("<details>")
        == markup.count("</details>")
        == text.count("<details>") - text.count("<details>", 0, 0)
    )


@given(st.text(max_size=200))
@example("```")
@example("~~~\n````\n`````")
def test_a_block_of_code_cannot_be_left(body: str) -> None:
    text = comment(changes=samples.changes(diff=body)).text
    assert outside_of_code(text).rstrip().endswith("</details>")


def test_a_fork_says_so() -> None:
    assert "This comes from a fork" in comment(cost=samples.cost(), fork=True).text
