"""What every test may use: the golden vectors of this repository, read once."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import chromium  # noqa: F401  # a fixture, for the tests of pages

from refimpl.case import Golden
from refimpl.vectors import read_vectors

VECTORS = Path(__file__).resolve().parent.parent / "vectors"


@pytest.fixture(scope="session")
def core() -> dict[str, list[Golden]]:
    """Dialect to the cases of the core suite, in the order of the files."""
    goldens: dict[str, list[Golden]] = {}
    for golden in read_vectors(VECTORS).goldens:
        goldens.setdefault(golden.case.dialect, []).append(golden)
    return goldens
