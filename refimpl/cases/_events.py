"""What happens beside the steps: scaled gradients, calls that a scaler skips, a state that is saved and loaded in the middle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..case import Golden, Param, Step
from ._storage import DIALECTS
from .build import SHAPES, VISIBLE_EPS, CaseBuilder


def events(builder: CaseBuilder) -> Iterator[Golden]:
    if builder.dialect.framework != "torch":
        return
    for slug, about, scales, skipped, reloaded in EVENTS:
        if builder.dialect.name in DIALECTS or slug in ABRIDGED:
            yield _with_events(builder, slug, about, scales, skipped, reloaded)


EVENTS: Sequence[tuple[str, str, Sequence[float], Sequence[int], Sequence[int]]] = (
    ("scaled", "Gradients that come multiplied by 65536, and are divided by it once.", (65536.0,) * 4, (), ()),
    ("scale-changes", "A scale of its own at every call.", (1024.0, 512.0, 3.7, 2048.0, 1.0), (), ()),
    (
        "skipped",
        "The second call finds an infinite gradient: it changes nothing, for no parameter, and is not counted.",
        (256.0,) * 4,
        (2,),
        (),
    ),
    ("skipped-first", "The first two calls find an infinite gradient.", (64.0,) * 5, (1, 2), ()),
    ("skipped-by-turns", "Every other call is skipped.", (8.0,) * 6, (2, 4, 6), ()),
    ("reloaded", "The state is saved and loaded before the third call.", (1.0,) * 5, (), (3,)),
    ("reloaded-twice", "The state is saved and loaded before the second and before the fourth call.", (1.0,) * 5, (), (2, 4)),
    ("reloaded-first", "The state is saved and loaded before any step was made.", (1.0,) * 3, (), (1,)),
)
"""Slug, sentence, the scale of each call, the calls that are skipped, and those before which the state is saved and loaded."""

ABRIDGED = ("scaled", "skipped", "reloaded")


def _with_events(
    builder: CaseBuilder, slug: str, about: str, scales: Sequence[float], skipped: Sequence[int], reloaded: Sequence[int]
) -> Golden:
    source = builder.source(f"events-{slug}")
    names = "ab"
    params = [Param(name, source.normal(SHAPES[name])) for name in names]
    gradients: list[dict[str, Any]] = []
    for call, scale in enumerate(scales, start=1):
        given = {name: builder.gradient(source, SHAPES[name], "float32", scale) for name in names}
        if call in skipped:
            given["b"] = _with_infinity(given["b"])
        gradients.append(given)
    switch = {str(builder.switch("amsgrad")): True} if builder.switch("amsgrad") and reloaded else {}
    golden = builder.golden(slug, about, params, gradients, builder.hyper(**VISIBLE_EPS, **switch))
    steps = (_step(step, t, scales[t - 1], skipped, reloaded) for t, step in enumerate(golden.case.steps, start=1))
    return replace(golden, case=replace(golden.case, steps=tuple(steps)))


def _step(step: Step, t: int, scale: float, skipped: Sequence[int], reloaded: Sequence[int]) -> Step:
    return replace(step, grad_scale=scale, found_inf=t in skipped, reload=t in reloaded)


def _with_infinity(gradient: Any) -> Any:
    """The gradient with one infinite element."""
    values = np.array(gradient.values if hasattr(gradient, "indices") else gradient)
    values[0, 0] = np.inf
    return replace(gradient, values=values) if hasattr(gradient, "indices") else values
