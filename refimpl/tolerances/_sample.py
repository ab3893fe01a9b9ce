"""A sample of cases that still shows every mistake: of each theme, the smallest case that shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..case import Case, Golden
from ..oracle import LAST_STEP


def sampled(goldens: Iterable[Golden]) -> list[Golden]:
    """These cases, each with the mistakes that no smaller one of its dialect, theme and dtype shows; without those that have none."""
    smallest: dict[tuple[str, str, str, str], tuple[int, str]] = {}
    every = list(goldens)
    for golden in every:
        for key in _keys(golden.case):
            smallest[key] = min(smallest.get(key, (cost(golden.case), golden.case.id)), (cost(golden.case), golden.case.id))
    chosen = (_with(golden, [key[-1] for key in _keys(golden.case) if smallest[key][1] == golden.case.id]) for golden in every)
    return [golden for golden in chosen if golden.case.catches]


def _keys(case: Case) -> list[tuple[str, str, str, str]]:
    return [(case.dialect, case.theme, case.dtype, mistake) for mistake in case.catches]


def _with(golden: Golden, catches: Sequence[str]) -> Golden:
    return replace(golden, case=replace(golden.case, catches=tuple(catches)))


def cost(case: Case) -> int:
    """Elements times the steps that are tried."""
    return sum(param.value.size for param in case.params) * min(len(case.steps), LAST_STEP)
