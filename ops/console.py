"""What a host printed on its console, for one that Run Command does not reach."""

from __future__ import annotations

import re

from ops.runs import printable

UNITS = ("ha-bootstrap", "ha-setup", "ha-ssm-agent", "ha-change")
"""The units of ours that write to the console, by the names under which they do."""
OURS_SHOWN, ALL_SHOWN, LONGEST = 8, 3, 300
_OURS = re.compile(rf"(?<![\w.-])({'|'.join(UNITS)})\[\d+\]: ")


def last_lines(console: str) -> list[str]:
    """The last lines of our units, the last one of each of them, and the very last ones, which may be the kernel's.

    Pure. The lines are bounded and without control sequences.
    """
    lines = [line for line in console.splitlines() if line.strip()]
    ours = {number: found[1] for number, line in enumerate(lines) if (found := _OURS.search(line))}
    last_of_each = {unit: number for number, unit in ours.items()}.values()
    shown = {*range(len(lines))[-ALL_SHOWN:], *list(ours)[-OURS_SHOWN:], *last_of_each}
    return [printable(lines[number])[:LONGEST] for number in sorted(shown)]
