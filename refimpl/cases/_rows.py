"""Sparse gradients: repeated rows, which rows are touched, single elements, large row numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..case import Golden, Param
from .build import VISIBLE_EPS, CaseBuilder, row_gradient


def duplicates(builder: CaseBuilder) -> Iterator[Golden]:
    if not builder.takes("rows"):
        return
    for dtype in builder.dtypes("float32", "float64"):
        for slug, rows, about in DUPLICATES:
            yield _table(builder, slug, about, [rows, rows[::-1], [0, 3]], dtype=dtype)
        yield _table(
            builder, "multiplicity-changes", "A row that occurs once, three times, twice, and five times.", MULTIPLICITIES, dtype=dtype
        )
    hyper = builder.hyper(**VISIBLE_EPS)
    yield _table(builder, "visible-eps", "Repeated rows under an eps that shows.", [[3, 0, 3, 5], [5, 0, 0], [3, 3]], hyper=hyper)
    yield _table(builder, "whole-table-one-row", "Forty occurrences of one row, more than any vector register holds.", [[2] * 40, [2, 1]])
    yield _table(
        builder, "three-hundred", "Three hundred occurrences of a row: a count in 8 bits wraps.", [[1] * 300 + [0], [1]], shape=(2, 1)
    )
    yield _cancelling(builder)
    yield _opposite_magnitudes(builder)


DUPLICATES: Sequence[tuple[str, list[int], str]] = (
    ("pair", [4, 1, 4], "A row that occurs twice, another between."),
    ("neighbours", [1, 1, 3], "A row that occurs twice in a row."),
    ("sorted", [0, 0, 2, 2, 2, 4], "Repeated rows in ascending order."),
    ("interleaved", [3, 0, 3, 0, 3, 5], "Two repeated rows, interleaved."),
    ("first-and-last-row", [0, 5, 0, 5], "The first and the last row of the table, twice each."),
    ("every-row-twice", [5, 4, 3, 2, 1, 0, 0, 1, 2, 3, 4, 5], "Every row twice, down and up again."),
)

MULTIPLICITIES = [[3, 1], [3, 0, 3, 3], [1, 3, 3], [3, 3, 3, 1, 3, 3]]


def _table(
    builder: CaseBuilder,
    slug: str,
    about: str,
    rows: Sequence[Sequence[int]],
    *,
    shape: tuple[int, ...] = (6, 3),
    dtype: str = "float32",
    hyper: Mapping[str, Any] | None = None,
) -> Golden:
    source = builder.source(slug)
    name = slug if dtype == "float32" else f"{slug}-{dtype}"
    gradients = [{"w": row_gradient(one, source.normal((len(one), *shape[1:]), 1.0, dtype), shape)} for one in rows]
    return builder.golden(name, about, [Param("w", source.normal(shape, 1.0, dtype))], gradients, hyper)


def _cancelling(builder: CaseBuilder) -> Golden:
    source = builder.source("cancelling")
    shape = (4, 3)
    value = source.normal((1, 3))
    first = row_gradient([2, 0], source.normal((2, 3)), shape)
    cancels = row_gradient([2, 1, 2], np.concatenate([value, source.normal((1, 3)), -value]), shape)
    return builder.golden(
        "cancelling",
        "Occurrences that add up to 0: the row is touched all the same, its moments decay and it moves.",
        [Param("w", source.normal(shape))],
        [{"w": first}, {"w": cancels}, {"w": cancels}],
    )


def _opposite_magnitudes(builder: CaseBuilder) -> Golden:
    source = builder.source("opposite-magnitudes")
    shape = (3, 2)
    values = np.concatenate(
        [source.normal((1, 2), 1e3), source.normal((1, 2), 1e-3), source.normal((1, 2), -1e3), source.normal((1, 2), 1e-3)]
    )
    rows = row_gradient([1, 1, 1, 1], values, shape)
    return builder.golden(
        "opposite-magnitudes",
        "Occurrences of 1e3 and 1e-3 with changing signs: the order of the sum shows, and every order is right.",
        [Param("w", source.normal(shape))],
        [{"w": rows}, {"w": rows}],
    )


def touched(builder: CaseBuilder) -> Iterator[Golden]:
    if not builder.takes("rows"):
        return
    for dtype in builder.dtypes("float32", "float64"):
        yield _table(builder, "gaps", "A row that is untouched for 1, 2, 3, 4 and 5 steps between its updates.", GAPS, dtype=dtype)
        yield _table(
            builder,
            "late",
            "A row that is first touched at step 5: its moments are new, t is not.",
            [[0], [1], [0], [1], [3, 0], [3]],
            dtype=dtype,
        )
    yield _table(builder, "unsorted", "Rows in no order.", [[5, 0, 3], [2, 5, 1], [4, 0, 5]])
    yield _table(builder, "all-rows", "Every row is stored, in no order.", [[3, 1, 5, 0, 2, 4], [4, 2, 0, 5, 1, 3]])
    yield _table(builder, "first-row", "Only row 0.", [[0]] * 3)
    yield _table(builder, "last-row", "Only the last row.", [[5]] * 3)
    yield _table(builder, "one-by-one", "A different row at every step.", [[4], [2], [0], [5], [1]])
    yield _table(
        builder, "counts", "1, 2, 3, 5, 7, 8, 9, 15, 16, 17 rows at a time: the tail of a loop over rows.", _counts(builder), shape=(19, 1)
    )
    hyper = builder.hyper(**VISIBLE_EPS)
    yield _table(
        builder,
        "visible-eps",
        "Rows that are touched again after steps without a gradient; eps is large enough to change the result.",
        [[4, 0], [2], [0, 2], [4]],
        hyper=hyper,
    )
    yield _stored_zeros(builder)
    yield _one_column_zero(builder)
    yield _zero_at_an_end(builder)
    yield _sums_to_zero(builder)


GAPS = [[2, 0], [0], [2], [0], [1], [2], [0], [1], [0], [2], [1], [0], [1], [3], [2, 3]]


def _counts(builder: CaseBuilder) -> list[list[int]]:
    source = builder.source("count-rows")
    return [source.rows(n, 19).tolist() for n in (1, 2, 3, 5, 7, 8, 9, 15, 16, 17)]


def _stored_zeros(builder: CaseBuilder) -> Golden:
    source = builder.source("stored-zeros")
    shape = (4, 3)
    real = row_gradient([3, 1], source.normal((2, 3)), shape)
    zeros = row_gradient([1, 3], np.concatenate([np.zeros((1, 3), np.float32), source.normal((1, 3))]), shape)
    return builder.golden(
        "stored-zeros",
        "A row that is stored with values of 0 is touched: m and v decay and p moves on.",
        [Param("w", source.normal(shape))],
        [{"w": real}, {"w": zeros}, {"w": zeros}],
    )


def _one_column_zero(builder: CaseBuilder) -> Golden:
    source = builder.source("one-column-zero")
    shape = (3, 4)
    gradients = []
    for _ in range(3):
        values = source.normal((2, 4))
        values[:, 1] = 0
        gradients.append({"w": row_gradient([2, 0], values, shape)})
    return builder.golden(
        "one-column-zero",
        "A column that never has a gradient, in rows that do: 0/(0 + eps) is 0.",
        [Param("w", source.normal(shape))],
        gradients,
    )


def _zero_at_an_end(builder: CaseBuilder) -> Golden:
    source = builder.source("zero-at-an-end")
    shape = (4, 3)
    gradients = []
    for first, last in (([3, 1], [0]), ([1], [2, 3]), ([0, 2], [1])):
        values = source.normal((3, 3))
        values[: len(first), 0] = 0
        values[len(first) :, 2] = 0
        gradients.append({"w": row_gradient(first + last, values, shape)})
    about = "Rows of which the first or the last number is 0, and the others are not: they are touched, and every column moves."
    return builder.golden("zero-at-an-end", about, [Param("w", source.normal(shape))], gradients, builder.hyper(**VISIBLE_EPS))


def _sums_to_zero(builder: CaseBuilder) -> Golden:
    source = builder.source("sums-to-zero")
    shape = (4, 4)
    values = np.array([[1.0, -1.0, 2.0, -2.0], [0.5, 0.25, -0.5, -0.25]], np.float32)
    gradients = [
        {"w": row_gradient(rows, values * np.float32(scale), shape)} for rows, scale in (([3, 1], 1.0), ([1, 0], -3.0), ([3, 0], 0.5))
    ]
    about = "Rows whose numbers add up to 0, and are not 0: they are touched, and every column moves."
    return builder.golden("sums-to-zero", about, [Param("w", source.normal(shape))], gradients, builder.hyper(**VISIBLE_EPS))


def row_numbers(builder: CaseBuilder) -> Iterator[Golden]:
    if not builder.takes("rows"):
        return
    for rows, above, about in ROW_NUMBERS:
        touched_rows = [rows - 1, above, above - 1, 1]
        source = builder.source(f"rows-{rows}")
        shape = (rows, 1)
        start = np.full(shape, 0.5, np.float32)
        gradients = [{"w": row_gradient(touched_rows, source.normal((4, 1)), shape)} for _ in range(2)]
        yield builder.golden(
            f"beyond-{above}", about, [Param("w", start)], gradients, builder.hyper(**VISIBLE_EPS), record=[2] if rows > 1000 else ()
        )


ROW_NUMBERS = (
    (131, 128, "Row numbers beyond what a signed byte holds."),
    (259, 256, "Row numbers beyond what a byte holds."),
    (32771, 32768, "Row numbers beyond 2^15: a signed 16-bit index wraps."),
    (65541, 65536, "Row numbers beyond 2^16: a 16-bit index wraps, a half-precision one rounds."),
)


def elements(builder: CaseBuilder) -> Iterator[Golden]:
    if not builder.takes("elements"):
        return
    for dtype in builder.dtypes("float32", "float64"):
        yield _elements(builder, "matrix", "Single elements of a matrix; the others are untouched.", (4, 3), [4, 5, 4], dtype)
    yield _elements(builder, "vector", "Single elements of a vector.", (7,), [2, 3, 2])
    yield _elements(builder, "cube", "Single elements of a parameter of three dimensions.", (2, 3, 2), [4, 3, 5])
    yield _elements(builder, "duplicates", "The same element given twice is summed.", (3, 3), [4, 4], repeat=True)
    yield _elements(builder, "all", "Every element is stored.", (3, 2), [6, 6])
    yield _elements(builder, "gaps", "Elements that are untouched for a step or more between their updates.", (3, 3), [1, 2, 1, 2, 1, 3])
    yield _elements(builder, "empty", "A call that stores no element counts, and changes nothing else.", (3, 2), [2, 0, 2])


def _elements(
    builder: CaseBuilder, slug: str, about: str, shape: tuple[int, ...], counts: Sequence[int], dtype: str = "float32", repeat: bool = False
) -> Golden:
    from scipy.sparse import coo_array

    source = builder.source(f"elements-{slug}")
    gradients = []
    for n in counts:
        flat = source.rows(n, int(np.prod(shape)))
        flat = np.concatenate([flat, flat[: n // 2]]) if repeat else flat
        coords: Any = tuple(axis.astype(np.int64) for axis in np.unravel_index(flat, shape))  # scipy-stubs has types for two axes only
        gradients.append({"w": coo_array((source.normal((len(flat),), 1.0, dtype), coords), shape=shape)})
    name = slug if dtype == "float32" else f"{slug}-{dtype}"
    hyper = builder.hyper() if slug == "matrix" else builder.hyper(**VISIBLE_EPS)
    return builder.golden(name, about, [Param("w", source.normal(shape, 1.0, dtype))], gradients, hyper)
