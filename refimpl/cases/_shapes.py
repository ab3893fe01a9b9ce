"""Where the numbers lie: shapes, widths, memory layouts, and how large they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..case import Golden, Param
from ..gradients import RowGradient
from .build import VISIBLE_EPS, CaseBuilder, row_gradient


def shapes(builder: CaseBuilder) -> Iterator[Golden]:
    for slug, widths, about in WIDTHS:
        yield _widths(builder, slug, widths, about)
    for dtype in builder.dtypes("float64"):
        yield _widths(builder, "widths-1-to-9", WIDTHS[0][1], WIDTHS[0][2], dtype)
    yield builder.plain("vector", "A parameter of one dimension: its rows are single numbers.", shape=(7,))
    yield builder.plain("cube", "A parameter of three dimensions: a row is a matrix.", shape=(4, 2, 3))
    about = "A cube with three equal sides: a moment that is kept transposed shows."
    yield builder.plain("cube-of-equal-sides", about, builder.hyper(**VISIBLE_EPS), shape=(3, 3, 3), steps=3)
    yield builder.plain("four-dimensions", "A parameter of four dimensions.", shape=(3, 2, 1, 2))
    yield builder.plain("one-element", "A parameter of one element.", shape=(1, 1))
    yield builder.plain("one-row", "A table of one row.", shape=(1, 5))
    if builder.sparse:
        empty = row_gradient([], np.zeros((0, 1), np.float32), (0, 1))
        params = [Param("nothing", np.zeros((0, 1), np.float32)), Param("w", builder.source("no-rows").normal((3, 2)))]
        second = builder.gradient(builder.source("no-rows-g"), (3, 2), "float32")
        yield builder.golden("no-rows", "A table without rows, beside one that has some.", params, [{"nothing": empty, "w": second}] * 2)
    else:
        yield builder.plain("scalar", "A parameter without dimensions.", shape=())
        params = [Param("nothing", np.zeros((0, 1), np.float32)), Param("w", builder.source("no-rows").normal((3, 2)))]
        second = builder.gradient(builder.source("no-rows-g"), (3, 2), "float32")
        given = {"nothing": np.zeros((0, 1), np.float32), "w": second}
        yield builder.golden("no-rows", "A table without rows, beside one that has some.", params, [given] * 2)


WIDTHS: Sequence[tuple[str, Sequence[int], str]] = (
    ("widths-1-to-9", (1, 2, 3, 4, 5, 6, 7, 8, 9), "Every width from 1 to 9: the tail of a loop over 4 or 8 columns."),
    ("widths-to-33", (11, 13, 15, 16, 17, 31, 32, 33), "Widths around 16 and 32: the tail of a loop over a vector register."),
    ("widths-to-130", (63, 65, 127, 130), "Widths around 64 and 128."),
    ("width-1031", (1031,), "A width beyond 1024, the largest block of many accelerators."),
)


def _widths(builder: CaseBuilder, slug: str, widths: Sequence[int], about: str, dtype: str = "float32") -> Golden:
    source = builder.source(slug)
    rows = 3 if max(widths) < 100 else 2 if max(widths) < 1000 else 1
    params = [Param(f"w{width}", source.normal((rows, width), 1.0, dtype)) for width in widths]
    picked = [rows - 1, 0] if rows == 3 else [rows - 1]
    gradients = [{f"w{width}": builder.gradient(source, (rows, width), dtype, rows=picked) for width in widths} for _ in range(2)]
    name = slug if dtype == "float32" else f"{slug}-{dtype}"
    return builder.golden(name, about, params, gradients, builder.hyper(**VISIBLE_EPS), record=[2])


def layouts(builder: CaseBuilder) -> Iterator[Golden]:
    hyper = builder.hyper(**VISIBLE_EPS)
    yield builder.plain(
        "strided", "Every array is a view with gaps: an element is not where a contiguous one would be.", hyper, layout="strided"
    )
    yield builder.plain("read-only", "Every array is read-only: writing to the caller's arrays fails.", layout="read-only")
    yield builder.plain("fortran", "Every array lies column by column.", hyper, layout="fortran")
    about = "A cube with three equal sides that lies column by column: any other order of its elements shows."
    yield builder.plain("fortran-cube", about, hyper, shape=(3, 3, 3), layout="fortran")
    if builder.takes("rows"):
        yield _narrow_indices(builder)
    yield builder.plain("strided-cube", "A strided parameter of three dimensions.", shape=(3, 2, 3), layout="strided")


def _narrow_indices(builder: CaseBuilder) -> Golden:
    source = builder.source("int32-indices")
    gradients = [{"w": RowGradient(np.array(rows, np.int32), source.normal((len(rows), 3)), (5, 3))} for rows in ([4, 1, 4], [0, 2])]
    return builder.golden("int32-indices", "Row numbers of 32 bits.", [Param("w", source.normal((5, 3)))], gradients)


def ranges(builder: CaseBuilder) -> Iterator[Golden]:
    for slug, scales, hyper, about in RANGES:
        yield builder.plain(slug, about, builder.hyper(**hyper), scale=scales, steps=len(scales))
    for dtype in builder.dtypes("float64"):
        yield builder.plain("square-underflows", "Gradients of 1e-170 in double: their square is 0.", scale=[1e-170] * 3, dtype=dtype)
        yield builder.plain(
            "square-overflows", "Gradients of 1e160 in double: their square is infinite.", scale=[1.0, 1e160, 1.0], dtype=dtype
        )
    yield _huge_parameter(builder)
    for slug, value, about in NOT_FINITE:
        yield _not_finite(builder, slug, value, about)


RANGES: Sequence[tuple[str, list[float], dict[str, Any], str]] = (
    ("visible-eps", [1e-14] * 3, {"lr": 0.1, "eps": 1e-16}, "Gradients of 1e-14 against an eps of 1e-16, which is a third of sqrt(v)."),
    ("square-underflows", [1e-25] * 3, {"lr": 0.1}, "Gradients of 1e-25: their square is 0 in float32, and eps is the whole denominator."),
    ("small-square", [1e-18, 1e-19, 1e-20], {"lr": 0.1}, "Gradients whose squares are subnormal in float32."),
    ("subnormal", [1e-40] * 3, {"lr": 0.1}, "Subnormal gradients: kept or flushed, they do not change p."),
    ("large", [1e15, 1e14, 1e15], {"lr": 0.1}, "Gradients of 1e15, far from overflow even when squared."),
    ("large-then-small", [1e12, 1.0, 1e-3, 1.0], {"lr": 0.1}, "One gradient of 1e12, then ordinary ones: its square dominates v."),
    (
        "square-overflows",
        [1.0, 1e25, 1.0, 1.0],
        {"lr": 0.1},
        "A gradient of 1e25: its square is infinite in float32; what comes next depends on the formulation.",
    ),
)


def _huge_parameter(builder: CaseBuilder) -> Golden:
    source = builder.source("huge-parameter")
    shape = (3, 2)
    start = (source.normal(shape, 1.0, "float64") * 1e20).astype(np.float32)
    gradients = [{"w": builder.gradient(source, shape, "float32")} for _ in range(2)]
    return builder.golden("huge-parameter", "Parameters of 1e20, which a step of lr cannot move.", [Param("w", start)], gradients)


def _not_finite(builder: CaseBuilder, slug: str, value: float, about: str) -> Golden:
    source = builder.source(slug)
    shape = (4, 3)
    gradients = []
    for t in range(3):
        values = source.normal((3, 3))
        if t == 1:
            values[1, 2] = value
        dense = np.concatenate([values, source.normal((1, 3))])
        gradients.append({"w": row_gradient([3, 0, 2], values, shape) if builder.sparse else dense})
    return builder.golden(slug, about, [Param("w", source.normal(shape))], gradients)


NOT_FINITE = (
    ("nan", float("nan"), "A nan in one element of one gradient stays in that element."),
    ("inf", float("inf"), "An infinite gradient in one element stays in that element."),
    ("minus-inf", float("-inf"), "A gradient of minus infinity in one element stays in that element."),
)
