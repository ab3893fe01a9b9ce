"""Under which condition a recipe holds: the features, or the pairs of them, without which every case agrees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..case import Case, Golden, Param
from ..cases.coverage import table
from ..cases.features import features
from ..gradients import laid_out
from ._distances import Distance, Outcome
from ._measured import Measured

Trait = frozenset[str]
"""A feature of a parameter in a case, or two that meet in one."""

MOST = 3
"""A condition of more traits than this is none that anyone would check."""

IGNORED = frozenset({"float32", "float64", "strided", "fortran", "read-only", "several"})
"""Features that a recipe in exact arithmetic cannot depend on, or that say too little."""


@dataclass(frozen=True)
class Condition:
    """As long as no parameter has one of these traits, every case agrees that B takes: `holds` of them.

    Of the `others`, which have one, `fail` do not agree.
    """

    traits: tuple[Trait, ...]
    holds: int
    others: int
    fail: int


PARTIAL = "rows left out"
"""A trait that the table of coverage does not have, since nearly every case does."""


def traits_of(measured: Measured) -> frozenset[Trait]:
    """The features of the parameters of a case, and the pairs that meet in one of them."""
    case, known = measured.case, features(Golden(measured.case, measured.expected))
    every = [(known[param.name] - IGNORED) | ({PARTIAL} if _leaves_out(case, param) else set()) for param in case.params]
    return frozenset(frozenset(trait) for own in every for size in (1, 2) for trait in combinations(sorted(own), size))


def _leaves_out(case: Case, param: Param) -> bool:
    """Whether some gradient of a parameter leaves out a row or element that has moments."""
    has_moments = np.full(param.value.size, param.exp_avg is not None)
    for step in case.steps:
        gradient = step.gradients.get(param.name)
        if gradient is None:
            continue
        rows = laid_out(gradient, param.value.shape)
        stored = np.zeros(rows.layout, bool)
        stored[rows.indices] = True
        if (has_moments & ~stored.reshape(-1)).any():
            return True
        has_moments |= stored.reshape(-1)
    return False


def condition(cases: Iterable[Measured], outcomes: Mapping[str, Outcome]) -> Condition | None:
    """The condition under which the cases that B takes agree; None where all do, or where no condition keeps most that do."""
    taken = [measured for measured in cases if isinstance(outcomes[measured.id], Distance)]
    traits = {measured.id: traits_of(measured) for measured in taken}
    good = {id for id in traits if outcomes[id].agrees}
    bad = traits.keys() - good
    chosen = _cover(traits, good, bad) if bad else ()
    holds = sum(traits[id].isdisjoint(chosen) for id in good)
    if not chosen or not holds or 2 * holds < len(good):
        return None
    return Condition(chosen, holds, len(taken) - holds, len(bad))


def _cover(traits: Mapping[str, frozenset[Trait]], good: set[str], bad: set[str]) -> tuple[Trait, ...]:
    """Few traits, greedily, of which every bad case has one and few good ones any; none where MOST do not suffice."""
    every = sorted({trait for id in bad for trait in traits[id]}, key=lambda trait: (len(trait), sorted(trait)))
    lost = {trait: sum(trait in traits[id] for id in good) for trait in every}
    chosen: list[Trait] = []
    left = set(bad)
    while left and len(chosen) < MOST:
        won = {trait: sum(trait in traits[id] for id in left) for trait in every}
        best = max(every, key=lambda trait: (won[trait] / (1 + lost[trait]), won[trait], -len(trait)))
        chosen.append(best)
        left = {id for id in left if best not in traits[id]}
    return tuple(chosen) if not left else ()


def in_words(condition: Condition) -> tuple[str, ...]:
    """Its traits, in the words of the table of coverage."""
    words: Mapping[str, str] = {**table()["features"], PARTIAL: "a gradient that leaves out a row or element that has moments"}
    return tuple(", beside ".join(words[name] for name in sorted(trait)) for trait in condition.traits)
