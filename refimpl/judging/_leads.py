"""Leads: facts about failures that no cause explains: which arrays, from which step, where, how large, and what they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from ..case import ARRAYS, COMPARED
from ..gradients import Array
from ._conditions import condition_of
from ._evidence import Judged
from ._places import Seen, place_of, seen

FEW = 3
"""How many failing cases must share a condition before it is reported: two may share one by chance."""


def leads(failures: Sequence[Judged], passed: Sequence[Judged]) -> tuple[str, ...]:
    """Sentences about failures of one dialect, the most telling first; empty where there are none."""
    if not failures:
        return ()
    return tuple(_sentences(failures, passed))


def _sentences(failures: Sequence[Judged], passed: Sequence[Judged]) -> Iterator[str]:
    wrong, right = _arrays(failures)
    yield f"wrong: {', '.join(wrong)}" + (f"; right in every failing case: {', '.join(right)}" if right else "")
    yield from _unmoved(failures)
    condition = condition_of(failures, passed) if len(failures) >= FEW else None
    if condition:
        yield f"every failing case has {condition}, and no passing case has"
    place = place_of([_touched(judged) for judged in failures])
    if place is not None:
        yield f"wrong only in {place.words}"
    yield from _steps(failures)
    yield from _sizes(failures)


def _arrays(failures: Sequence[Judged]) -> tuple[list[str], list[str]]:
    states = {
        array: any(wrong.any() for judged in failures for (_, key), wrong in judged.wrong.items() if key == array) for array in COMPARED
    }
    shown = {array for judged in failures for _, array in judged.keys}
    return [a for a in COMPARED if a in shown and states[a]], [a for a in COMPARED if a in shown and not states[a]]


def _unmoved(failures: Sequence[Judged]) -> Iterator[str]:
    """Arrays whose wrong elements still have the values that they started with."""
    starts = {"param": "value", "exp_avg": "exp_avg", "exp_avg_sq": "exp_avg_sq", "max_exp_avg_sq": "max_exp_avg_sq"}
    unmoved: dict[str, list[bool]] = {}
    for judged in failures:
        params = {param.name: param for param in judged.golden.case.params}
        for (name, array), wrong in judged.wrong.items():
            if wrong.any():
                start = getattr(params[name], starts[array])
                start = np.zeros(params[name].value.shape) if start is None else start
                same = judged.got(name, array) == np.asarray(start)[None]
                unmoved.setdefault(array, []).append(bool(same[wrong].all()))
    still = [array for array, same in unmoved.items() if all(same)]
    if still:
        yield f"wrong elements of {', '.join(still)} have the values of the start"


def _touched(judged: Judged) -> Seen:
    """Every element of the case, and which of them are wrong anywhere."""
    everything: dict[str, Array] = {name: np.ones(touched.shape, bool) for name, touched in judged.touched.items()}
    return seen(judged, everything)


def _steps(failures: Sequence[Judged]) -> Iterator[str]:
    firsts = Counter(_first_step(judged) for judged in failures)
    step, count = firsts.most_common(1)[0]
    if count == len(failures):
        yield f"wrong from step {step} on in every failing case"
    else:
        yield f"wrong from step {step} on in {count} of {len(failures)} failing cases"


def _first_step(judged: Judged) -> int:
    record = judged.golden.case.record
    firsts = [int(np.flatnonzero(wrong.reshape(len(record), -1).any(axis=1))[0]) for wrong in judged.wrong.values() if wrong.any()]
    return int(record[min(firsts)])


def _sizes(failures: Sequence[Judged]) -> Iterator[str]:
    """The size of the error relative to the change of the array, per array; a constant ratio is reported as such."""
    for array in ARRAYS:
        shares = np.concatenate(
            [np.zeros(0), *(_shares(judged, name, array) for judged in failures for name, key in judged.keys if key == array)]
        )
        if len(shares):
            low, middle, high = np.quantile(shares, [0.1, 0.5, 0.9])
            if abs(high - low) <= 0.01 * abs(middle):
                yield f"the change of {array} is {1 + middle:.6g} times the expected one"
            else:
                yield f"the error of {array} is {np.median(np.abs(shares)):.2g} of its change in the median"


def _shares(judged: Judged, name: str, array: str) -> Array:
    """Error over expected change since the start, at the wrong elements of the first wrong step."""
    wrong = judged.wrong[name, array]
    steps = np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
    if not len(steps):
        return np.zeros(0)
    at = int(steps[0])
    param = next(param for param in judged.golden.case.params if param.name == name)
    start = param.value if array == "param" else getattr(param, array)
    value = judged.golden.expected[name][array].value[at]
    change = value - (0.0 if start is None else start.astype(np.float64))
    error = judged.got(name, array)[at].astype(np.float64) - value
    usable = wrong[at] & (change != 0) & np.isfinite(error) & np.isfinite(change)
    shares: Array = error[usable] / change[usable]
    return shares
