"""All runs as one picture."""

from __future__ import annotations

from xml.etree import ElementTree

from drills.overview import BROKEN, GUIDE, KEPT, PROMISE, legend, overview_svg
from drills.results import Result
from drills.rollup import CLASSES, rollup
from tests.unit.drills.test_report import outcome

SVG = "{http://www.w3.org/2000/svg}"


def picture(results: list[Result]) -> ElementTree.Element:
    return ElementTree.fromstring(overview_svg(rollup(results)))


def percent(value: str | None) -> float:
    assert value is not None
    assert value.endswith("%")
    return float(value[:-1])


def marks(root: ElementTree.Element, colour: str) -> list[float]:
    return [percent(one.get("x1")) for one in root.iter(f"{SVG}line") if one.get("stroke") == colour]


def test_each_class_is_a_lane_with_its_name_and_promise() -> None:
    said = [one.text for one in picture([]).iter(f"{SVG}text")]
    for one in CLASSES:
        assert one.name in said
        assert one.promise.text in said
    assert said.count("no runs") == len(CLASSES)


def test_each_run_is_a_dot_and_the_axis_is_logarithmic() -> None:
    root = picture([outcome(seconds, kept=True) for seconds in (0.5, 5.0, 50.0)])
    first, second, third = sorted(percent(one.get("cx")) for one in root.iter(f"{SVG}circle"))
    assert abs((second - first) - (third - second)) < 0.02


def test_a_run_that_broke_its_promise_is_red_and_right_of_the_mark() -> None:
    root = picture([outcome(4.0), outcome(9.0)])
    dots = {one.get("fill"): percent(one.get("cx")) for one in root.iter(f"{SVG}circle")}
    eight_seconds = max(mark for mark in marks(root, PROMISE) if mark < dots[BROKEN])
    assert dots[KEPT] < eight_seconds < dots[BROKEN]
    assert "9.0 s, broken: late &lt;" in ElementTree.tostring(root, encoding="unicode")


def test_the_guides_figures_are_marks_where_the_guide_has_one() -> None:
    assert len(marks(picture([]), GUIDE)) == sum(one.promise.guide_s is not None for one in CLASSES) == 3


def test_what_is_beyond_the_axis_is_at_its_end_and_nothing_is_outside_the_picture() -> None:
    root = picture([outcome(0.001), outcome(99_999.0)])
    places = [percent(one.get("cx")) for one in root.iter(f"{SVG}circle")]
    places += [percent(one.get(name)) for one in root.iter(f"{SVG}line") for name in ("x1", "x2")]
    assert all(0 <= one <= 100 for one in places)
    assert root.get("width") == "100%"


def test_the_legend_has_a_picture_of_each_mark() -> None:
    for drawn, said in legend():
        ElementTree.fromstring(drawn)
        assert said
