"""Which lines of a console are shown."""

from __future__ import annotations

from ops.console import last_lines

BOOT = """\
[    0.000000] Linux version 6.12.48+deb13-cloud-amd64\r
[  OK  ] Started \x1b[0;1;39mha-bootstrap.service\x1b[0m - Run this host's bundle.\r
ha-bootstrap[164]: bundle e556dbe88099\r
[   14.091824] ha-ssm-agent[230]: refused: https://s3 does not match settings.ssm_agent.sha256\r
"""


def steps(count: int) -> str:
    return "".join(f"ha-setup[300]: {number:02}-step: done in 0.1 s\r\n" for number in range(count))


def test_the_last_line_of_each_of_our_units_is_kept_however_much_the_others_print() -> None:
    shown = last_lines(BOOT + steps(100) + "ha-setup[300]: 10-packages: E: Unable to locate package\x1b[2J x<{%y\r\n")
    assert shown[:2] == [
        "ha-bootstrap[164]: bundle e556dbe88099",
        "[   14.091824] ha-ssm-agent[230]: refused: https://s3 does not match settings.ssm_agent.sha256",
    ]
    assert shown[-1] == "ha-setup[300]: 10-packages: E: Unable to locate package x<{ %y"
    assert len(shown) == 2 + 8


def test_so_are_the_very_last_lines_whoever_prints_them() -> None:
    panic = "Kernel panic - not syncing: Out of memory\r\n"
    assert last_lines(BOOT + steps(20) + panic)[-1] == panic.strip()


def test_a_line_that_only_names_a_unit_is_not_of_it() -> None:
    noise = "\n".join(
        f"cloud-init[64]: {number}: enabled not-ha-setup[1]: /etc/ha-setup.service" for number in range(9)
    )
    assert len(last_lines(noise)) == 3


def test_a_console_is_bounded_and_may_be_empty() -> None:
    assert last_lines("") == last_lines("\r\n \n") == []
    assert len(last_lines("x" * 70_000)[0]) == 300
    flood = "".join(f"ha-{letter}[1]: noise\n" for letter in "abcdefgh" * 1000)
    assert len(last_lines(flood)) == 3
