"""Usage assumptions: each has a quantity, its unit and a reason, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cost import usage
from spec.errors import HaError


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    document = yaml.safe_load(usage.USAGE_FILE.read_text())
    change(document)
    path = folder / "usage.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d["internet_out_gb"].update(quantity=-1), "internet_out_gb.quantity"),
        (lambda d: d["internet_out_gb"].update(quantity=float("nan")), "internet_out_gb.quantity"),
        (lambda d: d["internet_out_gb"].update(quantity="many"), "internet_out_gb.quantity"),
        (lambda d: d["internet_out_gb"].update(unit="TB"), "internet_out_gb.unit"),
        (lambda d: d["internet_out_gb"].pop("reason"), "internet_out_gb.reason"),
        (lambda d: d["internet_out_gb"].update(reason="so"), "internet_out_gb.reason"),
        (lambda d: d.pop("cross_zone_gb"), "cross_zone_gb"),
        (lambda d: d.update(cross_zone_tb=1), "cross_zone_tb"),
        (lambda d: d["buckets"]["artifacts-bucket"].pop("storage_gb"), "buckets.artifacts-bucket.storage_gb"),
    ],
)
def test_an_invalid_assumption_is_refused_by_name(
    change: Callable[[dict[str, Any]], object], said: str, tmp_path: Path
) -> None:
    with pytest.raises(HaError) as refused:
        usage.load(edit(tmp_path, change))
    assert refused.value.exit_code == 2
    assert said in refused.value.what


@pytest.mark.parametrize("content", [b"a: [", b"a: \xff"])
def test_a_file_that_is_not_yaml_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "usage.yaml"
    path.write_bytes(content)
    with pytest.raises(HaError):
        usage.load(path)
