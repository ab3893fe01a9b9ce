"""Plans of the theme `pairs`: which features each of its cases has, so that every two features of a dialect meet in some case.

Features that a backend may lack (options, schedules, groups, a resume) come alone or by twos, so that what one lacks costs it no other
pair; the others (forms of a gradient, calls without one, layouts, magnitudes) are spread over these cases by a greedy search: of some
plans drawn at random, from a fixed seed, the one in which most pairs meet that have not met yet.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from ..dialects import Dialect
from .coverage import Pair, Requirements, is_abridged, requirements

CLAIMED = (
    "weight-decay",
    "decoupled-decay",
    "amsgrad",
    "maximize",
    "nesterov",
    "centralization",
    "loss-scale",
    "groups",
    "resume",
    "schedule-lr",
    "schedule-betas",
    "schedule-eps",
    "schedule-weight-decay",
    "schedule-maximize",
    "schedule-decoupled",
)
"""What a backend may claim or not: a case has one or two of these, and what they bring with them."""

OPTIONS = CLAIMED[:7]
"""What changes the computation of a step: it comes by every form of gradient."""

BRINGS = {
    "schedule-weight-decay": "weight-decay",
    "schedule-maximize": "maximize",
    "schedule-decoupled": "decoupled-decay",
}
LAYOUTS = ("strided", "fortran", "read-only")
CALLS = ("missing", "late")
SPARSE = ("duplicates", "empty")
MAGNITUDES = ("tiny", "large")
LIKELY = dict.fromkeys((*CALLS, *SPARSE), 0.5)
"""How likely a parameter is drawn with a feature; 1/4 for the others, which hide what else an element shows."""

DRAWS = 60

MOST_CLAIMS = 5
"""Claimed features of a case of an abridged dialect."""


@dataclass(frozen=True)
class Plan:
    """One case: its claimed features, dtype and layout, and per parameter the form of its gradients and what else they have.

    A second form among the traits is that of the last gradient. decay: the feature that a weight decay is.
    """

    claims: tuple[str, ...]
    dtype: str
    layout: str
    forms: tuple[str, ...]
    traits: tuple[frozenset[str], ...]
    decay: str = "weight-decay"

    def features(self) -> list[frozenset[str]]:
        """The features of each parameter that the claimed ones hold for: with groups, of those in the first."""
        whole = {self.decay if name == "weight-decay" else name for name in closure(self.claims)}
        shared = {*whole, self.dtype, self.layout, "eps-visible"} - {"contiguous"}
        shared |= {"several"} if len(self.forms) > 1 else set()
        in_first_group = [k for k in range(len(self.forms)) if "groups" not in self.claims or k % 2 == 0]
        return [frozenset(shared | {self.forms[k]} | self.traits[k]) for k in in_first_group]

    def pairs(self) -> set[Pair]:
        """The pairs that meet in it."""
        return {
            frozenset(pair)
            for own in self.features()
            for pair in combinations(sorted(own), 2)
            if self.dtype != "float64" or "float64" in pair
        }


def closure(claims: Sequence[str]) -> set[str]:
    """The claimed features with those that come with them: a schedule of the decay has a decay."""
    whole = set(claims) | {BRINGS[claim] for claim in claims if claim in BRINGS}
    if "schedule-decoupled" in whole:
        return whole | {"weight-decay"}  # before it is switched
    return whole - ({"weight-decay"} if "decoupled-decay" in whole else set())


def plans(dialect: Dialect) -> Iterator[tuple[str, Plan]]:
    """The plans of a dialect, with a slug each; the same on every machine."""
    required = requirements(dialect.name)
    missing = required.pairs()
    search = _Search(dialect, required, random.Random(f"pairs/{dialect.name}"))
    for claims, form, dtype in _planned(dialect, required):
        plan = search.best(claims, form, dtype, missing)
        missing -= plan.pairs()
        yield _slug(dialect, claims, form, dtype), plan
    number = 1
    while missing:
        plan = search.best_of_all(missing)
        if not plan.pairs() & missing:
            raise AssertionError(f"{dialect.name}: no case has {sorted(map(sorted, missing))}")
        missing -= plan.pairs()
        number += 1
        yield f"{_slug(dialect, plan.claims, plan.forms[0], plan.dtype)}-{number}", plan


def _slug(dialect: Dialect, claims: Sequence[str], form: str, dtype: str) -> str:
    words = ["-and-".join(claims) or "plain"]
    words += [form] if len(dialect.gradients) > 1 else []
    return "-".join(words + ([dtype] if dtype != "float32" else []))


def _planned(dialect: Dialect, required: Requirements) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Claimed features, form and dtype of each case: one feature by every form, two options by every form, other twos by turns."""
    claimed = [name for name in CLAIMED if name in required.features]
    forms = [form for form in dialect.gradients if form in required.features]
    seen = set()
    twos = [] if is_abridged(dialect.name) else combinations(claimed, 2)
    sets: list[tuple[str, ...]] = [(), *((name,) for name in claimed), *twos]
    for number, claims in enumerate(sets):
        whole = frozenset(closure(claims))
        if whole in seen or any(frozenset(pair) in required.excused for pair in combinations(whole, 2)) or not set(claims) <= whole:
            continue
        seen.add(whole)
        every = len(claims) < 2 or set(claims) <= set(OPTIONS)
        possible = [form for form in forms if all(frozenset({form, name}) not in required.excused for name in whole)]
        for form in possible if every else [possible[number % len(possible)]]:
            yield claims, form, "float32"
            if "float64" in required.features and len(claims) < 2:
                yield claims, form, "float64"


