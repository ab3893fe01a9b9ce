"""How far apart: the cases of A, evaluated as A means them and as B does, in units of the learning rate and of A's bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arithmetic import Arithmetic
from ..case import KINDS, Case, Expected
from ..cases import SUITES, drafts
from ..dialects import Deviation, Dialect
from ..gradients import Array, gradient_form
from ..oracle import Expectations, expectations, recorded
from ..reference import scheduled
from .stages import StageDifference
from .transfer import DOUBLE, Refused, Results, Transfer, run, transfer

CLASS, TIGHTEST = "tensor-faithful", "exact-ieee"
LARGEST, LONGEST = 20_000, 500
"""Cases above this many elements times steps, or steps, are left out: they are about indices and horizons, not about semantics."""


@dataclass(frozen=True)
class Distance:
    """How far a result is from what A means: of p in learning rates, and of any array in bounds. Both are the largest found."""

    rates: float
    bounds: float
    array: str = ""

    @property
    def agrees(self) -> bool:
        return self.bounds <= 1


@dataclass(frozen=True, eq=False)
class Measured:
    """A case of A with its truth and bound, ready to be compared with."""

    case: Case
    given: Transfer
    expected: Expectations
    rates: Array

    @property
    def id(self) -> str:
        return self.case.id

    @property
    def defaults(self) -> bool:
        """Whether every setting is at its default at every step."""
        plain = self.given.a.defaults()
        return all(hyper == plain for hypers in scheduled(self.case) for hyper in hypers)

    @property
    def forms(self) -> frozenset[str]:
        """The forms of gradient that it brings."""
        return frozenset(gradient_form(one) for step in self.case.steps for one in step.gradients.values() if one is not None)


def cases_of(a: Dialect, themes: Iterable[str] = ()) -> list[Case]:
    """The float32 cases of a dialect's core themes that end in a result and are of a size to be evaluated many times."""
    found = [golden.case for theme in themes or SUITES["core"] for golden in drafts(a, theme)]
    return [case for case in found if case.error is None and case.dtype == "float32" and _is_small(case)]


def _is_small(case: Case) -> bool:
    return len(case.steps) <= LONGEST and len(case.steps) * sum(param.value.size for param in case.params) <= LARGEST


def measured(case: Case, a: Dialect) -> Measured:
    """The truth of a case under A, its bounds, and the learning rate of each parameter at each recorded step."""
    hypers = list(scheduled(case))
    rates = np.array([[a.resolve(hypers[step - 1][param.group])[0].lr for step in case.record] for param in case.params])
    return Measured(case, transfer(case, a), expectations(case), rates)


def distance(one: Measured, results: Results) -> Distance:
    """How far these states are from A's, over the elements that stay inside the range of the format."""
    worst = Distance(0.0, 0.0)
    for index, param in enumerate(one.case.params):
        tame = _tame(one.expected[param.name])
        for array, expected in one.expected[param.name].items():
            got = results[param.name, array].reshape(expected.value.shape)
            apart = np.where(tame, _apart(got, expected), 0.0)
            with np.errstate(all="ignore"):
                bounds = np.where(apart == 0, 0.0, apart / expected.bound[CLASS].astype(np.float64))
            largest = float(np.max(bounds, initial=0.0))
            rates = _in_rates(apart, one.rates[index]) if array == "param" else 0.0
            named = array if largest > worst.bounds else worst.array
            worst = Distance(max(rates, worst.rates), max(largest, worst.bounds), named)
    return worst


@dataclass(frozen=True)
class Rounding:
    """How far a correct implementation of A may be off in p on a case, in learning rates: in the class CLASS, and in the tightest."""

    case: str
    steps: int
    loose: float
    tight: float


def rounding(one: Measured) -> Rounding:
    """The largest bound of a parameter on a case."""
    loose, tight = (max(_reach(one, index, name) for index in range(len(one.case.params))) for name in (CLASS, TIGHTEST))
    return Rounding(one.id, len(one.case.steps), loose, tight)


def _reach(one: Measured, index: int, of_class: str) -> float:
    of = one.expected[one.case.params[index].name]
    return _in_rates(np.where(_tame(of), of["param"].bound[of_class], 0.0), one.rates[index])


def _apart(got: Array, expected: Expected) -> Array:
    with np.errstate(invalid="ignore"):
        apart = np.abs(got - expected.value)
    return np.where(np.isfinite(apart), apart, np.inf)


def _tame(of: Mapping[str, Expected]) -> Array:
    wild = np.zeros(of["param"].value.shape, bool)
    for one in of.values():
        if one.allowed is not None:
            wild |= np.logical_or.accumulate(one.allowed != KINDS["finite"], axis=0)
    return ~wild


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


def compare(one: Measured, given: Transfer, b: Dialect, flips: Mapping[str, Any], a: Arithmetic = DOUBLE, read: Any = np.array) -> Outcome:
    """B on these calls, against what A means by the case."""
    try:
        return distance(one, run(given, b, flips, a, read))
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
