"""The generated parts of the documentation are what the code says."""

from __future__ import annotations

import subprocess
import sys

from spec.project import REPOSITORY


def test_generated_docs_are_up_to_date() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "tools.generate_docs", "--check"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
