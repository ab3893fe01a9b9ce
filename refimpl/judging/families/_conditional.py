"""Conditional picks: an implementation picks something else in the groups, and at the steps, where a condition holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from ...case import Case
from ...dialects import Dialect, Picks
from ...dialects.stages import Amsgrad, Centralization
from ...reference import scheduled
from ...reference.hooks import History, Hooks, Resolved
from .._hypothesis import Hypothesis, Plan, Planner
from ._settings import DECOUPLED

Change = Callable[[Picks, bool], Picks]
"""From the picks of a group, and whether all of its parameters have two or more dimensions, to those that are taken."""


def _amsgrad_where_decoupled(to: Amsgrad) -> Change:
    return lambda picks, _: replace(picks, amsgrad=to) if picks.decay in DECOUPLED and picks.amsgrad is not Amsgrad.OFF else picks


def _any_width(picks: Picks, matrices: bool) -> Picks:
    centralizes = matrices and picks.centralization is Centralization.ROW_MEAN
    return replace(picks, centralization=Centralization.ANY_WIDTH) if centralizes else picks


CHANGES: tuple[tuple[str, str, Change], ...] = (
    ("amsgrad-ignored", "amsgrad is ignored while decay is decoupled", _amsgrad_where_decoupled(Amsgrad.OFF)),
    ("amsgrad-lost", "the maximum of amsgrad is lost while decay is decoupled", _amsgrad_where_decoupled(Amsgrad.MAX_LOST)),
    ("centralization-any-width", "gradients of two or more dimensions are centralized whatever their width", _any_width),
)


def hypotheses(table: Dialect) -> Iterator[Hypothesis]:
    for id, words, change in CHANGES:
        yield Hypothesis(id, "picks", words, _changed(change), rank=2)


def _changed(change: Change) -> Planner:
    def plan(case: Case, table: Dialect) -> Plan | None:
        matrices = [all(param.value.ndim > 1 for param in case.params if param.group == group) for group in range(len(case.groups))]

        def picked(resolved: list[Resolved]) -> list[Resolved]:
            return [(hyper, change(picks, deep)) for (hyper, picks), deep in zip(resolved, matrices)]

        def read(history: History) -> list[Resolved]:
            return picked(list(history[-1]))

        own = [[table.resolve(hyper) for hyper in hypers] for hypers in scheduled(case)]
        return None if all(picked(resolved) == resolved for resolved in own) else Plan(case, hooks=Hooks(read=read))

    return plan
