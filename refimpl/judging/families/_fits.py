"""Fits: a setting, or the gradient, that is off by a factor or a summand, which is fitted to the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ...arithmetic import CLASSES, FORMATS
from ...case import Case
from ...dialects import Dialect
from ...gradients import Array
from ...reference import SHOWN
from .._evidence import DOUBLE, Judged
from .._hypothesis import Hypothesis, Plan, predict
from ._inputs import with_gradients, with_values
from ._settings import Place, Table, read, role_places, with_settings, write

FITTED = ("lr", "eps", "beta1", "beta2", "weight_decay", "loss_scale")

ROUNDS = 40
"""Gauss-Newton steps of a fit: a factor of v is halved by each while it is far too large."""

NOWHERE = (0.75, 1.5)
"""A step that has such a share of the one before it, after the first few, leads nowhere: a far number is halved or doubled by each."""

FIRST_ROUNDS = 4

SETTLED = 0.5
"""The share of the uncertainty of a number below which a step is noise: the numbers that it is fitted to do not tell so much."""

LEAST = 16
"""A factor counts as 1 if it differs from 1 by at most this many roundings of the format."""

GOOD = 20.0
"""A fit is kept where its root mean square error is at most this many bounds."""


@dataclass(frozen=True, eq=False)
class Scaling:
    """Something that a number can change: `changed(case, number)` is the changed case, None where it does not apply.

    neutral: the number that changes nothing in a case; rank and digits: the rank of its hypotheses, and how many digits a number may have
    before it is less plain than those of the others.
    """

    id: str
    words: str
    neutral: Callable[[Case], float]
    changed: Callable[[Case, float], Case | None]
    rank: int
    digits: int


def fitted(judged: Judged, table: Dialect) -> Iterator[Hypothesis]:
    """The hypotheses whose number fits a failure."""
    for scaling in _scalings(table):
        number = fit(judged, scaling)
        if number is not None:
            yield of_number(scaling, number)


def of_number(scaling: Scaling, number: float) -> Hypothesis:
    def plan(case: Case, table: Dialect) -> Plan | None:
        changed = scaling.changed(case, number)
        return None if changed is None else Plan(changed)

    shown = _shown(number)
    rank = scaling.rank + LESS_PLAIN * (_digits(shown) > scaling.digits)
    return Hypothesis(scaling.id, "settings", scaling.words.format(n=shown), plan, rank=rank, pairs=False, fitted=True)


def _digits(shown: str) -> int:
    """The significant digits of a number as it is shown: of 1/3 those of 3, and of 1e-06 one."""
    mantissa = shown.removeprefix("1/").split("e")[0]
    return sum(map(str.isdigit, mantissa.lstrip("0.")))


SMALL = 1e-5
"""Below it a number is shown as a power of ten."""


def _shown(number: float) -> str:
    reciprocal = 1 / number if number else 0.0
    if SMALL < abs(number) < 1 and abs(reciprocal - round(reciprocal)) < 1e-4 * abs(reciprocal) and abs(reciprocal) > 1.5:
        return f"1/{round(reciprocal):,}"
    return f"{number:.7g}"


def _scalings(table: Dialect) -> Iterator[Scaling]:
    for role, place in role_places(table):
        if role in FITTED:
            first = _first(place)
            for id, words, neutral, combine, rank, digits in (
                ("scaled", f"{role} is multiplied by {{n}}", lambda case: 1.0, lambda value, n: value * n, 4, 5),
                ("constant", f"{role} is {{n}}, whatever is set", first, lambda value, n: n, 5, 3),
                ("offset", f"{{n}} is added to {role}", lambda case: 0.0, lambda value, n: value + n, 6, 2),
            ):
                yield Scaling(f"{role}-{id}", words, neutral, _settings(place, table, combine), rank, digits)
    yield Scaling("gradient-scaled", "gradients are multiplied by {n}", lambda case: 1.0, _scaled_gradients, 3, 5)


LESS_PLAIN = 3
"""What is added to the rank of a number of many digits."""


def _first(place: Place) -> Callable[[Case], float]:
    return lambda case: float(read(case.groups[0].hyper, place))


def _settings(place: Place, table: Dialect, combine: Callable[[float, float], float]) -> Callable[[Case, float], Case | None]:
    def change(settings: Table, number: float) -> None:
        for group in (group for of_groups in settings for group in of_groups):
            write(group, place, combine(float(read(group, place)), number))

    return lambda case, number: with_settings(case, lambda settings, _: change(settings, number), table)


def _scaled_gradients(case: Case, number: float) -> Case | None:
    return with_gradients(case, lambda _, param, gradient: with_values(gradient, lambda values: values.astype(np.float64) * number))


@np.errstate(all="ignore")  # predictions may overflow where the fit strays
def fit(judged: Judged, scaling: Scaling) -> float | None:
    """The number at which the prediction is nearest to the backend's numbers, in bounds; None where it is far from them.

    Gauss-Newton in one variable: the derivative is a difference of two predictions in double.
    """
    case = judged.golden.case
    if judged.cost > 200_000 or scaling.changed(case, 1.5) is None:
        return None
    got, weight = _observed(judged)
    neutral = scaling.neutral(case)
    number = neutral
    residual = got - _predicted(case, judged)
    change = np.inf
    for count in range(ROUNDS):
        step = 1e-4 * max(abs(number), 1e-4)
        base, moved = (scaling.changed(case, value) for value in (number, number + step))
        here = _predicted(base or case, judged)
        slope = (_predicted(moved or case, judged) - here) / step
        residual = got - here
        usable = np.isfinite(slope) & np.isfinite(residual)
        power = float(np.sum((slope * weight)[usable] ** 2))
        if not power:
            return None
        before, change = change, float(np.sum((slope * residual * weight**2)[usable])) / power
        settled = abs(change) <= max(1e-12 * max(abs(number), 1e-12), SETTLED / np.sqrt(power))
        if not np.isfinite(change) or (count >= FIRST_ROUNDS and not settled and _diverges(before, change, number)):
            return None
        number += change
        if settled:
            break
    least = LEAST * FORMATS[case.computing[-1]].u
    if abs(number - neutral) <= least * abs(neutral):
        return None  # a rounding may be no more than that
    final = got - _predicted(scaling.changed(case, number) or case, judged)
    error = np.sqrt(np.mean(np.where(np.isfinite(final), final * weight, 0.0) ** 2)) if len(final) else np.inf
    return rounded_within(number, 1 / np.sqrt(power), neutral) if error <= GOOD and number != neutral else None


def _diverges(before: float, change: float, number: float) -> bool:
    low, high = NOWHERE
    return abs(before) > 1e-9 * abs(number) and low * abs(before) < abs(change) < high * abs(before)


def rounded_within(number: float, uncertainty: float, neutral: float) -> float:
    """The roundest number within the uncertainty: few digits, or the reciprocal of an integer."""
    for digits in range(1, 12):
        round_number = float(f"{number:.{digits - 1}e}")
        if abs(round_number - number) <= 4 * uncertainty and round_number != neutral:
            return round_number
        if number and abs(number) < 1:
            reciprocal = 1 / float(f"{1 / number:.{digits - 1}e}")
            if abs(reciprocal - number) <= 4 * uncertainty:
                return reciprocal
    return number


def _observed(judged: Judged) -> tuple[Array, Array]:
    """The backend's numbers at the wrong elements, and for each the reciprocal of about the bound that it has."""
    numbers, weights = [], []
    for at in range(len(judged.golden.case.record)):
        if judged.golden.case.record[at] > judged.last_step:
            break
        for name, array in judged.keys:
            touched = judged.touched[name]
            expected = judged.golden.expected[name][array]
            got = judged.got(name, array)[at].astype(np.float64)[touched]
            numbers.append(got)
            bound = expected.bound[CLASSES[1]][at].astype(np.float64)[touched]
            with np.errstate(all="ignore"):  # the bound of a number that is far smaller than the expected one is so, too
                smaller = np.abs(got / expected.value[at][touched])
            bound *= np.where(np.isfinite(smaller) & (got != 0), np.minimum(smaller, 1.0), 1.0)
            weights.append(np.where((bound > 0) & np.isfinite(bound), 1 / np.where(bound > 0, bound, 1.0), 0.0))
    return np.concatenate(numbers), np.concatenate(weights)


def _predicted(case: Case, judged: Judged) -> Array:
    parts = []
    for _, states in judged.recorded(predict(Plan(replace(case)), DOUBLE)):
        parts += [
            getattr(states[name], SHOWN[array]).reshape(judged.touched[name].shape)[judged.touched[name]] for name, array in judged.keys
        ]
    return np.concatenate(parts)
