"""The workflows of GitHub: pinned, and with no more power than they need. Whether they are valid: tools/check."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cost.diff import APPROVAL_LABEL
from review.preview import Unreadable, read_preview
from spec.project import REPOSITORY

WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(params=WORKFLOWS, ids=[w.stem for w in WORKFLOWS])
def workflow(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def parsed(path: Path) -> dict[str, Any]:
    document: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {("on" if key is True else str(key)): value for key, value in document.items()}  # YAML reads `on` as true


def test_every_action_is_pinned_to_a_commit_that_says_its_version(workflow: Path) -> None:
    uses = re.findall(r"^\s*-?\s*uses: (.*)$", workflow.read_text(encoding="utf-8"), re.MULTILINE)
    assert uses
    for action in uses:
        assert action.startswith("./") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_nothing_is_permitted_but_what_a_job_asks_for(workflow: Path) -> None:
    document = parsed(workflow)
    assert document["permissions"] == {}
    writes = {}
    for name, job in document["jobs"].items():
        assert "permissions" in job, name
        assert "uses" in job or "timeout-minutes" in job, name
        writes[name] = {scope for scope, level in job["permissions"].items() if level == "write"}
    allowed = {"pull-request-comment": {"pull-requests"}}.get(workflow.stem, {"id-token"})
    assert all(scopes <= allowed for scopes in writes.values()), writes


def test_a_strangers_code_never_meets_a_token_that_writes(workflow: Path) -> None:
    document = parsed(workflow)
    assert "pull_request_target" not in document["on"]
    for job in document["jobs"].values():
        for step in job.get("steps", []):
            if str(step.get("uses", "")).startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
                assert "ref" not in step["with"]  # the comment's workflow checks out the default branch alone


def test_a_change_is_compared_with_what_it_is_merged_into() -> None:
    """Not with the event's base, which stays behind when others merge meanwhile."""
    steps = parsed(REPOSITORY / ".github" / "workflows" / "pull-request.yml")["jobs"]["changes"]["steps"]
    assert steps[0]["with"]["fetch-depth"] == 2  # both parents of the merge
    compared = [step["run"] for step in steps if "ha " in step.get("run", "")]
    assert [re.findall(r"ha (diff|cost diff) ", run) for run in compared] == [["diff"], ["cost diff"]]
    assert all('--base "$(git rev-parse HEAD^1)"' in run for run in compared)


def test_what_is_handed_over_is_found_where_the_comment_looks_for_it() -> None:
    """In one folder, by the names of the files: a single artifact that is asked for by a pattern gets no folder."""
    folder = REPOSITORY / ".github" / "workflows"
    run = parsed(folder / "pull-request.yml")["jobs"]
    comment = parsed(folder / "pull-request-comment.yml")["jobs"]["comment"]["steps"]
    fetched = [step["with"] for step in comment if "download-artifact" in step.get("uses", "")]
    handed = [
        step["with"]["name"]
        for job in run.values()
        for step in job["steps"]
        if "upload-artifact" in step.get("uses", "")
    ]
    assert handed == ["changes", "preview-${{ matrix.stack }}"]
    assert [f.get("name") or f["pattern"] for f in fetched] == ["changes", "preview-*"]
    assert fetched[1]["merge-multiple"] is True
    assert {f["path"] for f in fetched} == {"handed"}
    written = set(re.findall(r"handed/([\w$.-]+)", str(run)))
    assert written == {"changes.json", "cost.json", "preview-$STACK.json", "preview-$STACK.log"}


def test_the_script_knows_the_run_by_its_names() -> None:
    """tools/publish-comment reads which pull request and which previews there are in the names of runs and jobs."""
    document = parsed(REPOSITORY / ".github" / "workflows" / "pull-request.yml")
    script = (REPOSITORY / "tools" / "publish-comment").read_text(encoding="utf-8")
    assert document["run-name"] == "Pull request #${{ github.event.pull_request.number }}"
    assert 're.compile(r"Pull request #(\\d+)")' in script
    assert document["jobs"]["preview"]["name"] == "Preview of ${{ matrix.stack }}"
    assert 're.compile(r"Preview of (' in script
    assert f'STACKS_JOB = "{document["jobs"]["stacks"]["name"]}"' in script
    assert f"'{APPROVAL_LABEL}'" in str(document["jobs"]["changes"]["steps"])
    assert f'APPROVAL_LABEL = "{APPROVAL_LABEL}"' in script
    assert {"labeled", "unlabeled"} < set(document["on"]["pull_request"]["types"])


