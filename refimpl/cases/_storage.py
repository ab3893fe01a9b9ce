"""Training whose arrays are kept in different formats: wide moments over narrow parameters, master copies, narrow gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..arithmetic import FORMATS, numpy_dtype
from ..case import MASTER, Golden, Param
from .build import CaseBuilder

MOMENTS_WIDE = {"exp_avg": "float32", "exp_avg_sq": "float32"}

PROFILES: Sequence[tuple[str, str, str, Mapping[str, str], str]] = (
    (
        "bfloat16-wide-moments",
        "bfloat16",
        "bfloat16",
        MOMENTS_WIDE,
        "float32 moments of a bfloat16 parameter: they do not follow its dtype.",
    ),
    ("float16-wide-moments", "float16", "float16", MOMENTS_WIDE, "float32 moments of a float16 parameter: they do not follow its dtype."),
    ("bfloat16-wide-gradients", "bfloat16", "float32", MOMENTS_WIDE, "float32 gradients and moments of a bfloat16 parameter."),
    ("bfloat16-gradients", "float32", "bfloat16", {}, "bfloat16 gradients of a float32 parameter: only the gradient has few digits."),
    (
        "bfloat16-moments",
        "float32",
        "float32",
        {"exp_avg": "bfloat16", "exp_avg_sq": "bfloat16"},
        "bfloat16 moments of a float32 parameter, to save memory.",
    ),
    ("bfloat16-first-moment", "float32", "float32", {"exp_avg": "bfloat16"}, "m alone in bfloat16, v in float32."),
    (
        "bfloat16-master",
        "bfloat16",
        "bfloat16",
        {MASTER: "float32", **MOMENTS_WIDE},
        "A float32 master copy of a bfloat16 parameter: steps far below the parameter's last digit add up.",
    ),
    (
        "float16-master",
        "float16",
        "float16",
        {MASTER: "float32", **MOMENTS_WIDE},
        "A float32 master copy of a float16 parameter: steps far below the parameter's last digit add up.",
    ),
)
"""Slug, dtype of the parameter and of its gradients, the dtypes of the rest, and the sentence."""

STEPS = 10

DIALECTS = ("torch.SparseAdam", "torch.Adam", "torch.AdamW")
"""Where the formats meet in every way; others store and convert as these do."""


def storage(builder: CaseBuilder) -> Iterator[Golden]:
    if builder.dialect.name not in DIALECTS:
        return
    for slug, dtype, gradient_dtype, dtypes, about in PROFILES:
        if {dtype, gradient_dtype, *dtypes.values()} <= set(builder.dialect.dtypes):
            yield _stored(builder, slug, dtype, gradient_dtype, dtypes, about)
    if {"float32", "float64"} <= set(builder.dialect.dtypes):
        yield _two_formats(builder)
    if builder.has("weight_decay") and "bfloat16" in builder.dialect.dtypes:
        dtypes = {MASTER: "float32", **MOMENTS_WIDE}
        about = "The decay of a master copy: each step shrinks it by less than the last digit of the bfloat16 parameter."
        yield _stored(builder, "bfloat16-master-decay", "bfloat16", "bfloat16", dtypes, about, weight_decay=0.2)


def _stored(
    builder: CaseBuilder, slug: str, dtype: str, gradient_dtype: str, dtypes: Mapping[str, str], about: str, **changes: Any
) -> Golden:
    source = builder.source(f"storage-{slug}")
    shape = (4, 3)
    param = Param("w", (1 + source.uniform(shape)).astype(numpy_dtype(dtype)), dtypes=dict(dtypes))
    rows = np.array([2, 0, 3])
    lr = 0.05 if MASTER not in dtypes else 0.3 * 2.0 ** (1 - FORMATS[dtype].precision)  # steps of 0.3 ulp, which rounding undoes
    gradient = builder.gradient(source, shape, gradient_dtype, 0.5, rows=rows)
    gradients = [
        {"w": gradient if MASTER in dtypes else builder.gradient(source, shape, gradient_dtype, 0.5, rows=rows)} for _ in range(STEPS)
    ]
    return builder.golden(slug, about, [param], gradients, builder.hyper(lr=lr, eps=0.01, **changes))


def _two_formats(builder: CaseBuilder) -> Golden:
    """A parameter and its neighbour in a wider format: neither is computed in that of the other."""
    source = builder.source("storage-two-formats")
    shape = (3, 2)
    dtypes = {"a": "float32", "b": "float64"}
    params = [Param(name, source.normal(shape, 1.0, dtype)) for name, dtype in dtypes.items()]
    gradients = [{name: builder.gradient(source, shape, dtype) for name, dtype in dtypes.items()} for _ in range(3)]
    about = "A float32 parameter and a float64 one in one optimizer: each is computed in its own format."
    return builder.golden("float32-beside-float64", about, params, gradients, builder.hyper(lr=0.05, eps=0.01))
