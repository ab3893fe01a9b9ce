"""Cases that must be refused: in which step, by which errors, and the control, which is the same case with nothing wrong in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..case import Case, Golden, Group, Param, Step
from ..dialects import Dialect, dialect
from ..errors import InvalidGradient, InvalidHyper
from ..gradients import Gradient, RowGradient, row_layout
from ..reference.inputs import Given, check_given
from ..vectors.inputs import without_answers
from .outcome import End, Outcome, Raised

MISTAKES = ("NameError", "AttributeError", "ImportError", "SyntaxError", "MemoryError", "RecursionError")
"""Errors that show a broken program or too little memory. They never count as a refusal."""
# NotImplementedError and AssertionError are not among them: implementations do refuse with them (PyTorch's dispatcher raises the
# first for a sparse tensor). The controls detect a backend that raises them for every case.


def run_with_control(golden: Golden, run: Callable[[Golden], Outcome]) -> Outcome:
    """The outcome of a golden; with it that of its control, where the golden must be refused and an error came.

    run: gives the outcome of one golden, and never gets an expectation.
    """
    outcome = run(without_answers(golden))
    if golden.case.error is None or outcome.end is not End.RAISED:
        return outcome
    return replace(outcome, control=run(without_answers(replace(golden, case=control(golden.case).case))))


def bad_step(case: Case) -> int | None:
    """Where the dialect refuses a case: 0 at the start, else the first step whose settings or gradient it refuses; None: nowhere."""
    taken = 0
    try:
        inputs = Given(case)
        for taken, step in enumerate(case.steps, start=1):  # noqa: B007  # it is the step at which the loop stopped
            inputs.take(step)
    except (InvalidHyper, InvalidGradient):
        return taken
    return None


def misplaced(case: Case, raised: Raised) -> str:
    """Why an error does not count as the refusal of what is wrong in a case, in words; "" where it does.

    Settings that are wrong at the start may be refused by start or by the first step; all else only by the step that brings it.
    """
    where = "start" if raised.step == 0 else f"step {raised.step}"
    mistakes = [kind for kind in MISTAKES if kind in raised.kinds]
    if mistakes:
        return f"a {raised.kinds[0]} in {where} refuses nothing: it says that the program is broken"
    bad = bad_step(case)
    if bad is None or raised.step in ((0, 1) if bad == 0 else (bad,)):
        return ""
    wrong = "start" if bad == 0 else f"step {bad}"
    if raised.step < bad:
        return f"raised in {where}, before anything was wrong: what must be refused comes in {wrong}"
    return f"raised in {where}, after it had accepted what must be refused in {wrong}"


@dataclass(frozen=True)
class Control:
    """A case with nothing wrong in it. corrected: the replacements of what was wrong, in words."""

    case: Case
    corrected: str


def control(case: Case) -> Control:
    """The case with every setting that its dialect refuses at the default, and every gradient that it refuses replaced by a proper one."""
    table = dialect(case.dialect)
    corrected: list[str] = []
    groups = tuple(Group(_settings(table, group.hyper, corrected)) for group in case.groups)
    proper = replace(case, groups=groups, error=None)
    params = {param.name: param for param in case.params}
    steps = tuple(_step(table, params, step, number, corrected) for number, step in enumerate(case.steps, start=1))
    return Control(replace(proper, steps=steps), ", ".join(dict.fromkeys(corrected)))


def _settings(table: Dialect, hyper: Mapping[str, object], corrected: list[str]) -> dict[str, object]:
    proper: dict[str, object] = {}
    for name, value in hyper.items():
        if name not in table.parameters:
            corrected.append(f"no {name}")
            continue
        parameter = table.parameters[name]
        try:
            parameter.check(value, table.class_name)
            proper[name] = value
        except InvalidHyper:
            proper[name] = parameter.default
            corrected.append(f"{name} = {parameter.default!r}")
    return proper


def _step(table: Dialect, params: Mapping[str, Param], step: Step, number: int, corrected: list[str]) -> Step:
    hyper = tuple(_settings(table, change, corrected) for change in step.hyper)
    return replace(step, gradients=dict(_gradients(table, params, step, number, corrected)), hyper=hyper)


def _gradients(
    table: Dialect, params: Mapping[str, Param], step: Step, number: int, corrected: list[str]
) -> Iterator[tuple[str, Gradient | None]]:
    for name, gradient in step.gradients.items():
        if name not in params:
            corrected.append(f"no gradient of {name!r} in step {number}")
        elif gradient is None or _fits(table, params[name], gradient):
            yield name, gradient
        else:
            form = table.gradients[0]
            corrected.append(f"a gradient by {form} in step {number}" if form != "dense" else f"a dense gradient in step {number}")
            yield name, _proper(form, params[name])


def _fits(table: Dialect, param: Param, gradient: Gradient) -> bool:
    try:
        check_given(table, param, gradient)
    except InvalidGradient:
        return False
    return True


def _proper(form: str, param: Param) -> Gradient:
    """A gradient of ones: of the first row, or dense; no dialect has elements for its main form."""
    shape, dtype = param.value.shape, param.value.dtype
    if form == "dense":
        return np.ones(shape, dtype)
    count = min(1, row_layout(shape)[0])
    return RowGradient(np.arange(count), np.ones((count, *shape[1:]), dtype), shape)
