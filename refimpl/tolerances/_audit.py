"""The audit of rules: what each makes of every case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from ..backends.processes import in_processes
from ..case import Golden
from ..dialects import deviations
from ._case import Correct, Judged, Tried, judged
from .rules import Rule


@dataclass(frozen=True)
class Mistake:
    """A known mistake under a rule, in every case that is proven to show it, in the order of the cases.

    unseen: how many of these show it in none of the arrays that the rule compares.
    """

    id: str
    tried: tuple[Tried, ...]

    @cached_property
    def passing(self) -> tuple[Tried, ...]:
        """The cases in which the rule lets it pass."""
        return tuple(one for one in self.tried if one.excess <= 1)

    @property
    def unseen(self) -> int:
        return sum(one.farthest is None for one in self.passing)

    @property
    def passes_everywhere(self) -> bool:
        return len(self.passing) == len(self.tried)

    @property
    def shown_by(self) -> Tried | None:
        """Of the cases in which it passes, the one in which it is the most bounds away from what is right; None where none shows it."""
        return max((one for one in self.passing if one.farthest), key=_bounds, default=None)

    @property
    def closest(self) -> Tried:
        """The case in which it is nearest to what is expected, in the measure of the rule."""
        return min(self.tried, key=lambda one: one.excess)

    @property
    def farthest(self) -> Tried:
        """The case in which it is farthest from what is expected, in the measure of the rule."""
        return max(self.tried, key=lambda one: one.excess)


@dataclass(frozen=True)
class Audit:
    """What a rule makes of the known mistakes and of correct computations. cases: how many were looked at."""

    rule: Rule
    cases: int
    mistakes: tuple[Mistake, ...]
    correct: tuple[Correct, ...]

    @cached_property
    def everywhere(self) -> tuple[Mistake, ...]:
        """The mistakes that pass in every case."""
        return tuple(mistake for mistake in self.mistakes if mistake.passes_everywhere)

    @cached_property
    def somewhere(self) -> tuple[Mistake, ...]:
        """The mistakes that pass in some cases and are refused in others."""
        return tuple(mistake for mistake in self.mistakes if mistake.passing and not mistake.passes_everywhere)

    @cached_property
    def nowhere(self) -> tuple[Mistake, ...]:
        """The mistakes that are refused in every case."""
        return tuple(mistake for mistake in self.mistakes if not mistake.passing)

    @cached_property
    def too_tight(self) -> tuple[Correct, ...]:
        """The cases in which the rule is not known to admit every correct implementation."""
        return tuple(one for one in self.correct if one.most > 1)

    @cached_property
    def refused(self) -> tuple[Correct, ...]:
        """The cases in which it refuses a correct computation that was run."""
        return tuple(one for one in self.correct if one.excess > 1)

    @property
    def holds(self) -> bool:
        """Whether the rule refuses every mistake in every case that shows it, and is known to admit every correct implementation."""
        return not self.everywhere and not self.somewhere and not self.too_tight


def _bounds(tried: Tried) -> float:
    return tried.farthest.bounds if tried.farthest else 0.0


Watch = Callable[[Iterable[Any], int], Iterable[Any]]


def audited(
    goldens: Sequence[Golden], rules: Sequence[Rule], numerics_class: str, jobs: int = 1, watch: Watch = lambda items, total: items
) -> list[Audit]:
    """An audit of each rule over these cases, all of which must end in a result. watch: shows the progress of an iteration."""
    work = partial(judged, rules=rules, numerics_class=numerics_class)
    by_case = list(watch(in_processes(work, goldens, jobs, chunksize=4), len(goldens)))
    return [_audit(rule, [of_rules[k] for of_rules in by_case]) for k, rule in enumerate(rules)]


def _audit(rule: Rule, of_cases: Sequence[Judged]) -> Audit:
    tried: dict[str, list[Tried]] = {id: [] for id in deviations()}
    for case in of_cases:
        for one in case.tried:
            tried[one.mistake].append(one)
    mistakes = tuple(Mistake(id, tuple(every)) for id, every in tried.items() if every)
    return Audit(rule, len(of_cases), mistakes, tuple(case.correct for case in of_cases))
