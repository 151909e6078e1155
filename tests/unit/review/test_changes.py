"""`ha diff`: this checkout against a revision of git."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cost import revision
from review import text
from review.changes import changes_of
from spec.errors import HaError
from spec.project import REPOSITORY
from spec.stack_file import found_stacks
from tests.stacks import STACKS
from tests.unit.cost.small_repository import git

HAPROXY = Path("cloud-init/lb/files/etc/haproxy/haproxy.cfg.j2")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A repository whose one commit is this checkout, as far as it is rendered; the stacks are those of the tests."""
    folder = tmp_path / "repository"
    for name in ("cloud-init", "components", "spec", "review"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in found_stacks(STACKS):
        shutil.copy(STACKS / f"Pulumi.{name}.yaml", folder)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=base")


def replaced(path: Path, old: str, new: str) -> None:
    content = path.read_text(encoding="utf-8")
    assert old in content
    path.write_text(content.replace(old, new), encoding="utf-8")


def test_a_checkout_does_not_differ_from_itself(base: Path) -> None:
    found = changes_of("main", stacks_dir=STACKS, repository=base)
    assert [one.stack for one in found.stacks] == ["dev", "prod"]
    assert not found.base_failed
    assert {host.fate for one in found.stacks for host in one.hosts} == {"nothing"}
    assert all(not (one.tiers or one.settings or one.refused) for one in found.stacks)
    assert "dev: no host changes" in text.changes(found)


def test_a_file_and_a_setting_that_differ_are_told(base: Path) -> None:
    replaced(base / HAPROXY, "timeout client", "timeout  client")
    replaced(base / "Pulumi.dev.yaml", "budget_monthly_usd: 215", "budget_monthly_usd: 200")
    commit(base)
    (dev,) = changes_of("main", ["dev"], stacks_dir=STACKS, repository=base).stacks
    assert [(one.name, one.before, one.after) for one in dev.settings] == [("budget_monthly_usd", "200", "215")]
    (lb,) = dev.tiers
    assert [file.path for file in lb.files] == ["/etc/haproxy/haproxy.cfg"]
    assert [host.name for host in dev.hosts if host.fate != "nothing"] == ["lb1"]
    assert dev.writes_wait_ms is None


def test_what_a_running_estate_refuses_is_said(base: Path) -> None:
    replaced(base / "Pulumi.dev.yaml", "10.20.0.0/16", "10.21.0.0/16")
    commit(base)
    (dev,) = changes_of("main", ["dev"], stacks_dir=STACKS, repository=base).stacks
    assert any(why.startswith("network.cidr cannot change") for why in dev.refused)
    assert {host.fate for host in dev.hosts} == {"replaced"}


@pytest.mark.parametrize("names", [[], ["dev", "prod", "old"]], ids=["all", "named"])
def test_a_new_stack_is_new_and_one_that_is_gone_is_named(names: list[str], base: Path) -> None:
    (base / "Pulumi.prod.yaml").rename(base / "Pulumi.old.yaml")
    commit(base)
    found = changes_of("main", names, stacks_dir=STACKS, repository=base)
    assert [(one.stack, one.new) for one in found.stacks] == [("dev", False), ("prod", True)]
    assert (found.gone, found.unreadable) == (["old"], {})
    assert "prod is new: 9 hosts" in text.changes(found)


def test_a_stack_that_is_gone_or_never_was_is_told_from_one_that_was_not_asked_for(base: Path) -> None:
    shutil.copy(base / "Pulumi.prod.yaml", base / "Pulumi.old.yaml")
    commit(base)
    found = changes_of("main", ["dev", "typo"], stacks_dir=STACKS, repository=base)
    assert found.gone == []
    assert list(found.unreadable) == ["typo"]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda base: (base / "review" / "rendered.py").unlink(), "older than `ha diff`"),
        (lambda base: (base / "spec" / "settings.py").write_text("1 / 0\n"), "ZeroDivisionError"),
        (lambda base: (base / "review" / "rendered.py").write_text("print('{}')"), "another version"),
        (lambda base: replaced(base / "Pulumi.dev.yaml", "budget_monthly_usd", "budget"), "unknown setting"),
    ],
    ids=["older", "crashes", "foreign", "settings"],
)
def test_a_base_that_cannot_be_rendered_leaves_the_head_alone(base: Path, spoil: object, says: str) -> None:
    assert callable(spoil)
    spoil(base)
    commit(base)
    found = changes_of("main", ["dev"], stacks_dir=STACKS, repository=base)
    assert says in found.base_failed
    (dev,) = found.stacks
    assert (dev.compared, dev.hosts, dev.new) == (False, [], False)
    assert "dev is not compared" in text.changes(found)


