"""Random cases with what few implementations have: arrays in formats of their own, scaled and skipped calls, reloads, ranks, micro-batches."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ..arithmetic import numpy_dtype
from ..case import ARRAYS, MASTER, Case, Param, Step
from ..dialects import dialect
from ..gradients import Array, Gradient, RowGradient, gathered, is_element_gradient, values_of

OFTEN = 0.25
"""How often a case gets one of the features that are asked for; most cases stay plain, so that sizes and settings are still met."""

SCALES = (1024.0, 65536.0, 3.7)

MOMENTS: Mapping[str, str] = {"float32": "bfloat16", "bfloat16": "float32", "float16": "float32"}
"""The dtype of a parameter to another one for its moments."""


def featured(rng: np.random.Generator, case: Case, features: Collection[str], dtypes: Collection[str]) -> Case:
    """The case, often with some of these features, in formats out of these dtypes; the case itself where it has none of them."""
    if not features:
        return case  # and no number is drawn, so that the cases of a seed stay what they were
    if {"mixed", "master"} & set(features) and rng.random() < OFTEN:
        case = _stored(rng, case, features, dtypes)
    if dialect(case.dialect).framework == "torch" and rng.random() < OFTEN:
        case = _with_events(rng, case, features)
    if {"ranks", "micro_batches"} & set(features) and rng.random() < OFTEN:
        case = _in_parts(rng, case, features)
    return case


def _stored(rng: np.random.Generator, case: Case, features: Collection[str], dtypes: Collection[str]) -> Case:
    """Moments of another dtype, and, beside half precision, often a master copy."""
    other = MOMENTS.get(case.dtype)
    if "mixed" not in features or other not in dtypes or any(param.dtypes for param in case.params):
        return case
    own: dict[str, str] = dict.fromkeys(ARRAYS[1:] if rng.random() < 0.7 else ARRAYS[1:2], str(other))
    if other == "float32" and "master" in features and rng.random() < 0.5:
        own[MASTER] = str(other)
    return replace(case, params=tuple(_in_formats(param, own) for param in case.params))


def _in_formats(param: Param, own: Mapping[str, str]) -> Param:
    def converted(array: str) -> Array | None:
        values: Array | None = getattr(param, array)
        with np.errstate(over="ignore", under="ignore"):
            return values if values is None or array not in own else np.asarray(values).astype(numpy_dtype(own[array]))

    moments: dict[str, Any] = {array: converted(array) for array in ARRAYS[1:]}
    return replace(param, dtypes=dict(own), **moments)


def _with_events(rng: np.random.Generator, case: Case, features: Collection[str]) -> Case:
    """Scaled gradients, of which some are infinite and skip their call; and states that are saved and loaded."""
    scale = float(rng.choice(SCALES)) if "grad_scale" in features and case.dtype == "float32" and rng.random() < 0.5 else 1.0
    steps = []
    for step in case.steps:
        reload = "reload" in features and bool(rng.random() < 0.2)
        skips = "found_inf" in features and case.dtype == "float32" and bool(rng.random() < 0.15)
        gradients = _with_infinity(step.gradients) if skips else step.gradients
        found = gradients is not step.gradients
        given = any(gradient is not None for gradient in gradients.values())  # without one, a scaler has nothing to divide, and refuses
        steps.append(replace(step, gradients=gradients, grad_scale=scale if given else 1.0, found_inf=found, reload=reload))
    return replace(case, steps=tuple(steps))


def _with_infinity(gradients: Mapping[str, Any]) -> Mapping[str, Any]:
    """The gradients with an infinite number in the first that has any, and is not by elements; themselves where there is none."""
    for name, gradient in gradients.items():
        if gradient is not None and not is_element_gradient(gradient) and np.size(values_of(gradient)):
            values = np.array(values_of(gradient))
            values.flat[0] = np.inf
            changed = RowGradient(gradient.indices, values, gradient.shape) if isinstance(gradient, RowGradient) else values
            return {**gradients, name: changed}
    return gradients


def _in_parts(rng: np.random.Generator, case: Case, features: Collection[str]) -> Case:
    """The gradients of each step divided among ranks, or among micro-batches; some have none."""
    given = [gradient for step in case.steps for gradient in step.gradients.values() if gradient is not None]
    if any(map(is_element_gradient, given)) or any(step.found_inf for step in case.steps):
        return case
    kind = str(rng.choice([kind for kind, feature in (("ranks", "ranks"), ("batches", "micro_batches")) if feature in features]))
    world = int(rng.integers(2, 4))
    steps = []
    for step in case.steps:
        count = world if kind == "ranks" else int(rng.integers(1, 4))
        divided = {name: _divided(rng, gradient, count) for name, gradient in step.gradients.items()}
        parts = tuple({name: of_parts[number] for name, of_parts in divided.items()} for number in range(count))
        steps.append(with_parts(step, kind, parts))
    rule = {"ranks": ("reduction", "rank_sum", "sum"), "batches": ("accumulation", "micro_batch_mean", "mean")}[kind]
    changes: dict[str, Any] = {rule[0]: rule[2]} if rule[1] in features and rng.random() < 0.4 else {}
    return replace(case, steps=tuple(steps), **changes)


def with_parts(step: Step, kind: str, parts: tuple[Mapping[str, Any], ...]) -> Step:
    """The step with these gradients of its `ranks` or `batches`, and what they bring together."""
    changes: dict[str, Any] = {"ranks": (), "batches": (), kind: parts}
    return replace(step, gradients=gathered(parts) if parts else step.gradients, **changes)


def _divided(rng: np.random.Generator, gradient: Gradient | None, count: int) -> list[Gradient | None]:
    """Parts of a gradient: of one by rows each some of its occurrences, of a dense one each some multiple of it; or none."""
    if gradient is None:
        return [None] * count
    if isinstance(gradient, RowGradient):
        of = rng.integers(0, count, len(gradient.indices))
        parts: list[Any] = [RowGradient(gradient.indices[of == k], gradient.values[of == k], gradient.shape) for k in range(count)]
    else:
        parts = [np.asarray(gradient * gradient.dtype.type(rng.choice([1.0, 0.5, -0.25]))) for _ in range(count)]
    idle = rng.random(count) < 0.15
    idle[int(rng.integers(count))] = False  # the parameter keeps its gradient
    return [
        None if is_idle and (not isinstance(part, RowGradient) or not len(part.indices)) else part for part, is_idle in zip(parts, idle)
    ]
