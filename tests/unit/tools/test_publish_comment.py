"""tools/publish-comment against a stand-in for GitHub's API on this machine."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import cli.main
from cost.diff import Diff
from cost.stack_diff import ESTIMATOR
from review.comment import MARKER
from spec.project import REPOSITORY
from tests.unit.review.samples import changes, preview, step
from tests.unit.review.samples import cost as sample

SCRIPT = REPOSITORY / "tools" / "publish-comment"
SHA = "a" * 40
OTHER_SHA = "b" * 40
STACKS_JOB = {"name": "Stacks", "conclusion": "success"}
OURS = "github-actions[bot]"


@dataclass
class Github:
    """What the repository has, and what was asked of it."""

    pulls: list[dict[str, Any]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=lambda: [STACKS_JOB])
    files: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)
    """The newest first."""
    asked: list[str] = field(default_factory=list)
    refusals: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """Statuses and headers with which the next writes are answered."""
    files_refused: bool = False
    longest: int = 65_536
    """What a comment may have, in characters."""
    port: int = 0


@pytest.fixture
def github() -> Iterator[Github]:
    state = Github()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def _refused(self, body: str) -> bool:
            if state.refusals:
                status, headers = state.refusals.pop(0)
                self._answer({}, status, headers)
                return True
            if len(body) > state.longest:
                self._answer({"message": "Validation Failed"}, 422)
                return True
            return False

        def _body(self) -> str:
            length = int(self.headers["Content-Length"])
            return str(json.loads(self.rfile.read(length))["body"])

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            state.asked.append(f"GET {url.path}")
            if self.headers["Authorization"] != "Bearer token-for-tests":
                self._answer({}, 401)
                return
            query = parse_qs(url.query)
            page = int(query["page"][0])
            begin, end = (page - 1) * 100, page * 100
            if url.path == "/repos/o/r/pulls":
                assert query["state"] == ["open"]
                found = [p for p in state.pulls if p["state"] == "open" and p["head"]["label"] == query["head"][0]]
                self._answer(found[begin:end])
            elif url.path == "/repos/o/r/actions/runs/99/jobs":
                self._answer({"total_count": len(state.jobs), "jobs": state.jobs[begin:end]})
            elif url.path == "/repos/o/r/actions/workflows/pull-request.yml/runs":
                assert (query["event"], query["branch"]) == (["pull_request"], ["change"])
                self._answer({"total_count": len(state.runs), "workflow_runs": state.runs[begin:end]})
            elif url.path == "/repos/o/r/pulls/7/files" and state.files_refused:
                self._answer({}, 500)
            elif url.path.startswith("/repos/o/r/pulls/") and url.path.endswith("/files"):
                self._answer(state.files[begin:end])
            elif url.path == "/repos/o/r/issues/7/events":
                self._answer(state.events[begin:end])
            else:
                number = int(url.path.split("/")[-2])
                self._answer([c for c in state.comments if c["on"] == number][begin:end])

        def do_POST(self) -> None:
            body = self._body()
            if self._refused(body):
                return
            state.asked.append(f"POST {self.path}")
            number = int(self.path.split("/")[-2])
            comment = {"id": 1000 + len(state.comments), "user": {"login": OURS}, "body": body, "on": number}
            state.comments.append(comment)
            self._answer(comment, 201)

        def do_PATCH(self) -> None:
            body = self._body()
            if self._refused(body):
                return
            state.asked.append(f"PATCH {self.path}")
            (comment,) = [c for c in state.comments if str(c["id"]) == self.path.rpartition("/")[2]]
            comment["body"] = body
            self._answer(comment)

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


def pull(
    number: int, sha: str = SHA, owner: str = "o", branch: str = "change", *labels: str, state: str = "open"
) -> dict[str, Any]:
    named = [{"name": label} for label in labels]
    return {"number": number, "state": state, "head": {"sha": sha, "label": f"{owner}:{branch}"}, "labels": named}


def preview_job(stack: str, conclusion: str = "success") -> dict[str, Any]:
    return {"name": f"Preview of {stack}", "conclusion": conclusion}


def labeled(at: str, label: str = "cost-approved", event: str = "labeled") -> dict[str, Any]:
    return {"event": event, "label": {"name": label}, "created_at": f"2026-01-01T{at}:00Z"}


def run_of(sha: str, at: str, repository: int = 1) -> dict[str, Any]:
    return {"head_sha": sha, "head_repository": {"id": repository}, "created_at": f"2026-01-01T{at}:00Z"}


def handed(folder: Path, diff: Diff | None, previews: dict[str, str] | None = None) -> Path:
    """What a run uploaded, in the folder that its artifacts are put into."""
    folder.mkdir(parents=True)
    (folder / "changes.json").write_text(changes().model_dump_json())
    if diff:
        (folder / "cost.json").write_text(diff.model_dump_json())
    for stack, text in (previews or {}).items():
        (folder / f"preview-{stack}.json").write_text(text)
    return folder


CREATES = json.dumps(preview([step("create", "aws:ec2/instance:Instance", "app3", new={})]))


Publish = Callable[..., str]


@pytest.fixture
def script() -> Any:
    loader = SourceFileLoader("publish_comment", str(SCRIPT))
    loaded: Any = module_from_spec(spec_from_loader(loader.name, loader))  # type: ignore[arg-type]
    loader.exec_module(loaded)
    return loaded


@pytest.fixture
def publish(
    github: Github, script: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Publish:
    """Runs the script in this process, and `ha diff comment` too; returns its messages. Nothing is waited for."""

    def ha_diff_comment(*options: str) -> subprocess.CompletedProcess[str]:
        output = io.StringIO()
        monkeypatch.setattr(sys, "argv", ["ha", "diff", "comment", *options])
        with redirect_stdout(output), pytest.raises(SystemExit) as ended:
            cli.main.main()
        return subprocess.CompletedProcess(options, int(ended.value.code or 0), output.getvalue())

    monkeypatch.setattr(script, "ha_diff_comment", ha_diff_comment)

    monkeypatch.setattr(script.time, "sleep", lambda seconds: None)

    def run(folder: Path, owner: str | None = "o", exit_code: int = 0, **of_run: Any) -> str:
        for name, value in environment(github, folder, owner, **of_run).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(folder)])
        assert script.main() == exit_code
        return capsys.readouterr().err

    return run


def environment(github: Github, folder: Path, owner: str | None, **of_run: Any) -> dict[str, str]:
    """:param owner: of the repository that the change is in; None when that is gone."""
    run = {
        "id": 99,
        "run_number": 12,
        "run_attempt": 1,
        "conclusion": "success",
        "display_title": "Pull request #7",
        "html_url": "https://github.com/o/r/actions/runs/99",
        "head_sha": SHA,
        "head_branch": "change",
        "head_repository": owner and {"id": 1, "owner": {"login": owner}, "full_name": f"{owner}/r"},
        **of_run,
    }
    path = folder.parent / "event.json"
    path.write_text(json.dumps({"repository": {"full_name": "o/r"}, "workflow_run": run}))
    return {
        "GITHUB_EVENT_PATH": str(path),
        "GITHUB_TOKEN": "token-for-tests",
        "GITHUB_API_URL": f"http://127.0.0.1:{github.port}",
        "GITHUB_STEP_SUMMARY": str(folder.parent / "summary.md"),
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_RUN_ID": "100",
    }


def test_as_a_program_it_gives_the_token_to_no_other(github: Github, tmp_path: Path) -> None:
    """A copy in a checkout whose `ha` also tells what it is given."""
    github.pulls = [pull(7)]
    script, ha = tmp_path / "tools" / SCRIPT.name, tmp_path / ".venv" / "bin" / "ha"
    script.parent.mkdir()
    shutil.copy(SCRIPT, script)
    ha.parent.mkdir(parents=True)
    run_ha = f"cd {REPOSITORY} && exec {sys.executable} -c 'from cli.main import main; main()'"
    ha.write_text(f'#!/bin/sh\nenv > {tmp_path}/given\n{run_ha} "$@"\n')
    ha.chmod(0o755)
    folder = handed(tmp_path / "handed", sample())
    ran = subprocess.run(
        [sys.executable, script, folder],
        env={"PATH": os.environ["PATH"], **environment(github, folder, "o")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "$178.50" in github.comments[0]["body"]
    assert "token-for-tests" not in (tmp_path / "given").read_text()


def test_one_comment_is_written_and_then_updated_in_place(github: Github, publish: Publish, tmp_path: Path) -> None:
    github.pulls = [pull(6, sha="b" * 40), pull(7)]
    github.comments = [
        {"id": n, "user": {"login": "somebody"}, "body": f"{MARKER} not ours", "on": 7} for n in range(150)
    ]
    github.jobs = [{"name": "Stacks", "conclusion": "success"}, preview_job("dev"), preview_job("prod", "failure")]
    folder = handed(tmp_path / "handed", sample(), {"dev": CREATES})
    assert publish(folder) == "pull request 7: comment created\n"
    assert len(github.comments) == 151
    body = github.comments[-1]["body"]
    assert body.startswith("<!-- ha: pull request, run 12.1 -->")
    assert "$178.50" in body
    assert "+ created app3" in body
    assert "There is no preview of prod to show" in body
    assert f"For commit {SHA[:12]}, by [run 12](https://github.com/o/r/actions/runs/99)." in body
    assert "+ created app3" in (tmp_path / "summary.md").read_text()
    assert publish(handed(tmp_path / "again", None)) == "pull request 7: comment updated\n"
    assert len(github.comments) == 151
    assert "There is no estimate" in github.comments[-1]["body"]
    assert [a for a in github.asked if not a.startswith("GET")] == [
        "POST /repos/o/r/issues/7/comments",
        "PATCH /repos/o/r/issues/comments/1150",
    ]


@pytest.mark.parametrize("there", [pull(7, sha="b" * 40), pull(7, state="closed")], ids=["moved on", "closed"])
def test_a_pull_request_that_is_past_is_left_alone(
    there: dict[str, Any], github: Github, publish: Publish, tmp_path: Path
) -> None:
    github.pulls = [there]
    assert "no comment is needed" in publish(handed(tmp_path / "handed", sample()))
    assert github.comments == []


def test_two_pull_requests_with_one_head_are_told_apart(github: Github, publish: Publish, tmp_path: Path) -> None:
    github.pulls = [pull(7), pull(8)]
    publish(handed(tmp_path / "handed", sample()), display_title="Pull request #8")
    assert [c["on"] for c in github.comments] == [8]
    publish(handed(tmp_path / "again", sample()), display_title="Pull request #9")  # not with this head
    assert [c["on"] for c in github.comments] == [8, 7]


def test_a_later_runs_comment_is_not_overwritten(github: Github, publish: Publish, tmp_path: Path) -> None:
    github.pulls = [pull(7)]
    publish(handed(tmp_path / "handed", sample()), run_number=13)
    body = github.comments[0]["body"]
    told = publish(handed(tmp_path / "again", None), run_number=12, run_attempt=9, conclusion="cancelled")
    assert "a later run has written its comment" in told
    assert github.comments[0]["body"] == body
    publish(handed(tmp_path / "more", None), run_number=13, run_attempt=2)
    assert github.comments[0]["body"] != body


@pytest.mark.parametrize("conclusion", ["cancelled", "startup_failure", "action_required"])
def test_after_a_run_that_did_not_end_an_older_comment_does_not_stay(
    conclusion: str, github: Github, publish: Publish, tmp_path: Path
) -> None:
    github.pulls = [pull(7)]
    publish(handed(tmp_path / "handed", sample()))
    assert "✅" in github.comments[0]["body"]
    publish(handed(tmp_path / "again", sample()), run_number=13, conclusion=conclusion)
    body = github.comments[0]["body"]
    assert "❌ **Nothing is known about this change: the run did not come to its end" in body
    assert "✅" not in body


APPROVALS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], bool]] = {
    "given after the push": ([labeled("10:05")], [run_of(SHA, "10:05"), run_of(SHA, "10:00")], True),
    "given again after another push": (
        [labeled("09:00"), labeled("10:05")],
        [run_of(SHA, "10:00"), run_of(OTHER_SHA, "08:00")],
        True,
    ),
    "of a commit before": (
        [labeled("09:00")],
        [run_of(SHA, "10:00"), run_of(OTHER_SHA, "09:00"), run_of(OTHER_SHA, "08:00")],
        False,
    ),
    "of the commit between": (
        [labeled("09:00")],
        [run_of(SHA, "10:00"), run_of(OTHER_SHA, "08:00"), run_of(SHA, "07:00")],
        False,
    ),
    "in the second of the push": ([labeled("10:00")], [run_of(SHA, "10:00")], False),
    "with a branch of that name in another repository": (
        [labeled("10:05")],
        [run_of(OTHER_SHA, "11:00", repository=2), run_of(SHA, "10:00")],
        True,
    ),
    "another label": ([labeled("10:05", "bug")], [run_of(SHA, "10:00")], False),
    "taken away last": ([labeled("10:05", event="unlabeled")], [run_of(SHA, "10:00")], False),
    "of a run that is not listed": ([labeled("10:05")], [], False),
    "after many events": (
        [*[labeled("09:00", "bug")] * 150, labeled("10:05")],
        [*[run_of(SHA, "10:02")] * 120, run_of(SHA, "10:00")],
        True,
    ),
}


@pytest.mark.parametrize(("events", "runs", "counts"), APPROVALS.values(), ids=APPROVALS)
def test_a_push_takes_the_approval_back(
    events: list[dict[str, Any]],
    runs: list[dict[str, Any]],
    counts: bool,
    github: Github,
    publish: Publish,
    tmp_path: Path,
) -> None:
    github.pulls = [pull(7, SHA, "o", "change", "cost-approved")]
    github.files, github.events, github.runs = [{"filename": "cost/usage.yaml"}], events, runs
    publish(handed(tmp_path / "handed", sample()))
    body = github.comments[0]["body"]
    assert ("✅ Approved with the label cost-approved" in body) == counts
    assert ("❌ A person has to agree" in body) == (not counts)


def test_without_the_label_nothing_is_approved(github: Github, publish: Publish, tmp_path: Path) -> None:
    github.pulls = [pull(7)]
    github.files = [{"filename": "cost/usage.yaml"}]
    github.events, github.runs = [labeled("10:05")], [run_of(SHA, "10:00")]
    publish(handed(tmp_path / "handed", sample()))
    assert "❌ A person has to agree" in github.comments[0]["body"]


def test_which_files_the_change_edits_is_asked_of_github(github: Github, publish: Publish, tmp_path: Path) -> None:
    github.pulls = [pull(7)]
    others = [{"filename": f"app/{n}.ts"} for n in range(150)]
    moved = {"filename": "app/usage.yaml", "previous_filename": "cost/usage.yaml"}
    github.files = [*others, {"filename": "costs.md"}, {"filename": "tools/publish-comment"}, moved]
    publish(handed(tmp_path / "handed", sample()))
    reason = "it changes how costs are estimated or shown (2 files): cost/usage.yaml, tools/publish-comment\n"
    assert f"label cost-approved: {reason}" in github.comments[0]["body"]
    publish(handed(tmp_path / "again", None))  # no estimate at all
    assert reason in github.comments[0]["body"]
    publish(handed(tmp_path / "more", sample().model_copy(update={"edited": ["cost/a" * 300]})))
    assert reason in github.comments[0]["body"]  # what the run says cannot push it out of sight


def test_a_change_of_more_files_than_github_lists_needs_a_person(
    github: Github, publish: Publish, tmp_path: Path
) -> None:
    github.pulls = [pull(7)]
    github.files = [{"filename": f"app/{n}.ts"} for n in range(3000)]
    publish(handed(tmp_path / "handed", sample()))
    assert "estimated or shown: perhaps others, as GitHub lists only the first 3000 files" in github.comments[0]["body"]
    github.files = [{"filename": f"cost/{n:02}"} for n in range(50)]
    publish(handed(tmp_path / "again", sample()))
    assert "(50 files): cost/00, cost/01" in github.comments[0]["body"]


def test_the_lists_of_what_vouches_are_the_same(script: Any) -> None:
    assert script.ESTIMATOR == ESTIMATOR


@pytest.mark.parametrize("jobs", [[], [{"name": "Stacks", "conclusion": "failure"}]], ids=["none", "failed"])
def test_previews_that_no_job_listed_are_missing(
    jobs: list[dict[str, Any]], github: Github, publish: Publish, tmp_path: Path
) -> None:
    github.pulls, github.jobs = [pull(7)], [*jobs, preview_job("dev", "skipped")]
    publish(handed(tmp_path / "handed", sample()))
    assert "❌ There is no preview: the job that lists the stacks did not succeed" in github.comments[0]["body"]
    github.pulls = [pull(7, owner="stranger")]
    publish(handed(tmp_path / "fork", sample()), owner="stranger")
    assert "There is no preview" not in github.comments[0]["body"]


def test_when_github_does_not_answer_an_older_comment_does_not_stay(
    github: Github, publish: Publish, tmp_path: Path
) -> None:
    github.pulls = [pull(7)]
    publish(handed(tmp_path / "before", sample()))
    github.files_refused = True
    assert "a short comment says so" in publish(handed(tmp_path / "handed", sample()), exit_code=1)
    assert "❌ **Nothing is known about this change" in github.comments[0]["body"]


def test_without_its_environment_it_says_that_nothing_is_known(github: Github, tmp_path: Path) -> None:
    """A copy in a checkout that is not set up, in a Python with no package at all."""
    github.pulls = [pull(7)]
    script = tmp_path / "tools" / SCRIPT.name
    script.parent.mkdir()
    shutil.copy(SCRIPT, script)
    folder = handed(tmp_path / "handed", sample())
    ran = subprocess.run(
        [sys.executable, "-I", "-S", script, folder],
        env=environment(github, folder, "o"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "`ha diff comment` did not run" in ran.stderr
    assert "❌ **Nothing is known about this change: its comment could not be made" in github.comments[0]["body"]


def test_a_forks_estimate_says_so(github: Github, publish: Publish, tmp_path: Path) -> None:
    github.pulls = [pull(7, owner="stranger")]
    github.jobs = [preview_job("prod")]
    folder = handed(tmp_path / "handed", sample(), {"prod": CREATES})
    publish(folder, owner="stranger")
    assert "This comes from a fork" in github.comments[0]["body"]
    assert "app3," not in github.comments[0]["body"]  # it has no credentials to preview anything with


def test_a_fork_that_is_gone_is_left_alone(github: Github, publish: Publish, tmp_path: Path) -> None:
    publish(handed(tmp_path / "handed", sample()), owner=None)
    assert github.comments == []


def test_what_is_handed_over_chooses_nothing(github: Github, publish: Publish, tmp_path: Path) -> None:
    """Links are not followed, and what GitHub knows no job of is not read."""
    github.pulls = [pull(7)]
    github.jobs = [preview_job("dev"), preview_job("--help"), preview_job("test", "skipped")]
    secret = tmp_path / "secret.json"
    secret.write_text(CREATES)
    folder = handed(tmp_path / "handed", sample(), {"odd": CREATES, "test": CREATES})
    (folder / "preview-dev.json").symlink_to(secret)
    publish(folder)
    assert "app3," not in github.comments[0]["body"]
    assert "There is no preview of dev to show" in github.comments[0]["body"]


@pytest.mark.parametrize("content", ["", '{"base": "x"}', "[" * 100_000], ids=["of a refused run", "no diff", "nested"])
def test_an_estimate_that_cannot_be_read_is_none_and_an_older_comment_does_not_stay(
    content: str, github: Github, publish: Publish, tmp_path: Path
) -> None:
    github.pulls = [pull(7)]
    github.jobs = [preview_job("dev")]
    publish(handed(tmp_path / "before", sample(), {"dev": CREATES}))
    assert "✅" in github.comments[0]["body"]
    folder = handed(tmp_path / "handed", None, {"dev": CREATES})
    (folder / "cost.json").write_text(content)
    assert "cost.json is not what `ha cost diff --json` prints" in publish(folder)
    (comment,) = github.comments
    assert "There is no estimate" in comment["body"]
    assert "left of the budget" not in comment["body"]
    assert "+ created app3" in comment["body"]


def test_a_comment_that_github_refuses_becomes_a_short_one(github: Github, publish: Publish, tmp_path: Path) -> None:
    github.pulls = [pull(7)]
    publish(handed(tmp_path / "before", sample()))
    github.longest = 500
    told = publish(handed(tmp_path / "handed", sample()), exit_code=1)
    assert "error: GitHub refused the comment" in told
    body = github.comments[0]["body"]
    assert "it is in [the summary of the run](https://github.com/o/r/actions/runs/100)" in body
    assert "✅" not in body


def test_a_rate_limit_is_waited_for(github: Github, publish: Publish, tmp_path: Path) -> None:
    github.pulls = [pull(7)]
    reset = str(int(time.time()) + 50)
    github.refusals = [
        (403, {"Retry-After": "30"}),
        (429, {}),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}),
    ]
    told = publish(handed(tmp_path / "handed", sample()))
    assert "waiting 30 s" in told
    assert "waiting 60 s" in told
    assert told.endswith("pull request 7: comment created\n")
    github.refusals = [(429, {"Retry-After": "200"})] * 2
    told = publish(handed(tmp_path / "again", sample()), exit_code=1)
    assert "error: GitHub's rate limit asks to wait 200 s; run this job again later" in told


def test_what_github_refuses_is_told(github: Github, publish: Publish, tmp_path: Path) -> None:
    github.pulls = [pull(7)]
    github.refusals = [(403, {})]
    told = publish(handed(tmp_path / "handed", sample()), exit_code=1)
    assert "the comment cannot be written: HTTP Error 403" in told
    assert "`pull-requests: write`" in told


def test_it_wants_a_folder() -> None:
    ran = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "tools/publish-comment FOLDER" in ran.stderr