def test_stacks_are_found_and_dr_is_deployed_by_hand(tmp_path: Path) -> None:
    jobs = parsed(REPOSITORY / ".github" / "workflows" / "pull-request.yml")["jobs"]
    for name in ("dev", "dr", "drill", "prod"):
        (tmp_path / f"Pulumi.{name}.yaml").touch()
    (find,) = [step["run"] for step in jobs["stacks"]["steps"] if "run" in step]
    output = tmp_path / "output"
    subprocess.run(["bash", "-ec", find], cwd=tmp_path, env={**os.environ, "GITHUB_OUTPUT": str(output)}, check=True)
    assert output.read_text() == 'names=["dev","drill","prod"]\n'
    assert jobs["preview"]["strategy"]["matrix"]["stack"] == "${{ fromJSON(needs.stacks.outputs.names) }}"


def test_every_stack_is_compared_and_priced(tmp_path: Path) -> None:
    """`ha diff` finds them itself: told names, it could not see that one is gone. `ha cost diff` is told all."""
    steps = parsed(REPOSITORY / ".github" / "workflows" / "pull-request.yml")["jobs"]["changes"]["steps"]
    for name in ("dev", "dr", "prod"):
        (tmp_path / f"Pulumi.{name}.yaml").touch()
    ha = tmp_path / ".venv" / "bin" / "ha"
    ha.parent.mkdir(parents=True)
    ha.write_text('#!/bin/sh\necho "$@"\n')
    ha.chmod(0o755)
    (tmp_path / "git").write_text("#!/bin/sh\necho base\n")
    (tmp_path / "git").chmod(0o755)
    for run in (step["run"] for step in steps if "bin/ha " in step.get("run", "")):
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "APPROVED": "--approved"}
        subprocess.run(["bash", "-ec", run], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "handed" / "changes.json").read_text() == "diff --base base --json\n"
    stacks = "--stack=dev --stack=dr --stack=prod"
    assert (tmp_path / "handed" / "cost.json").read_text() == f"cost diff --base base {stacks} --approved --json\n"


def test_only_the_label_itself_approves_and_no_event_skips_the_check() -> None:
    """A label that is there may be of another commit. GitHub counts a check that is skipped as passed."""
    document = parsed(REPOSITORY / ".github" / "workflows" / "pull-request.yml")
    job = document["jobs"]["changes"]
    (approved,) = [step["env"]["APPROVED"] for step in job["steps"] if "APPROVED" in step.get("env", {})]
    given = f"github.event.action == 'labeled' && github.event.label.name == '{APPROVAL_LABEL}'"
    assert approved == f"${{{{ {given} && '--approved' || '' }}}}"
    assert "if" not in job
    assert "edited" in document["on"]["pull_request"]["types"]  # a pull request may get another base


def test_the_comment_is_written_also_when_its_set_up_fails() -> None:
    last = parsed(REPOSITORY / ".github" / "workflows" / "pull-request-comment.yml")["jobs"]["comment"]["steps"][-1]
    assert last["run"] == "tools/publish-comment handed"
    assert last["if"] == "${{ !cancelled() }}"


