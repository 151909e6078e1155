"""Where the program may reach. import-linter looks at packages, and `__main__.py` is in none."""

from __future__ import annotations

import ast

from spec.project import REPOSITORY

PACKAGES = {path.parent.name for path in REPOSITORY.glob("*/__init__.py")}


def test_the_program_is_composed_of_plain_data_components_and_operations() -> None:
    tree = ast.parse((REPOSITORY / "__main__.py").read_text(encoding="utf-8"))
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert {"spec", "components", "ops"} == {name.partition(".")[0] for name in modules} & PACKAGES
