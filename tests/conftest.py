"""What every test may use: the golden vectors of this repository, read once; and which tests run without --exhaustive."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from browser import chromium  # noqa: F401  # a fixture, for the tests of pages

from refimpl.case import Golden
from refimpl.vectors import read_vectors

VECTORS = Path(__file__).resolve().parent.parent / "vectors"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--exhaustive", action="store_true", help="run every test: also those that a short run samples or leaves out")


@pytest.hookimpl(trylast=True)  # after -k and -m: of what they select, at least the first is run
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `exhaustive`, and all but each n-th parametrization of what is marked `sampled(n)`."""
    if config.getoption("exhaustive"):
        return
    seen: Counter[str] = Counter()
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        sampled = item.get_closest_marker("sampled")
        name = item.nodeid.partition("[")[0]
        is_kept = item.get_closest_marker("exhaustive") is None and (sampled is None or seen[name] % sampled.args[0] == 0)
        seen[name] += 1
        (kept if is_kept else left_out).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def core() -> dict[str, list[Golden]]:
    """Dialect to the cases of the core suite, in the order of the files."""
    goldens: dict[str, list[Golden]] = {}
    for golden in read_vectors(VECTORS).goldens:
        goldens.setdefault(golden.case.dialect, []).append(golden)
    return goldens
