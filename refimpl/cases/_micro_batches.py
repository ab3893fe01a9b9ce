"""Micro-batches: one call takes several gradients of a parameter, which accumulate before the step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..case import Golden, Param, Step
from ._storage import DIALECTS
from .build import VISIBLE_EPS, CaseBuilder, Source, row_gradient

Rows = Sequence[int] | None
"""The rows that a micro-batch brings a parameter; None where it brings no gradient. A dense gradient is brought wherever there are rows."""

CASES: Sequence[tuple[str, str, Sequence[Sequence[tuple[Rows, Rows]]]]] = (
    (
        "three",
        "Three micro-batches at each call, whose gradients of a row add up.",
        [[([0, 3], [1]), ([3, 1], [1, 2]), ([3, 0], [0])], [([1, 2], [2]), ([1], [2, 2]), ([2, 0], [1])]],
    ),
    (
        "missing",
        "A parameter has no gradient in one of the micro-batches, and at one call in none.",
        [[([0, 3], None), ([3, 1], [1])], [([1, 2], None), ([1], None)], [(None, [2]), ([3], [2, 0])]],
    ),
    (
        "other-numbers",
        "One micro-batch, then four, then two.",
        [[([0, 3], [1])], [([1, 2], [2]), ([3], [1]), ([2, 2], [0]), ([0], [2])], [([1], [0]), ([3, 1], [1])]],
    ),
)
"""Slug, sentence, and per call what each micro-batch brings the parameters a and b."""

SHAPES = {"a": (4, 2), "b": (3, 1)}


def micro_batches(builder: CaseBuilder) -> Iterator[Golden]:
    if builder.dialect.name not in DIALECTS:
        return
    for slug, about, calls in CASES:
        yield _golden(builder, slug, about, calls)
    yield _golden(builder, "averaged", "Three micro-batches at each call, of whose gradients the mean is taken.", CASES[0][2], "mean")


def _golden(builder: CaseBuilder, slug: str, about: str, calls: Sequence[Sequence[tuple[Rows, Rows]]], accumulation: str = "sum") -> Golden:
    source = builder.source(f"micro-batches-{slug}")
    params = [Param(name, source.normal(shape)) for name, shape in SHAPES.items()]
    steps = tuple(
        Step.of_batches([{name: _gradient(builder, source, name, rows) for name, rows in zip(SHAPES, batch)} for batch in call])
        for call in calls
    )
    golden = builder.golden(slug, about, params, [{}] * len(steps), builder.hyper(**VISIBLE_EPS))
    return replace(golden, case=replace(golden.case, steps=tuple(replace(step, hyper=({},)) for step in steps), accumulation=accumulation))


def _gradient(builder: CaseBuilder, source: Source, name: str, rows: Rows) -> Any:
    """A gradient that is nowhere small, so that a part of it is another gradient in every element."""
    if rows is None:
        return None
    stored = (len(rows), *SHAPES[name][1:]) if builder.sparse else SHAPES[name]
    values = (source.uniform(stored, 0.5, 1.5) * np.sign(source.uniform(stored) - 0.25)).astype(np.float32)
    return row_gradient(rows, values, SHAPES[name]) if builder.sparse else values
