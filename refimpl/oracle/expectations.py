"""The oracle: the exact result of a case, and per element how far a correct implementation may be from it.

An element of an array is *in range* while no admissible computation takes it out of the range of the format. Its expectation is the
real-number result, proven by balls, and its bound is the running error analysis. Where some computation may overflow, or an
input is not finite, the element is *out of range* in the arrays that it reaches: formulations part ways (an increment turns inf into
nan, a product keeps it; an implementation with double inside does not overflow at all). Its expectation is the set of what the
admissible computations may hold: the kinds that occur, and a bound that reaches every finite number among them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from ..arithmetic import CLASSES, FORMATS, Arithmetic, Bound, Bounded
from ..arithmetic.reach import Reach, Set
from ..arithmetic.roundings import INFLATE
from ..case import KINDS, Case, Expected
from ..dialects import Deviation, Dialect, dialect
from ..errors import HarnessError
from ..gradients import Array
from ..reference import ALL, FIELDS, ONE, SHOWN, ByFormat, Forms, State, System, kept_arrays, trajectory

Expectations = dict[str, dict[str, Expected]]
Recorded = dict[tuple[str, str], Array]


@dataclass(frozen=True)
class Truth:
    """One array of one parameter at the recorded steps: midpoints of the balls, and values x and bounds e of the error analysis."""

    exact: Array
    x: Array
    e: Array

    @property
    def out_of_range(self) -> Array:
        """Elements that some admissible computation may take out of the range, in some class."""
        return np.asarray(~np.isfinite(self.e).all(axis=0))


def in_range(arrays: Mapping[str, Expected]) -> Array:
    """Elements of a parameter that no admissible computation has taken out of the range of the format, (T, *shape).

    In every array and at every recorded step so far: there the expectation is the real-number result.
    """
    outside = np.zeros(arrays["param"].value.shape, bool)
    for expected in arrays.values():
        if expected.allowed is not None:
            outside |= np.logical_or.accumulate(expected.allowed != KINDS["finite"], axis=0)
    return ~outside


def expectations(case: Case) -> Expectations:
    """The expectation of every array of every parameter at the recorded steps.

    Raises HarnessError where two formulations of the dialect differ, or where a ball leaves the bound: both would be errors of
    refimpl.
    """
    table = dialect(case.dialect)
    return expectations_from(case, table, _truths(case, table))


def expectations_from(case: Case, table: Dialect, truths: Mapping[str, Mapping[str, Truth]]) -> Expectations:
    """The expectations, from the truth of every array of every parameter."""
    reached = _reached(case, table) if any(truth.out_of_range.any() for arrays in truths.values() for truth in arrays.values()) else {}
    return {
        name: {array: _expected(case, truth, reached.get((name, array), ()), array) for array, truth in arrays.items()}
        for name, arrays in truths.items()
    }


def _truths(case: Case, table: Dialect) -> dict[str, dict[str, Truth]]:
    from ..arithmetic.balls import midpoint

    shapes = {param.name: param.value.shape for param in case.params}
    exact: dict[tuple[str, str], list[Array]] = {}
    running: dict[tuple[str, str], list[tuple[Array, Array]]] = {}
    kept = kept_arrays(case)
    runs = zip(trajectory(case, ball(), table, (), ALL), trajectory(case, ByFormat(bounded), table, (), ALL))
    for number, (balls, bounds) in enumerate(runs, start=1):
        if number not in case.record:
            continue
        for name, shape in shapes.items():
            for array in kept[name]:
                exact.setdefault((name, array), []).append(midpoint(getattr(balls[name], SHOWN[array])).reshape(shape))
                bound: Bound = getattr(bounds[name], SHOWN[array])
                copies = bound.x.reshape(shape).copy(), bound.e.reshape(len(CLASSES), *shape).copy()
                running.setdefault((name, array), []).append(copies)
    return {
        name: {
            array: Truth(
                np.stack(exact[name, array]),
                np.stack([x for x, _ in running[name, array]]),
                np.stack([e for _, e in running[name, array]], axis=1),
            )
            for array in arrays
        }
        for name, arrays in kept.items()
    }


@cache
def ball() -> Arithmetic:
    """The one number system of all proofs, so that scalars which two of them need are computed once."""
    from ..arithmetic.balls import Ball

    return Ball()


@cache
def bounded(dtype: str, scalars: str | None = None) -> Bounded:
    return Bounded(dtype, scalars)


def leaves_range(state: State) -> Array:
    """Elements that some admissible computation may take out of the range, in any array."""
    parts = (state.p, state.m, state.v, state.v_max)
    outside: Array = np.logical_or.reduce([~np.isfinite(part.e).all(axis=0) for part in parts])
    return outside


def _reached(case: Case, table: Dialect) -> dict[tuple[str, str], tuple[Set, ...]]:
    """What the admissible computations may hold at the recorded steps: (parameter, array) to a set per step."""
    reached: dict[tuple[str, str], tuple[Set, ...]] = {}
    for number, states in enumerate(trajectory(case, ByFormat(Reach), table, (), ALL), start=1):
        if number in case.record:
            for name, arrays in kept_arrays(case).items():
                for array in arrays:
                    everything: Set = getattr(states[name], SHOWN[array])
                    reached[name, array] = (*reached.get((name, array), ()), everything.copy())
    return reached


def _expected(case: Case, truth: Truth, reached: Sequence[Set], array: str) -> Expected:
    out_of_range = truth.out_of_range
    e = np.maximum.accumulate(truth.e, axis=0)  # a looser class admits every computation of a tighter one
    with np.errstate(invalid="ignore"):
        off = ~out_of_range & ~(np.abs(truth.x - truth.exact) <= e[-1])
    if off.any():
        at = tuple(int(i) for i in np.argwhere(off)[0])
        raise HarnessError(f"{case.id}: the double at {at} is outside its own bound: {truth.x[at]!r}, exactly {truth.exact[at]!r}")
    if not out_of_range.any():
        return Expected(truth.exact, stored_bounds(truth.exact, e))
    lo, hi, finite, plus, minus, nan = (
        np.stack([part.reshape(truth.exact.shape[1:]) for part in parts]) for parts in zip(*(step.parts() for step in reached))
    )
    if array in SQUARES:
        lo, hi = np.maximum(lo, 0.0), np.maximum(hi, 0.0)
    other = np.where(plus, np.inf, np.where(minus, -np.inf, np.nan))
    # In a class that keeps the element within the range, the real-number result and its bound are proven as for any other.
    value = np.where(np.isfinite(e[0]), truth.exact, np.where(finite, lo / 2 + hi / 2, other))
    with np.errstate(invalid="ignore", over="ignore"):
        reach = np.maximum(hi - value, value - lo) * INFLATE
    e = np.where(np.isfinite(e), e, np.where(finite, reach, np.inf))
    flags = {"finite": finite, "nan": nan, "+inf": plus, "-inf": minus}
    allowed = np.bitwise_or.reduce([np.where(flag, KINDS[kind], 0) for kind, flag in flags.items()])
    return Expected(value, stored_bounds(value, e), np.where(out_of_range, allowed, KINDS["finite"]).astype(np.uint8))


SQUARES = ("exp_avg_sq", "max_exp_avg_sq")
"""Arrays of which no computation makes a finite negative number (g*g - (g*g - v)*b2 with one square infinite and one fused is -inf)."""


def stored_bounds(value: Array, e: Array) -> dict[str, Array]:
    """Class to bound as vectors store it: about the exact result as it is rounded to double, and itself rounded up."""
    with np.errstate(invalid="ignore"):
        e = e + np.where(np.isfinite(value), np.abs(value), 0.0) * FORMATS["float64"].u
    return {name: round_up(e[k]) for k, name in enumerate(CLASSES)}


def recorded(case: Case, a: System, table: Dialect, deviations: tuple[Deviation, ...] = (), forms: Forms = ONE) -> Recorded:
    """A trajectory in floats at the recorded steps: (parameter, array) -> (T, *shape)."""
    shapes = {param.name: param.value.shape for param in case.params}
    kept: dict[tuple[str, str], list[Array]] = {}
    for number, states in enumerate(trajectory(case, a, table, deviations, forms), start=1):
        if number in case.record:
            for name, shape in shapes.items():
                for array, field in FIELDS.items():
                    computed = getattr(states[name], field)
                    kept.setdefault((name, array), []).append(np.array(getattr(computed, "x", computed)).reshape(shape))
    return {key: np.stack(steps) for key, steps in kept.items()}


def round_up(e: Array) -> Array:
    """The smallest float32 with SIGNIFICANT_BITS that is not below e; below the smallest normal number, the smallest float32."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = e.astype(np.float32)
        rounded = np.where(rounded.astype(np.float64) < e, np.nextafter(rounded, np.float32(np.inf)), rounded).astype(np.float32)
    dropped = np.uint32((1 << (24 - SIGNIFICANT_BITS)) - 1)
    short = ((rounded.view(np.uint32) + dropped) & ~dropped).view(np.float32)  # bit patterns are in the order of the numbers
    return np.where(np.isfinite(rounded) & (rounded >= np.finfo(np.float32).tiny), short, rounded)


SIGNIFICANT_BITS = 9
"""Of a stored bound: it is larger by at most 2^-8, and a file of vectors is a tenth smaller."""
