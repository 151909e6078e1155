"""Which services a host has and what each reads, by the texts of its units."""

from __future__ import annotations

from review.services import Service, calls, services

STEP = "/usr/local/lib/ha/steps/40-cache"
UNIT = "/etc/systemd/system/cache.service"
DROP_IN = "/etc/systemd/system/cache.service.d/pair.conf"


def one(files: dict[str, str], call: str = "ha-service cache\n") -> Service:
    (service,) = services({STEP: f"#!/bin/bash\n{call}", **files}).values()
    return service


def test_keys_of_unit_and_drop_ins_add_up() -> None:
    files = {
        DROP_IN: "[X-Ha]\nReloadFor=/d\nRestartFor=/e\nBeforeRestart=hand-over now\n",
        UNIT: "[Unit]\nDescription=x\n[X-Ha]\nReloadFor=/a /b\n# why\nReloadFor=/c\nBeforeRestart=drain\n",
    }
    assert one(files) == Service(
        unit="cache",
        own=(UNIT, DROP_IN),
        reload_for=("/a", "/b", "/c", "/d"),
        restart_for=("/e",),
        before_restart="drain\nhand-over now",
    )


def test_only_the_section_counts() -> None:
    service = one({UNIT: "[X-Ha]\nReloadFor=/a\n# ReloadFor=/b\n[Service]\nReloadFor=/c\n"})
    assert service.reload_for == ("/a",)


def test_environment_files_and_the_program_are_its_own_also_when_a_step_writes_them() -> None:
    start = "EnvironmentFile=-/etc/default/cache\nEnvironmentFile=/var/.env\nExecStart=/usr/local/lib/ha/cache --now\n"
    files = {UNIT: f"[Service]\n{start}ExecStartPre=/usr/local/lib/ha/role\n", "/etc/default/cache": ""}
    files |= {"/usr/local/lib/ha/cache": "", "/usr/local/lib/ha/role": ""}
    assert one(files).own == (UNIT, "/etc/default/cache", "/var/.env", "/usr/local/lib/ha/cache")


def test_a_packaged_unit_may_have_nothing_in_the_bundle() -> None:
    assert one({}) == Service(unit="cache", own=(), reload_for=(), restart_for=(), before_restart="")


def test_units_that_no_step_starts_are_no_services() -> None:
    assert services({UNIT: "[X-Ha]\nReloadFor=/a\n", STEP: "#!/bin/bash\nsystemctl start cache.timer\n"}) == {}


def test_they_come_in_the_order_of_the_steps_and_of_the_programs_that_these_run() -> None:
    files = {
        "/usr/local/lib/ha/steps/60-last": "ha-service last\nha-service cache\n",
        "/usr/local/lib/ha/own": '[ "$(ha-service --dry-run middle)" ] || ha-service middle\n',
        "/usr/local/lib/ha/unused": "ha-service nobody\n",
        STEP: "ha-service cache.service\n",
        "/usr/local/lib/ha/steps/50-own": "/usr/local/lib/ha/own\n",
    }
    assert list(services(files)) == ["cache", "middle", "last"]


def test_a_comment_is_no_call() -> None:
    assert calls("# ha-service reads\n  # ha-service too\nha-service a; ha-service --dry-run b\n") == ["a", "b"]