class _Search:
    """Plans drawn at random, and the best of them."""

    def __init__(self, dialect: Dialect, required: Requirements, rng: random.Random) -> None:
        self.dialect, self.required, self.rng = dialect, required, rng

    def best(self, claims: tuple[str, ...], form: str, dtype: str, missing: set[Pair]) -> Plan:
        """The plan in which most missing pairs meet; of several the first."""
        drawn = [self._draw(claims, form, dtype) for _ in range(DRAWS)]
        return max(drawn, key=lambda plan: len(plan.pairs() & missing))

    def best_of_all(self, missing: set[Pair]) -> Plan:
        """The best plan for a pair that is missing still."""
        pair = min(missing, key=sorted)
        claims = self._with_others(tuple(name for name in CLAIMED if name in pair))
        dtype = "float64" if "float64" in pair else "float32"
        forms = [form for form in self.dialect.gradients if form in pair] or [
            form
            for form in self.dialect.gradients
            if all(frozenset({form, name}) not in self.required.excused for name in {*pair, *closure(claims)})
        ]
        return max((self.best(claims, form, dtype, missing) for form in forms), key=lambda plan: len(plan.pairs() & missing))

    def _with_others(self, claims: tuple[str, ...]) -> tuple[str, ...]:
        """Of an abridged dialect, with others beside them: a backend that lacks one loses more pairs, but the cases are a third."""
        if not is_abridged(self.dialect.name):
            return claims
        others = [name for name in CLAIMED if name in self.required.features and name not in claims]
        for other in self.rng.sample(others, len(others)):
            wider = tuple(name for name in CLAIMED if name in (*claims, other))
            if len(claims) < MOST_CLAIMS and set(wider) <= closure(wider):
                claims = wider
        return claims

    def _draw(self, claims: tuple[str, ...], form: str, dtype: str) -> Plan:
        chance = self.rng.random
        count = 3 if "groups" in claims else 1 + (chance() < 0.5)
        layout = ("contiguous", *LAYOUTS)[int(chance() * 4)]
        decay = "weight-decay" if "weight-decay" in self.required.features else "decoupled-decay"
        return Plan(claims, dtype, layout, (form,) * count, tuple(self._traits(form, claims) for _ in range(count)), decay)

    def _traits(self, form: str, claims: tuple[str, ...]) -> frozenset[str]:
        chance = self.rng.random
        others = [] if claims else [other for other in self.dialect.gradients if other != form and chance() < 0.5]
        possible = [*CALLS, *MAGNITUDES, *(SPARSE if form != "dense" or others else ())]
        drawn = [name for name in possible if chance() < LIKELY.get(name, 0.25) and self._allowed(name, claims)]
        return frozenset(drawn + others)  # a second form without claims: a backend that lacks it loses no other pair

    def _allowed(self, name: str, claims: tuple[str, ...]) -> bool:
        if name == "late" and {"resume", "schedule-betas"} <= set(claims):
            return False  # the betas would first change where every bias correction is 1
        return name in self.required.features and all(frozenset({name, claim}) not in self.required.excused for claim in closure(claims))
