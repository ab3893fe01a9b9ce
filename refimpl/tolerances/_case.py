"""One case under several rules: what each makes of the mistakes that the case catches, and of correct computations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..arithmetic import CLASSES, Arithmetic, Float
from ..case import Golden
from ..dialects import Deviation, deviations, dialect
from ..gradients import Array
from ..oracle import recorded
from ..oracle.bound_usage import Computation, computations
from ..reference import ByFormat
from ._compared import Compared, Place, beginning, never_finite, wrong_kind
from .rules import Rule

SEED = 0
"""Of the formulations and the perturbed roundings of the correct computations."""


@dataclass(frozen=True)
class Tried:
    """A mistake in a case under one rule: its excess, and the element that is the most bounds away (None: all are within them)."""

    mistake: str
    case: str
    excess: float
    farthest: Place | None


@dataclass(frozen=True)
class Correct:
    """Correct computations of a case under one rule.

    most: what no excess of them is above; excess, computation, farthest: of the one with the largest excess that was run.
    """

    case: str
    most: float
    excess: float
    computation: str
    farthest: Place | None


@dataclass(frozen=True)
class Judged:
    """A case under one rule."""

    tried: tuple[Tried, ...]
    correct: Correct


def judged(golden: Golden, rules: Sequence[Rule], numerics_class: str) -> list[Judged]:
    """A case under each of these rules."""
    arrays = tuple(dict.fromkeys(array for rule in rules for array in rule.arrays))
    whole = Compared.of(golden, arrays, numerics_class)
    short = beginning(golden)
    compared = whole if short is golden else Compared.of(short, arrays, numerics_class)
    tried: list[list[Tried]] = [[] for _ in rules]
    for mistake in golden.case.catches:
        for own, (excess, place) in zip(tried, _mistaken(short, compared, deviations()[mistake], rules)):
            own.append(Tried(mistake, golden.case.id, excess, place))
    most = [whole.most(rule) for rule in rules]
    runs = (
        [] if max(most) <= 1 else [(run.name, compared.row(_run(short, run), short.case.record)) for run in _correct(short, numerics_class)]
    )
    return [Judged(tuple(own), _of_correct(compared, rule, limit, runs, golden.case.id)) for own, rule, limit in zip(tried, rules, most)]


def _mistaken(golden: Golden, compared: Compared, mistake: Deviation, rules: Sequence[Rule]) -> Iterator[tuple[float, Place | None]]:
    """What each rule makes of the mistake, as doubles compute it: they are nearer to its exact result than any bound that it left."""
    case, table = golden.case, dialect(golden.case.dialect)
    x = compared.without_rounding(compared.row(recorded(case, _floats("float64"), table, (mistake,)), case.record))
    places: dict[tuple[str, ...], tuple[Place | None, bool]] = {}
    for rule in rules:
        if rule.arrays not in places:
            wrong = never_finite(golden, rule.arrays) and wrong_kind(
                golden, recorded(case, ByFormat(_floats), table, (mistake,)), rule.arrays
            )
            places[rule.arrays] = compared.farthest(x, rule.arrays), wrong
        place, wrong = places[rule.arrays]
        yield np.inf if wrong else compared.excess(rule, x), place


@cache
def _floats(dtype: str) -> Arithmetic:
    """One number system per dtype, so that scalars which several mistakes need are computed once."""
    return Float(dtype)


def _correct(golden: Golden, numerics_class: str) -> Iterator[Computation]:
    """Correct computations of the class: in the case's own format, one way after the other, with the formulations drawn."""
    upto = CLASSES.index(numerics_class)
    for run in computations(golden.case, np.random.default_rng(SEED), per_class=1):
        if CLASSES.index(run.numerics_class) <= upto:
            yield run


def _run(golden: Golden, run: Computation) -> dict[tuple[str, str], Array]:
    with np.errstate(all="ignore"):
        return recorded(golden.case, run.arithmetic, dialect(golden.case.dialect), (), run.forms)


def _of_correct(compared: Compared, rule: Rule, most: float, runs: Sequence[tuple[str, Array]], case: str) -> Correct:
    if most <= 1:  # nothing that is run could be refused
        return Correct(case, most, 0.0, "", None)
    excess, at = max(((compared.excess(rule, x), k) for k, (_, x) in enumerate(runs)), default=(0.0, 0))
    name, x = runs[at] if runs else ("", compared.e)
    return Correct(case, most, excess, name, compared.refused_at(rule, x) if excess > 1 else None)
