"""The theme `pairs`: the plans, made into cases of five calls whose every setting shows in the numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..case import Golden, Param
from ..gradients import Array
from ._plans import Plan, closure, plans
from .build import CaseBuilder, Source, row_gradient

CALLS = 5
SCALES = (3.0, 1.0, 0.3, 1.0, 0.1)
"""Of the gradients, call by call: v falls, so that its maximum is not its last value."""

BASE: Mapping[str, float] = {"lr": 0.05, "beta1": 0.8, "beta2": 0.9, "eps": 0.02}
"""Short memories and a large eps: what an option changes is far above rounding after a call or two."""

SQUARE, WIDE = (3, 3), (3, 16)
"""Shapes: a transposed array shows in a square; MindSpore centralizes rows of a multiple of 16."""

TINY, LARGE = {"float32": 1e-21, "float64": 1e-156}, 3e6
STEPS_BEFORE = (2, 1, 3)
"""Steps before a resume, by parameter; few, so that every correction still differs from 1."""


@dataclass(frozen=True)
class Setting:
    """What a claimed feature does to the hyper-parameters. switch: the stage of a switch that it turns on.

    by_group: role to its value in each group (the second differs); schedule: what changes at calls 2 to 5, by role.
    """

    words: str
    switch: str = ""
    by_group: Mapping[str, tuple[Any, ...]] = ()  # type: ignore[assignment]  # an empty mapping, which dataclasses refuse as mutable
    schedule: tuple[Mapping[str, Any], ...] = ()


def _over(role: str, *values: Any) -> tuple[Mapping[str, Any], ...]:
    return tuple({role: value} for value in values)


SETTINGS: Mapping[str, Setting] = {
    "weight-decay": Setting("weight decay", by_group={"weight_decay": (0.3, 0.05)}),
    "decoupled-decay": Setting("decoupled weight decay", "decay", by_group={"weight_decay": (0.7, 0.2)}),
    "amsgrad": Setting("amsgrad", "amsgrad"),
    "maximize": Setting("maximize", "objective"),
    "nesterov": Setting("the Nesterov direction", "direction"),
    "centralization": Setting("centralization", "centralization"),
    "loss-scale": Setting("a loss scale", by_group={"loss_scale": (12.0, 12.0)}),
    "groups": Setting("two groups", by_group={"lr": (0.05, 0.02)}),
    "resume": Setting("a resumed state"),
    "schedule-lr": Setting("a schedule of lr", schedule=_over("lr", 0.02, 0.08, 0.03, 0.11)),
    "schedule-betas": Setting(
        "a schedule of the betas",
        schedule=tuple({"beta1": b1, "beta2": b2} for b1, b2 in ((0.7, 0.95), (0.5, 0.8), (0.85, 0.97), (0.6, 0.93))),
    ),
    "schedule-eps": Setting("a schedule of eps", schedule=_over("eps", 0.06, 0.005, 0.1, 0.03)),
    "schedule-weight-decay": Setting("a schedule of the decay", schedule=_over("weight_decay", 0.1, 0.5, 0.02, 0.4)),
    "schedule-maximize": Setting("a schedule of maximize", schedule=_over("maximize", False, True, True, False)),
    "schedule-decoupled": Setting(
        "a schedule of decoupled_weight_decay", schedule=_over("decoupled_weight_decay", False, True, True, False)
    ),
}


def pairs(builder: CaseBuilder) -> Iterator[Golden]:
    if builder.dialect.suite != "core":
        return  # coverage.yaml requires nothing of the dialects of peers
    for slug, plan in plans(builder.dialect):
        yield _golden(builder, slug, plan)


def _golden(builder: CaseBuilder, slug: str, plan: Plan) -> Golden:
    shape = WIDE if "centralization" in plan.claims else SQUARE
    source = builder.source(slug)
    count = 2 if "groups" in plan.claims else 1
    keeps_maximum = "amsgrad" in plan.claims
    params = []
    gradients: list[dict[str, Any]] = [{} for _ in range(CALLS)]
    for k, (name, form, traits) in enumerate(zip("abc", plan.forms, plan.traits)):
        params.append(_param(builder, source, name, shape, plan, k % count, k, keeps_maximum))
        for call in range(CALLS):
            if ("late" in traits and call == 0) or ("missing" in traits and call == 2):
                continue
            gradients[call][name] = FORMS[_form(form, traits, call)](source, shape, plan.dtype, traits, call)
    hypers = [_hyper(builder, plan, index) for index in range(count)]
    schedule = {call: [_change(builder, plan, call, index) for index in range(count)] for call in range(2, CALLS + 1)}
    layout = plan.layout
    return builder.golden(slug, _about(plan), params, gradients, hypers, schedule=schedule, layout=layout)


def _form(form: str, traits: frozenset[str], call: int) -> str:
    """A second form comes at the last call, or, where the first is dense, at the last two, of which the first may be empty."""
    second = next((other for other in FORMS if other in traits), form)
    return second if call >= CALLS - (2 if form == "dense" else 1) else form


def _param(
    builder: CaseBuilder, source: Source, name: str, shape: tuple[int, ...], plan: Plan, group: int, number: int, keeps_maximum: bool
) -> Param:
    value = source.normal(shape, 0.5, plan.dtype)
    if "resume" not in plan.claims:
        return Param(name, value, group)
    steps = STEPS_BEFORE[number] if builder.dialect.framework == "torch" else STEPS_BEFORE[0]  # MindSpore counts for all parameters
    exp_avg = source.normal(shape, 0.5, plan.dtype)
    exp_avg_sq = (0.5 * exp_avg**2 + 0.1 * source.uniform(shape)).astype(plan.dtype)
    maximum = (exp_avg_sq * source.uniform(shape, 1.0, 3.0)).astype(plan.dtype) if keeps_maximum and group == 0 else None
    return Param(name, value, group, exp_avg, exp_avg_sq, steps, maximum)


def _hyper(builder: CaseBuilder, plan: Plan, index: int) -> dict[str, Any]:
    """The hyper-parameters of a group; in the second, switches that may differ are off."""
    changes: dict[str, Any] = dict(BASE)
    if builder.has("weight_decay"):
        changes["weight_decay"] = 0.0  # whatever the default is: the decay is a feature of its own
    for claim in sorted(closure(plan.claims)):
        setting = SETTINGS[claim]
        changes |= {role: values[index] for role, values in dict(setting.by_group).items()}
        name = builder.switch(setting.switch) if setting.switch else None
        if name is not None:
            changes[name] = index == 0 or not _differs_by_group(builder, name)
    return builder.hyper(**changes)


def _differs_by_group(builder: CaseBuilder, name: str) -> bool:
    return builder.dialect.framework == "torch" or builder.dialect.parameters[name].group_only


def _change(builder: CaseBuilder, plan: Plan, call: int, index: int) -> dict[str, Any]:
    """What changes in a group before a call (from 2); the second group is a call behind, and does not change at the last."""
    changes: dict[str, Any] = {}
    for claim in plan.claims:
        schedule = SETTINGS[claim].schedule
        at = call - 2 - index
        if 0 <= at < len(schedule) and not (index and call == CALLS):
            changes |= schedule[at]
    return builder.named(**changes) if changes else {}


def _value(source: Source, shape: tuple[int, ...], dtype: str, traits: frozenset[str], call: int) -> Array:
    """Occurrences of a gradient, (n, width): the first column tiny, one element large at the second call."""
    values = source.normal(shape, SCALES[call], dtype)
    if "tiny" in traits and len(values):
        values[:, 0] = (values[:, 0].astype(np.float64) * TINY[dtype]).astype(dtype)
    if "large" in traits and len(values) and call == 1:
        values[0, 1] = np.copysign(LARGE, values[0, 1])
    return values


def _rows(source: Source, shape: tuple[int, ...], dtype: str, traits: frozenset[str], call: int) -> Any:
    first, second = (call + 2) % shape[0], call % shape[0]
    rows = [first, second, first] if "duplicates" in traits else [first, second]
    if "empty" in traits and call == 3:
        rows = []
    return row_gradient(rows, _value(source, (len(rows), *shape[1:]), dtype, traits, call), shape)


def _elements(source: Source, shape: tuple[int, ...], dtype: str, traits: frozenset[str], call: int) -> Any:
    from scipy.sparse import coo_array

    size = shape[0] * shape[1]
    flat = (np.array([4, 1, 8, 3, 7]) + call) % size
    flat = np.concatenate([flat, flat[:2]]) if "duplicates" in traits else flat
    if "empty" in traits and call == 3:
        flat = flat[:0]
    values = _value(source, (len(flat), 2), dtype, traits - {"tiny"}, call)[:, 1]
    if "tiny" in traits:
        values[flat % shape[1] == 0] *= np.asarray(TINY[dtype], dtype)
    coords: Any = np.unravel_index(flat, shape)
    return coo_array((values, coords), shape=shape)


def _dense(source: Source, shape: tuple[int, ...], dtype: str, traits: frozenset[str], call: int) -> Any:
    return _value(source, shape, dtype, traits, call)


FORMS: Mapping[str, Callable[..., Any]] = {"rows": _rows, "elements": _elements, "dense": _dense}

TRAITS = {
    "duplicates": "stores some twice",
    "empty": "has an empty gradient",
    "missing": "misses a gradient",
    "late": "has its first gradient late",
    "tiny": "has gradients whose squares underflow",
    "large": "has one gradient of 3e6",
    "rows": "has a gradient by rows at last",
    "elements": "has a gradient of elements at last",
    "dense": "has a dense gradient at last",
}


def _about(plan: Plan) -> str:
    """What is on, and what each parameter goes through: an implementation that leaves out one of them beside the other fails."""
    named = " with ".join(SETTINGS[claim].words for claim in plan.claims) or "Ordinary settings"
    lines = [f"{name} {_listed([TRAITS[trait] for trait in sorted(traits)])}" for name, traits in zip("abc", plan.traits) if traits]
    beside = f"; {'; '.join(lines)}" if lines else ""
    return f"{named[0].upper()}{named[1:]}{beside}."


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
