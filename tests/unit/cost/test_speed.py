"""The estimate grows with the estate, and no faster. Processor time: what else the machine does must not matter."""

from __future__ import annotations

import time

import pytest

from components import user_data
from cost import stack

# So many hosts share the connections that one database has.
SHARED_DATABASE = ("database.max_connections=1000", "database.pool_size_per_host=4")


def processor_s(application_hosts: int) -> tuple[float, int]:
    """Seconds of processor time for an estimate, and how many lines it has."""
    started = time.process_time()
    config = stack.config_of("dev", (f"application.count={application_hosts}", *SHARED_DATABASE))
    settings = stack.settings_of("dev", config)
    found = stack.report_of(
        "dev",
        stack.declared_by("dev", config, settings),
        region=settings.region,
        budget_usd=settings.budget_monthly_usd,
    )
    return time.process_time() - started, len(found.lines)


def test_an_estimate_grows_in_a_line_with_the_application_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    # So many hosts are too much for the user data of some, which EC2 would refuse; that is not what is measured here.
    monkeypatch.setattr(user_data, "LIMIT_BYTES", 10**6)
    processor_s(2)  # loads what is loaded once
    few_s, few_lines = processor_s(50)
    many_s, many_lines = processor_s(200)
    assert (few_lines, many_lines) == (42 + 48 * 4, 42 + 198 * 4)
    # Four times the hosts: a program that grows with the square would take sixteen times as long.
    assert many_s < 8 * few_s
