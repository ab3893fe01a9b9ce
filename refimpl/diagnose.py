"""Attribution: which known deviation computes what a failing backend gave, and from which case on.

A deviation explains a case when every number that the backend gave lies within the bound of the deviation's own result. It is
refuted by a case that passed although the deviation is proven to fail it (`catches`). The simplest story wins: the deviation
that explains most failing cases, then the next one for what it leaves unexplained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .case import ARRAYS, Golden
from .dialects import Deviation, deviations, dialect
from .gradients import Array
from .oracle import bounded, changes
from .reference import ALL, FIELDS, trajectory
from .verdict import CaseVerdict, Diagnosis, End, Outcome, Status

Failure = tuple[Golden, Outcome]

FIRST_STEPS = 300
"""How many steps of a long horizon are compared: what parts from the dialect does so long before."""

TRIED = 12
"""A deviation that explains none of so many failing cases is given up."""


def diagnose(goldens: Sequence[Golden], outcomes: Sequence[Outcome], verdicts: Sequence[CaseVerdict]) -> tuple[Diagnosis, ...]:
    """The named causes of the failures, best explanation first; empty where nothing known computes these numbers.

    goldens, outcomes and verdicts: one each per case, in the same order.
    """
    judged = list(zip(goldens, outcomes, verdicts))
    left = {golden.case.id: (golden, outcome) for golden, outcome, verdict in judged if _is_numeric_failure(golden, outcome, verdict)}
    refuted = {id for golden, _, verdict in judged if verdict.status is Status.PASSED for id in golden.case.catches}
    candidates = [deviation for deviation in deviations().values() if deviation.id not in refuted]
    stories: list[Diagnosis] = []
    while left:
        tied, cases = _best(candidates, left)
        if not tied:
            break
        left = {id: failure for id, failure in left.items() if id not in cases}
        first, *others = tied
        stories.append(Diagnosis((first.id,), first.about, cases, tuple(left), tuple(other.id for other in others)))
    return tuple(stories)


def _is_numeric_failure(golden: Golden, outcome: Outcome, verdict: CaseVerdict) -> bool:
    return verdict.status is Status.FAILED and outcome.end is End.STATES and verdict.mismatch is not None


def _best(candidates: Sequence[Deviation], failures: Mapping[str, Failure]) -> tuple[list[Deviation], tuple[str, ...]]:
    """The deviations that explain most of these failures, and which; several where they compute the same.

    A deviation can explain at most the cases that it changes: the most promising are tried first, and none that cannot win is.
    """
    possible = {deviation: [id for id, (golden, _) in failures.items() if changes(golden.case, deviation)] for deviation in candidates}
    caught = {deviation: sum(deviation.id in golden.case.catches for golden, _ in failures.values()) for deviation in candidates}
    best: list[Deviation] = []
    explained: tuple[str, ...] = ()
    for deviation in sorted(candidates, key=lambda one: (-caught[one], len(possible[one]))):
        cases = _explained(deviation, possible[deviation], failures, at_least=max(1, len(explained)))
        if len(cases) > len(explained):
            best, explained = [deviation], cases
        elif cases and cases == explained:
            best.append(deviation)
    return best, explained


def _explained(deviation: Deviation, ids: Sequence[str], failures: Mapping[str, Failure], at_least: int) -> tuple[str, ...]:
    """The failures among `ids` that the deviation explains; given up, empty, once they cannot be `at_least` so many."""
    cases: list[str] = []
    for at, id in enumerate(ids):
        if len(cases) + len(ids) - at < at_least or (at == TRIED and not cases):
            return ()
        if explains(deviation, *failures[id]):
            cases.append(id)
    return tuple(cases) if len(cases) >= at_least else ()


def explains(deviation: Deviation, golden: Golden, outcome: Outcome) -> bool:
    """Whether the backend's numbers are those of the dialect with this deviation, at every recorded step."""
    case = golden.case
    if not changes(case, deviation):
        return False
    at = 0  # among the recorded steps
    for number, states in enumerate(trajectory(case, bounded(case.dtype), dialect(case.dialect), (deviation,), ALL), start=1):
        if number > FIRST_STEPS:
            break
        if number not in case.record:
            continue
        for name, got in outcome.states.items():
            for array in set(got) & set(ARRAYS):
                bound, numbers = getattr(states[name], FIELDS[array]), got[array][at].astype(np.float64)
                if not _within(numbers, bound.x.reshape(numbers.shape), bound.e[-1].reshape(numbers.shape)):
                    return False
        at += 1
    return True


def _within(got: Array, x: Array, e: Array) -> bool:
    with np.errstate(invalid="ignore"):
        # |got - exact| <= e and |x - exact| <= e; where the bound is infinite, or neither is finite, the element says nothing.
        near = (np.abs(got - x) <= 2 * e) | np.isinf(e) | (~np.isfinite(got) & ~np.isfinite(x))
    return bool(near.all())
