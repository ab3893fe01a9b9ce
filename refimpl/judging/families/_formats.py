"""Formats: scalars, moments, sums or parameters are kept in another format than the dialect's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np

from ...arithmetic import FORMATS, Number
from ...case import COMPENSATION, MASTER, Case, Param
from ...dialects import Dialect
from ...gradients import Array
from ...reference import ONE, occurrence_rounds
from ...reference.hooks import Hooks, Updated
from .._altered import Alter, to_format
from .._hypothesis import Hypothesis, Plan, Planner
from ._inputs import Occurrences, with_gradients, with_occurrences, with_values
from ._settings import Place, Table, read, role_places, with_settings, write

NARROW = ("float16", "bfloat16", "float32")
"""Formats that a backend may fall back to."""

NUMERIC = ("lr", "beta1", "beta2", "eps", "weight_decay", "loss_scale")

SCALARS = {
    "root2": ("root-correction", "the root of the second bias correction"),
    "power1": ("first-power", "the power of beta1"),
    "power2": ("second-power", "the power of beta2"),
    "c1": ("first-correction", "the first bias correction"),
    "c2": ("second-correction", "the second bias correction"),
    "step": ("step-size", "the step size"),
    "one_minus_beta1": ("one-minus-beta1", "1 - beta1"),
    "one_minus_beta2": ("one-minus-beta2", "1 - beta2"),
}
"""Scalars of a step as `reference.scalars` names them: the beginning of the hypothesis's name, and the words."""

FOLLOWING = {"the powers of the betas": ("power1", "power2"), "the root": ("root2",), "the step size": ("step",)}
"""Scalars of SCALARS that may be left out where all are rounded: they are made of others in one expression."""

STATE = (
    ("moments", "both moments", ("m", "v", "v_max")),
    ("moments", "both moments, but not the maximum of v,", ("m", "v")),
    ("exp-avg", "the first moment", ("m",)),
    ("exp-avg-sq", "the second moment", ("v",)),
    ("exp-avg-sq", "the second moment and its maximum", ("v", "v_max")),
    ("params", "the parameters", ("p",)),
    ("state", "the parameters and both moments", ("p", "m", "v", "v_max")),
    ("state", "the parameters and both moments, but not the maximum of v,", ("p", "m", "v")),
)

WAYS = {"to nearest": "", "cut off": ", cut off instead of rounded"}


def hypotheses(table: Dialect) -> Iterator[Hypothesis]:
    places = {role: place for role, place in role_places(table) if role in NUMERIC}
    for name in NARROW:
        yield Hypothesis(
            f"scalars-in-{name}", "formats", f"every setting is rounded to {name}", _settings(list(places.values()), name), rank=3
        )
        for role, place in places.items():
            yield Hypothesis(f"{role}-in-{name}", "formats", f"{role} is rounded to {name}", _settings([place], name), rank=2)
        for scalar, (start, words) in SCALARS.items():
            yield Hypothesis(
                f"{start}-in-{name}", "formats", f"{words} is rounded to {name}", _altered({scalar: _nearest(name)}, name), rank=3
            )
        for size in range(len(FOLLOWING) + 1):
            for left_out in combinations(FOLLOWING, size):
                wide = {scalar for words in left_out for scalar in FOLLOWING[words]}
                following = {scalar: _nearest(name) for scalar in SCALARS if scalar not in wide}
                but = f", but for {' and '.join(left_out)}," if left_out else ""
                about = f"every setting and every scalar that follows from it{but} is rounded to {name}"
                plan = _scalars(list(places.values()), following, name)
                yield Hypothesis(f"scalars-in-{name}", "formats", about, plan, rank=4 + size)
        for start, words, fields in STATE:
            about = f"{words} of a loaded state {'is' if len(fields) == 1 and fields != ('p',) else 'are'} rounded to {name}"
            yield Hypothesis(f"loaded-{start}-in-{name}", "formats", about, _loaded(fields, name), rank=3)
        for way, manner in WAYS.items():
            yield from _of_state(name, way, manner)
            yield from _of_gradients(name, way, manner)
        yield from _of_roots(name)
    yield from _of_storage()


