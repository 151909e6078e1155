"""Another revision's own program runs, in a folder of its own, and nothing of it is left behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

import cost.revision
from cost.revision import ProgramRun, checked_out
from spec.errors import HaError
from spec.project import REPOSITORY
from spec.stack_file import load_settings
from tests.unit.cost.small_repository import git


def leftovers() -> set[str]:
    return {p.name for p in Path(tempfile.gettempdir()).glob("ha-revision-*")}


def test_the_program_of_a_revision_runs_with_its_own_components(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own := tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(own))  # other tests check revisions out at the same time
    (repository / "components" / "shape.py").write_text("GATEWAYS = 9\n")  # not committed: not that revision's
    before = leftovers()
    with checked_out(repository, "main") as revision:
        run = ProgramRun(revision, "dev")
        found = run.declared()
        assert revision.commit == git(repository, "rev-parse", "HEAD")
        assert not (revision.folder / ".git").exists()
    assert [(d.component, d.name) for d in found] == [("", "db"), ("network", "nat0"), ("network", "nat1")]
    assert leftovers() == before
    assert git(repository, "worktree", "list").count("\n") == 0


@pytest.mark.parametrize("name", ["nonsense", "HEAD:__main__.py", "--all", "", "main main"])
def test_a_revision_that_git_does_not_know_is_exit_2(name: str, repository: Path) -> None:
    with pytest.raises(HaError) as refused, checked_out(repository, name):
        pass
    assert refused.value.exit_code == 2
    assert "unknown git revision" in refused.value.what


def test_a_revision_with_a_link_out_of_its_folder_is_exit_2(repository: Path) -> None:
    (repository / "link").symlink_to("/etc")
    git(repository, "add", "link")
    git(repository, "commit", "--quiet", "--message=link")
    before = leftovers()
    with pytest.raises(HaError) as refused, checked_out(repository, "HEAD"):
        pass
    assert refused.value.exit_code == 2
    assert "cannot be unpacked" in refused.value.what
    assert leftovers() == before


def test_a_program_that_does_not_run_is_named_with_its_last_error(repository: Path) -> None:
    (repository / "__main__.py").write_text("raise ValueError('broken since Tuesday')\n")
    git(repository, "commit", "--quiet", "--all", "--message=broken")
    with checked_out(repository, "HEAD") as revision, pytest.raises(HaError) as refused:
        ProgramRun(revision, "dev").declared()
    assert refused.value.exit_code == 2
    assert "broken since Tuesday" in refused.value.what


def test_a_program_that_refuses_its_settings_is_reported_with_all_that_it_refuses(repository: Path) -> None:
    refusal = r"import pulumi; raise pulumi.RunError('1 setting is refused\n  - cache.count: 7\n  do:    fix it')"
    (repository / "__main__.py").write_text(f"{refusal}\n")
    git(repository, "commit", "--quiet", "--all", "--message=refused")
    with checked_out(repository, "HEAD") as revision, pytest.raises(HaError) as refused:
        ProgramRun(revision, "dev").declared()
    words = "failed: 1 setting is refused\n  - cache.count: 7\n  do:    fix it"
    assert refused.value.what.endswith(words)


def test_a_program_that_hangs_is_not_waited_for(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "__main__.py").write_text("import time; time.sleep(600)\n")
    git(repository, "commit", "--quiet", "--all", "--message=hangs")
    monkeypatch.setattr(cost.revision, "TIMEOUT_S", 1)
    with checked_out(repository, "HEAD") as revision:
        run = ProgramRun(revision, "dev")
        try:
            with pytest.raises(HaError, match="did not end in 1 s"):
                run.declared()
        finally:
            run.stop()


def test_this_repositorys_own_program_runs_as_another_revision_without_a_release() -> None:
    with checked_out(REPOSITORY, "HEAD") as revision:
        assert not (revision.folder / "app" / "build").exists()
        hosts = {plan.name for plan in load_settings(revision.folder, "dev").plan_hosts()}
        found = ProgramRun(revision, "dev").declared()
    assert hosts <= {d.name for d in found}
