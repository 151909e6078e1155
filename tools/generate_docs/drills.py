"""The generated parts of the documentation that are about drills, from the published results."""

from __future__ import annotations

from drills import report
from drills.folders import PUBLISHED_DIR
from drills.results import Outcome, kept_results
from drills.rollup import ALIGN, rollup
from drills.svg import timeline_file
from spec.markdown import table
from spec.project import REPOSITORY

STACK = "prod"
DOCS = REPOSITORY / "docs"
PICTURED_RUN = DOCS / "pictures" / "failover-timeline.json"
"""A published run with its timeline."""
PICTURED_S = 25.0


def readme_part() -> str:
    """One row a class of fault."""
    found = rollup(kept_results(PUBLISHED_DIR, STACK))
    headings, *rows = found.table()
    return f"{table(headings, rows, ALIGN)}\n\n{report.bullets(found.notes())}\n"


def results_page() -> str:
    """The generated part of docs/results.md."""
    return report.markdown(kept_results(PUBLISHED_DIR), _decision)


def timeline_picture() -> str:
    """docs/pictures/failover-timeline.svg."""
    run = Outcome.model_validate_json(PICTURED_RUN.read_text(encoding="utf-8"))
    if run.timeline is None:
        raise ValueError(f"{PICTURED_RUN} has no timeline")
    return timeline_file(
        run.timeline,
        f"The primary loses power: writes are back after {run.outage_s:.1f} s",
        f"{run.failed} of {run.requests:,} requests failed, {run.lost} of {run.acknowledged} acknowledged writes lost",
        PICTURED_S,
    )


def _decision(number: int) -> str:
    page = next(iter(sorted((DOCS / "decisions").glob(f"{number:04}-*.md"))))
    return f"[decision {number}]({page.relative_to(DOCS)})"
