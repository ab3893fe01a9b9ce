"""Evidence: whether the numbers of a backend are those that a hypothesis predicts, and whether they exclude the dialect.

A prediction in double screens: it is cheap, and nearly exact. The running error analysis proves: the backend's numbers must lie within
the bound of the prediction in one class, and that bound must exclude what the dialect gives, or else the dialect explains them too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np

from ..arithmetic import CLASSES, FORMATS, Bound, Float
from ..backends.outcome import Outcome
from ..case import Expected, Golden, compared, ratios
from ..gradients import Array, Gradient, gradient_form
from ..oracle import bounded
from ..reference import SHOWN, ByFormat, Forms, States, System
from ..reference.forms import Averaging, Mean, Scale, Shrink, Square, Unscaling
from ._hypothesis import Plan, predict

DOUBLE = Float("float64")

FIRST_STEPS = 300
"""How many steps of a long horizon are compared, unless a failure comes later: most deviations show long before."""

WIDE = 30
"""A prediction in double that is farther away than this many bounds is given up without a proof."""

PROVEN = Forms(
    mean=(Mean.WEIGHTED, Mean.LERP),
    square=(Square.WEIGHTED, Square.LERP),
    scale=(Scale.FOLDED, Scale.ON_MOMENTS),
    unscaling=tuple(Unscaling),
    shrink=tuple(Shrink),
    averaging=tuple(Averaging),
)
"""The formulations that a proof runs: those that round most. All of them would take several times as long."""

SLACK = {"float64": 2.5}
"""Other formulations than those of a proof have bounds up to 1.5 times as large; in float64 the prediction has a rounding of its own."""

FAR = 4
"""A prediction this many bounds from the expectation is not computed by a backend that passes: both bounds lie between, with room."""

TELLING = 0.75
"""The share of the wrong elements at which the prediction's bound must exclude the dialect's value, in some array at some step."""


@dataclass(frozen=True)
class Proof:
    """A prediction whose bound, in the class `level` (an index), holds every number of a case that is wrong somewhere.

    tells: that bound also excludes what the dialect gives, so that the case is evidence, and not only consistent.
    """

    level: int
    tells: bool


Key = tuple[str, str]
"""A parameter and one of its arrays."""


class Fit(Enum):
    """Where a prediction agrees with the numbers of a case."""

    NONE = "elsewhere"
    PLACE = "at the wrong elements alone"
    FULL = "everywhere"


@dataclass(frozen=True, eq=False)
class Judged:
    """A case that gave numbers, with what is wrong in them. required: the class of conformance."""

    golden: Golden
    outcome: Outcome
    required: str

    @cached_property
    def wrong(self) -> Mapping[Key, Array]:
        """Which elements are outside their bound, per parameter and array, of shape (T, *shape)."""
        return {(name, array): ratios(self.got(name, array), self.expected(name, array), self.required) > 1 for name, array in self.keys}

    @cached_property
    def keys(self) -> list[Key]:
        return [(name, array) for name, got in self.outcome.states.items() for array in got if array in self.golden.expected.get(name, {})]

    @cached_property
    def touched(self) -> Mapping[str, Array]:
        """Per parameter, the elements that are wrong in any array at any step, of the parameter's shape."""
        elements: dict[str, Array] = {}
        for (name, _), wrong in self.wrong.items():
            elements[name] = np.logical_or(elements.get(name, False), wrong.any(axis=0))
        return elements

    @cached_property
    def last_step(self) -> int:
        """The step up to which predictions are made."""
        record = self.golden.case.record
        first = [int(np.flatnonzero(wrong.reshape(len(record), -1).any(axis=1))[0]) for wrong in self.wrong.values() if wrong.any()]
        return max(FIRST_STEPS, record[min(first)] if first else 0)

    @cached_property
    def forms(self) -> frozenset[str]:
        """The forms of its gradients. Implementations have separate code for each form, so one form is no evidence for another."""
        steps = self.golden.case.steps
        return frozenset(gradient_form(gradient) for step in steps for gradient in step.gradients.values() if gradient is not None)

    @cached_property
    def arithmetic(self) -> System:
        """What predictions are screened in: double, but the case's own format where squares leave its range, which double would not see."""
        for step in self.golden.case.steps:
            for name, gradient in step.gradients.items():
                format = FORMATS[self.golden.case.computed_in(name)]
                size = np.abs(_values(gradient))
                size = size[(size > 0) & np.isfinite(size)]
                if len(size) and (size.max() > format.max**0.5 / 4 or size.min() < format.tiny**0.5 * 4):
                    return ByFormat(Float, self.golden.case)
        return DOUBLE

    @property
    def cost(self) -> int:
        case = self.golden.case
        return sum(200 + param.value.size for param in case.params) * min(len(case.steps), FIRST_STEPS)

    def got(self, name: str, array: str) -> Array:
        return compared(self.outcome.states[name])[array]

    def expected(self, name: str, array: str) -> Expected:
        return self.golden.expected[name][array]

    def recorded(self, states: Iterator[States]) -> Iterator[tuple[int, States]]:
        """(index among the recorded steps, states) of a prediction."""
        at = 0
        for number, state in enumerate(states, start=1):
            if number > self.last_step:
                return
            if number in self.golden.case.record:
                yield at, state
                at += 1


