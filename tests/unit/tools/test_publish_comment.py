"""tools/publish-comment against a stand-in for GitHub's API on this machine."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import threading
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
from cost import markdown
from cost.diff import Diff
from spec.project import REPOSITORY
from tests.unit.cost.test_markdown import sample

SCRIPT = REPOSITORY / "tools" / "publish-comment"
SHA = "a" * 40


@dataclass
class Github:
    """What the repository has, and what was asked of it."""

    pulls: list[dict[str, Any]] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    refuses: bool = False
    port: int = 0


@pytest.fixture
def github() -> Iterator[Github]:
    state = Github()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self, body: Any, status: int = 200) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

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
            if url.path == "/repos/o/r/pulls":
                found = [p for p in state.pulls if p["head"]["label"] == query["head"][0]]
            else:
                found = state.comments
            self._answer(found[(page - 1) * 100 : page * 100])

        def do_POST(self) -> None:
            if state.refuses:
                self._answer({}, 403)
                return
            state.asked.append(f"POST {self.path}")
            comment = {"id": 1000 + len(state.comments), "user": {"login": "github-actions[bot]"}, "body": self._body()}
            state.comments.append(comment)
            self._answer(comment, 201)

        def do_PATCH(self) -> None:
            state.asked.append(f"PATCH {self.path}")
            (comment,) = [c for c in state.comments if str(c["id"]) == self.path.rpartition("/")[2]]
            comment["body"] = self._body()
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


def pull(number: int, sha: str = SHA, owner: str = "o", branch: str = "change") -> dict[str, Any]:
    return {"number": number, "head": {"sha": sha, "label": f"{owner}:{branch}"}}


def handed(folder: Path, diff: Diff | None, previews: dict[str, str] | None = None) -> Path:
    (folder / "cost").mkdir(parents=True)
    if diff:
        (folder / "cost" / "cost.json").write_text(diff.model_dump_json())
    for name, text in (previews or {}).items():
        (folder / name).mkdir()
        (folder / name / "preview.txt").write_text(text)
    return folder


Publish = Callable[..., str]


@pytest.fixture
def publish(github: Github, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Publish:
    """Runs the script in this process, and `ha cost comment` too; returns its messages."""
    loader = SourceFileLoader("publish_comment", str(SCRIPT))
    script: Any = module_from_spec(spec_from_loader(loader.name, loader))  # type: ignore[arg-type]
    loader.exec_module(script)

    def ha_cost_comment(*options: str) -> subprocess.CompletedProcess[str]:
        output = io.StringIO()
        monkeypatch.setattr(sys, "argv", ["ha", "cost", "comment", *options])
        with redirect_stdout(output), pytest.raises(SystemExit) as ended:
            cli.main.main()
        return subprocess.CompletedProcess(options, int(ended.value.code or 0), output.getvalue())

    monkeypatch.setattr(script, "ha_cost_comment", ha_cost_comment)

    def run(folder: Path, owner: str | None = "o", exit_code: int = 0) -> str:
        for name, value in environment(github, folder, owner).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(folder)])
        assert script.main() == exit_code
        return capsys.readouterr().err

    return run


def environment(github: Github, folder: Path, owner: str | None) -> dict[str, str]:
    """:param owner: of the repository that the change is in; None when that is gone."""
    event = {
        "repository": {"full_name": "o/r"},
        "workflow_run": {
            "head_sha": SHA,
            "head_branch": "change",
            "head_repository": owner and {"owner": {"login": owner}, "full_name": f"{owner}/r"},
        },
    }
    path = folder.parent / "event.json"
    path.write_text(json.dumps(event))
    return {
        "GITHUB_EVENT_PATH": str(path),
        "GITHUB_TOKEN": "token-for-tests",
        "GITHUB_API_URL": f"http://127.0.0.1:{github.port}",
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
        {"id": n, "user": {"login": "somebody"}, "body": f"{markdown.MARKER} not ours"} for n in range(150)
    ]
    folder = handed(tmp_path / "handed", sample(), {"preview-dev": "+ 3 to create"})
    assert publish(folder) == "pull request 7: comment created\n"
    assert len(github.comments) == 151
    body = github.comments[-1]["body"]
    assert body.startswith(markdown.MARKER)
    assert "$178.50" in body
    assert "+ 3 to create" in body
    assert publish(handed(tmp_path / "again", None)) == "pull request 7: comment updated\n"
    assert len(github.comments) == 151
    assert "There is no estimate" in github.comments[-1]["body"]
    assert [a for a in github.asked if not a.startswith("GET")] == [
        "POST /repos/o/r/issues/7/comments",
        "PATCH /repos/o/r/issues/comments/1150",
    ]


def test_a_pull_request_that_has_moved_on_is_left_alone(github: Github, publish: Publish, tmp_path: Path) -> None:
    github.pulls = [pull(7, sha="b" * 40)]
    assert "no comment is needed" in publish(handed(tmp_path / "handed", sample()))
    assert github.comments == []


def test_a_forks_estimate_says_so(github: Github, publish: Publish, tmp_path: Path) -> None:
    github.pulls = [pull(7, owner="stranger")]
    folder = handed(tmp_path / "handed", sample(), {"preview-prod": "nothing to change, honestly"})
    publish(folder, owner="stranger")
    assert "This comes from a fork" in github.comments[0]["body"]
    assert "honestly" not in github.comments[0]["body"]  # it has no credentials to preview anything with


def test_a_fork_that_is_gone_is_left_alone(github: Github, publish: Publish, tmp_path: Path) -> None:
    publish(handed(tmp_path / "handed", sample()), owner=None)
    assert github.comments == []


def test_what_is_handed_over_chooses_nothing(github: Github, publish: Publish, tmp_path: Path) -> None:
    """Links and odd names are not followed and not read."""
    github.pulls = [pull(7)]
    secret = tmp_path / "secret.txt"
    secret.write_text("the-secret")
    folder = handed(tmp_path / "handed", sample(), {"preview-DEV;rm": "odd"})
    (folder / "preview-dev").mkdir()
    (folder / "preview-dev" / "preview.txt").symlink_to(secret)
    publish(folder)
    assert "the-secret" not in github.comments[0]["body"]
    assert "odd" not in github.comments[0]["body"]


@pytest.mark.parametrize("content", ["", '{"base": "x"}', "[" * 100_000], ids=["of a refused run", "no diff", "nested"])
def test_an_estimate_that_cannot_be_read_is_none_and_an_older_comment_does_not_stay(
    content: str, github: Github, publish: Publish, tmp_path: Path
) -> None:
    github.pulls = [pull(7)]
    publish(handed(tmp_path / "before", sample()))
    assert "✅" in github.comments[0]["body"]
    folder = handed(tmp_path / "handed", None, {"preview-dev": "+ 3 to create"})
    (folder / "cost" / "cost.json").write_text(content)
    assert "the diff cannot be used" in publish(folder)
    (comment,) = github.comments
    assert "There is no estimate" in comment["body"]
    assert "✅" not in comment["body"]
    assert "+ 3 to create" in comment["body"]


def test_what_github_refuses_is_told(github: Github, publish: Publish, tmp_path: Path) -> None:
    github.pulls = [pull(7)]
    github.refuses = True
    told = publish(handed(tmp_path / "handed", sample()), exit_code=1)
    assert "the comment cannot be written: HTTP Error 403" in told
    assert "`pull-requests: write`" in told


def test_it_wants_a_folder() -> None:
    ran = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "tools/publish-comment FOLDER" in ran.stderr
