"""Small vectors for tests: expectations are one float64 run of the reference, bounds a multiple of the format's roundoff."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from refimpl.arithmetic import CLASSES, FORMATS, Float, numpy_dtype
from refimpl.case import Case, Expected, Golden, Group, Param, Step
from refimpl.dialects import dialect
from refimpl.gradients import RowGradient
from refimpl.reference import trajectory

HYPER = {"lr": 0.01, "betas": (0.9, 0.999), "eps": 1e-8, "maximize": False}


def rows(indices: list[int], width: int, shape: tuple[int, ...], dtype: str = "float32") -> RowGradient:
    values = np.linspace(-1, 1, len(indices) * width).reshape(len(indices), *shape[1:])
    return RowGradient(np.array(indices, np.int64), values.astype(numpy_dtype(dtype)), shape)


def golden(slug: str = "two-steps", theme: str = "basics", dtype: str = "float32", layout: str = "contiguous", **changes: Any) -> Golden:
    """Two parameters in two groups, duplicates, an empty and a missing gradient, a change of the learning rate; resumed in `table`."""
    shape = (4, 3)
    kind = numpy_dtype(dtype)
    value = np.linspace(-2, 2, 12).reshape(shape).astype(kind)
    params = (
        Param("table", value, 0, (value / 8).astype(kind), (value * value).astype(kind), 7),
        Param("bias.b", np.ones((5,), kind), 1),
    )
    steps = (
        Step({"table": rows([2, 0, 2], 3, shape, dtype), "bias.b": rows([1], 1, (5,), dtype)}, ({}, {})),
        Step({"table": rows([], 3, shape, dtype), "bias.b": None}, ({}, {"lr": 0.5})),
        Step({"table": rows([3], 3, shape, dtype), "bias.b": rows([4, 1], 1, (5,), dtype)}, ({}, {})),
    )
    case = Case(
        id=f"torch.SparseAdam/{theme}/{slug}",
        about='Says "two": a colon, a # and a \\ in one sentence.',
        dialect="torch.SparseAdam",
        params=params,
        groups=(Group(HYPER), Group({**HYPER, "lr": 1e-3})),
        steps=steps,
        record=(1, 3),
        catches=("counter-from-zero",),
    )
    case = replace(case, **changes)
    return Golden(case, {} if case.error else expected(case), "trajectory", layout)


def refused(slug: str, **changes: Any) -> Golden:
    """A case that expects an error, with one hyper-parameter that is not what it should be."""
    plain = golden(slug)
    groups = (Group({**HYPER, **changes}), plain.case.groups[1])
    return replace(plain, case=replace(plain.case, groups=groups, error="invalid"), expected={})


def expected(case: Case, roundoffs: float = 64) -> dict[str, dict[str, Expected]]:
    fields = {"param": "p", "exp_avg": "m", "exp_avg_sq": "v"}
    runs: dict[str, dict[str, list[Any]]] = {param.name: {array: [] for array in fields} for param in case.params}
    for number, states in enumerate(trajectory(case, Float("float64"), dialect(case.dialect)), start=1):
        if number in case.record:
            for param in case.params:
                for array, field in fields.items():
                    runs[param.name][array].append(np.array(getattr(states[param.name], field)).reshape(param.value.shape))
    u = FORMATS[case.dtype].u

    def expectation(values: list[Any]) -> Expected:
        value = np.stack(values)
        bound = (roundoffs * u * np.maximum(np.abs(value), 0.01)).astype(np.float32)
        return Expected(value, dict.fromkeys(CLASSES, bound))

    return {name: {array: expectation(values) for array, values in arrays.items()} for name, arrays in runs.items()}
