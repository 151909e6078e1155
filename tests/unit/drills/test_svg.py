"""The timeline of a run as a picture."""

from __future__ import annotations

from xml.etree import ElementTree

from drills.results import Timeline
from drills.svg import FAILED, FAULT, GOOD, WRITER, steps, timeline_file, timeline_svg

SVG = "{http://www.w3.org/2000/svg}"
LINE = Timeline(
    bin_s=0.5,
    good=(5, 0, 5, 5),
    failed=(0, 5, 0, 0),
    max_latency_s=(0.1, 2.5, 0.1, 0.1),
    accepting={"db<1>": ((-1.0, 0.1),), "db2": ((0.5, 2.0),)},
    healed_s=1.5,
)


def test_a_picture_shows_requests_writers_and_the_fault() -> None:
    root = ElementTree.fromstring(timeline_svg(LINE, "x"))
    fills = [one.get("fill") for one in root.iter(f"{SVG}path")]
    assert fills[:2] == [FAILED, GOOD]
    spans = [one for one in root.iter(f"{SVG}rect") if one.get("fill") == WRITER and "%" in str(one.get("width"))]
    assert sorted((one.get("x"), one.get("width")) for one in spans) == [("0.00%", "5.00%"), ("25.00%", "75.00%")]
    (band,) = (one for one in root.iter(f"{SVG}rect") if one.get("fill") == FAULT and one.get("fill-opacity"))
    assert band.get("width") == "75.00%"
    said = [one.text for one in root.iter(f"{SVG}text")]
    assert "db<1> accepts writes" in said
    assert "up to 10 requests/s" in said
    assert "the fault, healed after 2 s" in said


def test_the_picture_is_as_wide_as_its_place_and_text_is_not_scaled() -> None:
    root = ElementTree.fromstring(timeline_svg(LINE, "x"))
    assert root.get("width") == "100%"
    assert root.get("viewBox") is None


def test_a_host_that_does_not_write_any_more_is_named_so() -> None:
    gone = LINE.model_copy(update={"accepting": {"db1": ((-1.0, -0.2),), "db2": ()}})
    said = [one.text for one in ElementTree.fromstring(timeline_svg(gone, "x")).iter(f"{SVG}text")]
    assert "db1 accepts writes, not after the fault" in said


def test_bars_are_as_high_as_their_share() -> None:
    assert 'd="M0 10V5H1V10H2V0H3V10z"' in steps((5, 0, 10), 10, 0, 40, GOOD)


def test_a_file_has_a_background_a_size_and_only_the_seconds_that_are_asked_for() -> None:
    root = ElementTree.fromstring(timeline_file(LINE, "a title", "a line", 1.0))
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    background = next(root.iter(f"{SVG}rect"))
    assert (background.get("width"), background.get("fill")) == (root.get("width"), "#ffffff")
    said = [one.text for one in root.iter(f"{SVG}text")]
    assert said[:2] == ["a title", "a line"]
    assert "1 s" in said
    assert "2 s" not in said
    assert "the fault, not healed yet" in said
