"""The shipped stacks, as this checkout renders them, and edits of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from review.rendered import File, Host, Rendered, rendered
from tests.stacks import STACKS

Edit = Callable[[Host], Host]


@pytest.fixture(scope="session")
def shipped() -> Rendered:
    found = rendered(["dev", "prod"], STACKS)
    assert not found.failed
    return found


def hosts_of(found: Rendered, stack: str) -> dict[str, Host]:
    return {host.name: host for host in found.stacks[stack].hosts}


def edited(host: Host, path: str, old: str, new: str) -> Host:
    """The host with one text of a file replaced; the file must have it."""
    file = host.files[path]
    assert old in file.content, path
    changed = File(content=file.content.replace(old, new), executable=file.executable)
    return host.model_copy(update={"files": {**host.files, path: changed}})


def with_instance(host: Host, **values: str) -> Host:
    assert values.keys() <= host.instance.keys()
    return host.model_copy(update={"instance": {**host.instance, **values}})
