"""Attribution: which known deviation computes what a failing backend gave, and from which case on.

A deviation explains a case when every number that the backend gave lies within the bound of the deviation's own result. It is
refuted by a case that passed although the deviation is proven to fail it (`catches`). The simplest story wins: the deviation
that explains most failing cases, then the next one for what it leaves unexplained, and then two that act together in one case.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from ..backends.outcome import End, Outcome
from ..case import ARRAYS, Case, Golden
from ..dialects import Deviation, deviations, dialect
from ..dialects.stages import Precision
from ..gradients import Array, gradient_form
from ..oracle import bounded, changes
from ..reference import ALL, FIELDS, trajectory
from .verdict import CaseVerdict, Diagnosis, Status

Failure = tuple[Golden, Outcome]
Cause = tuple[Deviation, ...]
"""What an implementation does instead, all of it at once."""

Refuted = dict[frozenset[str], set[str]]
"""Forms of gradient to the deviations that a case with gradients of these forms, which passed, is proven to catch."""

FIRST_STEPS = 300
"""How many steps of a long horizon are compared: what parts from the dialect does so long before."""

TRIED = 12
"""A deviation that explains none of so many failing cases is given up."""

SEARCHED = 3
"""Failing cases, the smallest, for which every pair of deviations is tried: there are a thousand of them."""


def diagnose(goldens: Sequence[Golden], outcomes: Sequence[Outcome], verdicts: Sequence[CaseVerdict]) -> tuple[Diagnosis, ...]:
    """The named causes of the failures, best explanation first; empty where nothing known computes these numbers.

    goldens, outcomes and verdicts: one each per case, in the same order.
    """
    judged = list(zip(goldens, outcomes, verdicts))
    left = {golden.case.id: (golden, outcome) for golden, outcome, verdict in judged if _is_numeric_failure(golden, outcome, verdict)}
    refuted: Refuted = defaultdict(set)
    for golden, _, verdict in judged:
        if verdict.status is Status.PASSED:
            refuted[_forms(golden.case)].update(golden.case.catches)
    candidates = list(deviations().values())
    stories: list[Diagnosis] = []
    while left:
        tied, cases = _best([(deviation,) for deviation in candidates], left, refuted)
        if not tied:
            tied, cases = _best(list(_pairs(candidates, left, refuted, [story.deviations[0] for story in stories])), left, refuted)
        if not tied:
            break
        left = {id: failure for id, failure in left.items() if id not in cases}
        stories.append(_story(tied, cases, tuple(left)))
    return tuple(stories)


def _story(tied: Sequence[Cause], cases: tuple[str, ...], unexplained: tuple[str, ...]) -> Diagnosis:
    first, *others = tied
    about = ", and ".join(deviation.about for deviation in first)
    also = tuple(" with ".join(deviation.id for deviation in cause) for cause in others)
    return Diagnosis(tuple(deviation.id for deviation in first), about, cases, unexplained, also)


def _forms(case: Case) -> frozenset[str]:
    """The forms of the gradients of a case. Dense ones and those by rows go through different code: one says nothing of the other."""
    return frozenset(gradient_form(one) for step in case.steps for one in step.gradients.values() if one is not None)


def _possible(case: Case, cause: Cause, refuted: Refuted) -> bool:
    """Whether a cause changes a case, and no case with gradients of the same forms passed that any part of it is proven to fail."""
    return not any(deviation.id in refuted[_forms(case)] for deviation in cause) and changes(case, cause)


def _pairs(candidates: Sequence[Deviation], failures: Mapping[str, Failure], refuted: Refuted, named: Sequence[str]) -> Iterator[Cause]:
    """The pairs of deviations, in different stages, that explain one of the smallest failures; only those with one that is

    named already where such a pair does.
    """
    smallest = sorted(
        failures.values(), key=lambda failure: sum(param.value.size for param in failure[0].case.params) * len(failure[0].case.steps)
    )
    for golden, outcome in smallest[:SEARCHED]:
        able = [deviation for deviation in candidates if _possible(golden.case, (deviation,), refuted)]
        pairs = [pair for pair in combinations(able, 2) if not pair[0].picks.keys() & pair[1].picks.keys()]
        found = [pair for pair in pairs if explains(pair, golden, outcome)]
        known = [pair for pair in found if any(deviation.id in named for deviation in pair)]
        yield from known or found


def _is_numeric_failure(golden: Golden, outcome: Outcome, verdict: CaseVerdict) -> bool:
    """A failure that is no mere rounding: numbers of a looser class than the one that is required have that as their cause."""
    return verdict.status is Status.FAILED and outcome.end is End.STATES and verdict.mismatch is not None and verdict.attained is None


def _best(candidates: Sequence[Cause], failures: Mapping[str, Failure], refuted: Refuted) -> tuple[list[Cause], tuple[str, ...]]:
    """The causes that explain most of these failures, and which; several where they compute the same.

    A cause can explain at most the cases that it changes: the most promising are tried first, and none that cannot win is.
    """
    candidates = list(dict.fromkeys(candidates))
    possible = {cause: [id for id, (golden, _) in failures.items() if _possible(golden.case, cause, refuted)] for cause in candidates}
    caught = {cause: sum(any(one.id in golden.case.catches for one in cause) for golden, _ in failures.values()) for cause in candidates}
    best: list[Cause] = []
    explained: tuple[str, ...] = ()
    for cause in sorted(candidates, key=lambda one: (-caught[one], len(possible[one]))):
        cases = _explained(cause, possible[cause], failures, at_least=max(1, len(explained)))
        if len(cases) > len(explained):
            best, explained = [cause], cases
        elif cases and cases == explained:
            best.append(cause)
    return best, explained


def _explained(cause: Cause, ids: Sequence[str], failures: Mapping[str, Failure], at_least: int) -> tuple[str, ...]:
    """The failures among `ids` that the cause explains; given up, empty, once they cannot be `at_least` so many."""
    cases: list[str] = []
    for at, id in enumerate(ids):
        if len(cases) + len(ids) - at < at_least or (at == TRIED and not cases):
            return ()
        if explains(cause, *failures[id]):
            cases.append(id)
    return tuple(cases) if len(cases) >= at_least else ()


def explains(cause: Cause, golden: Golden, outcome: Outcome) -> bool:
    """Whether the backend's numbers are those of the dialect with these deviations, at every recorded step."""
    case = golden.case
    if not changes(case, cause):
        return False
    # The deviation rounds the hyper-parameters; how the powers and corrections are rounded then is for the bound to cover.
    scalars = "float32" if any(Precision.FLOAT32 is deviation.picks.get("precision") for deviation in cause) else None
    at = 0  # among the recorded steps
    for number, states in enumerate(trajectory(case, bounded(case.dtype, scalars), dialect(case.dialect), cause, ALL), start=1):
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
