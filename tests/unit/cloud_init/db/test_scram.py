"""The verifier that SQL carries in place of a password."""

from __future__ import annotations

import base64
import importlib.util
from types import ModuleType

import pytest

from spec.project import REPOSITORY

SCRAM = REPOSITORY / "cloud-init/db/files/usr/local/lib/ha/scram.py"


@pytest.fixture(scope="module")
def scram() -> ModuleType:
    spec = importlib.util.spec_from_file_location("ha_scram", SCRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_of_rfc_7677(scram: ModuleType) -> None:
    # Its user's password and salt; the server signature of the RFC's dialogue follows from this server key.
    verifier = scram.verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
    assert verifier == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


def test_a_random_password_is_hashed_once(scram: ModuleType) -> None:
    assert scram.verifier("x" * 43, b"0" * 16).startswith("SCRAM-SHA-256$1:")


def test_a_password_outside_ascii_is_refused_rather_than_prepared_wrongly(scram: ModuleType) -> None:
    with pytest.raises(UnicodeEncodeError):
        scram.verifier("päss", b"0" * 16)
