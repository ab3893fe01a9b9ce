"""Scalars: some of the scalars of a step are held in float32 under wider tensors, each of its own.

Frameworks keep a learning rate in a float32 variable, pass betas as float32 attributes of an operator, or cast a Python number by way
of float32 before they raise it to a power. Which of them is narrow differs, so every choice is a hypothesis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain, combinations

import numpy as np

from ...arithmetic import FORMATS
from ...case import Case
from ...dialects import Dialect
from ...reference import scheduled
from ...reference.hooks import History, Hooks, Resolved
from .._altered import Alter, to_format
from .._hypothesis import Hypothesis, Plan, Planner
from ._settings import Place, Table, read, role_places, with_settings, write

NARROW = "float32"

SITES = {
    "lr": "lr",
    "averages": "the betas of the moments",
    "differences": "1 less the betas of the moments",
    "powers": "the betas of the bias corrections",
    "step": "the step size",
    "eps": "eps",
    "weight_decay": "weight_decay",
}
"""Where a scalar may be narrow, and in words."""


def hypotheses(table: Dialect) -> Iterator[Hypothesis]:
    places = dict(role_places(table))
    sites = [site for site in SITES if site in places or site in ("averages", "differences", "powers", "step")]
    for some in chain.from_iterable(combinations(sites, size) for size in range(1, len(sites) + 1)):
        if "differences" in some and "averages" not in some:
            continue  # they are taken of narrow betas
        if len(some) == 1 and some[0] not in ("averages", "powers"):
            continue  # one of `formats`
        words = [SITES[site] for site in some]
        about = f"{' and '.join([', '.join(words[:-1]), words[-1]] if len(words) > 1 else words)} are rounded to {NARROW}"
        yield Hypothesis(
            f"scalars-in-{NARROW}", "formats", about, _plan(frozenset(some), places), rank=4 + len(some), pairs=False, beside_named=True
        )


ALTERED = {"step": ("step",), "differences": ("one_minus_beta1", "one_minus_beta2")}
"""Sites that are results of a step's scalars, as `reference.scalars` names them."""


def _plan(sites: frozenset[str], places: dict[str, Place]) -> Planner:
    rounded = [places[role] for role in ("lr", "eps", "weight_decay") if role in sites]
    altered = {name for site, names in ALTERED.items() if site in sites for name in names}
    rounded += [places["beta1"], places["beta2"]] if "averages" in sites else []

    def plan(case: Case, table: Dialect) -> Plan | None:
        if FORMATS[NARROW].precision >= FORMATS[case.computing[0]].precision:
            return None
        changed = with_settings(case, lambda settings, _: _round(settings, rounded), table) if rounded else None
        hooks = Hooks(read=_with_powers("powers" in sites, case, table)) if ("powers" in sites) != ("averages" in sites) else Hooks()
        return Plan(case if changed is None else changed, hooks=hooks, alter=_alter(altered) if altered else None)

    return plan


def _alter(names: set[str]) -> Alter:
    return lambda name, number, _: to_format(number, NARROW) if name in names else number


def _round(settings: Table, places: list[Place]) -> None:
    for group in (group for of_groups in settings for group in of_groups):
        for place in places:
            write(group, place, _nearest(read(group, place)))


def _nearest(value: float) -> float:
    return float(np.float32(value))


def _with_powers(narrow: bool, case: Case, table: Dialect) -> Callable[[History], list[Resolved]]:
    """Settings whose bias corrections take powers of other betas than the moments have: narrow ones, or those of the case itself."""
    own = [[table.resolve(hyper)[0] for hyper in of_groups] for of_groups in scheduled(case)]

    def read_settings(history: History) -> list[Resolved]:
        resolved = []
        for (hyper, picks), case_hyper in zip(history[-1], own[len(history) - 1]):
            betas = (_nearest(case_hyper.beta1), _nearest(case_hyper.beta2)) if narrow else (case_hyper.beta1, case_hyper.beta2)
            resolved.append((replace(hyper, past_betas=(betas,)), picks))
        return resolved

    return read_settings
