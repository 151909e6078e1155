"""Files of hosts without their comments: user data is limited to 16 KB, and this repository has the originals.

Parts are removed, and nothing is generated, so the bytes do not depend on the version of Python that renders them.
"""

from __future__ import annotations

import ast
import io
import tokenize
from functools import cache

_INDENT = 4
_ARROW = " -> "
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def is_python(path: str, content: str) -> bool:
    """Whether a host's file is a Python module or program."""
    return path.endswith(".py") or content.startswith("#!/usr/bin/python3\n")


@cache  # hosts of a tier have the same files, and each is rendered several times in one run
def without_comments(path: str, content: str) -> str:
    """The same file without lines that are only a comment (in all files of hosts, comments begin with `#`); Python also
    without comments at the end of lines.

    :raises SyntaxError: when the file should be Python and is not.
    """
    if is_python(path, content):
        return _shorter_python(content)
    first, *others = content.splitlines(keepends=True) or [""]
    kept = [line for line in others if not line.lstrip().startswith("#")]
    return "".join([first, *kept] if first.startswith("#!") or not first.startswith("#") else kept)


def _shorter_python(source: str) -> str:
    """The same program without docstrings, empty lines and the types of functions, indented by one space for each four.
    A body that is only a docstring keeps it.
    """
    lines = source.splitlines()
    idle = {number for number, line in enumerate(lines, 1) if not line.strip()}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or token.start[0] == 1:
            continue
        number, column = token.start
        lines[number - 1] = lines[number - 1][:column].rstrip()
        if not lines[number - 1]:
            idle.add(number)
    tree = list(ast.walk(ast.parse(source)))
    _leave_out_annotations(lines, tree)
    texts = [_lines(node) for node in tree if isinstance(node, ast.Constant | ast.JoinedStr)]
    idle = idle.difference(*texts)  # an empty line in a string is part of it
    verbatim = set().union(*(text - {min(text)} for text in texts))
    for node in tree:
        if isinstance(node, _DOCUMENTED) and len(node.body) > 1 and ast.get_docstring(node, clean=False) is not None:
            idle |= _lines(node.body[0])
    kept = [(number, line) for number, line in enumerate(lines, 1) if number not in idle]
    return "".join(f"{line if number in verbatim else _indented_by_one(line)}\n" for number, line in kept)


def _leave_out_annotations(lines: list[str], tree: list[ast.AST]) -> None:
    """Remove annotations of parameters and results that are on one line, from the right, so that columns stay valid."""
    found: list[tuple[int, int, int]] = []
    for node in tree:
        if isinstance(node, ast.arg):
            found += _span(node.annotation, node.col_offset + len(node.arg))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            found += _span(node.returns, node.returns.col_offset - len(_ARROW))
    for row, begin, end in sorted(found, reverse=True):
        line = lines[row]
        if line.isascii() and line[begin:end].startswith((":", _ARROW)):
            lines[row] = line[:begin] + line[end:]


def _span(annotation: ast.expr | None, begin: int) -> list[tuple[int, int, int]]:
    """Row, first and last column of an annotation with its `:` or `->`; empty when it spans lines."""
    if annotation is None or annotation.end_col_offset is None or annotation.lineno != annotation.end_lineno:
        return []
    return [(annotation.lineno - 1, begin, annotation.end_col_offset)]


def _indented_by_one(line: str) -> str:
    code = line.lstrip(" ")
    return " " * ((len(line) - len(code)) // _INDENT) + code


def _lines(node: ast.expr | ast.stmt) -> set[int]:
    return set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
