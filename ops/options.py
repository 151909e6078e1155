"""Options that several commands take, and where the project is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PROJECT_DIR = Path(__file__).resolve().parent.parent

Stack = Annotated[str, typer.Option(help="The stack, as in Pulumi.<stack>.yaml.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")]
