"""Training that goes on from a state: after how many steps, with which moments, of one parameter or several."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..case import Golden, Param
from ..dialects.stages import Counter
from .build import SHAPES, CaseBuilder, Source, row_gradient


def resumed(builder: CaseBuilder) -> Iterator[Golden]:
    for dtype in builder.dtypes("float32", "float64"):
        for step in RESUMED_STEPS:
            source = builder.source(f"resume-{step}")
            shape = (4, 3)
            param = resumed_param(source, "w", shape, dtype, step)
            slug = f"after-{step}" if dtype == "float32" else f"after-{step}-{dtype}"
            about = f"One step from a given state after {step} steps."
            yield builder.golden(slug, about, [param], [{"w": builder.gradient(source, shape, dtype)}], builder.hyper(lr=0.01))
    for step, beta2, about in LATE_RESUMES:
        yield _late(builder, step, beta2, about)
    yield _far_above_root(builder)
    if builder.switch("amsgrad"):
        yield _resumed_maximum(builder)
    yield _resumed_run(builder)
    if builder.dialect.picks.counter is Counter.PARAMETER:
        source = builder.source("resume-apart")
        params = [resumed_param(source, name, SHAPES[name], "float32", step) for name, step in (("a", 3), ("b", 12), ("c", 700))]
        gradients = [{name: builder.gradient(source, SHAPES[name], "float32") for name in "abc"} for _ in range(2)]
        yield builder.golden("apart", "Three parameters resumed after different numbers of steps.", params, gradients)
    if builder.takes("rows"):
        source = builder.source("resume-empty")
        param = resumed_param(source, "w", (4, 2), "float32", 5)
        empty = row_gradient([], np.zeros((0, 2), np.float32), (4, 2))
        gradients = [{"w": empty}, {"w": builder.gradient(source, (4, 2), "float32")}]
        yield builder.golden("empty-first", "A resumed state whose first gradient is empty.", [param], gradients)


RESUMED_STEPS = (1, 2, 9, 100, 257, 2048, 65536, 1_000_000)


LATE_RESUMES = (
    (0, 0.999, "A state that was made before any step: moments are given, and t is 1."),
    (99, 0.9, "Steps 100 and 101: the bias of m is corrected still."),
    (255, 0.99, "Steps 256 and 257, where a count of 8 bits wraps."),
    (256, 0.99, "Steps 257 and 258, which bfloat16 does not hold."),
    (2047, 0.999, "Steps 2048 and 2049, where a count in half precision stops."),
    (2049, 0.999, "Steps 2050 and 2051, beyond what half precision holds."),
    (9999, 0.9999, "Steps 10,000 and 10,001: the bias of v is corrected still."),
    (65535, 0.99999, "Steps 65,536 and 65,537, where a count of 16 bits wraps: the bias of v is corrected still."),
    (2**24 + 1, 0.999, "Steps beyond 2^24, which float32 does not hold."),
)
"""Steps before the resume, and a beta2 with which the correction of that step differs from 1."""


def _late(builder: CaseBuilder, step: int, beta2: float, about: str) -> Golden:
    source = builder.source(f"resume-late-{step}")
    shape = (4, 3)
    start = resumed_param(source, "w", shape, "float32", step)
    param = replace(start, value=(start.value * np.float32(0.01)).astype(np.float32))  # rounding of p hides less of the change
    gradients = [{"w": builder.gradient(source, shape, "float32")} for _ in range(2)]
    return builder.golden(f"after-{step}", about, [param], gradients, builder.hyper(beta2=beta2, lr=0.1, eps=0.01))


def _far_above_root(builder: CaseBuilder) -> Golden:
    source = builder.source("far-above-root")
    shape = (3, 2)
    m = source.normal(shape) + np.float32(3)
    param = Param("w", source.normal(shape), exp_avg=m, exp_avg_sq=(m * np.float32(0.01)) ** 2, step=3)
    gradients = [{"w": builder.gradient(source, shape, "float32", 0.01)} for _ in range(2)]
    about = "m is a hundred times sqrt(v), so that p moves by more than 10 lr: no step is clipped."
    return builder.golden("far-above-root", about, [param], gradients, builder.hyper(lr=0.1, eps=0.01))


def _resumed_maximum(builder: CaseBuilder) -> Golden:
    source = builder.source("resume-maximum")
    shape = (4, 3)
    start = resumed_param(source, "w", shape, "float32", 9)
    assert start.exp_avg_sq is not None
    param = replace(start, max_exp_avg_sq=(start.exp_avg_sq * source.uniform(shape, 1.0, 9.0)).astype(np.float32))
    hyper = builder.hyper(**{"lr": 0.1, "eps": 0.01, str(builder.switch("amsgrad")): True})
    about = "A resumed maximum that is larger than v: it divides, and it stays."
    return builder.golden("maximum-above-v", about, [param], [{"w": builder.gradient(source, shape, "float32")}], hyper)


def resumed_param(source: Source, name: str, shape: tuple[int, ...], dtype: str, step: int, group: int = 0) -> Param:
    exp_avg = source.normal(shape, 0.1, dtype)
    return Param(
        name, source.normal(shape, 1.0, dtype), group, exp_avg, (exp_avg**2 + source.normal(shape, 0.1, dtype) ** 2).astype(dtype), step
    )


def _resumed_run(builder: CaseBuilder) -> Golden:
    source = builder.source("resume-run")
    params = [resumed_param(source, name, SHAPES[name], "float32", 40) for name in "ab"]
    gradients = [{name: builder.gradient(source, SHAPES[name], "float32") for name in "ab"} for _ in range(4)]
    return builder.golden(
        "run", "Training that goes on for four steps from a given state of two parameters.", params, gradients, builder.hyper(lr=0.05)
    )
