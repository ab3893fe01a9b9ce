"""How far apart: the cases of A, evaluated as A means them and as B does, in units of the learning rate and of A's bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arithmetic import CLASSES, CPU_CLASS, Arithmetic
from ..case import ratios
from ..dialects import Dialect
from ..dialects.translate import Refused
from ..gradients import Array
from ..oracle import in_range, recorded
from ._measured import Measured
from ._replay import DOUBLE, Results, Target, Transfer, run
from ._stages import StageDifference, instead


@dataclass(frozen=True)
class Distance:
    """How far a result is from what A means: p in learning rates, and any array in bounds, where each is largest."""

    rates: float
    bounds: float
    array: str = ""

    @property
    def agrees(self) -> bool:
        return self.bounds <= 1


@dataclass(frozen=True)
class Refusal:
    """Why B does not take a case; kind as in Refused."""

    kind: str
    reason: str

    agrees = False


Outcome = Distance | Refusal
"""How far B is from A on a case, or why B does not take it."""


def distance(measured: Measured, results: Results) -> Distance:
    """How far these states are from A's, over the elements that stay inside the range of the format."""
    rates = bounds = 0.0
    farthest_array = ""
    for index, param in enumerate(measured.case.params):
        inside = in_range(measured.expected[param.name])
        for array, expected in measured.expected[param.name].items():
            got = results[param.name, array].reshape(expected.value.shape)
            largest = float(np.max(np.where(inside, ratios(got, expected, CPU_CLASS), 0.0), initial=0.0))
            if largest > bounds:
                bounds, farthest_array = largest, array
            if array == "param":
                with np.errstate(invalid="ignore"):
                    apart = np.abs(got - expected.value)
                rates = max(rates, _in_rates(np.where(inside, np.where(np.isfinite(apart), apart, np.inf), 0.0), measured.rates[index]))
    return Distance(rates, bounds, farthest_array)


def _in_rates(apart: Array, rates: Array) -> float:
    """The largest of these distances (T, *shape) in units of the learning rate at each of T steps."""
    per_step = np.max(apart.reshape(len(rates), -1), axis=1, initial=0.0)
    used = rates > 0
    return float(np.max(per_step[used] / rates[used], initial=0.0))


@dataclass(frozen=True)
class Rounding:
    """How far a correct implementation of A may be off in p on a case, in learning rates: in the class CPU_CLASS, and in the tightest."""

    case: str
    steps: int
    loose: float
    tight: float


def rounding(measured: Measured) -> Rounding:
    """The largest bound of a parameter on a case."""

    def largest(numerics_class: str) -> float:
        arrays = [measured.expected[param.name] for param in measured.case.params]
        bounds = (np.where(in_range(expected), expected["param"].bound[numerics_class], 0.0) for expected in arrays)
        return max(map(_in_rates, bounds, measured.rates))

    return Rounding(measured.id, len(measured.case.steps), largest(CPU_CLASS), largest(CLASSES[0]))


def compare(measured: Measured, calls: Transfer, b: Target, arithmetic: Arithmetic = DOUBLE, read: Any = np.array) -> Outcome:
    """B on these calls, against what A means by the case."""
    try:
        return distance(measured, run(calls, b, arithmetic, read))
    except Refused as refused:
        return Refusal(refused.kind, str(refused))


def alone(measured: Measured, a: Dialect, difference: StageDifference) -> Distance:
    """How far A is from itself when only this stage is picked as B does."""
    changed = instead(a, difference.stage, difference.b)
    with np.errstate(all="ignore"):
        states = recorded(measured.case, DOUBLE, a, (changed,))
    return distance(measured, states)


def differing(outcomes: Mapping[str, Outcome]) -> dict[str, Distance]:
    """The cases that B takes, and comes to something else in."""
    return {id: outcome for id, outcome in outcomes.items() if isinstance(outcome, Distance) and not outcome.agrees}


def farthest(outcomes: Mapping[str, Outcome]) -> tuple[str, Distance] | None:
    """The case that is farthest apart, by learning rates and then by bounds, with its distance; None where none differs."""
    return max(differing(outcomes).items(), key=lambda pair: (pair[1].rates, pair[1].bounds), default=None)