def _values(gradient: Gradient | None) -> Array:
    if gradient is None:
        return np.zeros(0)
    values = {"rows": "values", "elements": "data"}.get(gradient_form(gradient))
    return np.asarray(gradient if values is None else getattr(gradient, values)).astype(np.float64).reshape(-1)


def screen(plan: Plan, judged: Judged) -> Fit:
    """Where the prediction in double is near enough to the numbers to be worth a proof."""
    fit = Fit.FULL
    if plan.scalars or plan.simulated:
        return fit  # only a proof can decide
    for at, states in judged.recorded(predict(plan, judged.arithmetic)):
        for name, array in judged.keys:
            far = _far(judged, at, name, array, getattr(states[name], SHOWN[array]))
            if far.any():
                if (far & judged.touched[name]).any():
                    return Fit.NONE
                fit = Fit.PLACE
    return fit


def _far(judged: Judged, at: int, name: str, array: str, predicted: Array) -> Array:
    got = judged.got(name, array)[at].astype(np.float64)
    expected = judged.golden.expected[name][array]
    x, value, bound = predicted.reshape(got.shape), expected.value[at], expected.bound[CLASSES[-1]][at].astype(np.float64)
    relative = FORMATS[judged.golden.case.computed_in(name)].u ** 0.5 / 2
    with np.errstate(invalid="ignore"):
        near = np.abs(got - x) <= WIDE * np.where(np.isfinite(bound), bound, 0.0) + relative * np.abs(x - value)
        far: Array = ~(near | (got == x) | (np.isnan(got) & np.isnan(x)) | np.isinf(bound))
    return far


def prove(plan: Plan, judged: Judged, loosest: int) -> Proof | None:
    """The proof in the tightest class that has one, by evidence if there is any; None where no class up to `loosest` has.

    Only the elements that are wrong somewhere are looked at: `screen` has compared the others. A nan that matches a nan is consistent, and
    is evidence of nothing.
    """
    if plan.simulated:
        return _prove_simulated(plan, judged)
    possible = np.ones(len(CLASSES), bool)
    possible[loosest + 1 :] = False
    telling = {name: np.zeros((len(CLASSES), int(touched.sum())), bool) for name, touched in judged.touched.items()}
    finite = {name: np.zeros(int(touched.sum()), bool) for name, touched in judged.touched.items()}
    for at, states in judged.recorded(predict(plan, ByFormat(lambda dtype: bounded(dtype, plan.scalars), judged.golden.case), PROVEN)):
        for name, array in judged.keys:
            touched = judged.touched[name]
            if not touched.any():
                continue
            got = judged.got(name, array)[at].astype(np.float64)[touched]
            wrong = judged.wrong[name, array][at][touched]
            value = judged.golden.expected[name][array].value[at][touched]
            bound: Bound = getattr(states[name], SHOWN[array])
            x = bound.x.reshape(touched.shape)[touched]
            e = np.maximum.accumulate(bound.e.reshape(len(CLASSES), *touched.shape), axis=0)[:, touched]
            with np.errstate(invalid="ignore"):
                # A number where a division by 0 is predicted, and so no number, is that of another computation.
                near = (np.abs(got - x) <= SLACK.get(judged.golden.case.computed_in(name), 1.5) * e) & np.isfinite(x)
                within = near | (got == x) | (~np.isfinite(got) & ~np.isfinite(x))
                excludes = (np.abs(got - value) > e) & np.isfinite(got) & wrong
                excludes &= ~(np.abs(x - value) <= e)  # else the dialect gives what is predicted, and SLACK alone admits the numbers
            possible &= within.reshape(len(CLASSES), -1).all(axis=1)
            telling[name] |= excludes
            finite[name] |= wrong & np.isfinite(got)
        if not possible.any():
            return None
    counted = sum(int(elements.sum()) for elements in finite.values())
    tells = possible & (sum(elements.sum(axis=1) for elements in telling.values()) >= TELLING * counted) & (counted > 0)
    proven = tells if tells.any() else possible
    return Proof(int(np.flatnonzero(proven)[0]), bool(tells.any())) if proven.any() else None


