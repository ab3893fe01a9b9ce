"""Cases that mix the features of a dialect, two and many at a time: what a recipe must hold for, beside the vectors' own cases.

Options, schedules, groups, a resumed state, late, missing and empty gradients come together at random, from a fixed seed. Dialects
of the core suite have a theme `pairs`, in which every two features meet; of the others, and of those whose framework does not take
half of that theme, every two options make a case here.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from ..case import Case, Param
from ..cases.build import CaseBuilder, Source, row_gradient
from ..dialects import Dialect
from ..dialects.stages import Counter
from ._limits import limits

CALLS, DRAWS = 5, 200
TABLE, NARROW = (4, 16), (3, 2)
"""Shapes: MindSpore centralizes rows of a multiple of 16."""

BASE: Mapping[str, float] = {"lr": 0.05, "beta1": 0.8, "beta2": 0.9, "eps": 0.02}
"""Short memories and a large eps, so that what differs is far above rounding after a call or two."""

ON: Mapping[str, tuple[float, float]] = {"weight_decay": (0.3, 0.05), "loss_scale": (12.0, 12.0), "eps_root": (0.03, 0.03)}
"""Role to its value in each group, where it is on."""

OTHER: Mapping[str, float] = {"lr": 0.02, "beta1": 0.6, "beta2": 0.8, "eps": 0.1}
"""Role to its value in the second group."""

OVER: Mapping[str, tuple[Any, ...]] = {
    "lr": (0.02, 0.08, 0.03, 0.11),
    "beta1": (0.7, 0.5, 0.85, 0.6),
    "beta2": (0.95, 0.8, 0.97, 0.93),
    "eps": (0.06, 0.005, 0.1, 0.03),
    "weight_decay": (0.1, 0.5, 0.02, 0.4),
    "maximize": (True, False, True, True),
}
"""Role or switch to its values from the second call on, where it has a schedule."""

TRAITS = ("missing", "late", "empty", "duplicates")
MISSING, EMPTY = 3, (0, 4)
"""Calls, from 0, without a gradient, and with one that is empty."""

STEPS_BEFORE = (2, 1, 3)


@dataclass(frozen=True)
class Mixture:
    """What a case has: features of the whole case, and per parameter the form of its gradients with what else they have."""

    whole: frozenset[str]
    forms: tuple[str, ...]
    traits: tuple[frozenset[str], ...]

    def pairs(self) -> set[frozenset[str]]:
        """The features that meet in one parameter."""
        every = [self.whole | {form} | traits for form, traits in zip(self.forms, self.traits)]
        return {frozenset(pair) for own in every for pair in combinations(sorted(own), 2)}


def mixtures(a: Dialect) -> list[Case]:
    """The mixed cases of a dialect; the same on every machine."""
    rng = random.Random(f"mixtures/{a.name}")
    twos = [_draw(a, rng, frozenset(pair)) for pair in combinations(features_of(a), 2)] if a.suite != "core" or limits(a).none else []
    return [_case(CaseBuilder(a, "mixtures"), number, mixture) for number, mixture in enumerate((*twos, *_many(a, rng)), start=1)]


def _many(a: Dialect, rng: random.Random) -> list[Mixture]:
    """Of the draws the fewest, greedily, in which every two features meet that meet in any."""
    drawn = [_draw(a, rng, _some(features_of(a), rng)) for _ in range(DRAWS)]
    missing = set[frozenset[str]]().union(*(mixture.pairs() for mixture in drawn))
    kept = []
    while missing:
        best = max(drawn, key=lambda mixture: len(mixture.pairs() & missing))
        missing -= best.pairs()
        kept.append(best)
    return kept


def features_of(a: Dialect) -> tuple[str, ...]:
    """What a whole case of the dialect may have: options, groups, a resumed state, schedules that its framework provides for."""
    limit = limits(a)
    roles = {role for parameter in a.parameters.values() for role in parameter.roles}
    options = [*_switches(a), *(role for role in ON if role in roles)]
    schedules = [f"schedule of {name}" for name in OVER if name in limit.per_step and name in {*roles, *a.parameters}]
    return (*options, *schedules, "resume", *(("groups",) if limit.per_group & {*OTHER} else ()))


def _switches(a: Dialect) -> dict[str, bool]:
    """The switches of a dialect by name, with what turns each."""
    return {name: not parameter.default for name, parameter in a.parameters.items() if parameter.when_true}


def _some(names: tuple[str, ...], rng: random.Random) -> frozenset[str]:
    return frozenset(name for name in names if rng.random() < 0.4)


def _draw(a: Dialect, rng: random.Random, whole: frozenset[str]) -> Mixture:
    """Features at random, within what the framework takes; the first parameter always has a gradient where some parameter must."""
    limit = limits(a)
    possible = ("dense",) if limit.decayed_rows and "weight_decay" in whole else a.gradients
    forms = tuple(possible[int(rng.random() * len(possible))] for _ in STEPS_BEFORE)
    barred = {*(("missing", "late") if limit.none else ()), *(("empty",) if limit.empty else ())}
    traits = [_some(TRAITS if form != "dense" else TRAITS[:2], rng) - barred for form in forms]
    if limit.idle:
        traits[0] -= {"missing", "late"}
    return Mixture(whole - ({"groups"} if limit.one_schedule and "schedule of lr" in whole else set()), forms, tuple(traits))


def _case(builder: CaseBuilder, number: int, mixture: Mixture) -> Case:
    source = builder.source(f"{builder.dialect.name}/{number}")
    count = 2 if "groups" in mixture.whole else 1
    shapes = (TABLE, NARROW, NARROW)
    params = [_param(builder, source, k, shape, mixture, k % count) for k, shape in enumerate(shapes)]
    gradients: list[dict[str, Any]] = [{} for _ in range(CALLS)]
    for k, (form, traits) in enumerate(zip(mixture.forms, mixture.traits)):
        for call in range(CALLS):
            if not (("late" in traits and call <= min(k, 1)) or ("missing" in traits and call == MISSING)):
                gradients[call]["abc"[k]] = _gradient(source, form, traits, shapes[k], call)
    hypers = [_hyper(builder, mixture, index) for index in range(count)]
    schedule = {call: [_change(builder, mixture, call, index) for index in range(count)] for call in range(2, CALLS + 1)}
    words = sorted({*mixture.whole, *mixture.forms}.union(*mixture.traits))
    return builder.golden(f"mixed-{number}", f"Mixed: {', '.join(words)}.", params, gradients, hypers, schedule=schedule).case


def _param(builder: CaseBuilder, source: Source, k: int, shape: tuple[int, ...], mixture: Mixture, group: int) -> Param:
    value = source.normal(shape, 0.5)
    if "resume" not in mixture.whole:
        return Param("abc"[k], value, group)
    shared = builder.dialect.picks.counter in (Counter.CALL, Counter.CALL_NONEMPTY)
    exp_avg = source.normal(shape, 0.5)
    exp_avg_sq = (0.5 * exp_avg**2 + 0.1 * source.uniform(shape)).astype(np.float32)
    maximum = (exp_avg_sq * source.uniform(shape, 1.0, 3.0)).astype(np.float32)
    keeps = any(builder.has(name) and name in mixture.whole for name in ("amsgrad", "use_amsgrad"))
    steps = STEPS_BEFORE[0 if shared else k]
    return Param("abc"[k], value, group, exp_avg, exp_avg_sq, steps, maximum if keeps else None)


def _hyper(builder: CaseBuilder, mixture: Mixture, index: int) -> dict[str, Any]:
    """The settings of a group; the second has those of its own that the framework lets a group have."""
    per_group = limits(builder.dialect).per_group
    roles: dict[str, Any] = {**BASE, **({role: value for role, value in OTHER.items() if role in per_group} if index else {})}
    for role, values in ON.items():
        if role in mixture.whole or (role == "weight_decay" and "schedule of weight_decay" in mixture.whole):
            roles[role] = values[index if role in per_group else 0]
    switches = {name: value for name, value in _switches(builder.dialect).items() if name in mixture.whole}
    return builder.hyper(**roles, **switches)


def _change(builder: CaseBuilder, mixture: Mixture, call: int, index: int) -> dict[str, Any]:
    """What changes before a call (from 2); the second group is a call behind."""
    at = call - 2 - index
    changes = {name: values[at] for name, values in OVER.items() if f"schedule of {name}" in mixture.whole and at >= 0}
    for parameter in builder.dialect.parameters.values():
        if len(parameter.roles) > 1 and changes.keys() & set(parameter.roles):  # a pair is set as a whole
            changes = {role: BASE[role] for role in parameter.roles} | changes
    return builder.named(**changes)


def _gradient(source: Source, form: str, traits: frozenset[str], shape: tuple[int, ...], call: int) -> Any:
    """The gradient of a call: in a sparse one two rows or three elements move on from call to call."""
    if form == "dense":
        return source.normal(shape)
    count, starts = (shape[0], (1, 0)) if form == "rows" else (shape[0] * shape[1], (4, 1, 3))
    places = (np.array(starts) + call) % count
    places = np.r_[places, places[:1]] if "duplicates" in traits else places
    places = places[:0] if "empty" in traits and call in EMPTY else places
    if form == "rows":
        return row_gradient(places, source.normal((len(places), *shape[1:])), shape)
    from scipy.sparse import coo_array

    coords: Any = np.unravel_index(places, shape)
    return coo_array((source.normal((len(places),)), coords), shape=shape)
