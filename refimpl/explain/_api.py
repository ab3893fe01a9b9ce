"""Explaining a case: one element at one step, what its dialect refuses, and the same under another dialect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..arithmetic import CLASSES
from ..case import Case, Golden, Group
from ..dialects import Deviation, Dialect, deviations, dialect, dialects
from ..errors import InvalidGradient, InvalidHyper, UsageError, did_you_mean
from ..reference import FIELDS, scheduled, trajectory
from ..reference.inputs import Given
from ._data import Explanation
from ._derivation import derived
from ._selection import parameter, place


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
    at = place(case, param, step, row, col)
    refused = _refusal(case, at.step)
    if case.error and not refused:
        case = replace(case, error=None, steps=case.steps[: at.step])
    tensor = parameter(case, at.param)
    explanation = Explanation(
        case=case.id,
        about=case.about,
        dialect=case.dialect,
        deviations=tuple(deviation.id for deviation in deviating),
        dtype=case.dtype,
        shape=tensor.value.shape,
        steps=len(case.steps),
        refused=refused,
        **vars(at),
    )
    return explanation if refused else derived(explanation, case, tensor, tuple(deviating))


def _refusal(case: Case, step: int) -> str:
    """The dialect's message where it refuses an input up to this step, "" where it accepts all of them."""
    when = "when the optimizer is made"
    try:
        inputs = Given(case)
        for number in range(1, step + 1):
            when = f"at step {number}"
            inputs.take(case.steps[number - 1])
    except (InvalidHyper, InvalidGradient) as error:
        return f"{case.dialect} refuses this {when}: {error.message}" + (f" ({error.hint})" if error.hint else "")
    return ""


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
    known = {"dialects": dialects("full"), "deviations": deviations()}
    if not any(name in names for names in known.values()):
        every = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in known.items())
        hint = did_you_mean(name, [*known["dialects"], *known["deviations"]]) or every
        raise UsageError(f"--against {name}: neither a dialect nor a deviation", hint)
    deviating = (deviations()[name],) if name in deviations() else ()
    other = case if deviating else _translated(case, dialect(name))
    theirs = explain(other, param=mine.param, step=mine.step, row=mine.row, col=mine.col, deviating=deviating)
    since = None if mine.refused or theirs.refused else _first_difference(case, other, deviating, mine)
    return Counterpart(other, deviating, theirs, since)


def _first_difference(case: Case, other: Case, deviating: tuple[Deviation, ...], at: Explanation) -> int | None:
    """The first step, up to this one, after which p, m or v of the element is proven to differ."""
    from ..arithmetic.balls import Ball, apart

    a = Ball()
    runs = (
        trajectory(replace(run, error=None, steps=run.steps[: at.step]), a, dialect(run.dialect), picked)
        for run, picked in ((case, ()), (other, deviating))
    )
    for number, states in enumerate(zip(*runs), start=1):
        for field in FIELDS.values():
            mine, theirs = (getattr(state[at.param], field).reshape(-1)[at.flat] for state in states)
            if apart(mine, theirs):
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
    steps = tuple(replace(step, hyper=hyper) for step, hyper in zip(case.steps, changes))
    return replace(case, dialect=b.name, groups=tuple(Group(named(group.hyper)) for group in case.groups), steps=steps, error=None)


def stored(golden: Golden, mine: Explanation) -> bool | None:
    """Whether the vectors hold this state, to the last digit; None where they hold nothing of it."""
    if mine.refused or mine.step not in golden.case.record or mine.param not in golden.expected:
        return None
    index = (golden.case.record.index(mine.step), *mine.index)
    arrays = [(value, golden.expected[mine.param][array]) for array, value in mine.state.items()]
    return all(
        np.array_equal(value.nearest, expected.value[index], equal_nan=True)
        and all(float(expected.bound[name][index]) == value.bound[name] for name in CLASSES)
        for value, expected in arrays
    )
