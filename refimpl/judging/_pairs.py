"""Pairs: two hypotheses that act together in one case.

There are a hundred thousand pairs. The moments exclude most of them: if only one of two hypotheses changes a moment, the moment of the
pair is that of this hypothesis, and must be that of the backend.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, product

import numpy as np

from ..arithmetic import FORMATS
from ..dialects import Dialect
from ..gradients import Array
from ..reference import SHOWN
from ._evidence import DOUBLE, Judged
from ._hypothesis import Hypothesis, Plan, predict, together
from .families import library

ABLE = ("picks", "settings", "counters", "calls", "order")
"""Families whose hypotheses are tried in pairs."""

MOST = 1500
"""How many pairs are tried on a case, those of the lowest rank first."""

NEAR = 1e-3
"""Two numbers count as equal if their relative difference is at most this."""


@dataclass(frozen=True, eq=False)
class _Prediction:
    """What a hypothesis alone gives at the wrong elements, at the first step that is wrong. changes: the arrays that it changes."""

    hypothesis: Hypothesis
    arrays: dict[str, Array]
    changes: frozenset[str]


def pairs(judged: Judged, table: Dialect, named: Sequence[Hypothesis]) -> Iterator[Hypothesis]:
    """The pairs that may explain a case; those with a hypothesis that is named already come first."""
    at = _first_wrong(judged)
    plain = _at(Plan(judged.golden.case), judged, at)
    got = {array: values for array, values in _got(judged, at).items() if array in plain}
    moments = [array for array in got if array != "param"]
    singles = [_prediction(hypothesis, judged, table, at, plain) for hypothesis in library(table.name) if _able(hypothesis, named)]
    able = [single for single in singles if single is not None]
    known = [single for single in able if single.hypothesis in named]
    narrow = [_prediction(hypothesis, judged, table, at, plain) for hypothesis in library(table.name) if hypothesis.beside_named and known]
    beside = [single for single in narrow if single is not None and single.hypothesis not in named]
    candidates = [
        (first.hypothesis, second.hypothesis)
        for first, second in chain(combinations(able, 2), product(known, beside))
        if _both_change(first, second, named) and all(_possible(first, second, array, plain, got) for array in moments)
    ]
    candidates.sort(key=lambda pair: (not any(hypothesis in named for hypothesis in pair), sum(hypothesis.rank for hypothesis in pair)))
    for first, second in candidates[:MOST]:
        yield together(first, second)


def _both_change(first: _Prediction, second: _Prediction, named: Sequence[Hypothesis]) -> bool:
    """Whether both change something at that step; beside one that is named already, the other may act later only."""
    if first.changes and second.changes:
        return True
    return bool(first.changes and first.hypothesis in named) or bool(second.changes and second.hypothesis in named)


def _able(hypothesis: Hypothesis, named: Sequence[Hypothesis]) -> bool:
    return (hypothesis.pairs and hypothesis.family in ABLE) or hypothesis in named


def _first_wrong(judged: Judged) -> int:
    steps = [int(np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))[0]) for wrong in judged.wrong.values() if wrong.any()]
    return min(steps, default=0)


def _at(plan: Plan, judged: Judged, at: int) -> dict[str, Array]:
    for k, states in judged.recorded(predict(plan, DOUBLE)):
        if k == at:
            return {
                array: np.concatenate([
                    getattr(states[name], SHOWN[array]).reshape(judged.touched[name].shape)[judged.touched[name]]
                    for name, key in judged.keys
                    if key == array
                ])
                for array in dict.fromkeys(array for _, array in judged.keys)
            }  # fmt: skip
    return {}


def _got(judged: Judged, at: int) -> dict[str, Array]:
    return {
        array: np.concatenate([
            judged.got(name, array)[at].astype(np.float64)[judged.touched[name]] for name, key in judged.keys if key == array
        ])
        for array in dict.fromkeys(array for _, array in judged.keys)
    }  # fmt: skip


def _prediction(hypothesis: Hypothesis, judged: Judged, table: Dialect, at: int, plain: dict[str, Array]) -> _Prediction | None:
    plan = hypothesis.plan(judged.golden.case, table)
    if plan is None:
        return None
    arrays = _at(plan, judged, at)
    least = 2 * FORMATS[judged.golden.case.computing[-1]].u  # p is far larger than what a change of eps makes of it
    changes = frozenset(
        array for array, values in arrays.items() if not np.allclose(values, plain[array], rtol=least, atol=0, equal_nan=True)
    )
    return _Prediction(hypothesis, arrays, changes)


def _possible(first: _Prediction, second: _Prediction, array: str, plain: dict[str, Array], got: dict[str, Array]) -> bool:
    """Whether a moment of the backend can be that of the pair."""
    changing = [single for single in (first, second) if array in single.changes]
    if len(changing) == 2:
        return True
    expected = changing[0].arrays[array] if changing else plain[array]
    with np.errstate(invalid="ignore"):
        apart = np.abs(got[array] - expected)
        return bool(np.all((apart <= NEAR * np.abs(expected)) | ~np.isfinite(expected)))
