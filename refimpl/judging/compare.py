"""Judging results against expectations: |got - expect| <= bound, element by element, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from ..arithmetic import CLASSES
from ..backends import refusals
from ..backends.features import dtypes_of, needed_features
from ..backends.outcome import End, Outcome
from ..case import COMPARED, KINDS, Expected, Golden, compared, ratios, ratios_by_class
from ..gradients import Array
from .verdict import ArrayVerdict, CaseVerdict, Mismatch, Status


def judge(golden: Golden, outcome: Outcome, require: str) -> CaseVerdict:
    """The verdict on one case: whether the outcome satisfies the class `require`, and which class it attains."""
    needs = (*needed_features(golden.case), *dtypes_of(golden.case))
    verdict = CaseVerdict(golden.case.id, Status.PASSED, golden.case.about, seconds=outcome.seconds, needs=needs)
    return ENDS[outcome.end](golden, outcome, require, verdict)


def _judge_states(golden: Golden, outcome: Outcome, require: str, verdict: CaseVerdict) -> CaseVerdict:
    if golden.case.error is not None:
        return replace(verdict, status=Status.FAILED, reason=f"accepted what must be refused ({golden.case.error})")
    arrays = tuple(_judge_arrays(golden, outcome))
    classes = [array.attained for array in arrays]
    attained = None if None in classes else max(map(str, classes), key=CLASSES.index)
    conforms = attained is not None and CLASSES.index(attained) <= CLASSES.index(require)
    mismatch = None if conforms else first_mismatch(golden, outcome, require)
    reason = "; ".join(outcome.changed)
    status = Status.PASSED if conforms and not outcome.changed else Status.FAILED
    hidden = tuple(
        array for array in COMPARED if any(array in golden.expected[name] and array not in got for name, got in outcome.states.items())
    )
    return replace(verdict, status=status, attained=attained, arrays=arrays, mismatch=mismatch, reason=reason, not_shown=hidden)


def _judge_arrays(golden: Golden, outcome: Outcome) -> Iterator[ArrayVerdict]:
    for name, array, got, expected in _shown(golden, outcome):
        worst = {name: float(np.max(ratio, initial=0.0)) for name, ratio in ratios_by_class(got, expected, CLASSES).items()}
        yield ArrayVerdict(name, array, worst, next((name for name in CLASSES if worst[name] <= 1), None))


def _shown(golden: Golden, outcome: Outcome) -> Iterator[tuple[str, str, Array, Expected]]:
    """(parameter, array, what was got, what is expected) of every array that is expected and shown."""
    for name, got in ((name, compared(arrays)) for name, arrays in outcome.states.items()):
        for array in COMPARED:
            if array in got and array in golden.expected[name]:
                yield name, array, got[array], golden.expected[name][array]


def first_mismatch(golden: Golden, outcome: Outcome, require: str) -> Mismatch | None:
    """The earliest element outside its bound: by step, then array, then parameter, then position."""
    mismatches: list[tuple[int, int, Mismatch]] = []
    for name, array, got, expected in _shown(golden, outcome):
        ratio = ratios(got, expected, require)
        outside = np.argwhere(ratio > 1)
        if len(outside):
            at = tuple(int(i) for i in outside[0])
            place = (at[0], COMPARED.index(array))
            mismatches.append((*place, mismatch_at(golden, name, array, at, got, expected, require, float(ratio[at]))))
    return min(mismatches, key=lambda entry: entry[:2])[2] if mismatches else None


def mismatch_at(
    golden: Golden, name: str, array: str, at: tuple[int, ...], got: Array, expected: Expected, require: str, ratio: float
) -> Mismatch:
    """The mismatch at one element. at: its index among the recorded steps, then its position; ratio: its |error|/bound."""
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
    if golden.case.error is None or (outcome.raised and outcome.raised.call == "state"):  # only start and step may refuse
        return replace(verdict, status=Status.ERROR, reason=f"raised {outcome.message}")
    said = outcome.message.partition("\n")[0]
    misplaced = outcome.raised and refusals.misplaced(golden.case, outcome.raised)
    if misplaced:
        return replace(verdict, status=Status.FAILED, reason=f"{misplaced} ({said})")
    if outcome.changed:
        return replace(verdict, status=Status.FAILED, reason=f"refused, but {'; '.join(outcome.changed)}")
    if outcome.control and outcome.control.end is not End.STATES:
        return _with_control(golden, outcome.control, verdict)
    return replace(verdict, reason=f"refused: {said}")


def _with_control(golden: Golden, control: Outcome, verdict: CaseVerdict) -> CaseVerdict:
    """The verdict on a refusal whose control gave no states: the backend refuses a right case too, or cannot run the control."""
    corrected = refusals.control(golden.case).corrected
    said = control.message.partition("\n")[0]
    if control.end is End.UNSUPPORTED:
        reason = f"that it refuses only what is wrong cannot be seen: the same case with {corrected} is unsupported ({said})"
        return replace(verdict, status=Status.UNSUPPORTED, reason=reason)
    return replace(verdict, status=Status.FAILED, reason=f"it refuses {corrected} as well: {control.end.value} ({said})")


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
