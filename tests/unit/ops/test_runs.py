"""What a host says that it runs, and what does not count as said."""

from __future__ import annotations

from typing import Any

import pytest

from ops.runs import LONGEST, Runs, clean, printable

A, B = "a" * 64, "b" * 64


def test_a_host_says_what_is_in_place_and_what_is_confirmed() -> None:
    runs = {"bundle": A, "release": B, "confirmed": {"bundle": B, "release": None}, "change": {"state": "applied"}}
    assert Runs.of({"runs": runs}) == Runs(A, B, B, "", "applied", "")


@pytest.mark.parametrize(
    "report",
    [
        None,
        {},
        {"runs": None},
        {"runs": [A]},
        {"runs": {"bundle": A[1:], "release": f"{A}\n", "confirmed": A, "change": []}},
        {"runs": {"bundle": A.upper(), "release": 1, "confirmed": {"bundle": [A]}}},
    ],
)
def test_what_is_not_of_the_expected_form_is_not_said(report: Any) -> None:
    assert Runs.of(report) == Runs()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m\x1b[?25l", "red"),
        ("\x1b]0;title\x07text\r\x00", "]0;titletext"),
        ("line\napp1: serves\n", "line\n    app1: serves"),
        ("<{%no colour%}> <\0{\0%{%", "<{ %no colour%}> <{ %{ %"),
        ("caf\u00e9 \u202etxt.exe\u009b31m", "caf txt.exe31m"),
        ("x" * LONGEST + "end", "x" * (LONGEST - 3) + "end"),
    ],
)
def test_output_is_shown_without_control_sequences_and_its_end_only(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_every_text_of_a_document_is_cleaned() -> None:
    document = {"a\x1b[2J": ["\x07b", {"c": "\x00d"}, 1, None, True]}
    assert clean(document) == {"a": ["b", {"c": "d"}, 1, None, True]}
