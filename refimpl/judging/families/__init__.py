"""Families of hypotheses, a module each. `library` gives those that need no data, `read_off` and `fitted` those that a failing case gives."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from ...dialects import Dialect, dialect
from .._evidence import Judged
from .._hypothesis import Hypothesis
from . import _averages as averages
from . import _calls as calls
from . import _collisions as collisions
from . import _conditional as conditional
from . import _counters as counters
from . import _formats as formats
from . import _limits as limits
from . import _merging as merging
from . import _order as order
from . import _picks as picks
from . import _scalars as scalars
from . import _settings as settings
from ._fits import fitted

__all__ = ["fitted", "library", "read_off"]

FAMILIES = (
    picks,
    settings,
    counters,
    order,
    calls,
    formats,
    scalars,
    merging,
    collisions,
    averages,
    conditional,
)
"""Each has a function `hypotheses(table)`, which yields what a dialect can have; in the order in which they are tried."""


@cache
def library(name: str) -> tuple[Hypothesis, ...]:
    """Every hypothesis that a dialect can have, family by family."""
    return tuple(_of(dialect(name)))


def read_off(judged: Judged, table: Dialect) -> Iterator[Hypothesis]:
    """The hypotheses whose limit is read off the wrong elements of a failing case."""
    yield from merging.read_off(judged, table)
    yield from limits.read_off(judged, table)


def _of(table: Dialect) -> Iterator[Hypothesis]:
    for family in FAMILIES:
        yield from family.hypotheses(table)
