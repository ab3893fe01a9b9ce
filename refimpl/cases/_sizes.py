"""How many of everything: rows, elements, columns, tensors, occurrences. Loops that stop early, tails that are lost, blocks that overlap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..case import Golden, Param
from ..common.text import listed
from ..gradients import Array
from ._patterns import patterned, patterned_by_row, scattered
from .build import VISIBLE_EPS, CaseBuilder, row_gradient
from .coverage import is_abridged

AROUND = (16, 32, 64, 128, 256, 1024)
FEW = (1, 2, 3, 4, 5, 7, 8, 9)
ABRIDGED: Sequence[tuple[str, Sequence[int]]] = (
    ("1-to-9", FEW),
    ("around-16", (15, 16, 17)),
    ("around-1024", (1023, 1024, 1025)),
    ("4097", (4097,)),
)
FAR_APART = (1, 31, 32, 33, 1000)
MOST_OFTEN = 70


def sizes(builder: CaseBuilder) -> Iterator[Golden]:
    if builder.dialect.suite != "core":
        return  # coverage.yaml requires nothing of the dialects of peers
    if is_abridged(builder.dialect.name):
        yield from _abridged(builder)
        return
    counts = [("1-to-9", FEW), *((f"around-{n}", (n - 1, n, n + 1)) for n in AROUND)]
    for words, numbers in counts:
        if builder.takes("rows"):
            yield _rows(builder, words, numbers)
        if builder.takes("elements"):
            yield _elements(builder, words, numbers)
        if builder.takes("dense"):
            yield _dense(builder, words, numbers)
    if builder.takes("dense"):
        yield _dense(builder, "around-4096", (4095, 4096, 4097))
    for form in builder.dialect.gradients:
        if form != "elements":
            for words, numbers in [*counts, ("around-2048", (2047, 2048, 2049))]:
                yield _widths(builder, form, words, numbers)
    for number in (17, 31, 130):
        yield _tensors(builder, number)
    if builder.takes("rows"):
        yield _occurrences(builder)
        yield _multiplicities(builder)
        yield _far_apart(builder)


def _abridged(builder: CaseBuilder) -> Iterator[Golden]:
    for words, numbers in ABRIDGED:
        if builder.sparse:
            yield _rows(builder, words, numbers)
        else:
            yield _dense(builder, words, numbers)
    yield _tensors(builder, 31)
    if builder.sparse:
        yield _occurrences(builder)
        yield _multiplicities(builder)
        yield _far_apart(builder)


def _rows(builder: CaseBuilder, words: str, numbers: Sequence[int]) -> Golden:
    source = builder.source(f"rows-{words}")
    shape = (max(numbers) + 2, 1)
    gradients = []
    for call, n in enumerate(numbers):
        rows = scattered(n, shape[0], start=3 * call)
        gradients.append({"w": row_gradient(rows, patterned_by_row(source, rows, after=call), shape)})
    about = f"{_listed(numbers)} different rows in a gradient, call by call: the last rows of a block are not left out."
    return builder.golden(
        f"rows-{words}", about, [Param("w", patterned(source, shape))], gradients, builder.hyper(**VISIBLE_EPS), record=_record(numbers)
    )


def _elements(builder: CaseBuilder, words: str, numbers: Sequence[int]) -> Golden:
    source = builder.source(f"elements-{words}")
    shape = ((max(numbers) + 5) // 3, 3)
    gradients = []
    for call, n in enumerate(numbers):
        flat = scattered(n, shape[0] * 3, start=2 * call)
        gradients.append({"w": element_gradient(flat, patterned_by_row(source, flat, after=call).reshape(-1), shape)})
    about = f"{_listed(numbers)} different elements in a gradient, call by call: the last elements of a block are not left out."
    return builder.golden(
        f"elements-{words}", about, [Param("w", patterned(source, shape))], gradients, builder.hyper(**VISIBLE_EPS), record=_record(numbers)
    )


def _record(numbers: Sequence[int]) -> Sequence[int]:
    """Every call, or where that is much the last: a row that was left out at an earlier one lacks its moments still."""
    return [len(numbers)] if max(numbers) > 100 else ()


def element_gradient(flat: Array, values: Array, shape: tuple[int, ...]) -> Any:
    from scipy.sparse import coo_array

    coords: Any = tuple(axis.astype(np.int64) for axis in np.unravel_index(flat, shape))
    return coo_array((values, coords), shape=shape)


def _dense(builder: CaseBuilder, words: str, numbers: Sequence[int]) -> Golden:
    source = builder.source(f"dense-{words}")
    params = [Param(f"w{n}", patterned(source, (n,))) for n in numbers]
    gradients = [{f"w{n}": patterned(source, (n,), after=call) for n in numbers} for call in range(2)]
    about = f"Vectors of {_listed(numbers)} elements: the last elements of a block are not left out."
    return builder.golden(f"dense-{words}", about, params, gradients, builder.hyper(**VISIBLE_EPS), record=[2])


def _widths(builder: CaseBuilder, form: str, words: str, numbers: Sequence[int]) -> Golden:
    source = builder.source(f"width-{form}-{words}")
    params = [Param(f"w{n}", patterned(source, (2, n))) for n in numbers]
    gradients: list[dict[str, Any]] = []
    for call in range(2):
        if form == "rows":
            gradients.append({f"w{n}": row_gradient([1], patterned(source, (1, n), after=call), (2, n)) for n in numbers})
        else:
            gradients.append({f"w{n}": patterned(source, (2, n), after=call) for n in numbers})
    about = f"Rows of {_listed(numbers)} columns, the gradient {'by rows' if form == 'rows' else 'dense'}: no column is left out."
    slug = (
        f"width-{words}"
        if len(builder.dialect.gradients) == 1 or builder.dialect.gradients == ("rows", "elements")
        else f"width-{form}-{words}"
    )
    return builder.golden(slug, about, params, gradients, builder.hyper(**VISIBLE_EPS), record=[2])


def _tensors(builder: CaseBuilder, number: int) -> Golden:
    source = builder.source(f"tensors-{number}")
    shape = (2, 1)
    names = [f"w{k}" for k in range(number)]
    gradient = {name: builder.gradient(source, shape, "float32", rows=[1, 0]) for name in names}
    params = [Param(name, source.normal(shape)) for name in names]
    about = f"{number} tensors in one list: the last have their update too, and their eps."
    return builder.golden(f"tensors-{number}", about, params, [gradient], builder.hyper(**VISIBLE_EPS))


def _occurrences(builder: CaseBuilder) -> Golden:
    source = builder.source("occurrences-2000")
    shape = (701, 1)
    indices = scattered(2000, 701 * 3) % 701
    gradient = row_gradient(indices, patterned(source, (2000, 1), 0.5), shape)
    about = "2,000 occurrences in one gradient, of rows that occur up to three times: no occurrence is dropped."
    return builder.golden(
        "occurrences-2000", about, [Param("w", patterned(source, shape))], [{"w": gradient}], builder.hyper(**VISIBLE_EPS)
    )


def _multiplicities(builder: CaseBuilder) -> Golden:
    source = builder.source("multiplicities")
    shape = (MOST_OFTEN + 1, 1)
    indices = np.repeat(np.arange(MOST_OFTEN), np.arange(1, MOST_OFTEN + 1))
    mixed = indices[scattered(len(indices), len(indices))]
    gradient = row_gradient(mixed, patterned(source, (len(mixed), 1), 0.5), shape)
    about = f"Rows that occur 1, 2, 3 ... {MOST_OFTEN} times in one gradient, mixed: every occurrence counts once."
    slug = f"multiplicities-1-to-{MOST_OFTEN}"
    return builder.golden(slug, about, [Param("w", patterned(source, shape))], [{"w": gradient}], builder.hyper(**VISIBLE_EPS))


def _far_apart(builder: CaseBuilder) -> Golden:
    source = builder.source("far-apart")
    n = max(FAR_APART) + 60
    indices = np.arange(n)[::-1].copy()
    for k, distance in enumerate(FAR_APART):
        indices[2 * k + distance + 2 * k * (distance == 1)] = indices[2 * k + 2 * k * (distance == 1)]
    gradient = row_gradient(indices, patterned(source, (n, 1)), (n, 1))
    about = f"Two occurrences of a row {_listed(FAR_APART)} places apart: both count, whichever lanes or blocks process them."
    return builder.golden("far-apart", about, [Param("w", patterned(source, (n, 1)))], [{"w": gradient}], builder.hyper(**VISIBLE_EPS))


def _listed(numbers: Sequence[int]) -> str:
    return listed([f"{n:,}" for n in numbers])
