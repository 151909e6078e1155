"""The page of `ha drill report --html`."""

from __future__ import annotations

from html.parser import HTMLParser

from drills.html_report import page
from drills.results import Machine, Result
from drills.rollup import CLASSES
from tests.unit.drills.test_report import outcome, unfinished

VOID = {"meta", "br"}


class Reader(HTMLParser):
    """Elements in the order in which they come, each with the names of those around it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...], dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open, f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(self._open), dict(attributes)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(self._open), dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def outermost(self) -> list[str]:
        return [tag for tag, around, _ in self.found if around == ("html", "body")]


def test_the_picture_comes_first_then_a_row_a_class_and_the_rest_is_folded() -> None:
    read = Reader(page([outcome(4.0), outcome(9.0)]))
    outermost = read.outermost()
    assert outermost[:4] == ["h1", "figure", "h2", "table"]
    assert set(outermost[outermost.index("table") + 1 :]) == {"ul", "details"}
    pictures = [around for tag, around, _ in read.found if tag == "svg" and "figcaption" not in around]
    assert pictures[0][-1] == "figure"
    assert all("details" in around for around in pictures[1:])
    tables = [around for tag, around, _ in read.found if tag == "tr" and "tbody" in around]
    assert sum("details" not in around for around in tables) == len(CLASSES)
    folded = [attributes for tag, _, attributes in read.found if tag == "details"]
    assert folded
    assert all("open" not in attributes for attributes in folded)


def test_nothing_has_a_width_of_its_own_that_a_narrow_screen_lacks() -> None:
    read = Reader(page([outcome(4.0)]))
    widths = [attributes.get("width") for tag, _, attributes in read.found if tag in ("svg", "table")]
    assert set(widths) == {"100%", "14", None}
    cells = [attributes for tag, _, attributes in read.found if tag == "td"]
    assert all(attributes.get("data-label") is not None for attributes in cells)


def test_each_run_has_its_timeline_and_a_run_without_one_is_counted() -> None:
    text = page([outcome(4.0), outcome(5.0), outcome(6.0, timeline=None)])
    assert "<summary>Timelines (2)</summary>" in text
    assert text.count(">answered<") == 2
    assert "1 run without a timeline" in text


def test_what_results_say_is_escaped() -> None:
    text = page([outcome(9.0), unfinished("no primary <")])
    assert "late &lt;" in text
    assert "no primary &lt;" in text
    assert "late <" not in text


def test_each_stack_and_machine_is_shown_apart() -> None:
    other: Result = outcome(4.0, machine=Machine(cpus=2, memory_mib=8000, kernel="6.2"))
    text = page([outcome(4.0), other, outcome(4.0, stack="prod")])
    assert text.count("<figure>") == 2
    assert "<th>machine</th>" in text


def test_without_results_the_page_says_how_to_get_some() -> None:
    assert "drill run" in page([])
