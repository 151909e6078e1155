"""Files of hosts without their comments: user data has 16 KB, and who reads the files has this repository.

Parts are left out, nothing is written anew, so that the bytes do not depend on the version of Python that renders them.
"""

from __future__ import annotations

import ast
import io
import tokenize

_INDENT = 4
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def is_python(path: str, content: str) -> bool:
    """Whether a host's file is a Python module or program."""
    return path.endswith(".py") or content.startswith("#!/usr/bin/python3\n")


def without_comments(path: str, content: str) -> str:
    """The same file without lines that hold nothing but a comment, which begin with `#` in all that hosts have; Python
    also without comments at the end of lines.

    :raises SyntaxError: when it should be Python and is not.
    """
    if is_python(path, content):
        return _shorter_python(content)
    first, *others = content.splitlines(keepends=True) or [""]
    kept = [line for line in others if not line.lstrip().startswith("#")]
    return "".join([first, *kept] if first.startswith("#!") or not first.startswith("#") else kept)


def _shorter_python(source: str) -> str:
    """The same program, without docstrings, empty lines and what functions say that they return, indented by one space
    for four. A body that is nothing but a docstring keeps it.
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
    for node in tree:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.returns is not None:
            _without_returns(lines, node.returns)
    texts = [_lines(node) for node in tree if isinstance(node, ast.Constant | ast.JoinedStr)]
    idle = idle.difference(*texts)  # an empty line in a text is text
    verbatim = set().union(*(text - {min(text)} for text in texts))
    for node in tree:
        if isinstance(node, _DOCUMENTED) and len(node.body) > 1 and ast.get_docstring(node, clean=False) is not None:
            idle |= _lines(node.body[0])
    kept = [(number, line) for number, line in enumerate(lines, 1) if number not in idle]
    return "".join(f"{line if number in verbatim else _indented_by_one(line)}\n" for number, line in kept)


def _without_returns(lines: list[str], returns: ast.expr) -> None:
    """Of one that spans lines too little is won."""
    line = lines[returns.lineno - 1]
    if returns.lineno == returns.end_lineno and line.isascii():
        arrow = line.rindex(" -> ", 0, returns.col_offset + 1)
        lines[returns.lineno - 1] = line[:arrow] + line[returns.end_col_offset :]


def _indented_by_one(line: str) -> str:
    code = line.lstrip(" ")
    return " " * ((len(line) - len(code)) // _INDENT) + code


def _lines(node: ast.expr | ast.stmt) -> set[int]:
    return set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
