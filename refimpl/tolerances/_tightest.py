"""The tightest tolerance per element that admits every correct implementation, derived from the bounds that vectors store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..case import ARRAYS, Golden
from ..gradients import Array
from ._compared import Compared

UP = 1 + 4 * 2.0**-52
"""Pays for the roundings of a quotient, of its product with |e| and of a sum, so that the tolerance covers the bound that it is made of."""


@dataclass(frozen=True)
class Tightest:
    """array: "" for all; rtol: the smallest that covers every bound beside the given atol, inf where none does; atol: the same beside rtol.

    rtol_case, atol_case: the cases that need them.
    """

    array: str
    rtol: float
    rtol_case: str
    atol: float
    atol_case: str


def tightest(goldens: Iterable[Golden], rtol: float, atol: float, arrays: Sequence[str], numerics_class: str) -> tuple[Tightest, ...]:
    """The tightest tolerances over all of these arrays, then of each, in the elements that stay within the range of their format."""
    needed: dict[str, tuple[tuple[float, str], tuple[float, str]]] = {}
    nothing = ((0.0, ""), (0.0, ""))
    for golden in goldens:
        for array in arrays:
            compared = Compared.of(golden, [array], numerics_class)
            if not compared.pieces:
                continue
            id = golden.case.id
            relative, absolute = rtol_for(compared.e, compared.bound, atol), atol_for(compared.e, compared.bound, rtol)
            before = needed.get(array, nothing)
            needed[array] = max(before[0], (relative, id), key=_size), max(before[1], (absolute, id), key=_size)
    every = [Tightest(array, *needed[array][0], *needed[array][1]) for array in ARRAYS if array in needed]
    of_all = [max((one[k] for one in (nothing, *needed.values())), key=_size) for k in (0, 1)]
    return (Tightest("", *of_all[0], *of_all[1]), *every)


def _size(entry: tuple[float, str]) -> float:
    return entry[0]


def rtol_for(e: Array, bound: Array, atol: float) -> float:
    """The smallest rtol with bound <= atol + rtol |e| in every element; inf where that needs one at e = 0."""
    rest = bound - atol
    with np.errstate(divide="ignore", over="ignore"):
        needed = np.where(rest > 0, rest / np.where(rest > 0, np.abs(e), 1.0), 0.0)
    return float(np.max(needed, initial=0.0)) * UP


def atol_for(e: Array, bound: Array, rtol: float) -> float:
    """The smallest atol with bound <= atol + rtol |e| in every element."""
    return max(float(np.max(bound - rtol * np.abs(e), initial=0.0)), 0.0) * UP
