"""The load balancers page when the monitor stops reporting: once, in time, and not for a host that has just booted."""

from __future__ import annotations

import contextlib
from types import ModuleType

import pytest

from tests.unit.cloud_init.rendering import files_of, program

PAGE_WITHIN_S = 120.0


@pytest.fixture
def module() -> ModuleType:
    return program("lb/files/usr/local/lib/ha/monitor-watch")


class Topic:
    """What was published; `fails` times it cannot be."""

    def __init__(self, fails: int = 0) -> None:
        self.told: list[bool] = []
        self._fails = fails

    def publish(self, silent: bool) -> None:
        if self._fails:
            self._fails -= 1
            raise OSError("no way out")
        self.told.append(silent)


def paged_after_s(
    module: ModuleType, topic: Topic, *, scraped_until: float | None, booted: float = 0.0
) -> float | None:
    """When the first page comes, in seconds after the last scrape, or else the boot. Prometheus asks every 10 s."""
    watch = module.Watch(topic.publish, 0.0)
    begin, now = scraped_until or 0.0, 0.0
    while now < begin + 2000 and not topic.told:
        last = None if scraped_until is None else min(now, scraped_until) // 10 * 10
        with contextlib.suppress(OSError):
            watch.turn(now, None if last is None else now - last)
        now += module.LOOK_S
    return now - begin if topic.told else None


def test_a_monitor_that_goes_silent_is_told_of_in_time(module: ModuleType) -> None:
    topic = Topic()
    after = paged_after_s(module, topic, scraped_until=300.0)
    assert after is not None
    assert module.SILENT_S < after < PAGE_WITHIN_S - 30  # the rest is the topic's
    assert topic.told == [True]


def test_what_cannot_be_told_is_told_later(module: ModuleType) -> None:
    topic = Topic(fails=3)
    assert paged_after_s(module, topic, scraped_until=300.0) is not None
    assert topic.told == [True]


def test_a_monitor_that_never_came_is_told_of_when_it_had_the_time_to_boot(module: ModuleType) -> None:
    after = paged_after_s(module, Topic(), scraped_until=None)
    assert after is not None
    assert module.BOOT_S < after < module.BOOT_S + 60


def test_it_is_told_once_and_so_is_the_return(module: ModuleType) -> None:
    topic = Topic()
    watch = module.Watch(topic.publish, 0.0)
    for now, quiet in [(10, 1), (60, 51), (75, 66), (80, 71), (200, None), (210, 1), (220, 11), (300, 91)]:
        watch.turn(float(now), quiet)
    assert topic.told == [True, False, True]


def test_it_watches_the_monitor_of_its_stack() -> None:
    unit = files_of("lb1")["/etc/systemd/system/ha-monitor-watch.service"]
    monitor = next(line.split()[0] for line in files_of("lb1")["/etc/hosts"].splitlines() if "monitor1" in line)
    assert f"monitor-watch {monitor} 9100" in unit
