"""Training in half precision: what its few digits, its short counts and its small range do to a step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..arithmetic import numpy_dtype
from ..case import Golden, Param
from ._resumed import resumed_param
from .build import CaseBuilder, row_gradient

HALF = ("float16", "bfloat16")


def half(builder: CaseBuilder) -> Iterator[Golden]:
    for dtype in builder.dtypes(*HALF):
        hyper = builder.hyper(eps=1e-3, lr=0.01)
        yield builder.plain("ordinary", f"Three steps in {dtype}, far from its limits.", hyper, steps=3, dtype=dtype)
        odd = builder.hyper(eps=1e-3, lr=0.1, beta1=0.8, beta2=0.95)
        yield builder.plain("odd-betas", f"Betas that {dtype} cannot represent exactly.", odd, steps=3, dtype=dtype)
        for step, beta2 in ((256, 0.99), (2048, 0.999)):
            yield _resumed(builder, dtype, step, beta2)
        if builder.has("weight_decay"):
            decayed = builder.hyper(eps=1e-3, lr=0.1, weight_decay=0.5)
            yield builder.plain("weight-decay", f"Weight decay in {dtype}.", decayed, steps=3, dtype=dtype)
        if builder.switch("amsgrad"):
            falling = builder.hyper(eps=1e-3, lr=0.1, beta2=0.5, **{str(builder.switch("amsgrad")): True})
            yield builder.plain("amsgrad", f"A maximum of v in {dtype}.", falling, scale=[4.0, 1.0, 0.25], steps=3, dtype=dtype)
        if builder.takes("rows"):
            yield _duplicates(builder, dtype, "duplicates", f"Rows that occur three times, summed in {dtype} or in a wider format.", 1.0)
    if builder.takes("rows"):
        for dtype in builder.dtypes("float16"):
            about = "The sum of a row's occurrences is beyond the largest number of float16: infinite, or finite in a wider sum."
            yield _duplicates(builder, dtype, "sum-overflows", about, 3e4)


def _resumed(builder: CaseBuilder, dtype: str, step: int, beta2: float) -> Golden:
    source = builder.source(f"half-after-{step}")
    shape = (4, 3)
    start = resumed_param(source, "w", shape, dtype, step)
    param = replace(start, value=(start.value * numpy_dtype(dtype).type(0.01)).astype(start.value.dtype))
    gradients = [{"w": builder.gradient(source, shape, dtype)} for _ in range(2)]
    about = f"Steps {step + 1} and {step + 2}, under {dtype} parameters: the count is not kept in half precision."
    return builder.golden(f"after-{step}-{dtype}", about, [param], gradients, builder.hyper(beta2=beta2, lr=0.1, eps=0.01))


def _duplicates(builder: CaseBuilder, dtype: str, slug: str, about: str, scale: float) -> Golden:
    source = builder.source(f"half-{slug}")
    shape = (4, 3)
    values = np.abs(source.normal((4, 3), 0.1, "float64")) + 0.8
    gradient = row_gradient([2, 0, 2, 2], (values * scale).astype(numpy_dtype(dtype)), shape)
    param = Param("w", source.normal(shape, 1.0, dtype))
    return builder.golden(f"{slug}-{dtype}", about, [param], [{"w": gradient}] * 2, builder.hyper(eps=1e-3, lr=0.1))
