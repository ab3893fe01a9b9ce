"""Expectations without balls, for large cases: proven, a little wider than those of vectors, and hundreds of times as fast.

The error analysis gives a value x and an error e of each element with |computed - exact| <= e for every admissible computation. The same
analysis of the same case in double, in its tightest class, gives the double y that the formulas make and an error f with |y - exact| <= f.
Hence |computed - y| <= e + f: what is farther from y is proven to be wrong, and f is about 2^-29 of e where the case is in float32.
Where the case is in float64, f is as large as e, and `expectations` is the oracle.

A screen comes first: one formulation of many, in the class that is required alone. Its error e1 is at most e, since e is the largest over
the formulations, and its value x1 is a double of the exact-ieee class, so that |x1 - exact| <= f1, the error of that class. Then:

- a case in double: |got - x1| + f1 <= e1 proves that |got - exact| <= e, so that the element is right;
- a narrower case: |got - x1| <= e1 proves that the quick expectation admits the element, if its y is x1; the same formulas in the same
  double arithmetic make the same bits, and the first formulation of the joined ones is the one of the screen.

The screen only lets through; what it does not let through is given to the oracle, row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache

import numpy as np

from ..arithmetic import CLASSES, Bounded, Number
from ..arithmetic.compensation import Pair
from ..case import Case, Expected
from ..dialects import dialect
from ..gradients import Array
from ..reference import ALL, ONE, SHOWN, ByFormat, kept_arrays, trajectory
from .expectations import Expectations, Truth, bounded, expectations_from

IEEE = CLASSES[0]


class Double(Bounded):
    """The error of the plain double computation, which keeps every number in double."""

    def __init__(self) -> None:
        super().__init__("float64", None, (IEEE,))

    def store(self, tensor: Number, dtype: str | None = None) -> Number:
        return tensor

    def pair(self, tensor: Number, kept: Pair) -> Number:
        return tensor

    def taken_from_pair(self, tensor: Number, change: Number, kept: Pair) -> Number:
        return tensor - change

    def kept(self, scalar: Number, dtype: str) -> Number:
        return scalar


@cache
def _double() -> Double:
    return Double()


@cache
def _screening(dtype: str, numerics_class: str) -> Bounded:
    return Bounded(dtype, None, tuple(dict.fromkeys((IEEE, numerics_class))) if dtype == "float64" else (numerics_class,))


def quick_expectations(case: Case) -> Expectations:
    """Expectations that admit all that those of `expectations` admit, and at most twice the error of a double beyond it."""
    table = dialect(case.dialect)
    slack: dict[tuple[str, str], list[Array]] = {}
    truths: dict[tuple[str, str], list[tuple[Array, Array]]] = {}
    shapes = {param.name: param.value.shape for param in case.params}
    kept = kept_arrays(case)
    runs = zip(trajectory(case, _double(), table, (), ALL), trajectory(case, ByFormat(bounded), table, (), ALL))
    for number, (doubles, bounds) in enumerate(runs, start=1):
        if number in case.record:
            for name, shape in shapes.items():
                for array in kept[name]:
                    y, e = getattr(doubles[name], SHOWN[array]), getattr(bounds[name], SHOWN[array]).e
                    truths.setdefault((name, array), []).append((y.x.reshape(shape).copy(), e.reshape(len(CLASSES), *shape).copy()))
                    slack.setdefault((name, array), []).append(y.e[0].reshape(shape).copy())
    made = {name: {array: _truth(truths[name, array]) for array in arrays} for name, arrays in kept.items()}
    expected = expectations_from(case, table, made)
    return {
        name: {array: _widened(array_expected, np.stack(slack[name, array])) for array, array_expected in arrays.items()}
        for name, arrays in expected.items()
    }


def _truth(steps: list[tuple[Array, Array]]) -> Truth:
    y = np.stack([value for value, _ in steps])
    return Truth(y, y, np.stack([e for _, e in steps], axis=1))


def _widened(expected: Expected, slack: Array) -> Expected:
    """Every bound larger by the slack, so that nothing is refused that the stored bound about the exact result admits."""

    def wider(bound: Array) -> Array:
        with np.errstate(over="ignore", invalid="ignore"):
            total = bound.astype(np.float64) + slack
            rounded = total.astype(np.float32)
            return np.where(rounded.astype(np.float64) < total, np.nextafter(rounded, np.float32(np.inf)), rounded).astype(np.float32)

    return replace(expected, bound={name: wider(bound) for name, bound in expected.bound.items()})


def screen(case: Case, states: Mapping[str, Mapping[str, Array]], required: str) -> Iterator[tuple[str, str, Array]]:
    """(parameter, array, ratios) of every array that is shown: at most 1 where the element is proven to be right, inf where it is open.

    states: what a backend gave, parameter -> array -> (T, *shape) at the recorded steps; the ratios have the same shapes.
    """
    kept = kept_arrays(case)
    ratios: dict[tuple[str, str], list[Array]] = {}
    at = 0
    screening = ByFormat(lambda dtype: _screening(dtype, required))
    with np.errstate(all="ignore"):
        for number, bounds in enumerate(trajectory(case, screening, dialect(case.dialect), (), ONE), start=1):
            if number not in case.record:
                continue
            for name, arrays in states.items():
                for array in kept[name]:
                    if array in arrays:
                        bound = getattr(bounds[name], SHOWN[array])
                        got = arrays[array][at].astype(np.float64).reshape(bound.x.shape)
                        distance, e = np.abs(got - bound.x), bound.e[-1]
                        if case.computed_in(name) == "float64":
                            distance = np.where(distance == 0, 0.0, distance + bound.e[0])
                        ratio = np.where((distance == 0) & np.isfinite(e), 0.0, distance / e)
                        ratio = np.where((ratio <= 1) & np.isfinite(e), ratio, np.inf)  # a nan and an infinite bound are open, too
                        ratios.setdefault((name, array), []).append(ratio.reshape(arrays[array].shape[1:]))
            at += 1
    yield from ((name, array, np.stack(steps)) for (name, array), steps in ratios.items())
