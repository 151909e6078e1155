"""Hosts' files and programs for the tests of this folder, without a release on disk and without AWS."""

from __future__ import annotations

import importlib.util
import re
import sys
from functools import cache
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any

from components.host_files import CLOUD_INIT_DIR, Context, contexts, host_files
from spec.project import EXAMPLE_ACCOUNT_ID
from spec.scope import Scope
from spec.settings import Settings

PAIRS: dict[str, Any] = {"load_balancer": {"count": 2}, "cache": {"count": 2}}
"""Settings with two of what may be one or two."""
SECRET_SHAPES = (
    re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"),
    re.compile(r"(?:AKIA|ASIA)[0-9A-Z]{16}"),
    re.compile(r"(?i)(?:password|secret|token)\s*[=:]\s*[\"']?[A-Za-z0-9+/_-]{16,}"),
)
BASE_LIBRARY = CLOUD_INIT_DIR / "base/files/usr/local/lib/ha"


def estate(**settings: Any) -> dict[str, Context]:
    """Contexts of all hosts, by name; `settings` are added to the smallest stack file."""
    zones = {"zones": ["us-east-1a", "us-east-1b"]}
    full = Settings.model_validate({"region": "us-east-1", "network": zones, **settings})
    scope = Scope.of(full, partition="aws", account=EXAMPLE_ACCOUNT_ID, project="ha", stack="dev")
    return contexts(scope, full)


def files_of(host: str, **settings: Any) -> dict[str, str]:
    """Content of each file of a host, by path on the host."""
    return {f.path: f.content for f in host_files(estate(**settings)[host])}


@cache
def program(path: str) -> ModuleType:
    """A Python program or module of cloud-init, by its path there, with its import path as on a host."""
    source = CLOUD_INIT_DIR / path
    for library in (BASE_LIBRARY, source.parent):
        if str(library) not in sys.path:
            sys.path.append(str(library))
    name = re.sub(r"\W", "_", path)
    loader = SourceFileLoader(name, str(source))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    written = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = written
    return module
