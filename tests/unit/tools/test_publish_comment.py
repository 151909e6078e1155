"""tools/publish-comment against a stand-in for GitHub's API on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

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
    thread = threading.Thread(target=server.serve_forever)
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


def publish(github: Github, folder: Path, owner: str | None = "o") -> subprocess.CompletedProcess[str]:
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
    environment = {
        "PATH": os.environ["PATH"],
        "GITHUB_EVENT_PATH": str(path),
        "GITHUB_TOKEN": "token-for-tests",
        "GITHUB_API_URL": f"http://127.0.0.1:{github.port}",
    }
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(folder)], env=environment, capture_output=True, text=True, check=False
    )


def test_one_comment_is_written_and_then_updated_in_place(github: Github, tmp_path: Path) -> None:
    github.pulls = [pull(6, sha="b" * 40), pull(7)]
    github.comments = [
        {"id": n, "user": {"login": "somebody"}, "body": f"{markdown.MARKER} not ours"} for n in range(150)
    ]
    folder = handed(tmp_path / "handed", sample(), {"preview-dev": "+ 3 to create"})
    first = publish(github, folder)
    assert first.returncode == 0, first.stderr
    assert "pull request 7 is written" in first.stderr
    assert len(github.comments) == 151
    body = github.comments[-1]["body"]
    assert body.startswith(markdown.MARKER)
    assert "$178.50" in body
    assert "+ 3 to create" in body
    second = publish(github, handed(tmp_path / "again", None))
    assert "pull request 7 is updated" in second.stderr
    assert len(github.comments) == 151
    assert "There is no estimate" in github.comments[-1]["body"]
    assert [a for a in github.asked if not a.startswith("GET")] == [
        "POST /repos/o/r/issues/7/comments",
        "PATCH /repos/o/r/issues/comments/1150",
    ]


def test_a_pull_request_that_has_moved_on_is_left_alone(github: Github, tmp_path: Path) -> None:
    github.pulls = [pull(7, sha="b" * 40)]
    ran = publish(github, handed(tmp_path / "handed", sample()))
    assert ran.returncode == 0
    assert "nothing to say" in ran.stderr
    assert github.comments == []


def test_a_forks_estimate_says_so(github: Github, tmp_path: Path) -> None:
    github.pulls = [pull(7, owner="stranger")]
    folder = handed(tmp_path / "handed", sample(), {"preview-prod": "nothing to change, honestly"})
    assert publish(github, folder, owner="stranger").returncode == 0
    assert "This comes from a fork" in github.comments[0]["body"]
    assert "honestly" not in github.comments[0]["body"]  # it has no credentials to preview anything with


def test_a_fork_that_is_gone_is_left_alone(github: Github, tmp_path: Path) -> None:
    ran = publish(github, handed(tmp_path / "handed", sample()), owner=None)
    assert ran.returncode == 0, ran.stderr
    assert github.comments == []


def test_what_is_handed_over_chooses_nothing(github: Github, tmp_path: Path) -> None:
    """Links and odd names are not followed and not read."""
    github.pulls = [pull(7)]
    secret = tmp_path / "secret.txt"
    secret.write_text("the-secret")
    folder = handed(tmp_path / "handed", sample(), {"preview-DEV;rm": "odd"})
    (folder / "preview-dev").mkdir()
    (folder / "preview-dev" / "preview.txt").symlink_to(secret)
    assert publish(github, folder).returncode == 0
    assert "the-secret" not in github.comments[0]["body"]
    assert "odd" not in github.comments[0]["body"]


@pytest.mark.parametrize("content", ["", '{"base": "x"}', "[" * 100_000], ids=["of a refused run", "no diff", "nested"])
def test_an_estimate_that_cannot_be_read_is_none_and_an_older_comment_does_not_stay(
    content: str, github: Github, tmp_path: Path
) -> None:
    github.pulls = [pull(7)]
    assert publish(github, handed(tmp_path / "before", sample())).returncode == 0
    assert "✅" in github.comments[0]["body"]
    folder = handed(tmp_path / "handed", None, {"preview-dev": "+ 3 to create"})
    (folder / "cost" / "cost.json").write_text(content)
    ran = publish(github, folder)
    assert ran.returncode == 0, ran.stderr
    assert "the diff cannot be used" in ran.stderr
    (comment,) = github.comments
    assert "There is no estimate" in comment["body"]
    assert "✅" not in comment["body"]
    assert "+ 3 to create" in comment["body"]


def test_what_github_refuses_is_told(github: Github, tmp_path: Path) -> None:
    github.pulls = [pull(7)]
    github.refuses = True
    ran = publish(github, handed(tmp_path / "handed", sample()))
    assert ran.returncode == 1
    assert "the comment could not be written" in ran.stderr


def test_it_wants_a_folder() -> None:
    ran = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "tools/publish-comment FOLDER" in ran.stderr
