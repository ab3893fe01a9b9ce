"""The oracle: the exact result of a case, and per element how far a correct implementation may be from it.

An element is *tame* while every admissible formulation keeps it inside the range of the format. For a tame element the
expectation is the real-number result, proven by balls, and the bound is the running error analysis. Once some formulation
overflows, or an input is not finite, the element is *wild*: formulations part ways (an increment turns inf into nan, a product
keeps it; an implementation with double inside does not overflow at all). Its expectation is what the admissible formulations
give when they are run: the kinds that occur, and a bound that reaches every finite value among them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from ..arithmetic import CLASSES, FORMATS, Arithmetic, Bound, Bounded, Float
from ..arithmetic.wide import Wide
from ..case import KINDS, Case, Expected, kinds
from ..dialects import Deviation, Dialect, dialect
from ..errors import HarnessError
from ..gradients import Array
from ..reference import ALL, FIELDS, ONE, Forms, State, each, kept_arrays, scheduled, trajectory

Expectations = dict[str, dict[str, Expected]]
Recorded = dict[tuple[str, str], Array]


@dataclass(frozen=True)
class _Truth:
    """One array of one parameter at the recorded steps: midpoints of the balls, values and bounds, and which elements are wild."""

    exact: Array
    x: Array
    e: Array
    wild: Array


def expectations(case: Case) -> Expectations:
    """The expectation of every array of every parameter at the recorded steps.

    Raises HarnessError where two formulations of the dialect differ, or where a ball leaves the bound: both would be errors of
    refimpl.
    """
    table = dialect(case.dialect)
    truths = _truths(case, table)
    envelope = _Envelope(case, table) if any(truth.wild.any() for of in truths.values() for truth in of.values()) else None
    return {
        name: {array: _expected(case, truth, envelope.of(name, array) if envelope else []) for array, truth in of.items()}
        for name, of in truths.items()
    }


def _truths(case: Case, table: Dialect) -> dict[str, dict[str, _Truth]]:
    from ..arithmetic.balls import Ball, midpoint

    shapes = {param.name: param.value.shape for param in case.params}
    exact: dict[tuple[str, str], list[Array]] = {}
    running: dict[tuple[str, str], list[Bound]] = {}
    wild: dict[str, list[Array]] = {name: [] for name in shapes}
    runs = zip(trajectory(case, Ball(), table, (), ALL), trajectory(case, bounded(case.dtype), table, (), ALL))
    outside = {name: np.zeros((1, 1), bool) for name in shapes}
    for number, (balls, bounds) in enumerate(runs, start=1):
        for name in shapes:
            outside[name] = outside[name] | leaves_range(bounds[name])
            if number not in case.record:
                continue
            wild[name].append(np.broadcast_to(outside[name], bounds[name].p.x.shape).reshape(shapes[name]))
            for array, field in FIELDS.items():
                exact.setdefault((name, array), []).append(midpoint(getattr(balls[name], field)).reshape(shapes[name]))
                bound: Bound = getattr(bounds[name], field)
                kept = Bound(bound.x.reshape(shapes[name]).copy(), bound.e.reshape(len(CLASSES), *shapes[name]).copy(), bound.rounding)
                running.setdefault((name, array), []).append(kept)
    return {
        name: {
            array: _Truth(
                np.stack(exact[name, array]),
                np.stack([bound.x for bound in running[name, array]]),
                np.stack([bound.e for bound in running[name, array]], axis=1),
                np.stack(wild[name]),
            )
            for array in kept
        }
        for name, kept in kept_arrays(case).items()
    }


@cache
def bounded(dtype: str, scalars: str | None = None) -> Bounded:
    return Bounded(dtype, scalars)


def leaves_range(state: State) -> Array:
    """Elements of which some formulation is not finite, or may not be."""
    parts = (state.p, state.m, state.v, state.v_max)
    outside: Array = np.logical_or.reduce([~np.isfinite(part.x) | ~np.isfinite(part.e).all(axis=0) for part in parts])
    return outside


def _expected(case: Case, truth: _Truth, runs: list[Array]) -> Expected:
    value = np.where(truth.wild, truth.x, truth.exact)
    with np.errstate(invalid="ignore"):
        off = ~truth.wild & (np.abs(truth.x - truth.exact) > truth.e.max(axis=0))
    if off.any():
        at = tuple(int(i) for i in np.argwhere(off)[0])
        raise HarnessError(f"{case.id}: the double at {at} is outside its own bound: {truth.x[at]!r}, exactly {truth.exact[at]!r}")
    e = np.maximum.accumulate(truth.e, axis=0)  # a looser class admits every computation of a tighter one
    allowed = None
    if truth.wild.any():
        allowed = np.where(truth.wild, np.bitwise_or.reduce([kinds(run) for run in runs]), KINDS["finite"]).astype(np.uint8)
        value = np.where(truth.wild & (allowed == kinds(runs[0])), runs[0].astype(np.float64), value)  # all runs agree on the kind
        value = np.where(truth.wild & ~np.isfinite(value), _some_finite(value, runs), value)
        e = np.where(truth.wild, _reach(case, value, e, runs), e)
    return Expected(value, stored_bounds(value, e), allowed)


def stored_bounds(value: Array, e: Array) -> dict[str, Array]:
    """Class to bound as vectors store it: about the exact result as it is rounded to double, and itself rounded up."""
    with np.errstate(invalid="ignore"):
        e = e + np.where(np.isfinite(value), np.abs(value), 0.0) * FORMATS["float64"].u
    return {name: round_up(e[k]) for k, name in enumerate(CLASSES)}


class _Envelope:
    """What the admissible formulations give when they are run in the format, and with double inside."""

    def __init__(self, case: Case, table: Dialect) -> None:
        self.runs: list[Recorded] = []
        hypers = [table.resolve(hyper)[0] for of_groups in scheduled(case) for hyper in of_groups]
        for forms in each(max(hyper.beta1 for hyper in hypers), max(hyper.beta2 for hyper in hypers)):
            if (forms.unscaling, forms.shrink) != (ONE.unscaling, ONE.shrink):
                continue  # where the decay stands does not change what overflows
            for arithmetic in (Float(case.dtype), Wide(case.dtype)):
                self.runs.append(recorded(case, arithmetic, table, (), forms))

    def of(self, name: str, array: str) -> list[Array]:
        return [run[name, array] for run in self.runs]


def recorded(case: Case, a: Arithmetic, table: Dialect, deviations: tuple[Deviation, ...] = (), forms: Forms = ONE) -> Recorded:
    """A trajectory in floats at the recorded steps: (parameter, array) -> (T, *shape)."""
    shapes = {param.name: param.value.shape for param in case.params}
    kept: dict[tuple[str, str], list[Array]] = {}
    for number, states in enumerate(trajectory(case, a, table, deviations, forms), start=1):
        if number in case.record:
            for name, shape in shapes.items():
                for array, field in FIELDS.items():
                    kept.setdefault((name, array), []).append(np.array(getattr(states[name], field)).reshape(shape))
    return {key: np.stack(steps) for key, steps in kept.items()}


def _reach(case: Case, value: Array, e: Array, runs: list[Array]) -> Array:
    """A bound that reaches every finite value among the runs, and the roundings of others that take the same way.

    Another computation rounds p differently once per step (an ulp, 2u, of what is stored), and its changes by fewer than 64
    operations of a step; the changes of a wild element are no longer than the way to the farthest run.
    """
    u = FORMATS[case.dtype].u
    with np.errstate(invalid="ignore"):
        apart = np.stack([np.abs(run.astype(np.float64) - value) for run in runs])
    farthest = np.max(np.where(np.isfinite(apart), apart, 0.0), axis=0)
    with np.errstate(invalid="ignore"):
        rounded = 2 * u * len(case.steps) * (np.abs(value) + farthest) + 64 * u * farthest
        return np.where(np.isfinite(value), e + farthest + np.where(farthest > 0, rounded, 0.0), np.inf)


def _some_finite(value: Array, runs: list[Array]) -> Array:
    """Where the expectation is not finite but some run is: that run's value (its bound is infinite)."""
    for run in runs:
        value = np.where(np.isfinite(value), value, np.where(np.isfinite(run), run.astype(np.float64), value))
    return value


def round_up(e: Array) -> Array:
    """The smallest float32 that is not below e."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = e.astype(np.float32)
    return np.where(rounded.astype(np.float64) < e, np.nextafter(rounded, np.float32(np.inf)), rounded).astype(np.float32)
