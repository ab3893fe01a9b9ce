"""Picks: rows of the table of deviations."""

from __future__ import annotations

from collections.abc import Iterator

from ...case import Case
from ...dialects import Deviation, Dialect, deviations
from ...dialects.stages import Precision
from ...oracle import changes
from .._hypothesis import Hypothesis, Plan

FOR_ROWS = ("merge", "touch")
"""Stages about rows: where every gradient is dense, hypotheses of other stages come first."""


def hypotheses(table: Dialect) -> Iterator[Hypothesis]:
    for deviation in deviations().values():
        yield of_deviation(deviation, table)


def of_deviation(deviation: Deviation, table: Dialect) -> Hypothesis:
    narrow = "float32" if deviation.picks.get("precision") is Precision.FLOAT32 else None

    def plan(case: Case, _: Dialect) -> Plan | None:
        return Plan(case, (deviation,), scalars=narrow) if changes(case, (deviation,)) else None

    return Hypothesis(deviation.id, "picks", deviation.about, plan, rank=_rank(deviation, table))


def _rank(deviation: Deviation, table: Dialect) -> int:
    """A rank that puts hypotheses about rows last where gradients are dense, and several picks behind a single one."""
    dense = table.gradients == ("dense",)
    speaks_of_rows = any(word in deviation.about for word in ("row", "occurrence", "sparse")) or "row" in deviation.id
    return 3 * (dense and speaks_of_rows) + len(deviation.picks) - 1
