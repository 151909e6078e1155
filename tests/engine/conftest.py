"""The API for a module's tests, and projects to run the real engine with."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import leftovers
from lab.aws.service import AwsService
from lab.engine import Changes, Engine, Event, Message, Step
from spec.project import REPOSITORY
from tests.stacks import STACKS

IMAGE_NAME, IMAGE_OWNER = "debian-13-amd64-20260914-2601", "136693071363"


@pytest.fixture(scope="module")
def api() -> Iterator[AwsService]:
    with AwsService(region="us-east-1") as service:
        service.register_image(name=IMAGE_NAME, owner=IMAGE_OWNER, architecture="x86_64")
        yield service


@dataclass
class Project:
    """A project folder with a stack `dev`, and the engine on it."""

    directory: Path
    engine: Engine
    events: list[Event]

    def write(self, program: str) -> None:
        """Give the project another program."""
        (self.directory / "__main__.py").write_text(program, encoding="utf-8")

    @property
    def stack_file(self) -> Path:
        return self.directory / "Pulumi.dev.yaml"

    def change(self, edit: Callable[[dict[str, Any]], None]) -> None:
        """Edit the stack's settings."""
        document = yaml.safe_load(self.stack_file.read_text(encoding="utf-8"))
        edit(document["config"]["ha:settings"])
        self.stack_file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    def up(self) -> dict[str, Any]:
        self.events.clear()
        return self.engine.up("dev", self.events.append)

    def preview(self) -> Changes:
        return self.engine.preview("dev")

    def destroy(self) -> None:
        self.events.clear()
        self.engine.destroy("dev", self.events.append)

    def done(self, *ops: str) -> list[tuple[str, str]]:
        """(operation, resource name) of what the last operation did, in order."""
        steps = [one for one in self.events if isinstance(one, Step) and one.status == "done"]
        return [(one.op, one.name) for one in steps if one.op in ops]

    def said(self) -> str:
        """All that the engine and the program said."""
        return "\n".join(one.text for one in self.events if isinstance(one, Message))


def make_project(directory: Path, state: Path, api: AwsService) -> Project:
    directory.mkdir(parents=True, exist_ok=True)
    leftovers.make_state(state)
    return Project(directory, Engine(project_dir=directory, state_dir=state, endpoint_url=api.url), [])


@pytest.fixture
def project(tmp_path: Path, api: AwsService) -> Project:
    """An empty project; a test writes its program."""
    made = make_project(tmp_path / "project", tmp_path / "state", api)
    (made.directory / "Pulumi.yaml").write_text(
        "name: ha\nruntime: {name: python, options: {virtualenv: .venv}}\n", encoding="utf-8"
    )
    settings = {"config": {"aws:region": "us-east-1", "ha:settings": {"cidr": "10.20.0.0/16"}}}
    made.stack_file.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return made


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory, api: AwsService) -> Project:
    """The project of the checkout, without protection and with a release of its own."""
    root = tmp_path_factory.mktemp("estate")
    made = make_project(root / "project", root / "state", api)
    for source in (REPOSITORY / "__main__.py", REPOSITORY / "Pulumi.yaml", STACKS / "Pulumi.dev.yaml"):
        shutil.copy(source, made.directory)
    for name in ("spec", "components", "cloud-init"):
        shutil.copytree(REPOSITORY / name, made.directory / name)
    document = yaml.safe_load(made.stack_file.read_text(encoding="utf-8"))
    settings = document["config"]["ha:settings"]
    settings["protect"] = False
    release = made.directory / settings["application"]["release"]
    release.parent.mkdir(parents=True)
    with tarfile.open(release, "w:gz") as archive:  # empty: no host unpacks it here
        top = tarfile.TarInfo(release.name.removesuffix(".tar.gz"))
        top.type = tarfile.DIRTYPE
        archive.addfile(top)
    made.stack_file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    image = settings["image"]
    api.register_image(name=image["name"], owner=image.get("owner", IMAGE_OWNER), architecture="x86_64")
    return made