def test_a_base_that_hangs_is_not_waited_for(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (base / "review" / "rendered.py").write_text("import time; time.sleep(600)")
    commit(base)
    monkeypatch.setattr(revision, "TIMEOUT_S", 1)
    assert changes_of("main", ["dev"], stacks_dir=STACKS, repository=base).base_failed.endswith("did not end in 1 s")


@pytest.mark.parametrize("name", ["s" * 70_000, "../dev", "Dev"])
def test_what_is_no_stack_name_is_refused_before_it_is_a_path(base: Path, name: str) -> None:
    with pytest.raises(HaError, match="not a valid stack name") as refused:
        changes_of("main", [name], stacks_dir=STACKS, repository=base)
    assert refused.value.exit_code == 2
    assert len(str(refused.value)) < 500


def test_a_program_that_differs_is_said_as_its_resources_are_not_compared(base: Path) -> None:
    assert changes_of("main", ["dev"], stacks_dir=STACKS, repository=base).program == ""
    replaced(base / "components" / "host.py", "encrypted=True", "encrypted=False")
    found = changes_of("main", ["dev"], stacks_dir=STACKS, repository=base)
    assert found.program.startswith("1 file of the program changed")
    assert found.program in text.changes(found)


def test_a_revision_that_git_does_not_know_is_refused(base: Path) -> None:
    with pytest.raises(HaError, match="unknown git revision") as refused:
        changes_of("nowhere", stacks_dir=STACKS, repository=base)
    assert refused.value.exit_code == 2


def test_a_head_whose_settings_are_wrong_is_named(base: Path, tmp_path: Path) -> None:
    for name in found_stacks(STACKS):
        shutil.copy(STACKS / f"Pulumi.{name}.yaml", tmp_path)
    replaced(tmp_path / "Pulumi.dev.yaml", "budget_monthly_usd", "budget")
    found = changes_of("main", stacks_dir=tmp_path, repository=base)
    assert list(found.unreadable) == ["dev"]
    assert [one.stack for one in found.stacks] == ["prod"]


def test_what_would_change_a_terminal_is_not_printed(base: Path) -> None:
    replaced(base / HAPROXY, "timeout client", "timeout\x1b[31m client")
    commit(base)
    found = changes_of("main", ["dev"], stacks_dir=STACKS, repository=base)
    assert "\x1b" in found.stacks[0].tiers[0].files[0].diff
    assert "\x1b" not in text.changes(found)
    assert "timeout client" in text.changes(found)


def test_sources_of_the_application_may_mean_another_release(base: Path) -> None:
    (base / "app" / "src").mkdir(parents=True)
    (base / "app" / "test").mkdir()
    (base / "app" / "src" / "main.ts").write_text("1\n")
    (base / "app" / "test" / "main.ts").write_text("1\n")
    commit(base)
    (base / "app" / "test" / "main.ts").write_text("2\n")
    assert changes_of("main", ["dev"], stacks_dir=STACKS, repository=base).release == ""
    (base / "app" / "src" / "new.ts").write_text("2\n")  # not known to git yet
    found = changes_of("main", ["dev"], stacks_dir=STACKS, repository=base)
    assert found.release.startswith("1 file of app/ changed")
    apps = [host for host in found.stacks[0].hosts if host.tier == "app"]
    assert [[one.certain for one in host.actions] for host in apps] == [[False], [False]]
