"""Random cases over everything that a dialect accepts, for properties that must hold of every case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arithmetic import FORMATS, numpy_dtype
from ..case import Case, Group, Param, Step
from ..dialects import dialect
from ..dialects.stages import Counter
from ..gradients import Array, RowGradient
from .build import CaseBuilder
from .coverage import requirements

BETAS = (0.0, 0.5, 0.9, 0.999)
EPS = (1e-12, 1e-8, 1e-3, 1.0)
DECADES = ((0, 0), (-1, 1), (-6, 3), (-20, 10), (-20, 10), (-45, 38), (-170, 160))
"""Ranges of powers of ten: all alike, what training gives, and two in which squares leave float32, and float64, at both ends."""

LOSS_SCALES = (1.0, 1.0, 3.0, 1024.0, 65536.0)


@dataclass(frozen=True)
class Size:
    """How large a random case is: rows and columns of its table, and steps."""

    rows: int = 24
    width: int = 16
    steps: int = 4


def random_case(rng: np.random.Generator, name: str, size: Size = Size(), dtype: str | None = None) -> Case:
    """A case of one parameter with a gradient at every call: hyper-parameters, magnitudes, state and gradients at random."""
    builder = CaseBuilder(dialect(name), "random")
    dtype = dtype or str(rng.choice(builder.dialect.dtypes))
    draw = Draw(rng, dtype)
    form = str(rng.choice(builder.dialect.gradients))
    shape = (size.rows, size.width)
    param = resumed(draw, shape) if rng.random() < 0.5 else Param("w", draw.numbers(shape))
    hyper = _hyper(draw, builder)
    steps = []
    for t in range(size.steps):
        change = builder.changed(lr=draw.log(-6, 0)) if t and rng.random() < 0.2 else {}
        steps.append(Step({"w": GRADIENTS[form](draw, shape)}, (change,)))
    return Case(
        id=f"{name}/random/{form}-{dtype}",
        about="A random case.",
        dialect=name,
        params=(param,),
        groups=(Group(hyper),),
        steps=tuple(steps),
        record=tuple(range(1, size.steps + 1)),
    )


def mixed_case(rng: np.random.Generator, name: str, size: Size = Size(), dtype: str | None = None) -> Case:
    """A case with every feature of coverage.yaml at random: parameters, groups, schedules, resumes, gradients that are missing or empty.

    Its parameters have one shape, and each its own magnitudes.
    """
    builder = CaseBuilder(dialect(name), "mixed")
    dtype = dtype or str(rng.choice(builder.dialect.dtypes))
    shape = (size.rows, size.width)
    draws = [Draw(rng, dtype) for _ in range(int(rng.integers(1, 5)))]
    hypers = groups(draws[0], builder)
    settings = [setting for setting in SCHEDULED if f"schedule-{setting.replace('_', '-')}" in requirements(name).features]
    counts = (
        rng.choice(STEPS_BEFORE, len(draws))
        if builder.dialect.picks.counter is Counter.PARAMETER
        else [rng.choice(STEPS_BEFORE)] * len(draws)
    )
    resumes = rng.random() < 0.5
    forms = [str(rng.choice(builder.dialect.gradients)) for _ in draws]
    params = []
    for number, (draw, count) in enumerate(zip(draws, counts)):
        group = int(rng.integers(len(hypers)))
        start = resumed(draw, shape) if resumes else Param("", draw.numbers(shape))
        largest = maximum(draw, start) if resumes and hypers[group].get(str(builder.switch("amsgrad"))) else None
        params.append(replace(start, name="w" + "abcd"[number], group=group, step=int(count) if resumes else 0, max_exp_avg_sq=largest))
    steps = []
    for call in range(size.steps):
        given = [form if rng.random() < 0.9 else str(rng.choice(builder.dialect.gradients)) for form in forms]
        gradients = {param.name: _maybe(draw, form, shape) for param, draw, form in zip(params, draws, given)}
        steps.append(Step(gradients, tuple(change(draws[0], builder, settings) if call else {} for _ in hypers)))
    return Case(
        id=f"{name}/mixed/{'-'.join(forms)}-{dtype}",
        about="A random case.",
        dialect=name,
        params=tuple(params),
        groups=tuple(map(Group, hypers)),
        steps=tuple(steps),
        record=tuple(range(1, size.steps + 1)),
    )


STEPS_BEFORE = (0, 1, 2, 10, 255, 257, 2047, 9999, 65535, 10**6, 2**24 + 1)

SCHEDULED = ("lr", "betas", "eps", "weight_decay", "maximize", "decoupled")
"""Settings that a schedule may change, in the words of coverage.yaml."""


def groups(draw: Draw, builder: CaseBuilder) -> list[dict[str, Any]]:
    """The hyper-parameters of one group, or of two that differ in what the dialect lets differ."""
    first = _hyper(draw, builder)
    if draw.rng.random() < 0.5:
        return [first]
    second = _hyper(draw, builder)
    if builder.dialect.framework == "torch":
        return [first, second]
    parameters = builder.dialect.parameters
    own = {name for name, parameter in parameters.items() if parameter.group_only or {"lr", "weight_decay"} & set(parameter.roles)}
    return [first, {name: second[name] if name in own else value for name, value in first.items()}]


def change(draw: Draw, builder: CaseBuilder, settings: list[str]) -> dict[str, Any]:
    """What a schedule changes before a call: often nothing, never what the dialect refuses."""
    changes: dict[str, Any] = {}
    drawn = _hyper(draw, builder)
    for setting in settings:
        if draw.rng.random() < 0.15:
            names = {
                name
                for name, parameter in builder.dialect.parameters.items()
                if setting in (name, *parameter.roles) or (setting == "decoupled" and "decay" in parameter.when_true)
            }
            changes |= {name: drawn[name] for name in names}
    return changes


def _maybe(draw: Draw, form: str, shape: tuple[int, ...]) -> Any:
    """A gradient, or none, or an empty one."""
    chance = draw.rng.random()
    gradient = GRADIENTS[form](draw, shape)
    if chance < 0.15:
        return None
    if chance < 0.25 and form != "dense":
        return emptied(gradient)
    return gradient


def emptied(gradient: Any) -> Any:
    if isinstance(gradient, RowGradient):
        return RowGradient(gradient.indices[:0], gradient.values[:0], gradient.shape)
    gradient.coords, gradient.data = tuple(axis[:0] for axis in gradient.coords), gradient.data[:0]
    return gradient


def maximum(draw: Draw, param: Param) -> Array:
    """A maximum that is not below v, in most elements above it."""
    assert param.exp_avg_sq is not None
    v = param.exp_avg_sq.astype(np.float64)
    factor = np.where(v < draw.format.max / 1000, draw.rng.choice([1.0, 1.5, 30.0], v.shape), 1.0)
    maximum: Array = (v * factor).astype(draw.dtype)
    return maximum


class Draw:
    """Numbers of one dtype; the magnitudes of a case come out of one range of decades, of these."""

    def __init__(self, rng: np.random.Generator, dtype: str, decades: Sequence[tuple[int, int]] = DECADES) -> None:
        self.rng, self.dtype, self.format = rng, numpy_dtype(dtype), FORMATS[dtype]
        low, high = decades[int(rng.integers(len(decades)))]
        self.low, self.high = max(low, np.log10(self.format.smallest)), min(high, np.log10(self.format.max))

    def log(self, low: float, high: float) -> float:
        return float(10.0 ** self.rng.uniform(low, high))

    def numbers(self, shape: tuple[int, ...]) -> Array:
        x = np.asarray(self.rng.normal(size=shape) * 10.0 ** self.rng.uniform(self.low, self.high, shape))
        x[self.rng.random(shape) < 0.05] = 0.0
        return np.asarray(np.clip(x, -self.format.max / 16, self.format.max / 16)).astype(self.dtype)


def resumed(draw: Draw, shape: tuple[int, ...]) -> Param:
    """A state that training may have left: moments from gradients of one magnitude, or each of its own."""
    rng = draw.rng
    m = draw.numbers(shape)
    likely = np.minimum(np.abs(m.astype(np.float64)) * rng.uniform(0.5, 3.0, shape), np.sqrt(draw.format.max / 16))
    v = likely**2 if rng.random() < 0.7 else np.abs(draw.numbers(shape))
    steps = int(rng.choice([1, 10, 1000, 10**6]))
    return Param("w", draw.numbers(shape), exp_avg=m, exp_avg_sq=np.asarray(v).astype(draw.dtype), step=steps)


def _hyper(draw: Draw, builder: CaseBuilder) -> dict[str, Any]:
    """Every parameter of the dialect at random, each value replaced by its default where the dialect refuses it."""
    rng = draw.rng
    roles: dict[str, float] = {
        "lr": draw.log(-6, 1) if rng.random() < 0.8 else 0.0,
        "beta1": _beta(rng),
        "beta2": _beta(rng),
        "eps": float(rng.choice(EPS)) if rng.random() < 0.5 else draw.log(-12, 0),
        "weight_decay": draw.log(-4, 0) if rng.random() < 0.5 else 0.0,
        "loss_scale": float(rng.choice(LOSS_SCALES)),
    }
    known = {role for parameter in builder.dialect.parameters.values() for role in parameter.roles}
    defaults = builder.hyper()
    drawn = builder.hyper(**{role: value for role, value in roles.items() if role in known})
    switches = {name: bool(rng.random() < 0.3) for name, parameter in builder.dialect.parameters.items() if parameter.when_true}
    accepted = {name: value if builder.accepts({**defaults, name: value}) else defaults[name] for name, value in drawn.items()}
    return {**accepted, **switches}


def _beta(rng: np.random.Generator) -> float:
    return float(rng.choice(BETAS)) if rng.random() < 0.7 else float(1 - 10 ** rng.uniform(-5, 0))


def _rows(draw: Draw, shape: tuple[int, ...]) -> RowGradient:
    """Rows in any order; some are repeated, and some of the repetitions nearly cancel."""
    rng = draw.rng
    n = int(rng.integers(1, 2 * shape[0]))
    indices = rng.integers(0, shape[0], n)
    values = draw.numbers((n, shape[1]))
    for k in range(1, n):
        if indices[k] in indices[:k] and rng.random() < 0.3:
            earlier = np.flatnonzero(indices[:k] == indices[k])[0]
            values[k] = -values[earlier] * np.asarray(rng.choice([1.0, 1.0, 1.001]), draw.dtype)
    return RowGradient(indices, values, shape)


def _elements(draw: Draw, shape: tuple[int, ...]) -> Any:
    from scipy.sparse import coo_array

    n = shape[0] * shape[1] // 2
    coords: Any = tuple(draw.rng.integers(0, side, n) for side in shape)
    gradient = coo_array((np.zeros(n, np.float32), coords), shape=shape)
    gradient.data = draw.numbers((n,))  # set afterwards: scipy refuses half precision, the reference does not
    return gradient


def _dense(draw: Draw, shape: tuple[int, ...]) -> Array:
    return draw.numbers(shape)


GRADIENTS = {"rows": _rows, "elements": _elements, "dense": _dense}
"""A random gradient in each form that a dialect's table names."""
