"""End the Pulumi program with the message of a refused setting, not with a stack trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pulumi

from spec.errors import HaError


@contextmanager
def exit_without_traceback() -> Iterator[None]:
    """Turn an `HaError` into the exception that Pulumi reports cleanly. :raises pulumi.RunError: with its message."""
    try:
        yield
    except HaError as refused:
        raise pulumi.RunError(str(refused)) from None
