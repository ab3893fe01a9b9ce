"""How much of a bound correct computations use when every rounding pushes the same way: the rest is slack of the bound.

The computations are `Adversary`'s. Each pushes one array at one recorded step up or down, in some formulas; the largest ratio that
any of them reaches anywhere is how tight the bound is known to be, a lower estimate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from ..arithmetic.adversary import Adversary
from ..case import Case, ratios
from ..dialects import dialect
from ..dialects.stages import Eps
from ..gradients import Array
from ..reference import FIELDS, ONE, SHOWN, ByFormat, Forms, trajectory
from ..reference.forms import CHANGE, Averaging, Mean, Scale, Shrink, Square, Unscaling
from .bound_usage import lanes
from .expectations import Expectations

FORMS = (
    replace(ONE, scale=(Scale.LR_FIRST,)),
    replace(
        ONE,
        mean=(Mean.LERP,),
        square=(Square.LERP,),
        scale=(Scale.LR_FIRST,),
        unscaling=(Unscaling.DIVIDE_FIRST,),
        averaging=(Averaging.EACH_MULTIPLIED,),
    ),
    replace(
        ONE,
        square=(Square.WEIGHTED_ONCE,),
        scale=(Scale.ON_MOMENTS,),
        shrink=(Shrink.DIFFERENCE,),
        averaging=(Averaging.RANKS_DIVIDED,),
    ),
)
"""Formulas that round the most often."""

LONG = 50
"""Of a case of more steps, only the last is pushed, in the first of the formulas."""

Usage = dict[str, float]


def usage(case: Case, expected: Expectations, numerics_class: str, rng: np.random.Generator) -> Usage:
    """The largest |error| / bound in a class, by array, over the elements that stay within the range."""
    worst: Usage = {}
    for array in FIELDS:
        if not any(array in arrays for arrays in expected.values()):
            continue
        is_long = len(case.steps) > LONG
        for forms in FORMS[:1] if is_long else FORMS:
            for at in sorted({len(case.record) - 1, len(case.record) - 1 if is_long else 0}):
                for way in (-1.0, 1.0):
                    run = pushed(case, expected, numerics_class, forms, array, at, way, rng)
                    for kind, ratio in _ratios(run, expected, numerics_class):
                        worst[kind] = max(worst.get(kind, 0.0), ratio)
    return worst


def pushed(
    case: Case, expected: Expectations, numerics_class: str, forms: Forms, array: str, at: int, way: float, rng: np.random.Generator
) -> Mapping[tuple[str, str], Array]:
    """A computation that pushes an array at a recorded step up (way 1) or down (-1): (parameter, array) to (T, *shape).

    Scalars are shared by all rows, so that one row of each column decides how they are rounded.
    """
    forms = _admitted(case, forms)
    first = {dtype: Adversary(dtype, numerics_class, lanes(case)) for dtype in case.computing}
    targets: dict[str, list[tuple[int, Array]]] = {dtype: [] for dtype in first}
    for number, states in enumerate(trajectory(case, ByFormat(first.__getitem__), dialect(case.dialect), (), forms), start=1):
        if number == case.record[at]:
            for name, arrays in expected.items():
                if array in arrays:
                    target = getattr(states[name], SHOWN[array])
                    bound = arrays[array].bound[numerics_class][at].astype(np.float64).reshape(target.shape)
                    with np.errstate(all="ignore"):
                        weight = np.where((bound > 0) & np.isfinite(bound), 1 / bound, 0.0)
                    targets[case.computed_in(name)].append((target.node, way * weight * _deciding(target.shape, rng)))
            break
    directions = {dtype: adversary.directions(targets[dtype]) for dtype, adversary in first.items()}
    second = ByFormat(lambda dtype: Adversary(dtype, numerics_class, lanes(case), directions[dtype]))
    kept: dict[tuple[str, str], list[Array]] = {}
    for number, states in enumerate(trajectory(case, second, dialect(case.dialect), (), forms), start=1):
        if number in case.record:
            for name, arrays in expected.items():
                for kind in arrays:
                    x = getattr(states[name], SHOWN[kind]).x.astype(np.float64)
                    kept.setdefault((name, kind), []).append(x.reshape(arrays[kind].value.shape[1:]))
    return {key: np.stack(steps) for key, steps in kept.items()}


def _deciding(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """1 in one row of each column, 1e-9 in the others."""
    weight = np.full(shape, 1e-9)
    if shape[0]:
        weight[rng.integers(shape[0], size=shape[1]), np.arange(shape[1])] = 1.0
    return weight


def _admitted(case: Case, forms: Forms) -> Forms:
    """The forms, with a scale that is possible for the dialect's place of eps."""
    eps: Eps = dialect(case.dialect).picks.eps
    return forms if forms.scale[0] in CHANGE[eps] else replace(forms, scale=(next(iter(CHANGE[eps])),))


def _ratios(run: Mapping[tuple[str, str], Array], expected: Expectations, numerics_class: str) -> Iterator[tuple[str, float]]:
    for (name, kind), got in run.items():
        array_expected = expected[name][kind]
        inside = np.ones(got.shape, bool) if array_expected.allowed is None else array_expected.allowed == 1
        ratio = np.where(inside, ratios(got, array_expected, numerics_class), 0.0)
        yield kind, float(ratio.max(initial=0.0))
