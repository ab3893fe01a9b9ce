"""Where a failing case is wrong: how |error|/bound lies over its steps and over its elements."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..backends.outcome import Outcome
from ..case import COMPARED, Golden, compared, ratios
from ..gradients import Array
from .compare import mismatch_at
from .verdict import Profile

ELEMENTS = 120
"""Entries that a profile has over the elements at most: of a larger array, each entry is the largest of several."""


def profiles(golden: Golden, outcome: Outcome, require: str) -> tuple[Profile, ...]:
    """The arrays that leave their bound in the class `require`, in the order of the outcome."""
    return tuple(_profiles(golden, outcome, require))


def _profiles(golden: Golden, outcome: Outcome, require: str) -> Iterator[Profile]:
    for name, got in ((name, compared(arrays)) for name, arrays in outcome.states.items()):
        for array in COMPARED:
            if array not in got:
                continue
            expected = golden.expected[name][array]
            ratio = ratios(got[array], expected, require)
            if not ratio.size or ratio.max() <= 1:
                continue
            at = tuple(int(i) for i in np.unravel_index(int(ratio.argmax()), ratio.shape))
            by_step = ratio.reshape(len(ratio), -1)
            per = -(-by_step.shape[1] // ELEMENTS)
            yield Profile(
                param=name,
                array=array,
                shape=ratio.shape[1:],
                steps=golden.case.record,
                by_step=_floats(by_step.max(axis=1)),
                by_element=_floats(_largest(by_step.max(axis=0), per)),
                per=per,
                worst=mismatch_at(golden, name, array, at, got[array], expected, require, float(ratio[at])),
            )


def _largest(values: Array, per: int) -> Array:
    """The largest of each `per` values on end; the last entry may be of fewer."""
    return np.maximum.reduceat(values, np.arange(0, len(values), per))


def _floats(values: Array) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
