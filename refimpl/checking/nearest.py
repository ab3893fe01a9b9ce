"""Which dialects a backend is nearest to: its results on the cases of one dialect, judged by all other dialects too.

The inputs stay the same; the settings get the names of the other dialect. A case that the other dialect cannot express (it lacks a
setting, or refuses a form of gradient) does not count for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from ..arithmetic import ACCELERATOR_CLASS
from ..backends.features import dtypes_of
from ..backends.outcome import End, Outcome
from ..case import Case, Golden
from ..common.progress import watched
from ..common.text import counted, first_few, joined, paragraph
from ..dialects import Dialect, dialects
from ..errors import HarnessError, InvalidGradient, InvalidHyper
from ..judging.compare import judge
from ..judging.diagnose import diagnose
from ..judging.verdict import CaseVerdict, Status
from ..oracle import expectations
from ..reference.inputs import Given
from .subject import Judged

PER_THEME, LARGEST = 3, 400
"""Cases of each theme that are run, the smallest first, of at most so many elements times steps."""

REQUIRED = ACCELERATOR_CLASS
"""The loosest class: the question is the dialect, not the quality of the rounding."""

EXPLAINED = 3
"""For how many of the nearest dialects causes are searched."""


@dataclass(frozen=True, eq=False)
class Fit:
    """How results fit a dialect: the cases that it can express, with outcomes and verdicts.

    own: how many of these cases the results pass by the dialect of the case itself.
    """

    dialect: str
    own: int
    goldens: tuple[Golden, ...]
    outcomes: tuple[Outcome, ...]
    verdicts: tuple[CaseVerdict, ...]

    @property
    def passed(self) -> int:
        return sum(verdict.status is Status.PASSED for verdict in self.verdicts)

    @property
    def rank(self) -> tuple[int, int]:
        """How many more cases pass by this dialect than by their own; then how many pass."""
        return (self.passed - self.own, self.passed)


def nearest(judged: Judged) -> str:
    """The table of all dialects, nearest first, and for the first few what the backend does instead. Needs a backend."""
    import sys

    run = judged.run
    if run is None:
        raise HarnessError("--nearest needs a backend that can be run")
    goldens = list(_small(judged.vectors.goldens))
    outcomes = [run.outcome(golden) for golden in watched(goldens, len(goldens), sys.stderr)]
    with_states = [(golden, outcome) for golden, outcome in zip(goldens, outcomes) if outcome.end is End.STATES]
    subject = f"{judged.name} {judged.version}".strip()
    if not with_states:
        return joined([paragraph(f"{subject} gave no results on {counted(len(goldens), 'case')}: it is near to no dialect")])
    every = dialects("full")
    own = {golden.case.id for golden, outcome in with_states if judge(golden, outcome, REQUIRED).status is Status.PASSED}
    fits = [_fit(row, with_states, own) for row in watched(list(every.values()), len(every), sys.stderr, what="dialects")]
    ranked = sorted((fit for fit in fits if fit.verdicts), key=lambda fit: fit.rank, reverse=True)
    return joined(
        [paragraph(f"{subject}: {counted(len(with_states), 'small case')}, judged by each dialect"), _table(ranked), *_causes(ranked)]
    )


def _small(goldens: Sequence[Golden]) -> Iterator[Golden]:
    """A few cases of each theme, none that must be refused."""
    by_theme: dict[str, list[Golden]] = {}
    for golden in goldens:
        if golden.case.error is None and _size(golden.case) <= LARGEST and set(dtypes_of(golden.case)) <= {"float32", "float64"}:
            by_theme.setdefault(f"{golden.case.dialect}/{golden.case.theme}", []).append(golden)
    for cases in by_theme.values():
        yield from sorted(cases, key=lambda golden: _size(golden.case))[:PER_THEME]


def _size(case: Case) -> int:
    return max(len(case.steps), 1) * sum(param.value.size for param in case.params)


def _fit(row: Dialect, with_states: Sequence[tuple[Golden, Outcome]], own: Set[str]) -> Fit:
    goldens: list[Golden] = []
    outcomes: list[Outcome] = []
    for golden, outcome in with_states:
        translated = as_case_of(golden.case, row)
        if translated is not None:
            same = translated.dialect == golden.case.dialect
            goldens.append(golden if same else replace(golden, case=translated, expected=expectations(translated)))
            outcomes.append(outcome)
    verdicts = tuple(judge(golden, outcome, REQUIRED) for golden, outcome in zip(goldens, outcomes))
    return Fit(row.name, sum(golden.case.id in own for golden in goldens), tuple(goldens), tuple(outcomes), verdicts)


def as_case_of(case: Case, row: Dialect) -> Case | None:
    """The case as one of another dialect, or None where that lacks a setting or refuses an input of the case."""
    if case.dialect == row.name:
        return case
    own = dialects("full")[case.dialect]
    try:
        made = [_renamed({**own.defaults(), **group.hyper}, own, row) for group in case.groups]
        groups = tuple(replace(group, hyper={**_idle(row), **hyper}) for group, hyper in zip(case.groups, made))
        steps = tuple(replace(step, hyper=tuple(_renamed(change, own, row) for change in step.hyper)) for step in case.steps)
        translated = replace(case, dialect=row.name, groups=groups, steps=steps, catches=())
        inputs = Given(translated)
        for step in steps:
            inputs.take(step)
    except (KeyError, InvalidHyper, InvalidGradient):
        return None
    return translated


def _renamed(hyper: Mapping[str, Any], own: Dialect, row: Dialect) -> dict[str, Any]:
    """Settings by the names of another dialect; raises KeyError for one that it does not have, unless it changes nothing."""
    numbers: dict[str, Any] = {}
    switches: dict[str, Any] = {}
    for name, value in hyper.items():
        parameter = own.parameters[name]
        if parameter.roles:
            numbers.update(zip(parameter.roles, value if len(parameter.roles) > 1 else (value,)))
        elif value:
            switches.update(parameter.when_true)
    renamed: dict[str, Any] = {}
    for name, parameter in row.parameters.items():
        if parameter.roles and all(role in numbers for role in parameter.roles):
            values = [numbers.pop(role) for role in parameter.roles]
            renamed[name] = tuple(values) if len(values) > 1 else values[0]
        elif not parameter.roles and parameter.when_true and parameter.when_true.items() <= switches.items():
            renamed[name] = True
            switches = {stage: pick for stage, pick in switches.items() if stage not in parameter.when_true}
    left = [role for role, value in numbers.items() if value != IDLE.get(role)]
    if left or switches:
        raise KeyError(left or switches)
    return renamed


IDLE = {"weight_decay": 0.0, "loss_scale": 1.0, "eps_root": 0.0}
"""Settings that change nothing at these values."""


def _idle(row: Dialect) -> dict[str, Any]:
    """The defaults of a dialect, with what another one may not have at the value that changes nothing."""
    idle = {name: IDLE[role] for name, parameter in row.parameters.items() for role in parameter.roles[:1] if role in IDLE}
    return {**row.defaults(), **idle}


def _table(ranked: Sequence[Fit]) -> Iterator[str]:
    width = max(len(fit.dialect) for fit in ranked)
    yield f"  {'dialect':<{width}}  within its bound  outside, by theme"
    for fit in ranked:
        themes = dict.fromkeys(verdict.theme for verdict in fit.verdicts if verdict.status is not Status.PASSED)
        share = f"{fit.passed} of {len(fit.verdicts)}"
        yield f"  {fit.dialect:<{width}}  {share:<16}  {first_few(list(themes), 4)}".rstrip()


def _causes(ranked: Sequence[Fit]) -> Iterator[list[str]]:
    for fit in ranked[:EXPLAINED]:
        causes = diagnose(fit.goldens, fit.outcomes, fit.verdicts, REQUIRED)
        if fit.passed == len(fit.verdicts):
            yield paragraph(f"{fit.dialect}: within its bound everywhere", "", "  ")
        elif causes:
            said = "; ".join(f"{' with '.join(cause.deviations)} ({counted(len(cause.cases), 'case')})" for cause in causes)
            yield paragraph(f"{fit.dialect}, but: {said}", "", "  ")
        else:
            yield paragraph(f"{fit.dialect}: outside in {len(fit.verdicts) - fit.passed}, by no known cause", "", "  ")