def _of_storage() -> Iterator[Hypothesis]:
    """What follows the dtype of a parameter that is kept in a narrower one than the rest."""
    for id, about, fields, concerns in (
        ("master-ignored", "the master copy is not kept: the parameter itself is updated, in its own dtype", ("p",), _has_master),
        (
            "compensation-ignored",
            "the compensation is not used: the parameter alone is updated, in its own dtype",
            ("p",),
            _has_compensation,
        ),
        ("moments-follow-parameter", "the moments follow the dtype of the parameter", ("m", "v", "v_max"), _has_wide_moments),
    ):
        yield Hypothesis(id, "formats", about, _in_dtype_of_parameter(fields, concerns), rank=1)

    words = "moments follow the dtype of the parameter, and every operation is rounded to it"
    yield Hypothesis("moments-follow-parameter", "formats", words, _computed_in_dtype_of_parameter, rank=2)


def _computed_in_dtype_of_parameter(case: Case, table: Dialect) -> Plan | None:
    if not _has_wide_moments(case):
        return None
    params = tuple(
        replace(param, dtypes={array: dtype for array, dtype in param.dtypes.items() if array == MASTER}) for param in case.params
    )
    return Plan(replace(case, params=params), simulated=ONE)


def _has_master(case: Case) -> bool:
    return any(MASTER in param.dtypes for param in case.params)


def _has_compensation(case: Case) -> bool:
    return any(COMPENSATION in param.dtypes for param in case.params)


def _has_wide_moments(case: Case) -> bool:
    return any(param.dtype_of("exp_avg") != str(param.value.dtype) for param in case.params)


def _in_dtype_of_parameter(fields: tuple[str, ...], concerns: Callable[[Case], bool]) -> Planner:
    def plan(case: Case, table: Dialect) -> Plan | None:
        return _stored(fields, case.dtype, "to nearest")(case, table) if concerns(case) else None

    return plan


def _nearest(name: str) -> Callable[[Number], Number]:
    return lambda number: to_format(number, name)


def _narrower(case: Case, name: str) -> bool:
    return FORMATS[name].precision < FORMATS[case.computing[0]].precision


def _settings(places: list[Place], name: str) -> Planner:
    def change(settings: Table, table: Dialect) -> None:
        for group in (group for of_groups in settings for group in of_groups):
            for place in places:
                write(group, place, float(to_format(np.float64(read(group, place)), name)))

    def plan(case: Case, table: Dialect) -> Plan | None:
        changed = with_settings(case, change, table) if _narrower(case, name) else None
        return None if changed is None else Plan(changed)

    return plan


def _altered(table: dict[str, Callable[[Number], Number]], name: str) -> Planner:
    return lambda case, _: Plan(case, alter=_alter(table)) if _narrower(case, name) else None


def _alter(table: dict[str, Callable[[Number], Number]]) -> Alter:
    return lambda name, number, _: table[name](number) if name in table else number


def _scalars(places: list[Place], table: dict[str, Callable[[Number], Number]], name: str) -> Planner:
    settings = _settings(places, name)

    def plan(case: Case, dialect: Dialect) -> Plan | None:
        if not _narrower(case, name):
            return None
        changed = settings(case, dialect)
        return Plan(case if changed is None else changed.case, alter=_alter(table))

    return plan


def _of_state(name: str, way: str, manner: str) -> Iterator[Hypothesis]:
    for start, words, fields in STATE:
        kept = f"{words} {'is' if len(fields) == 1 and fields != ('p',) else 'are'} kept in {name}{manner}"
        yield Hypothesis(f"{start}-in-{name}", "formats", kept, _stored(fields, name, way), rank=2 if way == "to nearest" else 4)
        if "m" in fields or "v" in fields:
            table = {field: lambda number: to_format(number, name, way) for field in fields}
            plan = _stored(fields, name, way, _alter(table))
            yield Hypothesis(
                f"{start}-in-{name}", "formats", f"{kept}, and read back before p moves", plan, rank=3 if way == "to nearest" else 5
            )


def _loaded(fields: tuple[str, ...], name: str) -> Planner:
    """The arrays of a resumed state are rounded once, when they are loaded."""

    def plan(case: Case, table: Dialect) -> Plan | None:
        params = tuple(_start_in(param, [ARRAY[field] for field in fields], name, "to nearest") for param in case.params)
        resumed = any(getattr(param, ARRAY[field]) is not None for param in case.params for field in fields)
        return Plan(replace(case, params=params)) if resumed and _narrower(case, name) else None

    return plan


