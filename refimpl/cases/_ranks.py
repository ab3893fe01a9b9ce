"""Training on several ranks: what each brings, how that becomes one gradient, and a number of ranks that changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..case import Golden, Param, Step
from ._resumed import resumed_param
from ._storage import DIALECTS
from .build import SHAPES, VISIBLE_EPS, CaseBuilder, Source, row_gradient

Rows = Sequence[int] | None
"""The occurrences that one rank brings; None where it has no gradient. A dense gradient is brought wherever there is one by rows."""

Calls = Sequence[Sequence[Rows]]
"""Per call, what each rank brings."""

TABLES: Sequence[tuple[str, str, str, Calls]] = (
    (
        "two",
        "Two ranks, which share a row and have rows of their own.",
        "Two ranks.",
        [[[0, 3], [3, 1]], [[2, 1], [1, 4]], [[3], [3]]],
    ),
    (
        "duplicates",
        "Rows that occur several times within a rank and across ranks: all are added up, and divided by the number of ranks.",
        "",
        [[[1, 1, 2], [1, 3]], [[3, 1, 3, 3], [3, 2, 2]], [[4, 4], [4, 4]]],
    ),
    (
        "idle",
        "Another rank has no gradient at each call: it is counted all the same.",
        "Another rank has no gradient at each call: it is counted all the same.",
        [[[0, 3], [1, 3], None], [None, [2, 3], [3]], [[1], None, [1]]],
    ),
    (
        "one-of-three",
        "Two of three ranks are idle.",
        "Two of three ranks are idle.",
        [[[0, 3], None, None], [None, [3, 2], None], [None, None, [3, 3]]],
    ),
    (
        "uneven",
        "Ranks that bring one row, four and seven.",
        "Three ranks: a third is no number of the format, and five rows are no multiple of three.",
        [[[2], [0, 1, 2, 3], [4, 3, 2, 1, 0, 1, 2]], [[4, 0, 3, 1, 2, 4, 0], [1], [2, 4, 2, 3]]],
    ),
)
"""Slug, the sentence for gradients by rows and for dense ones (none: there is no such case), and the calls, of one table of five rows."""

EMPTY: Calls = [[[0, 3], []], [[], [3, 1]], [[], []], [[3], [3]]]
"""Ranks that bring a gradient without rows, in turns, and both at once."""

SCALES = (3e4, 1e-2, 1.0)
"""Of the gradients of three ranks."""


def ranks(builder: CaseBuilder) -> Iterator[Golden]:
    if builder.dialect.name not in DIALECTS:
        return
    for slug, by_rows, dense, calls in TABLES:
        about = by_rows if builder.sparse else dense
        if about:
            yield _table(builder, slug, about, calls)
    if builder.takes("rows"):
        yield _table(builder, "empty", "Ranks that bring a gradient without rows: a call in which all do is counted.", EMPTY)
    yield _table(
        builder, "magnitudes", "Ranks whose gradients differ in size by six powers of ten.", [[[0, 3], [3, 1], [1, 3]]] * 2, SCALES
    )
    yield _several(builder)
    yield _resumed(builder)
    yield _another_number(builder)
    yield _with_reduction(builder, "summed", "sum", "Three ranks whose gradients are summed, not averaged.")
    if builder.takes("rows"):
        about = "Each row is averaged over its occurrences, on all ranks together."
        yield _with_reduction(builder, "by-occurrences", "occurrences", about)


def _table(builder: CaseBuilder, slug: str, about: str, calls: Calls, scales: Sequence[float] = ()) -> Golden:
    source = builder.source(f"ranks-{slug}")
    shape = (5, 2)
    steps = [
        Step.of_ranks([{"w": _gradient(builder, source, shape, rows, scale)} for rows, scale in zip(call, scales or [1.0] * len(call))])
        for call in calls
    ]
    return _golden(builder, slug, about, [Param("w", source.normal(shape))], steps)


def _gradient(builder: CaseBuilder, source: Source, shape: tuple[int, ...], rows: Rows, scale: float = 1.0) -> Any:
    """A gradient that is nowhere small, so that half of it is another gradient in every element."""
    if rows is None:
        return None
    stored = (len(rows), *shape[1:]) if builder.sparse else shape
    values = source.uniform(stored, 0.5, 1.5) * np.sign(source.uniform(stored) - 0.25) * scale
    return row_gradient(rows, values.astype(np.float32), shape) if builder.sparse else values.astype(np.float32)


def _golden(builder: CaseBuilder, slug: str, about: str, params: Sequence[Param], steps: Sequence[Step], reduction: str = "mean") -> Golden:
    hyper = builder.hyper(**VISIBLE_EPS)
    golden = builder.golden(slug, about, params, [{}] * len(steps), hyper)
    hypers = (step.hyper for step in golden.case.steps)
    given = tuple(replace(step, hyper=changes) for step, changes in zip(steps, hypers))
    return replace(golden, case=replace(golden.case, steps=given, reduction=reduction))


SEVERAL: Sequence[Mapping[str, Sequence[Rows]]] = (
    {"a": [[1, 3], [3]], "b": [[0], [0, 2]], "c": [[4, 1], None]},
    {"a": [None, [0]], "b": [[1, 1], None], "c": [None, None]},
    {"a": [[2], [2]], "b": [[2], [0, 1]], "c": [None, [4, 4]]},
)
"""Per call and parameter, what each of two ranks brings; at the second call, nobody has a gradient of c."""


def _several(builder: CaseBuilder) -> Golden:
    source = builder.source("ranks-several")
    params = [Param(name, source.normal(SHAPES[name])) for name in "abc"]
    steps = [
        Step.of_ranks([{name: _gradient(builder, source, SHAPES[name], of_ranks[rank]) for name, of_ranks in call.items()} for rank in range(2)])
        for call in SEVERAL
    ]  # fmt: skip
    about = "Three parameters; ranks have gradients of some, and at the second call none has a gradient of c, which is not counted."
    return _golden(builder, "several", about, params, steps)


def _resumed(builder: CaseBuilder) -> Golden:
    source = builder.source("ranks-resumed")
    param = resumed_param(source, "w", (4, 3), "float32", 9)
    step = Step.of_ranks([{"w": _gradient(builder, source, (4, 3), rows)} for rows in ([2, 0], [2], [3, 2, 3])])
    golden = _golden(builder, "resumed", "One step of three ranks from a given state.", [param], [step])
    return replace(golden, kind="step")


def _another_number(builder: CaseBuilder) -> Golden:
    source = builder.source("ranks-another-number")
    params = [Param(name, source.normal(SHAPES[name])) for name in "ab"]
    steps = []
    for number, world in enumerate((2, 2, 3, 1, 3)):
        rows: Sequence[Rows] = ([1, 3], [3], [0, 3])[:world]
        gradients = [
            {"a": _gradient(builder, source, SHAPES["a"], some), "b": _gradient(builder, source, SHAPES["b"], [2, 0])} for some in rows
        ]
        steps.append(Step.of_ranks(gradients, reload=number >= 2))
    about = "Two ranks; then the state is saved and loaded by three, by one, and by three again."
    return _golden(builder, "another-number", about, params, steps)


def _with_reduction(builder: CaseBuilder, slug: str, reduction: str, about: str) -> Golden:
    source = builder.source(f"ranks-{slug}")
    shape = (5, 2)
    calls: Calls = [[[1, 1, 2], [1, 3], [0, 3, 3]], [[4], [4, 0, 4], None]]
    steps = [Step.of_ranks([{"w": _gradient(builder, source, shape, rows)} for rows in call]) for call in calls]
    return _golden(builder, slug, about, [Param("w", source.normal(shape))], steps, reduction)
