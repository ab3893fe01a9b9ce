"""Judging results against expectations: |got - expect| <= bound, element by element, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ..arithmetic import CLASSES
from ..backends.outcome import End, Outcome
from ..case import ARRAYS, KINDS, Expected, Golden, kinds
from ..gradients import Array
from .verdict import ArrayVerdict, CaseVerdict, Mismatch, Status


def ratios(got: Array, expected: Expected, numerics_class: str) -> Array:
    """|got - expect| / bound of each element; 0 where they are equal or of an allowed kind, inf where they are not.

    got: (T, *shape) in any float dtype. An element that is not finite is judged by its kind alone.
    """
    got = got.astype(np.float64)
    bound = expected.bound[numerics_class].astype(np.float64)
    with np.errstate(all="ignore"):
        error = np.abs(got - expected.value)
        ratio = np.where(error == 0, 0.0, np.where(np.isinf(bound), 0.0, error / bound))
    kind = kinds(got)
    allowed = np.full(got.shape, KINDS["finite"], np.uint8) if expected.allowed is None else expected.allowed
    not_allowed = (kind & allowed) == 0
    return np.where(not_allowed, np.inf, np.where(kind == KINDS["finite"], ratio, 0.0))


def judge(golden: Golden, outcome: Outcome, require: str) -> CaseVerdict:
    """The verdict on one case: whether the outcome satisfies the class `require`, and which class it attains."""
    verdict = CaseVerdict(golden.case.id, Status.PASSED, golden.case.about, seconds=outcome.seconds)
    return ENDS[outcome.end](golden, outcome, require, verdict)


def _judge_states(golden: Golden, outcome: Outcome, require: str, verdict: CaseVerdict) -> CaseVerdict:
    if golden.case.error is not None:
        return replace(verdict, status=Status.FAILED, reason=f"accepted what must be refused ({golden.case.error})")
    arrays = tuple(_judge_arrays(golden, outcome))
    attained = None if any(one.attained is None for one in arrays) else max((str(one.attained) for one in arrays), key=CLASSES.index)
    conforms = attained is not None and CLASSES.index(attained) <= CLASSES.index(require)
    mismatch = None if conforms else first_mismatch(golden, outcome, require)
    reason = "; ".join(outcome.changed)
    status = Status.PASSED if conforms and not outcome.changed else Status.FAILED
    return replace(verdict, status=status, attained=attained, arrays=arrays, mismatch=mismatch, reason=reason)


def _judge_arrays(golden: Golden, outcome: Outcome) -> Iterator[ArrayVerdict]:
    for name, got in outcome.states.items():
        for array in ARRAYS:
            if array not in got:
                continue
            expected = golden.expected[name][array]
            worst = {one: float(np.max(ratios(got[array], expected, one), initial=0.0)) for one in CLASSES}
            yield ArrayVerdict(name, array, worst, next((one for one in CLASSES if worst[one] <= 1), None))


def first_mismatch(golden: Golden, outcome: Outcome, require: str) -> Mismatch | None:
    """The earliest element outside its bound: by step, then array, then parameter, then position."""
    found: list[tuple[int, int, Mismatch]] = []
    for name, got in outcome.states.items():
        for order, array in enumerate(ARRAYS):
            if array not in got:
                continue
            expected = golden.expected[name][array]
            ratio = ratios(got[array], expected, require)
            outside = np.argwhere(ratio > 1)
            if len(outside):
                at = tuple(int(i) for i in outside[0])
                found.append((at[0], order, mismatch_at(golden, name, array, at, got[array], expected, require, float(ratio[at]))))
    return min(found, key=lambda one: one[:2])[2] if found else None


def mismatch_at(
    golden: Golden, name: str, array: str, at: tuple[int, ...], got: Array, expected: Expected, require: str, ratio: float
) -> Mismatch:
    """What there is to say of one element. at: its index among the recorded steps, then its position; ratio: its |error|/bound."""
    allowed = "" if expected.allowed is None else " or ".join(kind for kind, bit in KINDS.items() if expected.allowed[at] & bit)
    return Mismatch(
        param=name,
        array=array,
        step=golden.case.record[at[0]],
        index=at[1:],
        got=float(got[at]),
        expected=float(expected.value[at]),
        bound=float(expected.bound[require][at]),
        ratio=ratio,
        allowed=allowed,
    )


def _judge_raised(golden: Golden, outcome: Outcome, require: str, verdict: CaseVerdict) -> CaseVerdict:
    if golden.case.error is None:
        return replace(verdict, status=Status.ERROR, reason=f"raised {outcome.message}")
    if outcome.changed:
        return replace(verdict, status=Status.FAILED, reason=f"refused, but {'; '.join(outcome.changed)}")
    return replace(verdict, reason=f"refused: {outcome.message}")


def _judge_unsupported(golden: Golden, outcome: Outcome, require: str, verdict: CaseVerdict) -> CaseVerdict:
    return replace(verdict, status=Status.UNSUPPORTED, reason=outcome.message)


def _judge_broken(golden: Golden, outcome: Outcome, require: str, verdict: CaseVerdict) -> CaseVerdict:
    return replace(verdict, status=Status.ERROR, reason=f"{outcome.end.value}: {outcome.message}")


ENDS: dict[End, Callable[[Golden, Outcome, str, CaseVerdict], CaseVerdict]] = {
    End.STATES: _judge_states,
    End.RAISED: _judge_raised,
    End.UNSUPPORTED: _judge_unsupported,
    End.CRASHED: _judge_broken,
    End.HUNG: _judge_broken,
    End.MISBEHAVED: _judge_broken,
}
