"""The generated parts of the documentation are what the code says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parents[2]


def test_generated_docs_are_up_to_date() -> None:
    checked = subprocess.run(
        [sys.executable, str(PROJECT_DIR / "tools" / "generate-docs"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
