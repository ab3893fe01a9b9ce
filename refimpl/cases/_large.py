"""Large things, in files of their own: 16-bit and 17-bit counters, grids that are cut off, offsets that wrap, rows that collide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..case import Golden, Param
from ..dialects.stages import Touch
from ._patterns import patterned, patterned_by_row, spread
from ._sizes import element_gradient
from .build import VISIBLE_EPS, CaseBuilder, row_gradient

MANY_ROWS = 66_529  # 1 + 2^5 3^3 7 11: one more than a whole number of blocks of most sizes
MANY_ELEMENTS = 69_121  # 1 + 2^9 3^3 5
COLLIDING = tuple(range(5, 17))


def large(builder: CaseBuilder) -> Iterator[Golden]:
    if builder.dialect.suite != "core":
        return  # coverage.yaml requires nothing of the dialects of peers
    if builder.takes("rows"):
        yield _many_rows(builder)
        yield _colliding(builder)
        yield _row_numbers(builder)
        if builder.dialect.picks.touch is Touch.STORED:
            yield _offsets(builder)
    if builder.takes("elements"):
        yield _many_elements(builder)
    if builder.takes("dense"):
        yield _many_dense(builder)
        yield _list(builder)


def _many_rows(builder: CaseBuilder) -> Golden:
    source = builder.source("many-rows")
    shape = (MANY_ROWS + 2, 1)
    rows = spread(MANY_ROWS, shape[0], start=7)
    gradient = row_gradient(rows, patterned_by_row(source, rows), shape)
    about = f"{MANY_ROWS:,} different rows in one gradient: a grid or a counter of 16 bits leaves the last ones out."
    return builder.golden(
        f"rows-{MANY_ROWS}", about, [Param("w", patterned(source, shape))], [{"w": gradient}], builder.hyper(**VISIBLE_EPS)
    )


def _many_elements(builder: CaseBuilder) -> Golden:
    source = builder.source("many-elements")
    shape = (MANY_ROWS + 2,)
    flat = spread(MANY_ROWS, shape[0], start=7)
    gradient = element_gradient(flat, patterned_by_row(source, flat).reshape(-1), shape)
    about = f"{MANY_ROWS:,} different elements in one gradient: a grid or a counter of 16 bits leaves the last ones out."
    return builder.golden(
        f"elements-{MANY_ROWS}", about, [Param("w", patterned(source, shape))], [{"w": gradient}], builder.hyper(**VISIBLE_EPS)
    )


def _many_dense(builder: CaseBuilder) -> Golden:
    source = builder.source("many-dense")
    shape = (MANY_ELEMENTS,)
    about = f"A vector of {MANY_ELEMENTS:,} elements: no chunk of it is left out, and no tail."
    gradient = {"w": patterned(source, shape)}
    return builder.golden(f"dense-{MANY_ELEMENTS}", about, [Param("w", patterned(source, shape))], [gradient], builder.hyper(**VISIBLE_EPS))


def _list(builder: CaseBuilder) -> Golden:
    source = builder.source("list")
    shapes = {"first": (3,), "long": (9, 7_681), "last": (5,)}
    params = [Param(name, patterned(source, shape)) for name, shape in shapes.items()]
    gradient: dict[str, Any] = {name: patterned(source, shape, after=2) for name, shape in shapes.items()}
    about = "A tensor of 69,129 elements in a list between small ones: each chunk updates its own tensor, and none is left out."
    return builder.golden("list-of-long-and-short", about, params, [gradient], builder.hyper(**VISIBLE_EPS))


def _colliding(builder: CaseBuilder) -> Golden:
    source = builder.source("colliding")
    rows = np.array([3, *(3 + 2**k for k in COLLIDING)])
    shape = (int(rows.max()) + 2, 1)
    gradients = [{"w": row_gradient(rows[:: 1 - 2 * call], source.normal((len(rows), 1)), shape)} for call in range(2)]
    about = "Rows that are equal modulo 2^5 to 2^16: a table of hashes keeps their sums apart."
    param = Param("w", np.full(shape, 0.5, np.float32))
    return builder.golden("colliding-rows", about, [param], gradients, builder.hyper(**VISIBLE_EPS), record=[2])


def _row_numbers(builder: CaseBuilder) -> Golden:
    source = builder.source("row-numbers")
    shape = (2**17 + 5, 1)
    rows = [2**17 + 2, 4, 2**17, 2**16, 2**17 + 4]
    about = "Row numbers beyond 2^17: an index cut to 17 bits is that of row 0, 2 or 4."
    param = Param("w", np.full(shape, 0.5, np.float32))
    gradients = [{"w": row_gradient(rows, source.normal((len(rows), 1)), shape)} for _ in range(2)]
    return builder.golden("beyond-131072", about, [param], gradients, builder.hyper(**VISIBLE_EPS), record=[2])


def _offsets(builder: CaseBuilder) -> Golden:
    source = builder.source("offsets")
    shape = (8_200, 129)
    rows = [8_199, 8_129, 0, 8_130]
    about = "A table of more than 2^20 elements: row times width, cut to 20 bits, is the position of a row near the start."
    param = Param("w", np.full(shape, 0.5, np.float32))
    gradient = {"w": row_gradient(rows, patterned(source, (len(rows), 129)), shape)}
    return builder.golden("offsets-beyond-2-to-20", about, [param], [gradient], builder.hyper(**VISIBLE_EPS))
