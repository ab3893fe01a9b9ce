"""Explaining a case: one element at one step, what its dialect refuses, and the same under another dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..arithmetic import CLASSES
from ..case import Case, Expected, Golden, Group, Step
from ..dialects import Deviation, Dialect, deviations, dialect, dialects
from ..errors import InvalidGradient, InvalidHyper, UsageError, did_you_mean
from ..reference import FIELDS, scheduled, trajectory
from ..reference.inputs import Given
from ._data import Explanation, Value
from ._derivation import Working
from ._selection import Place, place


def explain(
    case: Case,
    *,
    param: str | None = None,
    step: int | None = None,
    row: int | None = None,
    col: int | None = None,
    deviating: Sequence[Deviation] = (),
) -> Explanation:
    """The update of one element; what is left open is chosen as `place` does. Raises UsageError for what the case does not have."""
    chosen = place(case, param, step, row, col)
    refused = _refusal(case, chosen.step)
    if refused:
        return _refused(case, chosen, tuple(deviating), refused)
    until = case if case.error is None else replace(case, error=None, steps=case.steps[: chosen.step])
    return Working.of(until, chosen.param, chosen.step, tuple(deviating)).explain(chosen.row, chosen.col)


def _refusal(case: Case, step: int) -> str:
    """What the dialect says to what it is given up to this step, "" where it takes it."""
    when = "when the optimizer is made"
    try:
        given = Given(case)
        for number, one in enumerate(case.steps[:step], start=1):
            when = f"at step {number}"
            given.take(one)
    except (InvalidHyper, InvalidGradient) as error:
        return f"{case.dialect} refuses this {when}: {error.message}" + (f" ({error.hint})" if error.hint else "")
    return ""


def _refused(case: Case, at: Place, deviating: tuple[Deviation, ...], reason: str) -> Explanation:
    one = next(one for one in case.params if one.name == at.param)
    return Explanation(
        case=case.id,
        about=case.about,
        dialect=case.dialect,
        deviations=tuple(one.id for one in deviating),
        param=at.param,
        dtype=case.dtype,
        shape=one.value.shape,
        step=at.step,
        steps=len(case.steps),
        row=at.row,
        col=at.col,
        refused=reason,
    )


@dataclass(frozen=True, eq=False)
class Counterpart:
    """The same inputs under another dialect, or under the same one with a deviation, and what results.

    since: the step after which the two are proven to differ in this element for the first time (None: not up to here).
    """

    case: Case
    deviating: tuple[Deviation, ...]
    explanation: Explanation
    since: int | None


def against(case: Case, mine: Explanation, name: str) -> Counterpart:
    """The same element at the same step under another dialect or a deviation; raises UsageError for a name that is neither."""
    deviating: tuple[Deviation, ...] = ()
    if name in deviations():
        other, deviating = case, (deviations()[name],)
    elif name in dialects("full"):
        other = _translated(case, dialect(name))
    else:
        every = f"dialects: {', '.join(dialects('full'))}; deviations: {', '.join(deviations())}"
        hint = did_you_mean(name, [*dialects("full"), *deviations()]) or every
        raise UsageError(f"--against {name}: neither a dialect nor a deviation", hint)
    theirs = explain(other, param=mine.param, step=mine.step, row=mine.row, col=mine.col, deviating=deviating)
    since = None if mine.refused or theirs.refused else _parting(case, other, deviating, mine)
    return Counterpart(other, deviating, theirs, since)


def _parting(case: Case, other: Case, deviating: tuple[Deviation, ...], at: Explanation) -> int | None:
    """The first step, up to this one, after which p, m or v of the element is proven to differ."""
    from ..arithmetic.balls import Ball, apart

    a = Ball()
    until = [replace(one, error=None, steps=one.steps[: at.step]) for one in (case, other)]
    runs = (trajectory(one, a, dialect(one.dialect), found) for one, found in zip(until, ((), deviating)))
    for number, states in enumerate(zip(*runs), start=1):
        arrays = [[getattr(of[at.param], field).reshape(-1)[at.flat] for of in states] for field in FIELDS.values()]
        if any(apart(mine, theirs) for mine, theirs in arrays):
            return number
    return None


def _translated(case: Case, b: Dialect) -> Case:
    """The case with the settings in the names of another dialect; raises UsageError where that has no such setting."""
    from ..dialects.translate import Refused, Wanted, in_names_of

    a = dialect(case.dialect)

    def named(hyper: Mapping[str, object]) -> dict[str, object]:
        try:
            return in_names_of(b, Wanted(*a.resolve(hyper)), a, {})
        except Refused as refused:
            raise UsageError(f"{case.id} cannot be put to {b.name}: {refused}", "choose a case with other settings") from None

    changes = [tuple(map(named, hypers)) for hypers in scheduled(case)]
    steps = tuple(Step(step.gradients, hyper) for step, hyper in zip(case.steps, changes))
    return replace(case, dialect=b.name, groups=tuple(Group(named(group.hyper)) for group in case.groups), steps=steps, error=None)


def stored(golden: Golden, mine: Explanation) -> bool | None:
    """Whether the vectors hold this state, to the last digit; None where they hold nothing of it."""
    if mine.refused or mine.step not in golden.case.record or mine.param not in golden.expected:
        return None
    index = (golden.case.record.index(mine.step), *mine.index)
    return all(_same(value, golden.expected[mine.param][array], index) for array, value in mine.state.items())


def _same(value: Value, expected: Expected, index: tuple[int, ...]) -> bool:
    nearest = np.array_equal(value.nearest, expected.value[index], equal_nan=True)
    return nearest and all(float(expected.bound[name][index]) == value.bound[name] for name in CLASSES)