ARRAY = {"p": "value", "m": "exp_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq"}
"""A field of a state, and the array of a parameter that holds where it starts."""


def _stored(fields: tuple[str, ...], name: str, way: str, alter: Alter | None = None) -> Planner:
    def after(updated: Updated) -> None:
        for field in fields:
            setattr(updated.new, field, to_format(getattr(updated.new, field), name, way))

    def plan(case: Case, table: Dialect) -> Plan | None:
        if not _narrower(case, name):
            return None
        params = tuple(_start_in(param, [ARRAY[field] for field in fields], name, way) for param in case.params)
        return Plan(replace(case, params=params), hooks=Hooks(after=after), alter=alter)

    return plan


def _start_in(param: Param, arrays: list[str], name: str, way: str) -> Param:
    rounded: dict[str, Any] = {array: _in(getattr(param, array), name, way) for array in arrays}
    return replace(param, **rounded)


def _in(array: Array | None, name: str, way: str) -> Array | None:
    return None if array is None else _array_in(array, name, way)


def _array_in(array: Array, name: str, way: str) -> Array:
    return np.asarray(to_format(array.astype(np.float64), name, way)).astype(array.dtype).reshape(array.shape)


def _of_gradients(name: str, way: str, manner: str) -> Iterator[Hypothesis]:
    rank = 2 if way == "to nearest" else 4
    words = f"gradients are rounded to {name}" if not manner else f"gradients are cut off to {name}"
    yield Hypothesis(f"gradients-in-{name}", "formats", words, _gradients(lambda values: _array_in(values, name, way), name), rank=rank)
    if way == "to nearest":
        for pattern, occurrences, total, singles, rank in SUMS:
            plan = _sums(name, occurrences, total, singles)
            yield Hypothesis(f"sums-in-{name}", "formats", pattern.format(name=name), plan, rank=rank)


SUMS = (
    ("gradients are rounded to {name}, and repeated rows are summed in it", True, True, True, 2),
    ("repeated rows are rounded to {name} and summed in it, all others are left", True, True, False, 3),
    ("the sum of repeated rows is rounded to {name}", False, False, False, 3),
    ("every row of a gradient is rounded to {name} once its occurrences are summed", False, False, True, 3),
)
"""The words; whether each occurrence is rounded, every partial sum, and rows that occur once; and the rank."""


def _gradients(change: Callable[[Array], Array], name: str) -> Planner:
    def plan(case: Case, table: Dialect) -> Plan | None:
        changed = with_gradients(case, lambda number, param, gradient: with_values(gradient, change)) if _narrower(case, name) else None
        return None if changed is None else Plan(changed)

    return plan


def _sums(name: str, occurrences: bool, partial: bool, singles: bool) -> Planner:
    """Occurrences of a row added one after the other, with roundings to the format."""

    def summed(rows: Array, values: Array) -> Occurrences:
        distinct, slot, counts = np.unique(rows, return_inverse=True, return_counts=True)
        if not singles and len(distinct) == len(rows):
            return rows, values
        values = values.astype(np.float64)
        added = np.asarray(to_format(values, name)) if occurrences else values
        total = np.zeros((len(distinct), *values.shape[1:]))
        for positions in occurrence_rounds(rows):
            kept = slot.reshape(-1)[positions]
            sums = total[kept] + added[positions]
            total[kept] = to_format(sums, name) if partial else sums
        single = distinct[(counts == 1) & (not singles)]
        first = np.isin(rows, single)
        rest = ~np.isin(distinct, single)
        return np.r_[rows[first], distinct[rest]], np.concatenate([values[first], np.asarray(to_format(total[rest], name))])

    def plan(case: Case, table: Dialect) -> Plan | None:
        changed = (
            with_gradients(case, lambda number, param, gradient: with_occurrences(gradient, summed)) if _narrower(case, name) else None
        )
        return None if changed is None else Plan(changed)

    return plan


def _of_roots(name: str) -> Iterator[Hypothesis]:
    words = f"the root of v is taken in {name}"
    plan: Planner = lambda case, table: Plan(case, root=_nearest(name)) if _narrower(case, name) else None  # noqa: E731  # a table's entry
    yield Hypothesis(f"root-in-{name}", "formats", words, plan, rank=3)
    yield Hypothesis(
        f"change-in-{name}", "formats", f"the change of p is rounded to {name}", _altered({"change": _nearest(name)}, name), rank=4
    )
