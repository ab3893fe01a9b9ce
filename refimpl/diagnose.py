"""Attribution: which known deviation computes what a failing backend gave, and from which case on.

A deviation explains a case when every number that the backend gave lies within the bound of the deviation's own result. It is
refuted by a case that passed although the deviation is proven to fail it (`catches`). The simplest story wins: the deviation
that explains most failing cases, then the next one for what it leaves unexplained.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


from .case import ARRAYS, Golden
from .dialects import Deviation, deviations, dialect
from .gradients import Array
from .oracle import FIELDS, bounded, changes
from .reference import ALL, trajectory
from .verdict import CaseVerdict, Diagnosis, End, Outcome, Status



def diagnose(goldens: Sequence[Golden], outcomes: Sequence[Outcome], verdicts: Sequence[CaseVerdict]) -> tuple[Diagnosis, ...]:
    """The named causes of the failures, best explanation first; empty where nothing known computes these numbers.

    goldens, outcomes and verdicts: one each per case, in the same order.
    """
    judged = list(zip(goldens, outcomes, verdicts))
    failing = [
        (golden, outcome)
        for golden, outcome, verdict in judged
        if verdict.status is Status.FAILED and outcome.end is End.STATES and golden.case.error is None and verdict.mismatch is not None
    ]
    refuted = {id for golden, _, verdict in judged if verdict.status is Status.PASSED for id in golden.case.catches}
    explained = {
        deviation: [golden.case.id for golden, outcome in failing if explains(deviation, golden, outcome)]
        for deviation in deviations().values()
        if deviation.id not in refuted
    }
    return tuple(_stories(explained, [golden.case.id for golden, _ in failing]))


def _stories(explained: dict[Deviation, list[str]], failing: list[str]) -> list[Diagnosis]:
    stories: list[Diagnosis] = []
    left = list(failing)
    while left:
        best = max(explained, key=lambda one: len(set(explained[one]) & set(left)), default=None)
        if best is None or not set(explained[best]) & set(left):
            break
        cases = tuple(case for case in left if case in explained[best])
        left = [case for case in left if case not in cases]
        stories.append(Diagnosis((best.id,), best.about, cases, tuple(left)))
    return stories


def explains(deviation: Deviation, golden: Golden, outcome: Outcome) -> bool:
    """Whether the backend's numbers are those of the dialect with this deviation, at every recorded step."""
    case = golden.case
    if not changes(case, deviation):
        return False
    at = 0
    for number, states in enumerate(trajectory(case, bounded(case.dtype), dialect(case.dialect), (deviation,), ALL), start=1):
        if number not in case.record:
            continue
        for name, got in outcome.states.items():
            for array in set(got) & set(ARRAYS):
                bound = getattr(states[name], FIELDS[array])
                if not _within(got[array][at].astype(np.float64), bound.x.reshape(got[array][at].shape), bound.e[-1].reshape(got[array][at].shape)):
                    return False
        at += 1
    return True


def _within(got: Array, x: Array, e: Array) -> bool:
    with np.errstate(invalid="ignore"):
        # |got - exact| <= e and |x - exact| <= e; where the bound is infinite, or neither is finite, the element says nothing.
        near = (np.abs(got - x) <= 2 * e) | np.isinf(e) | (~np.isfinite(got) & ~np.isfinite(x))
    return bool(near.all())
