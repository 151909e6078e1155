"""Programs go to hosts without comments, and do what they did."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from components.comments import is_python, without_comments
from components.user_data import CLOUD_INIT_DIR

SOURCE = '''#!/usr/bin/python3
"""What it is."""

# why
import os  # with a remark


def greet(name: str, *more: "str", loud: bool = False) -> str:  # politely
    """Greets.

    At length.
    """
    # not for long
    return f"""# {name}

    {os.sep}"""


class Silent:
    """Nothing else."""
'''
SHORT = '''#!/usr/bin/python3
import os
def greet(name, *more, loud = False):
 return f"""# {name}

    {os.sep}"""
class Silent:
 """Nothing else."""
'''
PROGRAMS = [
    path
    for path in sorted(CLOUD_INIT_DIR.rglob("*"))
    if path.is_file() and path.suffix != ".j2" and is_python(path.name, path.read_text(encoding="utf-8"))
]


def test_only_what_says_nothing_to_python_is_left_out() -> None:
    assert without_comments("greet.py", SOURCE) == SHORT


@pytest.mark.parametrize(
    ("whole", "short"),
    [
        ("#!/bin/bash\n# why\nset -e # here\n\n  # there\ntrue\n", "#!/bin/bash\nset -e # here\n\ntrue\n"),
        ("# why\nkey = value\n", "key = value\n"),
        ("key = '#'\n", "key = '#'\n"),
        ("# nothing else\n", ""),
        ("", ""),
    ],
)
def test_lines_that_are_comments_are_left_out(whole: str, short: str) -> None:
    assert without_comments("/etc/some.conf", whole) == short


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_every_program_of_a_host_is_the_same_program(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    short = without_comments(str(path), source)
    assert len(short) < len(source)
    assert ast.dump(_undocumented(source)) == ast.dump(_undocumented(short))


def _undocumented(source: str) -> ast.Module:
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and len(node.body) > 1 and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    return tree