@pytest.mark.parametrize("fails", [False, True])
def test_the_previews_step_hands_over_what_the_comment_reads(fails: bool, tmp_path: Path) -> None:
    """With an engine that prints what the real one did, and its outputs and configuration."""
    (job,) = [parsed(REPOSITORY / ".github" / "workflows" / "pull-request.yml")["jobs"]["preview"]]
    (run,) = [step["run"] for step in job["steps"] if "pulumi preview" in step.get("run", "")]
    printed = json.loads((REPOSITORY / "docs" / "samples" / "inputs" / "replaced-host.json").read_text())
    printed["config"] = {"aws:region": "us-east-1"}
    for one in printed["steps"]:
        for state in ("oldState", "newState"):
            if state in one:
                one[state]["outputs"] = {"address": "203.0.113.9"}
    (tmp_path / "printed.json").write_text(json.dumps(printed))
    engine = tmp_path / "pulumi"
    answer = "echo 'error: no stack named dev' >&2; echo '{}'; exit 255" if fails else f"cat {tmp_path}/printed.json"
    engine.write_text(f"#!/bin/sh\n{answer}\n")
    engine.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "STACK": "dev"}
    ran = subprocess.run(["bash", "-ec", run], cwd=tmp_path, env=environment, check=False, capture_output=True)
    assert ran.returncode == (255 if fails else 0), ran.stderr
    handed = tmp_path / "handed" / "preview-dev.json"
    assert "203.0.113.9" not in handed.read_text()
    assert "aws:region" not in handed.read_text()
    if fails:
        with pytest.raises(Unreadable, match="did not start: error: no stack named dev"):
            read_preview(handed, "dev")
    else:
        whole = read_preview(REPOSITORY / "docs" / "samples" / "inputs" / "replaced-host.json", "dev")
        assert read_preview(handed, "dev") == whole


def test_no_output_of_the_engine_passes_through_the_environment(workflow: Path) -> None:
    """A variable takes 128 KiB; the preview of a new stack, with the user data of every host, is longer."""
    assert ".outputs.output" not in workflow.read_text(encoding="utf-8")


def test_credentials_go_to_the_estimate_of_no_one() -> None:
    cost = parsed(REPOSITORY / ".github" / "workflows" / "pull-request.yml")["jobs"]["changes"]
    assert cost["permissions"] == {"contents": "read"}
    assert "if" not in cost  # it also runs for forks
    assert "secrets." not in str(cost)
    assert "vars." not in str(cost)


def test_the_engine_is_that_of_the_lock(workflow: Path) -> None:
    lock = (REPOSITORY / "requirements.txt").read_text(encoding="utf-8")
    (version,) = re.findall(r"^pulumi==([\d.]+)", lock, re.MULTILINE)
    for named in re.findall(r"pulumi-version: (.*)", workflow.read_text(encoding="utf-8")):
        assert named == version


def test_text_from_outside_is_never_put_into_a_script(workflow: Path) -> None:
    for job in parsed(workflow)["jobs"].values():
        for step in job.get("steps", []):
            assert "${{" not in step.get("run", ""), step


def test_checks_are_those_that_a_person_runs() -> None:
    document = parsed(REPOSITORY / ".github" / "workflows" / "checks.yml")
    assert {"pull_request", "schedule", "workflow_dispatch"} == set(document["on"])
    for name, target, runs_if in (
        ("check", "make check", "github.event_name == 'pull_request'"),
        ("test", "make test", "github.event_name != 'pull_request'"),
    ):
        job = document["jobs"][name]
        assert job["if"] == runs_if
        assert job["permissions"] == {"contents": "read"}
        (run,) = [step for step in job["steps"] if target in step.get("run", "")]
        assert run["shell"] == "bash"  # without it a pipe into tee hides the failure


def test_logs_of_checks_are_kept_when_they_fail() -> None:
    """They are in a folder whose name begins with a dot, which is left out unless it is asked for."""
    for job in parsed(REPOSITORY / ".github" / "workflows" / "checks.yml")["jobs"].values():
        last = job["steps"][-1]
        assert "upload-artifact" in last["uses"]
        assert last["if"] == "always()"
        assert last["with"]["path"] == ".logs"
        assert last["with"]["include-hidden-files"] is True


FOLDER = REPOSITORY / ".github" / "workflows"
PAGE = REPOSITORY / "docs" / "pull-requests.md"
TRIGGERS = {
    "every pull request": "pull_request",
    "pull requests of this repository": "pull_request",
    "every night": "schedule",
    "every day": "schedule",
    "every week": "schedule",
    "on `main`": "push",
    "after it": "workflow_run",
}
ROLES = {
    "PREVIEW": "assume the preview role",
    "DEPLOY": "assume the deploy role of the stack",
    "PROVE": "assume the proof role of the stack",
}
RIGHTS = {"read the code", "comment", *ROLES.values()}


