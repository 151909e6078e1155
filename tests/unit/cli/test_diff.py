"""`ha diff`: what it prints and how it ends."""

from __future__ import annotations

import sys

import pytest

import cli.main
import review.changes
from review.document import Changes
from tests.unit.review import samples


@pytest.mark.parametrize(
    ("update", "exit_code", "says"),
    [
        ({"gone": ["old"]}, 0, "old: its stack file is gone; its estate is not"),
        ({"gone": ["old"], "unreadable": {"prod": "no settings"}}, 2, "prod: cannot be read: no settings"),
    ],
    ids=["gone", "unreadable"],
)
@pytest.mark.parametrize("options", [[], ["--json"], ["--markdown"]], ids=["text", "json", "markdown"])
def test_a_stack_that_is_gone_is_said_and_one_that_cannot_be_rendered_fails(
    options: list[str],
    update: dict[str, object],
    exit_code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = samples.changes().model_copy(update=update)
    monkeypatch.setattr(review.changes, "changes_of", lambda *_, **__: found)
    monkeypatch.setattr(sys, "argv", ["ha", "diff", *options])
    with pytest.raises(SystemExit) as ended:
        cli.main.main()
    assert int(ended.value.code or 0) == exit_code
    printed = capsys.readouterr().out
    if "--json" in options:
        assert Changes.model_validate_json(printed) == found
    else:
        assert "dev" in printed
        assert "its stack file is gone" in printed
        assert says in printed or "prod cannot be rendered" in printed
