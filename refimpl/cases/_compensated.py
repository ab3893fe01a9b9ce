"""Kahan-compensated parameters: p and c in half precision, whose sum moves by steps that p alone would lose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..arithmetic import FORMATS, numpy_dtype
from ..case import COMPENSATION, HALF, Golden, Param
from ._storage import DIALECTS, MOMENTS_WIDE, STEPS
from .build import CaseBuilder

SHAPE = (3, 2)


def compensated(builder: CaseBuilder) -> Iterator[Golden]:
    if builder.dialect.name not in DIALECTS:
        return
    undecayed = {"weight_decay": 0.0} if builder.has("weight_decay") else {}
    for dtype in builder.dtypes(*HALF):
        about = f"A {dtype} parameter and its compensation: steps far below the parameter's last digit add up in their sum."
        yield _compensated(builder, dtype, dtype, about, **undecayed)
    if builder.has("weight_decay") and "bfloat16" in builder.dialect.dtypes:
        about = "The decay of a compensated parameter: each step shrinks the sum by less than the last digit of the bfloat16 parameter."
        yield _compensated(builder, "decay", "bfloat16", about, weight_decay=0.2)


def _compensated(builder: CaseBuilder, slug: str, dtype: str, about: str, **changes: Any) -> Golden:
    source = builder.source(f"compensated-{slug}")
    param = Param("w", (1 + source.uniform(SHAPE)).astype(numpy_dtype(dtype)), dtypes={COMPENSATION: dtype, **MOMENTS_WIDE})
    lr = 0.3 * 2.0 ** (1 - FORMATS[dtype].precision)  # steps of 0.3 ulp, which rounding undoes
    gradient = builder.gradient(source, SHAPE, dtype, 0.5, rows=np.array([2, 0]))
    return builder.golden(slug, about, [param], [{"w": gradient}] * STEPS, builder.hyper(lr=lr, eps=0.01, **changes))
