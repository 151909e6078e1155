"""Prices what two revisions declare with the estimator of the older one, which a change cannot edit.

As a script (`python -I cost/base_estimate.py DIR STACK`) it reads the two sides from standard input and answers with
what `DIR`'s own `cost` and `spec` packages make of them, and the budget that they read.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])

TIMEOUT_S = 60


@dataclass(frozen=True)
class Priced:
    """A side as the base prices it. `unpriced`: component and name of what it does not know."""

    usd: Decimal
    unpriced: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """`before` is None when it was not given; `budget_usd` when the base has no such stack, or cannot read it."""

    before: Priced | None
    after: Priced
    budget_usd: Decimal | None


Side = tuple[str, Sequence[Any]]  # the region and its resources


class Failed(Exception):
    """The base's estimator does not run on these; the message says why."""


def ask(folder: Path, stack: str, before: Side | None, after: Side) -> Answer:
    """:raises Failed: when the base has no estimator, another form of it, or no prices for the region."""

    def given(side: Side | None) -> Any:
        return side and [side[0], [asdict(resource) for resource in side[1]]]

    try:
        ran = subprocess.run(
            [sys.executable, "-I", __file__, str(folder), stack],
            input=json.dumps({"before": given(before), "after": given(after)}),
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
            cwd=folder,
            env={"HOME": str(folder)},
        )
        if ran.returncode != 0:
            raise Failed(ran.stderr.strip().rpartition("\n")[2] or f"exit code {ran.returncode}")
        answer = json.loads(ran.stdout)
        priced = {
            name: side and Priced(Decimal(side["usd"]), frozenset((c, r) for c, r in side["unpriced"]))
            for name, side in ((name, answer[name]) for name in ("before", "after"))
        }
        budget = answer["budget_usd"]
        return Answer(priced["before"], priced["after"], None if budget is None else Decimal(budget))
    except subprocess.TimeoutExpired:
        raise Failed(f"it did not end in {TIMEOUT_S} s") from None
    except (ValueError, KeyError, TypeError, ArithmeticError):
        raise Failed("its answer cannot be read") from None


def main(folder: Path, stack: str) -> None:
    from cost import estimate, prices, usage
    from cost.resources import Resource

    if not Path(estimate.__file__).is_relative_to(folder):  # this checkout may be installed beside it
        sys.exit("it has none")

    def priced(side: Any) -> Any:
        if side is None:
            return None
        region, resources = side
        found = estimate.estimate([Resource(**one) for one in resources], prices.load(region), usage.load())
        return {
            "usd": str(sum((line.monthly_usd for line in found.lines), Decimal(0))),
            "unpriced": [[one.component, one.resource] for one in found.unpriced],
        }

    given = json.load(sys.stdin)
    answer = {side: priced(given[side]) for side in ("before", "after")}
    json.dump({**answer, "budget_usd": _budget(folder, stack)}, sys.stdout)


def _budget(folder: Path, stack: str) -> str | None:
    from spec.errors import HaError
    from spec.stack_file import load_settings

    try:
        return str(load_settings(folder, stack).budget_monthly_usd)
    except HaError:  # it has no such stack
        return None


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
