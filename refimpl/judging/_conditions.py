"""Conditions: what the cases in which a hypothesis holds have in common, if other cases refute it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations

from ..backends.features import needed_features
from ..case import Golden
from ..gradients import RowGradient, gradient_form
from ._evidence import Judged

WORDS: dict[str, str] = {
    "rows": "gradients by rows",
    "elements": "gradients by element",
    "dense": "dense gradients",
    "groups": "several groups",
    "schedule": "a schedule",
    "resume": "a resumed state",
    "maximize": "maximize",
    "amsgrad": "amsgrad",
    "nesterov": "the Nesterov direction",
    "centralization": "centralization",
    "decoupled_weight_decay": "decoupled weight decay",
    "weight_decay": "weight decay",
    "loss_scale": "a loss scale",
    "ranks": "gradients of several ranks",
    "rank_sum": "gradients summed over ranks",
    "rank_occurrences": "gradients averaged over their occurrences on all ranks",
    "micro_batches": "gradients of several micro-batches",
    "micro_batch_mean": "gradients averaged over micro-batches",
}
"""Feature of `backends.FEATURES` to the words that a sentence uses for it."""

Holds = Callable[[Golden], bool]


def _missing(golden: Golden) -> bool:
    return any(gradient is None for step in golden.case.steps for gradient in step.gradients.values())


def _empty(golden: Golden) -> bool:
    gradients = (gradient for step in golden.case.steps for gradient in step.gradients.values())
    return any(isinstance(gradient, RowGradient) and not len(gradient.indices) for gradient in gradients)


def _shape_of(test: Callable[[tuple[int, ...]], bool]) -> Holds:
    return lambda golden: all(test(param.value.shape) for param in golden.case.params)


def _form(form: str) -> Holds:
    def holds(golden: Golden) -> bool:
        gradients = [gradient for step in golden.case.steps for gradient in step.gradients.values() if gradient is not None]
        return bool(gradients) and all(gradient_form(gradient) == form for gradient in gradients)

    return holds


OTHERS: tuple[tuple[str, Holds], ...] = (
    ("arrays that are not contiguous", lambda golden: golden.layout in ("strided", "fortran")),
    ("strided arrays", lambda golden: golden.layout == "strided"),
    ("arrays in Fortran order", lambda golden: golden.layout == "fortran"),
    ("read-only arrays", lambda golden: golden.layout == "read-only"),
    ("float64", lambda golden: golden.case.dtype == "float64"),
    ("float32", lambda golden: golden.case.dtype == "float32"),
    ("several parameters", lambda golden: len(golden.case.params) > 1),
    ("a missing gradient", _missing),
    ("an empty gradient", _empty),
    ("vectors", _shape_of(lambda shape: len(shape) == 1)),
    ("parameters of three or more dimensions", _shape_of(lambda shape: len(shape) > 2)),
    ("dense gradients alone", _form("dense")),
    ("gradients by rows alone", _form("rows")),
    ("gradients by element alone", _form("elements")),
)


def holding(golden: Golden) -> frozenset[str]:
    """The conditions that hold of a case, in words."""
    named = {WORDS.get(feature, feature) for feature in needed_features(golden.case)}
    return frozenset(named | {words for words, holds in OTHERS if holds(golden)})


ORDER = (*WORDS.values(), *(words for words, _ in OTHERS))


ALONE = " alone"
"""The suffix of a condition that is stronger than the one without it."""

NAMED = 4
"""How many conditions are named where several agree with the cases."""


def condition_of(inside: Sequence[Judged], outside: Iterable[Judged]) -> str | None:
    """What holds of every case inside and of none outside; None where nothing does, empty where nothing is outside.

    A condition is one feature, or two together where no single one is enough. Where several agree with the cases all are named, since
    none is proven. `outside` is read only until no condition is left.
    """
    common = frozenset.intersection(*(holding(judged.golden) for judged in inside))
    single = [words for words in ORDER if words in common]
    left = [(words,) for words in single] + list(combinations(single, 2))
    refuted = False
    for judged in outside:
        refuted = True
        held = holding(judged.golden)
        left = [conditions for conditions in left if not held.issuperset(conditions)]
        if not left:
            return None
    fewest = [" and ".join(conditions) for conditions in left if len(conditions) == len(left[0])]
    weakest = [words for words in fewest if words.removesuffix(ALONE) not in fewest or not words.endswith(ALONE)]
    return _alternatives(weakest) if refuted else ""


def _alternatives(conditions: Sequence[str]) -> str:
    if len(conditions) == 1:
        return conditions[0]
    more = f" or {len(conditions) - NAMED} other conditions" if len(conditions) > NAMED else ""
    return f"{', or '.join(conditions[:NAMED])}{more} (the cases do not tell which)"