def documented() -> list[tuple[str, str | None, str, str]]:
    """The table of the page: workflow, job if it names one, when, may."""
    rows = re.findall(
        r"^\| `([\w-]+)\.yml`(?:, job `(\w+)`)? \| (.*?) \| .*? \| (.*?) \|$", PAGE.read_text("utf-8"), re.M
    )
    return [(workflow, job or None, when, may) for workflow, job, when, may in rows]


def jobs_of(workflow: str, only: str | None = None) -> list[dict[str, Any]]:
    """The jobs of a workflow, with those of the workflows that it calls."""
    found: list[dict[str, Any]] = []
    for name, job in parsed(FOLDER / f"{workflow}.yml")["jobs"].items():
        if only in (None, name):
            called = job.get("uses")
            found += jobs_of(Path(called).stem) if called else [job]
    return found


def rights_of(job: dict[str, Any]) -> set[str]:
    roles = set(re.findall(r"vars\.AWS_(\w+)_ROLE_ARN", str(job.get("steps"))))
    assert bool(roles) == ("id-token" in job["permissions"]), job
    found = {ROLES[role] for role in roles}
    if job["permissions"].get("pull-requests") == "write":
        return found | {"comment"}
    return found | ({"read the code"} if job["permissions"].get("contents") == "read" else set())


def test_the_page_has_every_workflow_and_no_other() -> None:
    called = {Path(job["uses"]).stem for path in WORKFLOWS for job in parsed(path)["jobs"].values() if "uses" in job}
    assert {workflow for workflow, *_ in documented()} == {path.stem for path in WORKFLOWS} - called


def test_workflows_run_when_the_page_says_and_by_hand() -> None:
    said: dict[str, set[str]] = {}
    for workflow, _, when, _ in documented():
        words = {word for word in TRIGGERS if word in when}
        assert words, when
        said.setdefault(workflow, set()).update(TRIGGERS[word] for word in words)
    for workflow, triggers in said.items():
        on = parsed(FOLDER / f"{workflow}.yml")["on"]
        assert ({on} if isinstance(on, str) else set(on)) - {"workflow_dispatch"} == triggers, workflow


def test_jobs_may_what_the_page_says_and_no_more() -> None:
    for workflow, job, _, may in documented():
        said = {one.strip() for one in may.split(",")}
        assert said <= RIGHTS, may
        assert said == set().union(*(rights_of(one) for one in jobs_of(workflow, job))), (workflow, job)


def test_variables_to_set_are_those_that_workflows_read() -> None:
    read = {name for path in WORKFLOWS for name in re.findall(r"\bvars\.(\w+)", path.read_text(encoding="utf-8"))}
    step = PAGE.read_text(encoding="utf-8").partition("**Variables**")[2].partition("\n5. ")[0]
    assert set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", step)) == read


def test_prod_waits_until_dev_is_healthy_and_nobody_deploys_dr() -> None:
    steps = parsed(FOLDER / "deploy-stack.yml")["jobs"]["up"]["steps"]
    commands = [str(step.get("with", {}).get("command", step.get("run", ""))) for step in steps]
    up = commands.index("up")
    assert [command for command in commands[up + 1 :] if "ha status" in command and "--wait" in command]
    jobs = parsed(FOLDER / "deploy.yml")["jobs"]
    assert [job["with"]["stack"] for job in jobs.values()] == ["dev", "prod"]
    assert jobs["prod"]["needs"] == "dev"
    environments = re.findall(r"\*\*Environments\*\* `(\w+)` and `(\w+)`", PAGE.read_text(encoding="utf-8"))
    assert environments == [("dev", "prod")]


