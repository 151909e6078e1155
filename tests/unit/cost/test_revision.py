"""A change against another revision: its own program runs, in a folder of its own, and nothing of it stays."""

from __future__ import annotations

import subprocess
import tempfile
from decimal import Decimal
from pathlib import Path

import pytest

from cost import change
from cost.program import with_release
from cost.revision import Run, checked_out
from spec.errors import HaError
from spec.project import REPOSITORY
from spec.release import find_release
from spec.stack_file import load_settings

# A program of its own: it shares nothing with this checkout's but the project's name.
PROGRAM = """
import pulumi, pulumi_aws as aws
from components import shape

class Network(pulumi.ComponentResource):
    def __init__(self):
        super().__init__("ha:network:Network", "network", None, None)
        for n in range(shape.GATEWAYS):
            aws.ec2.NatGateway(f"nat{n}", subnet_id="s", opts=pulumi.ResourceOptions(parent=self))

Network()
"""
STACK = """
config:
  aws:region: us-east-1
  ha:settings: {application: {release: app/build/a.tar.gz}}
"""


def git(folder: Path, *arguments: str) -> str:
    author = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", "-C", str(folder), *author, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    (folder / "components").mkdir(parents=True)
    (folder / "components" / "__init__.py").touch()
    (folder / "components" / "shape.py").write_text("GATEWAYS = 2\n")
    (folder / "__main__.py").write_text(PROGRAM)
    (folder / "Pulumi.dev.yaml").write_text(STACK)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message=first")
    return folder


def leftovers() -> set[str]:
    return {p.name for p in Path(tempfile.gettempdir()).glob("ha-revision-*")}


def test_the_program_of_a_revision_runs_with_its_own_components(repository: Path) -> None:
    (repository / "components" / "shape.py").write_text("GATEWAYS = 9\n")  # not committed: not that revision's
    before = leftovers()
    with checked_out(repository, "main") as revision:
        run = Run(revision, "dev")
        found = run.declared()
        assert revision.commit == git(repository, "rev-parse", "HEAD")
        assert not (revision.folder / ".git").exists()
    assert [(d.component, d.name) for d in found] == [("network", "nat0"), ("network", "nat1")]
    assert leftovers() == before
    assert git(repository, "worktree", "list").count("\n") == 0


@pytest.mark.parametrize("name", ["nonsense", "HEAD:__main__.py", "--all", "", "main main"])
def test_a_revision_that_git_does_not_know_is_exit_2(name: str, repository: Path) -> None:
    with pytest.raises(HaError) as refused, checked_out(repository, name):
        pass
    assert refused.value.exit_code == 2
    assert "git knows no revision" in refused.value.what


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


def test_what_a_program_prints_is_no_part_of_what_it_declares(repository: Path) -> None:
    (repository / "__main__.py").write_text(f"print('hello')\n{PROGRAM}")
    git(repository, "commit", "--quiet", "--all", "--message=talkative")
    with checked_out(repository, "HEAD") as revision:
        assert [d.name for d in Run(revision, "dev").declared()] == ["nat0", "nat1"]


def test_a_program_that_does_not_run_is_told_with_its_last_words(repository: Path) -> None:
    (repository / "__main__.py").write_text("raise ValueError('broken since Tuesday')\n")
    git(repository, "commit", "--quiet", "--all", "--message=broken")
    with checked_out(repository, "HEAD") as revision, pytest.raises(HaError) as refused:
        Run(revision, "dev").declared()
    assert refused.value.exit_code == 2
    assert "broken since Tuesday" in refused.value.what


def test_a_program_that_refuses_its_settings_is_told_with_all_that_it_refuses(repository: Path) -> None:
    refusal = r"import pulumi; raise pulumi.RunError('1 setting is refused\n  - cache.count: 7\n  do:    mend it')"
    (repository / "__main__.py").write_text(f"{refusal}\n")
    git(repository, "commit", "--quiet", "--all", "--message=refused")
    with checked_out(repository, "HEAD") as revision, pytest.raises(HaError) as refused:
        Run(revision, "dev").declared()
    words = "does not run: 1 setting is refused\n  - cache.count: 7\n  do:    mend it"
    assert refused.value.what.endswith(words)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_this_repositorys_own_program_runs_as_another_revision_without_a_release(stack: str) -> None:
    with checked_out(REPOSITORY, "HEAD") as revision:
        assert not (revision.folder / "app" / "build").exists()
        found = Run(revision, stack).declared()
    assert {"app1", "app2", "db1", "db2", "lb1", "monitor1"} <= {d.name for d in found}


def test_the_stand_in_for_a_release_is_one_and_the_same_each_time(tmp_path: Path) -> None:
    settings = load_settings(REPOSITORY, "dev")
    (tmp_path / "__main__.py").touch()
    digests = set()
    for _ in range(2):
        with with_release(tmp_path, settings.application.release) as view:
            assert view != tmp_path
            digests.add(find_release(settings, view, source="Pulumi.dev.yaml").sha256)
    assert len(digests) == 1


def test_the_difference_to_a_revision_is_the_difference_of_the_totals(repository: Path) -> None:
    diff, reports = change.of_stacks(["dev"], "main", (), repository=repository)
    (found,) = diff.stacks
    assert found.before_usd == Decimal("65.70")  # 2 x 730 x 0.045
    assert found.after_usd == reports[0].monthly_usd == Decimal("178.5009")
    assert found.difference_usd == Decimal("112.8009")
    assert {line.change for line in found.lines if line.resource in ("nat0", "nat1")} == {"removed"}


def test_a_stack_that_the_revision_lacks_is_new(repository: Path) -> None:
    diff, _ = change.of_stacks(["prod"], "main", (), repository=repository)
    assert diff.stacks[0].before_usd is None


def test_what_could_not_be_priced_before_is_told_and_is_no_failure_of_the_change(repository: Path) -> None:
    program = PROGRAM + '\naws.rds.Instance("db", instance_class="db.t3.small")\n'
    (repository / "__main__.py").write_text(program)
    git(repository, "commit", "--quiet", "--all", "--message=database")
    diff, _ = change.of_stacks(["dev"], "HEAD", (), repository=repository)
    assert [u.type for u in diff.stacks[0].before_unpriced] == ["aws:rds/instance:Instance"]
    assert diff.stacks[0].unpriced == []
