"""How near admissible computations come to the bound, case by case: the property that every bound of refimpl rests on.

A margin is the largest |computed - exact| / bound; above 1 the bound has been left, and refimpl is wrong. The exact result is
approximated in extended precision, which is at least 2000 times finer than any bound; where that puts a computation outside,
balls decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arithmetic import CLASSES, Arithmetic, Bound, Bounded, Float
from ..arithmetic.perturbed import Perturbed, Tensor
from ..arithmetic.wide import Wide
from ..case import Case
from ..dialects import dialect
from ..dialects.stages import Touch
from ..gradients import Array, occurrences
from ..reference import ALL, FIELDS, ONE, Forms, each, scheduled, trajectory


@dataclass(frozen=True)
class Computation:
    """One admissible way to compute a case, and the class that admits it."""

    name: str
    numerics_class: str
    arithmetic: Arithmetic
    forms: Forms


@dataclass(frozen=True)
class Margin:
    """The largest |error| / bound of one array in one computation, where it was found, and how many elements were updated."""

    case: str
    computation: str
    numerics_class: str
    array: str
    ratio: float
    step: int
    index: tuple[int, ...]
    element_steps: int


def computations(case: Case, rng: np.random.Generator, per_class: int = 2) -> Iterator[Computation]:
    """Every kind of computation that is admissible for a case, with formulations drawn at random."""
    table = dialect(case.dialect)
    hypers = [table.resolve(hyper)[0] for of_groups in scheduled(case) for hyper in of_groups]
    forms = list(each(max(hyper.beta1 for hyper in hypers), max(hyper.beta2 for hyper in hypers)))

    def one() -> Forms:
        return forms[rng.integers(len(forms))]

    yield Computation("float", "exact-ieee", Float(case.dtype), one())
    yield Computation("float, summed from the last", "exact-ieee", Float(case.dtype, reverse=True), one())
    yield Computation("float, scalars in the dtype", "tensor-faithful", Float(case.dtype, tensor_scalars=True), one())
    yield Computation("double inside", "exact-ieee", Wide(case.dtype), one())
    lanes = case.params[0].value.shape[1] if "elements" not in case.id else 1
    for numerics_class in CLASSES:
        for k in range(per_class):
            mixed = k % 4 == 3  # a mixture of all forms, element by element, costs as much as all of them
            yield Computation("perturbed", numerics_class, Perturbed(case.dtype, numerics_class, rng, lanes), ALL if mixed else one())


def margins(case: Case, some: Sequence[Computation]) -> list[Margin]:
    """The margin of each array in each computation of a case with one parameter, "w"; first that of the bound's own double.

    Elements that some formulation may take out of the range of the format are left out from there on: they have no bound.
    """
    bounds = _run(case, Bounded(case.dtype), ALL)
    truth = _run(case, Float("longdouble", tensor_scalars=True), ONE)
    tame = _tame(bounds)
    updates = [int((inside & moved).sum()) for inside, moved in zip(tame, _updated(case, bounds))]
    found = []
    own = [{array: bound.x for array, bound in step.items()} for step in bounds]
    runs = [
        ("double of the bound", CLASSES[0], own),
        *((one.name, one.numerics_class, _run(case, one.arithmetic, one.forms)) for one in some),
    ]
    for name, numerics_class, run in runs:
        for array in FIELDS:
            ratio, step, index = _worst(run, truth, bounds, tame, array, CLASSES.index(numerics_class))
            if ratio > 1:
                ratio = _settled(case, run[step][array], bounds, array, CLASSES.index(numerics_class), step, index)
            found.append(Margin(case.id, name, numerics_class, array, ratio, step + 1, index, sum(updates)))
    return found


def _run(case: Case, a: Arithmetic, forms: Forms) -> list[dict[str, Any]]:
    """What each step leaves in a number system: array name to numbers of shape (rows, width)."""
    return [
        {array: _copy(getattr(states["w"], field)) for array, field in FIELDS.items()}
        for states in trajectory(case, a, dialect(case.dialect), (), forms)
    ]


def _copy(number: Any) -> Any:
    if isinstance(number, Bound):
        # A looser class admits every computation of a tighter one.
        return Bound(number.x.copy(), np.maximum.accumulate(number.e, axis=0), number.rounding)
    return np.array(number.x if isinstance(number, Tensor) else number)


def _tame(bounds: Sequence[Mapping[str, Bound]]) -> list[Array]:
    finite = [np.all([np.isfinite(one.x) & np.isfinite(one.e).all(axis=0) for one in step.values()], axis=0) for step in bounds]
    return [np.all(finite[: k + 1], axis=0) for k in range(len(finite))]


def _updated(case: Case, bounds: Sequence[Mapping[str, Bound]]) -> Iterator[Array]:
    """The elements that each step updates."""
    hypers = [table_row[0] for table_row in scheduled(case)]
    for step, hyper, bound in zip(case.steps, hypers, bounds):
        moved = np.zeros(bound["param"].shape, bool)
        picks = dialect(case.dialect).resolve(hyper)[1]
        given = occurrences(step.gradients["w"], case.params[0].value.shape, "w")
        moved[given.indices if picks.touch is not Touch.ALL else slice(None)] = True
        yield moved


def _worst(
    run: Sequence[Mapping[str, Array]],
    truth: Sequence[Mapping[str, Array]],
    bounds: Sequence[Mapping[str, Bound]],
    tame: Sequence[Array],
    array: str,
    level: int,
) -> tuple[float, int, tuple[int, ...]]:
    """The largest ratio, with its step (from 0) and index."""
    worst, at = -1.0, 0
    where: tuple[int, ...] = (0, 0)
    for step, inside in enumerate(tame):
        with np.errstate(all="ignore"):
            error = np.abs(run[step][array] - truth[step][array])
            ratio = np.where(inside & (error != 0), error / bounds[step][array].e[level], 0.0)
        ratio = np.where(np.isnan(ratio), np.inf, ratio)  # a computation that is not finite where the bound is
        if ratio.max(initial=-1.0) > worst:
            where = tuple(int(i) for i in np.unravel_index(np.argmax(ratio), ratio.shape))
            worst, at = float(ratio[where]), step
    return worst, at, where


def _settled(
    case: Case, got: Array, bounds: Sequence[Mapping[str, Bound]], array: str, level: int, step: int, index: tuple[int, ...]
) -> float:
    """The ratio of one element, with the exact result out of balls."""
    from ..arithmetic.balls import Ball

    ball = _run(case, Ball(), ONE)[step][array][index]
    error, bound = Ball().scalar(got[index]) - ball, float(bounds[step][array].e[level][index])
    least = float(abs(error).abs_lower())
    return least / bound if bound else np.inf if least else 0.0