def test_each_stack_has_a_role_of_its_own() -> None:
    job = parsed(FOLDER / "deploy-stack.yml")["jobs"]["up"]
    assert (
        job["environment"] == "${{ inputs.stack }}"
    )  # the variable is the environment's, and so is the token's subject
    trust = (REPOSITORY / "docs/policies/trust-github.json").read_text(encoding="utf-8")
    assert '"repo:REPOSITORY:environment:STACK"' in trust


def test_the_preview_role_trusts_the_runs_that_use_it() -> None:
    used = {path for path in WORKFLOWS if "AWS_PREVIEW_ROLE_ARN" in path.read_text(encoding="utf-8")}
    on = set().union(*(set(on) if isinstance(on := parsed(path)["on"], dict) else {on} for path in used))
    subjects = {
        "pull_request": "pull_request",
        "schedule": "ref:refs/heads/main",
        "workflow_dispatch": "ref:refs/heads/main",
    }
    trust = (REPOSITORY / "docs/policies/trust-preview.json").read_text(encoding="utf-8")
    assert set(re.findall(r'"repo:REPOSITORY:(.*?)"', trust)) == {subjects[event] for event in on}


def test_a_session_lasts_as_long_as_the_role_allows_and_the_job_longer() -> None:
    job = parsed(FOLDER / "deploy-stack.yml")["jobs"]["up"]
    (session_s,) = [s["with"]["role-duration-seconds"] for s in job["steps"] if "role-duration-seconds" in str(s)]
    page = (REPOSITORY / "docs/aws.md").read_text(encoding="utf-8")
    assert re.findall(r"--max-session-duration (\d+)", page) == [str(session_s)]
    (wait_s,) = re.findall(r"--wait-s (\d+)", str(job["steps"]))
    assert job["timeout-minutes"] * 60 >= session_s + int(wait_s)
    # `up` may use up its session, so the waiting has one of its own, of the hour that a role always allows.
    order = re.findall(r"role-to-assume|'command': 'up'|--wait-s", str(job["steps"]))
    assert order == ["role-to-assume", "'command': 'up'", "role-to-assume", "--wait-s"]
    assert int(wait_s) < 3600


def test_a_proof_has_a_role_of_its_own_and_waits_for_nobody() -> None:
    job = parsed(FOLDER / "prove-backups.yml")["jobs"]["prove"]
    assert job["environment"] == "prove-${{ matrix.stack }}"  # a deployment's waits for an approval
    trust = (REPOSITORY / "docs/policies/trust-prove.json").read_text(encoding="utf-8")
    assert '"repo:REPOSITORY:environment:prove-STACK"' in trust
    deployed = [one["with"]["stack"] for one in parsed(FOLDER / "deploy.yml")["jobs"].values()]
    assert job["strategy"]["matrix"]["stack"] == deployed
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"`prove-{stack}`" in page for stack in deployed)
    assert job["steps"][-1]["run"] == '.venv/bin/ha db prove --stack "$STACK"'
    (session_s,) = [s["with"]["role-duration-seconds"] for s in job["steps"] if "role-duration-seconds" in str(s)]
    assert job["timeout-minutes"] * 60 > session_s


def test_drift_looks_at_every_stack_that_has_a_file(tmp_path: Path) -> None:
    jobs = parsed(FOLDER / "drift.yml")["jobs"]
    (find,) = [step for step in jobs["stacks"]["steps"] if step.get("id") == "find"]
    for name in ("Pulumi.yaml", "Pulumi.prod.yaml", "Pulumi.dev.yaml", "Pulumi.dr.yaml"):
        (tmp_path / name).touch()
    output = tmp_path / "output"
    subprocess.run([sys.executable, "-c", find["run"]], cwd=tmp_path, env={"GITHUB_OUTPUT": str(output)}, check=True)
    name, _, value = output.read_text(encoding="utf-8").partition("=")
    assert json.loads(value) == ["dev", "dr", "prod"]
    assert jobs["stacks"]["outputs"] == {"names": f"${{{{ steps.find.outputs.{name} }}}}"}
    assert jobs["look"]["strategy"]["matrix"]["stack"] == "${{ fromJson(needs.stacks.outputs.names) }}"
