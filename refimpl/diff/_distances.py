"""How far apart: the cases of A, evaluated as A means them and as B does, in units of the learning rate and of A's bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arithmetic import CLASSES, CPU_CLASS, Arithmetic
from ..case import Expected
from ..dialects import Deviation, Dialect
from ..dialects.translate import Refused
from ..gradients import Array
from ..oracle import in_range, recorded
from ._measured import Measured
from ._replay import DOUBLE, Results, Target, Transfer, run
from ._stages import StageDifference


@dataclass(frozen=True)
class Distance:
    """How far a result is from what A means: of p in learning rates, and of any array in bounds. Both are the largest found."""

    rates: float
    bounds: float
    array: str = ""

    @property
    def agrees(self) -> bool:
        return self.bounds <= 1


def distance(one: Measured, results: Results) -> Distance:
    """How far these states are from A's, over the elements that stay inside the range of the format."""
    worst = Distance(0.0, 0.0)
    for index, param in enumerate(one.case.params):
        inside = in_range(one.expected[param.name])
        for array, expected in one.expected[param.name].items():
            got = results[param.name, array].reshape(expected.value.shape)
            apart = np.where(inside, _apart(got, expected), 0.0)
            with np.errstate(all="ignore"):
                bounds = np.where(apart == 0, 0.0, apart / expected.bound[CPU_CLASS].astype(np.float64))
            largest = float(np.max(bounds, initial=0.0))
            rates = _in_rates(apart, one.rates[index]) if array == "param" else 0.0
            named = array if largest > worst.bounds else worst.array
            worst = Distance(max(rates, worst.rates), max(largest, worst.bounds), named)
    return worst


@dataclass(frozen=True)
class Rounding:
    """How far a correct implementation of A may be off in p on a case, in learning rates: in the class CPU_CLASS, and in the tightest."""

    case: str
    steps: int
    loose: float
    tight: float


def rounding(one: Measured) -> Rounding:
    """The largest bound of a parameter on a case."""
    loose, tight = (max(_reach(one, index, name) for index in range(len(one.case.params))) for name in (CPU_CLASS, CLASSES[0]))
    return Rounding(one.id, len(one.case.steps), loose, tight)


def _reach(one: Measured, index: int, of_class: str) -> float:
    of = one.expected[one.case.params[index].name]
    return _in_rates(np.where(in_range(of), of["param"].bound[of_class], 0.0), one.rates[index])


def _apart(got: Array, expected: Expected) -> Array:
    with np.errstate(invalid="ignore"):
        apart = np.abs(got - expected.value)
    return np.where(np.isfinite(apart), apart, np.inf)


def _in_rates(apart: Array, rates: Array) -> float:
    per_step = np.max(apart.reshape(len(rates), -1), axis=1, initial=0.0)
    used = rates > 0
    return float(np.max(per_step[used] / rates[used], initial=0.0))


@dataclass(frozen=True)
class Refusal:
    """Why B does not take a case; kind as in Refused."""

    kind: str
    reason: str


Outcome = Distance | Refusal
"""How far B is from A on a case, or why B does not take it."""


def compare(one: Measured, given: Transfer, b: Target, a: Arithmetic = DOUBLE, read: Any = np.array) -> Outcome:
    """B on these calls, against what A means by the case."""
    try:
        return distance(one, run(given, b, a, read))
    except Refused as refused:
        return Refusal(refused.kind, str(refused))


def alone(one: Measured, a: Dialect, difference: StageDifference) -> Distance:
    """How far A is from itself when this one stage is picked as B does."""
    changed = Deviation(difference.stage, "D", "", {difference.stage: difference.b}, ())
    with np.errstate(all="ignore"):
        states = recorded(one.case, DOUBLE, a, (changed,))
    return distance(one, states)


def farthest(found: Mapping[str, Distance]) -> str | None:
    """The id of the case that is farthest apart, by learning rates and then by bounds; None where every case agrees."""
    apart = {id: one for id, one in found.items() if not one.agrees}
    return max(apart, key=lambda key: (apart[key].rates, apart[key].bounds)) if apart else None