def _prove_simulated(plan: Plan, judged: Judged) -> Proof | None:
    """The proof that a simulation gives the backend's numbers, to a bound, and is wrong where these are."""
    wrong, simulated = 0, 0
    for at, states in judged.recorded(_computed(plan, judged)):
        for name, array in judged.keys:
            expected = judged.expected(name, array)
            got, value = judged.got(name, array)[at].astype(np.float64), expected.value[at]
            bound = expected.bound[judged.required][at].astype(np.float64)
            x = _numbers(states, name, array, got.shape)
            with np.errstate(invalid="ignore"):
                if not ((np.abs(got - x) <= bound) | (got == x) | (~np.isfinite(got) & ~np.isfinite(x)) | np.isinf(bound)).all():
                    return None
                outside = judged.wrong[name, array][at] & np.isfinite(got)
                wrong += int(outside.sum())
                simulated += int((outside & (np.abs(x - value) > bound)).sum())
    return Proof(CLASSES.index(judged.required), True) if wrong and simulated >= TELLING * wrong else None


def _computed(plan: Plan, judged: Judged) -> Iterator[States]:
    """The states of a plan without an error analysis: in the case's own format where a rounding is what the plan is about."""
    if plan.simulated:
        return predict(plan, ByFormat(Float), plan.simulated)
    return predict(plan, judged.arithmetic)


def _numbers(states: States, name: str, array: str, shape: tuple[int, ...]) -> Array:
    """An array of a prediction without bounds, in double and in the shape of the parameter."""
    return np.asarray(getattr(states[name], SHOWN[array]), np.float64).reshape(shape)


def changed(plan: Plan, judged: Judged) -> Mapping[str, Array]:
    """Per parameter, the elements that the prediction takes so far from the expectation that a backend which computes it would fail."""
    elements_of = {name: np.zeros(touched.shape, bool) for name, touched in judged.touched.items()}
    for name, elements in _changes(plan, judged):
        elements_of[name] |= elements
    return elements_of


def is_changed(plan: Plan, judged: Judged) -> bool:
    """Whether a backend that computes the prediction would fail the case."""
    return any(elements.any() for _, elements in _changes(plan, judged))


def _changes(plan: Plan, judged: Judged) -> Iterator[tuple[str, Array]]:
    """Step after step and array after array: the parameter, and which of its elements are far from their expectation."""
    for at, states in judged.recorded(_computed(plan, judged)):
        for name, array in judged.keys:
            expected = judged.golden.expected[name][array]
            value = expected.value[at]
            x = _numbers(states, name, array, value.shape)
            with np.errstate(invalid="ignore"):
                apart = np.abs(x - value) > FAR * expected.bound[judged.required][at].astype(np.float64)
            yield name, apart if expected.allowed is not None else apart | (~np.isfinite(x) & np.isfinite(value))


def differ(plan: Plan, other: Plan, judged: Judged) -> bool:
    """Whether two predictions are farther apart than the bound at some element that is wrong."""
    for (at, first), (_, second) in zip(judged.recorded(_computed(plan, judged)), judged.recorded(_computed(other, judged))):
        for name, array in judged.keys:
            bound = judged.expected(name, array).bound[judged.required][at].astype(np.float64)
            x, y = (_numbers(states, name, array, bound.shape) for states in (first, second))
            with np.errstate(invalid="ignore"):
                apart = (np.abs(x - y) > bound) | (np.isfinite(x) != np.isfinite(y))
            if (apart & judged.touched[name]).any():
                return True
    return False
