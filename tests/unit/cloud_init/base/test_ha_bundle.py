"""What a host runs: files in place, what a boot believes, and changes that go back unless they are confirmed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from components.host_files import CLOUD_INIT_DIR
from tests.unit.cloud_init.rendering import program
from tests.unit.cloud_init.sandbox import Sandbox

PATH = "base/files/usr/local/sbin/ha-bundle"
HA_BUNDLE = program(PATH)
NAME = "app1"
VERSION, STEP, PACKAGES = "/etc/ha/version", "/usr/local/lib/ha/steps/50-test", "/usr/local/lib/ha/packages"
UNIT = "/etc/systemd/system/ha-test.service"
RELEASE, OTHER_RELEASE = "f" * 64, "e" * 64
DRIVER = """
import importlib.util, json, socket, sys
from importlib.machinery import SourceFileLoader
sys.dont_write_bytecode = True
source, root, setup_s, *words = sys.argv[1:]
loader = SourceFileLoader("ha_bundle", source)
module = importlib.util.module_from_spec(importlib.util.spec_from_loader("ha_bundle", loader))
loader.exec_module(module)
socket.gethostname = lambda: "app1"
module.SETUP_S, module.STEP = json.loads(setup_s), 0.01
module.main(words, module.Host(root))
"""
HANGS = "exec sleep 60"


def digest_of(name: str) -> str:
    """A name as long as a digest."""
    return name.encode().hex().ljust(64, "0")


def fails(error: str) -> str:
    """A step as `ha-setup` reports it."""
    said = json.dumps({"state": "failed", "step": "50-test", "error": error})
    return f"echo '{said}' >$ROOT/run/ha/setup.json; exit 1"


class Host:
    """A host whose files are in a folder, and stand-ins for what `ha-bundle` calls."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox, self.folder = sandbox, sandbox.folder
        self.root, self.bucket = sandbox.folder / "root", sandbox.folder / "bucket"
        self.setup_s: float = 20
        self.bucket.mkdir()
        (self.root / "var/lib/ha/bundles").mkdir(parents=True)
        (self.root / "run/ha").mkdir(parents=True)
        self.state = HA_BUNDLE.Host(str(self.root))
        environment = f"ROOT={self.root} FOLDER={self.folder}"
        sandbox.stand_in(
            "systemctl",
            f"""{environment}; export ROOT; unit=$FOLDER/unit.pid
case "$*" in
"restart ha-setup") cat $ROOT{VERSION} >>$FOLDER/set-up; exec bash $ROOT{STEP} ;;
"stop ha-change") [ -e $unit ] && kill $(cat $unit); while [ -e $unit ]; do sleep 0.01; done ;;
is-system-running) cat $FOLDER/system 2>/dev/null || echo running ;;
esac""",
        )
        sandbox.stand_in(
            "ha-bootstrap",
            f"""{environment}; case $1 in
pointer) cat $FOLDER/bucket/pointer ;;
bundle) cp -r $FOLDER/bucket/$2 $ROOT/var/lib/ha/bundles/ ;;
esac""",
        )
        sandbox.stand_in("dpkg-query", f'{environment}; cat $FOLDER/installed 2>/dev/null || echo "curl installed"')
        sandbox.stand_in(
            "ha-release", f"{environment}; [ -e $FOLDER/bucket/${{@: -1}} ] || {{ echo gone >&2; exit 1; }}"
        )

    # --- bundles

    def upload(
        self,
        name: str,
        *,
        step: str = "exit 0",
        files: Mapping[str, str] | None = None,
        own: Mapping[str, str] | None = None,
    ) -> str:
        """A bundle in the bucket with the version as a file; its digest. `files`: more of them; `own`: the host's."""
        digest = digest_of(name)
        common = {VERSION: f"{name}\n", STEP: step, PACKAGES: "curl\n", **(files or {})}
        for path, text in common.items():
            self.write(self.bucket / digest / f"common{path}", text, executable=path == STEP)
        for path, text in {"/etc/ha/host.env": f"HA_HOST={NAME}\n", **(own or {})}.items():
            self.write(self.bucket / digest / f"hosts/{NAME}{path}", text)
        return digest

    def write(self, path: Path, text: str, *, executable: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if executable else 0o644)

    def fetched(self, name: str, **more: Any) -> str:
        """A bundle that is on the host already."""
        digest = self.upload(name, **more)
        HA_BUNDLE.fetch(digest, self.state)
        return digest

    def running(self, name: str, release: str | None = RELEASE, **more: Any) -> str:
        """A bundle that was confirmed, with its files in place."""
        digest = self.fetched(name, **more)
        runs = {"bundle": digest, "release": release}
        self.state.prepare(runs)
        self.state.confirm(runs, runs)
        self.forget()
        return digest

    def point(self, digest: str, release: str | None = RELEASE) -> None:
        pointer = {"bundle": digest} | ({"release": release} if release else {})
        self.write(self.bucket / "pointer", json.dumps(pointer))

    # --- what happened

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    @property
    def version(self) -> str:
        return self.at(VERSION).read_text().strip()

    @property
    def set_up(self) -> list[str]:
        """The versions that were set up, in order."""
        path = self.folder / "set-up"
        return path.read_text().split() if path.exists() else []

    @property
    def release(self) -> str | None:
        release: str | None = self.state.release()
        return release

    def confirmed(self) -> str:
        return str(self.state.read(self.state.confirmed).get("bundle", ""))

    def files(self) -> set[str]:
        """All that is in place, but what `ha-bundle` keeps for itself."""
        found = {f"/{path.relative_to(self.root)}" for path in self.root.rglob("*") if path.is_file()}
        return {path for path in found if not path.startswith(("/var/lib/ha/", "/run/ha/"))}

    def calls(self, name: str) -> list[str]:
        return self.sandbox.calls(name)

    def forget(self) -> None:
        (self.folder / "calls").unlink(missing_ok=True)

    # --- as a program of its own

    def start(self, *words: str) -> subprocess.Popen[str]:
        environment = {"PATH": f"{self.sandbox.bin}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command(*words), stdout=pipe, stderr=pipe, text=True, env=environment)

    def command(self, *words: str) -> list[str]:
        return [
            sys.executable,
            "-I",
            "-c",
            DRIVER,
            str(CLOUD_INIT_DIR / PATH),
            str(self.root),
            str(self.setup_s),
            *words,
        ]

    def run(self, *words: str) -> tuple[int, Any]:
        """The exit code of `ha-bundle` and its answer, or what it refused."""
        with self.start(*words) as process:
            try:
                out, error = process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return process.returncode, json.loads(out) if process.returncode == 0 else error.strip()

    def with_units(self) -> None:
        """`systemd-run` starts the unit of a change: it ends with `settle`, whatever ended it."""
        apply, settle = (self.folder / f"{word}.json" for word in ("apply", "settle"))
        for path, word in ((apply, "apply"), (settle, "settle")):
            path.write_text(json.dumps(self.command(word)))
        runner = self.folder / "unit.py"
        runner.write_text(
            f"""import json, pathlib, subprocess
unit = pathlib.Path("{self.folder}/unit.pid")
process = subprocess.Popen(json.load(open("{apply}")))
unit.with_suffix(".new").write_text(str(process.pid))
unit.with_suffix(".new").rename(unit)
process.wait()
subprocess.run(json.load(open("{settle}")), check=False)
unit.unlink()
"""
        )
        log = self.folder / "unit.log"
        self.sandbox.stand_in(
            "systemd-run",
            f"""{sys.executable} -I {runner} >>{log} 2>&1 </dev/null &
while [ ! -e {self.folder}/unit.pid ] && kill -0 $! 2>/dev/null; do sleep 0.01; done""",
        )

    def change(
        self, digest: str, *, replaces: str, release: str | None = RELEASE, within_s: float = 20
    ) -> tuple[int, Any]:
        return self.run("change", self.asked(digest, replaces, release, within_s))

    def asked(self, digest: str, replaces: str, release: str | None = RELEASE, within_s: float = 20) -> str:
        before = {"bundle": replaces, "release": RELEASE}
        return json.dumps({"bundle": digest, "release": release, "replaces": before, "within_s": within_s})

    def until(self, *states: str) -> dict[str, Any]:
        """The state of the change, once it is one of these and its unit is over where they are last ones."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            state: dict[str, Any] = self.state.read(self.state.changing)
            over = not (self.folder / "unit.pid").exists()
            if state.get("state") in states and (over or state["state"] in ("applying", "applied")):
                return state
            time.sleep(0.01)
        raise AssertionError((self.folder / "unit.log").read_text())

    def end(self) -> None:
        """Ends a unit that a test left."""
        subprocess.run([str(self.sandbox.bin / "systemctl"), "stop", "ha-change"], check=False, timeout=30)


@pytest.fixture
def host(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PATH", f"{sandbox.bin}:{os.environ['PATH']}")
    monkeypatch.setattr(HA_BUNDLE.socket, "gethostname", lambda: NAME)
    monkeypatch.setattr(HA_BUNDLE, "POINTER_S", 0.2)
    monkeypatch.setattr(HA_BUNDLE, "ASK_S", 0.05)
    made = Host(sandbox)
    yield made
    made.end()


# --- files in place


def test_a_host_gets_the_common_files_and_its_own(host: Host) -> None:
    digest = host.fetched("v1", own={"/etc/own": "mine\n"})
    host.write(host.state.bundle(digest) / "hosts/app2/etc/foreign", "another's\n")
    assert sorted(host.state.place(digest)) == sorted(host.files())
    assert host.files() == {VERSION, STEP, PACKAGES, "/etc/ha/host.env", "/etc/own"}
    assert host.at("/etc/own").read_text() == "mine\n"
    assert os.access(host.at(STEP), os.X_OK)
    assert not os.access(host.at(VERSION), os.X_OK)


def test_only_what_differs_is_written(host: Host) -> None:
    first, second = host.fetched("v1", files={"/etc/same": "x\n"}), host.fetched("v2", files={"/etc/same": "x\n"})
    host.state.place(first)
    kept = host.at("/etc/same").stat().st_ino
    assert host.state.place(second) == [VERSION]
    assert host.at("/etc/same").stat().st_ino == kept
    assert host.state.place(second) == []


@pytest.mark.parametrize("spoil", ["text", "mode", "link", "gone"])
def test_a_file_that_somebody_changed_by_hand_is_put_back(host: Host, spoil: str) -> None:
    digest = host.fetched("v1")
    host.state.place(digest)
    path = host.at(STEP)
    match spoil:
        case "text":
            path.write_text("exit 1")
        case "mode":
            path.chmod(0o644)
        case "link":
            path.rename(host.folder / "elsewhere")
            path.symlink_to(host.folder / "elsewhere")
        case _:
            path.unlink()
    assert host.state.place(digest) == [STEP]
    assert (path.read_text(), path.stat().st_mode & 0o777, path.is_symlink()) == ("exit 0", 0o755, False)
    if spoil == "link":
        assert (host.folder / "elsewhere").exists()


def test_what_the_new_bundle_lacks_is_removed_and_what_nobody_placed_stays(host: Host) -> None:
    first, second = host.fetched("v1", files={"/etc/old/file": "x\n"}), host.fetched("v2")
    host.state.place(first)
    host.write(host.at("/etc/old/not-ours"), "x")
    assert host.state.place(second) == [VERSION, "/etc/old/file"]
    assert not host.at("/etc/old/file").exists()
    assert host.at("/etc/old/not-ours").exists()


def test_a_unit_that_goes_is_stopped_while_systemd_still_knows_it(host: Host) -> None:
    timer = "/etc/systemd/system/ha-test.timer"
    drop_in = "/etc/systemd/system/nginx.service.d/ha.conf"
    first, second = (
        host.fetched("v1", files={UNIT: "[Service]\n", timer: "[Timer]\n", drop_in: "x"}),
        host.fetched("v2"),
    )
    host.state.place(first)
    host.forget()
    host.sandbox.stand_in("systemctl", f'[ ! -e {host.at(UNIT)} ] || echo "there: $*" >>{host.folder}/calls')
    host.state.place(second)
    lines = (host.folder / "calls").read_text().splitlines()
    stopped = [line for line in lines if line.startswith("systemctl ")]
    assert stopped[:2] == [f"systemctl disable --now --quiet ha-test.{kind}" for kind in ("service", "timer")]
    assert stopped[2:] == ["systemctl daemon-reload"]
    assert "there: disable --now --quiet ha-test.service" in lines


def test_systemd_reads_its_units_again_only_when_one_changed(host: Host) -> None:
    first, second = host.fetched("v1", files={UNIT: "1"}), host.fetched("v2", files={UNIT: "1"})
    third, fourth = host.fetched("v3", files={UNIT: "2"}), host.fetched("v4")
    reloads = []
    for digest in (first, second, third, fourth):
        host.forget()
        host.state.place(digest)
        reloads.append("systemctl daemon-reload" in host.calls("systemctl"))
    assert reloads == [True, False, True, True]


def test_systemd_reads_units_that_an_interrupted_run_had_placed(host: Host) -> None:
    digest = host.fetched("v1", files={UNIT: "1"})
    host.state.place(digest)
    kept = host.state.read(host.state.placed)
    host.state.write(host.state.placed, kept | {"bundle": ""})
    host.forget()
    assert host.state.place(digest) == []
    assert "systemctl daemon-reload" in host.calls("systemctl")


def test_a_bundle_without_files_for_this_host_is_refused_before_anything_is_touched(host: Host) -> None:
    host.state.place(host.fetched("v1"))
    before = host.state.read(host.state.placed)
    digest = host.upload("v2")
    (host.bucket / digest / f"hosts/{NAME}").rename(host.bucket / digest / "hosts/app2")
    HA_BUNDLE.fetch(digest, host.state)
    with pytest.raises(HA_BUNDLE.Refused, match="has no files for app1"):
        host.state.place(digest)
    assert host.version == "v1"
    assert host.state.read(host.state.placed) == before


@pytest.mark.parametrize("ends_at", range(6))
def test_an_interruption_leaves_nothing_that_is_not_removed_later(
    host: Host, ends_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ends a run in the middle of the nth file, goes back to the old bundle, and looks for what is left."""
    old, new = host.fetched("v1"), host.fetched("v2", files={"/etc/new/1": "1", "/etc/new/2": "2", UNIT: "x"})
    host.state.place(old)
    before = host.files()
    copy, copied = HA_BUNDLE.shutil.copy, []

    def copy_some(source: Path, target: Path) -> None:
        copied.append(target)
        if len(copied) > ends_at:
            target.write_text("half")
            raise KeyboardInterrupt
        copy(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(HA_BUNDLE.shutil, "copy", copy_some)
        if ends_at < 4:
            with pytest.raises(KeyboardInterrupt):
                host.state.place(new)
            assert host.files() != before
            assert host.state.read(host.state.placed)["bundle"] == ""
        else:
            host.state.place(new)
    host.state.place(old)
    assert host.files() == before
    assert host.version == "v1"


def test_files_that_an_interrupted_run_removed_come_back(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = host.fetched("v1", files={"/etc/old": "x"}), host.fetched("v2")
    host.state.place(old)

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(HA_BUNDLE.shutil, "copy", end)
        with pytest.raises(KeyboardInterrupt):
            host.state.place(new)
    assert not host.at("/etc/old").exists()
    host.state.place(old)
    assert host.at("/etc/old").read_text() == "x"


# --- what a boot runs

OLD, NEW, FORMER = ({"bundle": digest_of(name), "release": None} for name in ("old", "new", "former"))


@pytest.mark.parametrize(
    ("confirmed", "pointer", "runs"),
    [
        pytest.param({}, NEW, NEW, id="a first boot: the pointer"),
        pytest.param({**OLD, "replaces": OLD}, OLD, OLD, id="nothing changed"),
        pytest.param({**OLD, "replaces": OLD}, NEW, NEW, id="the pointer was written while the host was down"),
        pytest.param({**NEW, "replaces": OLD}, OLD, NEW, id="confirmed in a roll-out that has not ended"),
        pytest.param({**NEW, "replaces": OLD}, NEW, NEW, id="that roll-out has ended"),
        pytest.param({**NEW, "replaces": OLD}, FORMER, FORMER, id="another roll-out has ended meanwhile"),
        pytest.param({**OLD, "replaces": OLD}, None, OLD, id="no pointer"),
        pytest.param(
            {**OLD, "replaces": OLD}, {**OLD, "release": RELEASE}, {**OLD, "release": RELEASE}, id="another release"
        ),
    ],
)
def test_the_pointer_counts_unless_it_is_the_one_that_was_replaced(
    confirmed: dict[str, Any], pointer: dict[str, Any] | None, runs: dict[str, Any]
) -> None:
    assert HA_BUNDLE.to_run(confirmed, pointer) == runs


def boots(host: Host) -> None:
    HA_BUNDLE.boot(host.state)


def test_a_boot_applies_the_pointers_bundle_and_release_and_starts_the_set_up(host: Host) -> None:
    host.running("v1")
    host.point(host.upload("v2"), OTHER_RELEASE)
    boots(host)
    assert (host.version, host.release) == ("v2", OTHER_RELEASE)
    assert host.calls("systemctl")[-1] == "systemctl restart --no-block ha-setup"
    assert host.confirmed() == digest_of("v1")
    HA_BUNDLE.booted(host.state)
    assert host.confirmed() == digest_of("v2")
    assert host.state.read(host.state.confirmed)["replaces"] == {"bundle": digest_of("v2"), "release": OTHER_RELEASE}


def test_a_boot_whose_set_up_failed_is_not_confirmed(host: Host) -> None:
    """The set-up says `booted` only after its last step."""
    unit = (CLOUD_INIT_DIR / "base/files/etc/systemd/system/ha-setup.service").read_text()
    assert "\nExecStartPost=/usr/local/sbin/ha-bundle booted\n" in unit
    host.running("v1")
    host.point(host.upload("v2"))
    boots(host)
    assert host.confirmed() == digest_of("v1")


def test_what_an_unfinished_roll_out_confirmed_stays_over_reboots_until_the_pointer_changes(host: Host) -> None:
    old, new = host.running("v1"), host.fetched("v2")
    replaced, runs = {"bundle": old, "release": RELEASE}, {"bundle": new, "release": RELEASE}
    host.state.confirm(runs, replaced)
    host.point(old)
    for _ in range(2):
        boots(host)
        HA_BUNDLE.booted(host.state)
        assert host.version == "v2"
        assert host.state.read(host.state.confirmed)["replaces"] == replaced
    host.point(host.upload("v3"))
    boots(host)
    assert host.version == "v3"


def test_a_host_that_missed_the_end_of_its_roll_out_believes_its_pointer_from_the_next_boot_on(host: Host) -> None:
    """Or it would stay on the new version when the old one is rolled out while it is down."""
    old, new = host.running("v1"), host.fetched("v2")
    host.state.confirm({"bundle": new, "release": RELEASE}, {"bundle": old, "release": RELEASE})
    for pointer, version in ((new, "v2"), (old, "v1")):
        host.point(pointer)
        boots(host)
        HA_BUNDLE.booted(host.state)
        assert host.version == version


def test_a_boot_without_a_pointer_does_not_end_a_roll_out(host: Host) -> None:
    old, new = host.running("v1"), host.fetched("v2")
    host.state.confirm({"bundle": new, "release": RELEASE}, {"bundle": old, "release": RELEASE})
    boots(host)  # there is none in the bucket
    HA_BUNDLE.booted(host.state)
    host.point(old)
    boots(host)
    assert host.version == "v2"


@pytest.mark.parametrize("away", ["exit 1", HANGS, "echo not JSON", "echo '[]'", "echo '\"x\"'", "echo '{}'"])
def test_without_a_pointer_a_boot_runs_what_was_confirmed(host: Host, away: str) -> None:
    host.running("v1")
    host.at(VERSION).write_text("spoilt")
    host.sandbox.stand_in("ha-bootstrap", away)
    began = time.monotonic()
    boots(host)
    assert time.monotonic() - began < 5
    assert host.version == "v1"
    assert host.calls("systemctl")[-1] == "systemctl restart --no-block ha-setup"


def test_only_a_host_that_never_was_ready_boots_again(host: Host) -> None:
    host.state.write(host.state.changing, {"state": "back"})
    assert host.run("again") == (0, {})
    assert not host.state.changing.exists()
    assert host.calls("systemctl") == ["systemctl restart --no-block ha-bootstrap"]
    host.running("v1")
    code, said = host.run("again")
    assert (code, said) == (1, "this host was ready before: it changes by a roll-out")
    assert host.calls("systemctl") == []


def test_a_boot_asks_for_the_pointer_for_ten_seconds() -> None:
    assert "\nPOINTER_S = 10 " in (CLOUD_INIT_DIR / PATH).read_text()


def test_a_boot_asks_again_until_the_pointer_is_there(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.running("v1")
    digest = host.upload("v2")
    pointer = json.dumps({"bundle": digest, "release": RELEASE})
    host.sandbox.stand_in(
        "ha-bootstrap",
        f"""[ $1 = bundle ] && exec cp -r {host.bucket}/$2 {host.root}/var/lib/ha/bundles/
[ $(grep -c pointer {host.folder}/calls) -ge 3 ] && echo '{pointer}'""",
    )
    monkeypatch.setattr(HA_BUNDLE, "POINTER_S", 20)
    boots(host)
    assert host.version == "v2"
    assert len(host.calls("ha-bootstrap")) == 4


def test_a_pointer_to_a_bundle_that_is_missing_or_damaged_is_not_followed(host: Host) -> None:
    host.running("v1")
    host.point(digest_of("missing"))
    boots(host)
    assert host.version == "v1"
    HA_BUNDLE.booted(host.state)
    # It is no pointer that was replaced: the next boot asks for that bundle again.
    host.upload("missing")
    boots(host)
    assert host.version == "missing"


def test_a_first_boot_does_not_give_up(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bootstrap has fetched the bundle, and S3 is gone since."""
    digest = host.upload("v1")
    asked = f"$(grep -c pointer {host.folder}/calls)"
    host.sandbox.stand_in(
        "ha-bootstrap",
        f"""[ $1 = bundle ] && exec cp -r {host.bucket}/$2 {host.root}/var/lib/ha/bundles/
[ {asked} -ge 8 ] && echo '{json.dumps({"bundle": digest})}'""",
    )
    monkeypatch.setattr(HA_BUNDLE, "POINTER_S", 0.01)
    boots(host)
    assert host.version == "v1"


def test_bundles_are_kept_as_long_as_a_change_may_go_back_to_them(host: Host) -> None:
    first, second, third = host.running("v1"), host.fetched("v2"), host.fetched("v3")
    host.state.confirm({"bundle": second, "release": None}, {"bundle": first, "release": None})
    kept = {one.name for one in (host.state.state / "bundles").iterdir()}
    assert kept == {first, second}
    assert third not in kept


def test_a_document_is_on_the_disk_under_its_name_when_it_is_written(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    synced, replaced = os.fsync, Path.replace

    def fsync(opened: int) -> None:
        done.append(Path(f"/proc/self/fd/{opened}").readlink().name)
        synced(opened)

    def replace(self: Path, target: Path) -> Path:
        done.append("replaced")
        return replaced(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    host.state.write(host.state.confirmed, {})
    assert done == [".confirmed.json.new", "replaced", "ha"]


# --- what a host lacks


def test_a_check_names_packages_that_are_not_installed_and_the_image(host: Host) -> None:
    host.running("v1")
    digest = host.upload("v2", files={PACKAGES: "curl\nhaproxy\nredis\n"})
    (host.folder / "installed").write_text("curl installed\nredis config-files\n")
    assert host.run("check", digest) == (0, {"lacks": ["haproxy", "redis"], "image": ""})
    host.write(host.at("/etc/ha-image"), "ha-20261130\n")
    assert host.run("check", digest) == (0, {"lacks": ["haproxy", "redis"], "image": "ha-20261130"})
    assert (host.folder / "calls").read_text().endswith(" curl haproxy redis\n")
    assert host.version == "v1"
    assert host.set_up == []


def test_a_check_refuses_a_bundle_or_a_release_that_is_not_available(host: Host) -> None:
    host.running("v1")
    code, why = host.run("check", digest_of("missing"))
    assert code == 1
    assert why.startswith(f"bundle {digest_of('missing')[:12]} is not available: cp: ")
    digest = host.upload("v2")
    assert host.run("check", digest, RELEASE) == (1, f"release {RELEASE[:12]} is not available: gone")
    (host.bucket / RELEASE).touch()
    assert host.run("check", digest, RELEASE)[0] == 0
    assert host.calls("ha-release")[-1] == f"ha-release fetch --wait=20 {RELEASE}"


# --- changes of a running host


@pytest.fixture
def changing(host: Host) -> Host:
    """A host that runs v1, where the unit of a change is a process of its own."""
    host.with_units()
    host.running("v1")
    return host


V1 = digest_of("v1")


def test_a_change_is_applied_and_stays_when_it_is_confirmed(changing: Host) -> None:
    new = changing.upload("v2")
    code, state = changing.change(new, replaces=V1, release=OTHER_RELEASE)
    assert (code, state["state"]) == (0, "applied")
    assert (changing.version, changing.release, changing.set_up) == ("v2", OTHER_RELEASE, ["v2"])
    assert changing.confirmed() == V1
    assert changing.run("confirm", new, OTHER_RELEASE) == (0, {"state": "confirmed"})
    changing.until("confirmed")
    runs = {"bundle": new, "release": OTHER_RELEASE}
    replaced = {"bundle": V1, "release": RELEASE}
    assert changing.state.read(changing.state.confirmed) == {**runs, "replaces": replaced}
    assert (changing.version, changing.set_up) == ("v2", ["v2"])
    assert changing.run("close")[0] == 0
    assert changing.state.read(changing.state.confirmed) == {**runs, "replaces": runs}


def test_a_change_runs_in_a_unit_that_settles_when_it_ends_and_is_limited_in_time(changing: Host) -> None:
    changing.setup_s = 180
    changing.change(changing.upload("v2"), replaces=V1, within_s=30)
    (call,) = changing.calls("systemd-run")
    assert " --unit=ha-change " in call
    assert "--property=StandardOutput=journal+console --property=SyslogIdentifier=ha-change" in call
    assert f"/bundles/{V1}/common/usr/local/sbin/ha-bundle settle " in call  # the new one's may be broken
    assert " --property=RuntimeMaxSec=570 " in call  # 30 and three times the limit of a set-up
    assert call.endswith(" /usr/local/sbin/ha-bundle apply")


def test_a_change_that_is_not_confirmed_in_time_goes_back(changing: Host) -> None:
    new = changing.upload("v2", files={"/etc/new": "x"})
    assert changing.change(new, replaces=V1, release=OTHER_RELEASE, within_s=0.2)[1]["state"] == "applied"
    state = changing.until("back")
    assert state["error"] == "it was not confirmed within 0.2 s"
    assert (changing.version, changing.release, changing.set_up) == ("v1", RELEASE, ["v2", "v1"])
    assert not changing.at("/etc/new").exists()
    assert changing.confirmed() == V1
    code, why = changing.run("confirm", new, OTHER_RELEASE)
    assert code == 1
    assert "is not applied here: it was not confirmed within 0.2 s" in why


def test_a_change_whose_set_up_fails_goes_back_with_the_step_and_its_error(changing: Host) -> None:
    code, state = changing.change(changing.upload("v2", step=fails("no such option\n")), replaces=V1)
    assert (code, state["state"]) == (0, "back")
    assert state["error"] == "step 50-test of the set-up failed: no such option"
    assert (changing.version, changing.set_up) == ("v1", ["v2", "v1"])
    # Or systemd would start the failed one again a minute later.
    assert "systemctl stop ha-setup" in changing.calls("systemctl")


def test_a_change_whose_set_up_hangs_goes_back(changing: Host) -> None:
    changing.setup_s = 0.5
    changing.with_units()
    code, state = changing.change(changing.upload("v2", step=HANGS), replaces=V1)
    assert (code, state["state"]) == (0, "back")
    assert "did not end within 0.5 s" in state["error"]
    assert (changing.version, changing.set_up) == ("v1", ["v2", "v1"])


def test_a_change_that_cannot_go_back_says_both_errors(changing: Host) -> None:
    broken = f"[ -e {changing.folder}/broken ] || exit 0; {fails('disk full')}"
    old = changing.running("v1-weak", step=broken)
    (changing.folder / "broken").touch()
    state = changing.change(changing.upload("v2", step=fails("no such option")), replaces=old)[1]
    assert state["state"] == "failed"
    assert "failed: no such option; going back failed: step 50-test of the set-up failed: disk full" in state["error"]


def test_the_set_up_of_a_change_tries_once_and_that_of_a_boot_again(changing: Host) -> None:
    once = changing.root / "run/ha/once"
    seen = f"[ -e $ROOT/run/ha/once ] && touch {changing.folder}/tried-once"
    assert changing.change(changing.upload("v2", step=seen), replaces=V1)[1]["state"] == "applied"
    assert (changing.folder / "tried-once").exists()
    assert not once.exists()
    asked: Path = program("base/files/usr/local/sbin/ha-setup").ONCE
    assert asked == Path("/", once.relative_to(changing.root))


@pytest.mark.parametrize("state", ["applying", "applied"])
def test_a_change_whose_unit_is_killed_goes_back(changing: Host, state: str) -> None:
    new = changing.upload("v2", step=HANGS if state == "applying" else "exit 0")
    with changing.start("change", changing.asked(new, V1)) as change:
        changing.until(state)
        deadline = time.monotonic() + 10
        while changing.version != "v2" and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(int((changing.folder / "unit.pid").read_text()), 9)
        ended = changing.until("back")
        change.communicate(timeout=20)
    assert ended["error"] == "its unit was ended"
    assert (changing.version, changing.set_up[-1], changing.confirmed()) == ("v1", "v1", V1)


def test_a_change_that_is_called_back_is_back_when_the_answer_comes(changing: Host) -> None:
    changing.change(changing.upload("v2"), replaces=V1)
    assert changing.run("back") == (0, {"state": "back", "error": "its unit was ended"})
    assert changing.version == "v1"
    assert changing.run("back") == (0, {"state": "back", "error": "its unit was ended"})
    assert changing.set_up == ["v2", "v1"]


def test_a_change_whose_unit_could_not_settle_is_settled_by_who_calls_it_back(changing: Host) -> None:
    new = changing.fetched("v2")
    changing.state.place(new)
    asked = json.loads(changing.asked(new, V1))
    changing.state.write(changing.state.changing, asked | {"state": "going back", "error": ""})
    assert changing.run("back")[1]["state"] == "back"
    assert changing.version == "v1"


def test_a_host_that_shuts_down_leaves_an_unconfirmed_change_to_its_next_boot(changing: Host) -> None:
    new = changing.upload("v2")
    changing.change(new, replaces=V1)
    (changing.folder / "system").write_text("stopping\n")
    os.kill(int((changing.folder / "unit.pid").read_text()), 15)
    changing.until("applied")
    deadline = time.monotonic() + 10
    while (changing.folder / "unit.pid").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert changing.version == "v2"
    for path in (changing.root / "run/ha").iterdir():  # a reboot
        path.unlink()
    changing.point(V1)
    boots(changing)
    assert changing.version == "v1"


@pytest.mark.parametrize("state", ["applying", "applied", "going back"])
def test_a_second_change_is_refused_until_the_first_is_settled(changing: Host, state: str) -> None:
    first, second = changing.fetched("v2"), changing.upload("v3")
    asked = json.loads(changing.asked(first, V1))
    changing.state.write(changing.state.changing, asked | {"state": state, "error": ""})
    code, why = changing.change(second, replaces=V1)
    assert (code, why) == (1, f"a change to bundle {first[:12]} is not confirmed yet")
    assert changing.calls("systemd-run") == []
    assert changing.state.read(changing.state.changing)["bundle"] == first


def test_a_change_follows_another_one_that_went_back_or_was_confirmed(changing: Host) -> None:
    assert changing.change(changing.upload("v2", step=fails("x")), replaces=V1)[1]["state"] == "back"
    third = changing.upload("v3")
    assert changing.change(third, replaces=V1)[1]["state"] == "applied"
    assert changing.run("confirm", third, RELEASE)[0] == 0
    fourth = changing.upload("v4")
    assert changing.change(fourth, replaces=V1)[1]["state"] == "applied"
    assert changing.run("confirm", fourth, RELEASE)[0] == 0
    assert changing.set_up == ["v2", "v1", "v3", "v4"]


@pytest.mark.parametrize("wanted", [[V1, OTHER_RELEASE], [digest_of("v3"), RELEASE], [digest_of("v2")]])
def test_a_confirmation_of_something_else_than_was_applied_is_refused(changing: Host, wanted: list[str]) -> None:
    changing.change(changing.upload("v2"), replaces=V1)
    code, why = changing.run("confirm", *wanted)
    assert code == 1
    assert f"bundle {wanted[0][:12]} is not applied here" in why
    assert changing.confirmed() == V1
    assert changing.until("applied")


def test_a_confirmation_without_a_change_is_refused_unless_that_runs_already(changing: Host) -> None:
    code, why = changing.run("confirm", digest_of("v2"))
    assert (code, why) == (1, f"bundle {digest_of('v2')[:12]} is not applied here: nothing is")
    assert changing.run("confirm", V1, RELEASE) == (0, {"state": "confirmed"})


def test_a_change_to_what_is_not_available_touches_nothing(changing: Host) -> None:
    code, why = changing.change(digest_of("missing"), replaces=V1)
    assert code == 1
    assert "is not available" in why
    assert (changing.version, changing.set_up) == ("v1", [])
    assert changing.calls("systemd-run") == []
    assert not changing.state.changing.exists()


def test_a_change_whose_unit_cannot_be_started_is_no_change(changing: Host) -> None:
    changing.sandbox.stand_in("systemd-run", "exit 1")
    code, why = changing.change(changing.upload("v2"), replaces=V1)
    assert code == 1
    assert "its unit could not be started" in why
    changing.with_units()
    assert changing.change(changing.upload("v3"), replaces=V1)[1]["state"] == "applied"


def test_files_that_cannot_be_placed_go_back(changing: Host) -> None:
    changing.at("/etc/blocked").write_text("a file where the bundle has a folder")
    code, state = changing.change(changing.upload("v2", files={"/etc/blocked/file": "x"}), replaces=V1)
    assert (code, state["state"]) == (0, "back")
    assert "its files cannot be put in place" in state["error"]
    assert (changing.version, changing.set_up) == ("v1", ["v1"])


def test_old_files_that_cannot_be_placed_again_are_a_failure_and_no_endless_wait(changing: Host) -> None:
    old = changing.running("v1-more", files={"/etc/more/file": "x"})
    blocks = f"rm $ROOT/etc/more/file; rmdir $ROOT/etc/more; touch $ROOT/etc/more; {fails('no such option')}"
    state = changing.change(changing.upload("v2", step=blocks, files={"/etc/more/file": "y"}), replaces=old)[1]
    assert state["state"] == "failed"
    assert "failed: no such option; going back failed: its files cannot be put in place: " in state["error"]
