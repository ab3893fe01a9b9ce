"""Averages: moving averages that round at the size of the new value, which no bound of a beta above 1/2 admits."""

from __future__ import annotations

from collections.abc import Iterator

from ...case import Case
from ...dialects import Dialect
from ...reference import scheduled
from ...reference.forms import REFUSED, Forms, Mean, Square
from .._hypothesis import Hypothesis, Plan, Planner

WAYS = ((Mean.LERP_FROM_NEW, Square.LERP_FROM_NEW), (Mean.NEW_MINUS_SCALED, Square.NEW_MINUS_SCALED))


def hypotheses(table: Dialect) -> Iterator[Hypothesis]:
    """Simulated in the format of the case: exactly computed, these averages are those of the dialect."""
    for mean, square in WAYS:
        for words, forms in (
            (f"both moments are {mean.value}", Forms(mean=(mean,), square=(square,))),
            (f"the first moment is {mean.value}", Forms(mean=(mean,))),
            (f"the second moment is {square.value}", Forms(square=(square,))),
        ):
            yield Hypothesis("average-from-new-value", "formats", f"{words}: {REFUSED}", _simulated(forms), rank=3, pairs=False)


def _simulated(forms: Forms) -> Planner:
    def plan(case: Case, table: Dialect) -> Plan | None:
        betas = (beta for hypers in scheduled(case) for hyper in hypers for beta in _betas(table, hyper))
        return Plan(case, simulated=forms) if any(beta > 0.5 for beta in betas) else None

    return plan


def _betas(table: Dialect, hyper: dict[str, object]) -> tuple[float, float]:
    resolved = table.resolve(hyper)[0]
    return resolved.beta1, resolved.beta2
