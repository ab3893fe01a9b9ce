"""What lasts from step to step: counters over several parameters, groups, schedules, long horizons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..case import Golden, Param
from ._resumed import resumed_param
from .build import SHAPES, VISIBLE_EPS, CaseBuilder, Source, row_gradient
from .coverage import is_abridged


def counters(builder: CaseBuilder) -> Iterator[Golden]:
    for dtype in builder.dtypes("float32", "float64"):
        yield _several(builder, "three-parameters", "Three parameters, each with a gradient at every call.", ["abc"] * 3, dtype=dtype)
        yield _several(
            builder,
            "missing-in-turn",
            "Each parameter in turn has no gradient: the first, the middle, the last.",
            ["bc", "ac", "ab", "abc"],
            dtype=dtype,
        )
    yield _several(builder, "late-parameter", "A parameter whose first gradient comes at the fourth call.", ["ab", "a", "ab", "abc", "abc"])
    yield _several(
        builder, "rare-parameter", "A parameter with a gradient at every other call only.", ["abc", "ab", "abc", "ab", "abc", "c"]
    )
    yield _several(builder, "idle-call", "A call in which no parameter has a gradient.", ["abc", "", "abc", "", "", "abc"])
    yield _several(builder, "idle-first-call", "A first call in which no parameter has a gradient.", ["", "ab", "abc"])
    yield _many(builder)
    if not builder.takes("rows"):
        return
    yield _several(
        builder,
        "empty-in-turn",
        "Each parameter in turn has an empty gradient, which is not the same as none.",
        ["Abc", "aBc", "abC", "abc"],
    )
    yield _several(builder, "empty-first", "An empty gradient at the very first call.", ["Abc", "abc", "abc"])
    yield _several(builder, "empty-everywhere", "A call in which every gradient is empty.", ["abc", "ABC", "abc"])
    yield _several(builder, "empty-then-none", "Empty gradients and missing ones by turns.", ["abc", "Ab", "aC", "Bc", "abc"])
    yield _several(
        builder, "empty-alone", "A single parameter, empty gradients before, between and after.", ["A", "a", "A", "A", "a", "A"], only="a"
    )


def _several(builder: CaseBuilder, slug: str, about: str, calls: Sequence[str], *, dtype: str = "float32", only: str = "abc") -> Golden:
    """calls: one string per call, the parameters that have a gradient; in upper case, an empty one."""
    source = builder.source(slug)
    params = [Param(name, source.normal(SHAPES[name], 1.0, dtype)) for name in only]
    gradients = [{name.lower(): _given(builder, source, name, dtype) for name in call} for call in calls]
    return builder.golden(slug if dtype == "float32" else f"{slug}-{dtype}", about, params, gradients)


def _many(builder: CaseBuilder) -> Golden:
    """Twelve parameters, more than a batched implementation may take at once; some are left out at each call."""
    source = builder.source("twelve-parameters")
    names = [f"w{k}" for k in range(12)]
    gradients: list[dict[str, Any]] = []
    for t in range(3):
        given = {name: builder.gradient(source, (2, 2), "float32") for k, name in enumerate(names) if (k + t) % 5}
        if builder.sparse:
            given |= {names[k]: row_gradient([], np.zeros((0, 2), np.float32), (2, 2)) for k in ((3 * t + 7) % 12, 11 - t)}
        gradients.append(given)
    params = [Param(name, source.normal((2, 2))) for name in names]
    about = "Twelve parameters, of which each call leaves out some."
    return builder.golden("twelve-parameters", about, params, gradients, builder.hyper(**VISIBLE_EPS), record=[2, 3])


def _given(builder: CaseBuilder, source: Source, name: str, dtype: str) -> Any:
    shape = SHAPES[name.lower()]
    if name.isupper():
        return row_gradient([], np.zeros((0, *shape[1:]), dtype), shape)
    return builder.gradient(source, shape, dtype)


def groups(builder: CaseBuilder) -> Iterator[Golden]:
    yield _grouped(builder, "lr", "Two groups with learning rates of their own.", [builder.hyper(lr=0.1), builder.hyper(lr=0.003)])
    yield _grouped(
        builder, "lr-three", "Three groups, the last with the largest learning rate.", [builder.hyper(lr=lr) for lr in (0.001, 0.02, 0.3)]
    )
    if builder.dialect.framework == "torch":
        hypers = [builder.hyper(beta1=0.5, beta2=0.9, eps=1e-3), builder.hyper(lr=0.01)]
        yield _grouped(builder, "betas-and-eps", "Two groups that differ in betas and eps.", hypers)
    if builder.has("maximize"):
        yield _grouped(
            builder, "one-maximizes", "One group is minimized, the other maximized.", [builder.hyper(), builder.hyper(maximize=True)]
        )
    if builder.has("weight_decay"):
        yield _grouped(
            builder, "one-decays", "One group decays, the other does not.", [builder.hyper(lr=0.1, weight_decay=0.1), builder.hyper(lr=0.1)]
        )
    yield _members_miss(builder)


def _members_miss(builder: CaseBuilder) -> Golden:
    source = builder.source("members-miss-gradients")
    params = [Param(name, source.normal((3, 2)), group=index % 2) for index, name in enumerate("abcd")]
    calls = ("abd", "bcd", "acd", "abc", "abcd")
    gradients = [{name: builder.gradient(source, (3, 2), "float32") for name in call} for call in calls]
    about = "Two groups of two parameters, each of which misses a gradient at another call: no count of steps is the group's."
    hypers = [builder.hyper(**VISIBLE_EPS), builder.hyper(lr=0.03, eps=0.01)]
    return builder.golden("members-miss-gradients", about, params, gradients, hypers)


def _grouped(builder: CaseBuilder, slug: str, about: str, hypers: Sequence[Mapping[str, Any]]) -> Golden:
    source = builder.source(f"groups-{slug}")
    names = "abc"[: max(2, len(hypers))]
    params = [Param(name, source.normal(SHAPES[name]), group=index % len(hypers)) for index, name in enumerate(names)]
    gradients = [{name: builder.gradient(source, SHAPES[name], "float32") for name in names} for _ in range(3)]
    return builder.golden(slug, about, params, gradients, hypers)


def schedules(builder: CaseBuilder) -> Iterator[Golden]:
    rates = [0.1, 0.07, 0.2, 0.013, 0.4]
    for dtype in builder.dtypes("float32", "float64"):
        yield _scheduled(builder, "lr", "A learning rate of its own at every step.", [{"lr": lr} for lr in rates], dtype=dtype)
    about = "A learning rate that changes once, before the fourth step."
    yield _scheduled(builder, "lr-late", about, [{}, {}, {}, {"lr": 0.5}, {}], lr=0.01, eps=0.01)
    yield _two_schedules(builder)
    if builder.dialect.framework == "torch":  # MindSpore fixes these when the optimizer is made
        for dtype in builder.dtypes("float32", "float64"):
            yield _scheduled(
                builder,
                "betas-early",
                "Betas change at steps 2 to 5: the powers are those of the present betas, not a product of those that were.",
                [{}, {"beta1": 0.7, "beta2": 0.9}, {"beta1": 0.95}, {"beta2": 0.99}, {"beta1": 0.5, "beta2": 0.8}, {}],
                dtype=dtype,
                lr=0.1,
            )
        yield _scheduled(builder, "eps", "eps changes between steps.", [{}, {"eps": 1e-2}, {"eps": 1e-5}, {"eps": 0.3}], lr=0.1)
        for dtype in builder.dtypes("float32", "float64"):
            yield _scheduled(
                builder,
                "betas",
                "Betas change between steps, so late that every bias correction is 1: a power and a running product agree.",
                [{}, {"beta1": 0.7, "beta2": 0.95}, {"beta1": 0.3}, {"beta2": 0.99}],
                dtype=dtype,
                step=200_000,
                lr=0.1,
            )
    if builder.has("maximize"):
        about = "maximize is switched on and off between steps."
        switches = [{}, {"maximize": True}, {}, {"maximize": False}]
        source = builder.source("schedule-maximize")
        gradients = [{"w": builder.gradient(source, (4, 3), "float32")} for _ in switches]
        schedule = {t: [change] for t, change in enumerate(switches, start=1)}
        yield builder.golden("maximize", about, [Param("w", source.normal((4, 3)))], gradients, schedule=schedule)
        yield _second_group(builder)
    if builder.has("weight_decay"):
        decays = [{"weight_decay": 0.1}, {"weight_decay": 0.02}, {"weight_decay": 0.3}, {"weight_decay": 0.05}]
        yield _scheduled(builder, "weight-decay", "A weight decay of its own at every step.", decays, lr=0.1)


def _scheduled(
    builder: CaseBuilder, slug: str, about: str, changes: Sequence[dict[str, float]], *, dtype: str = "float32", step: int = 0, **start: Any
) -> Golden:
    source = builder.source(f"schedule-{slug}")
    shape = (4, 3)
    param = resumed_param(source, "w", shape, dtype, step) if step else Param("w", source.normal(shape, 1.0, dtype))
    gradients = [{"w": builder.gradient(source, shape, dtype)} for _ in changes]
    schedule = {t: [builder.changed(**_both_betas(changes, t))] for t in range(1, len(changes) + 1) if changes[t - 1]}
    name = slug if dtype == "float32" else f"{slug}-{dtype}"
    return builder.golden(name, about, [param], gradients, builder.hyper(**start), schedule=schedule)


def _both_betas(changes: Sequence[dict[str, float]], t: int) -> dict[str, float]:
    """A change of one beta as a change of the pair, which some dialects hold in one parameter: the other keeps its value."""
    known: dict[str, float] = {}
    for change in changes[:t]:
        known.update({role: value for role, value in change.items() if role in ("beta1", "beta2")})
    return {**changes[t - 1], **known} if {"beta1", "beta2"} & set(changes[t - 1]) else changes[t - 1]


def _second_group(builder: CaseBuilder) -> Golden:
    source = builder.source("schedule-second-group")
    params = [Param(name, source.normal(SHAPES[name]), group=index) for index, name in enumerate("abc")]
    gradients = [{name: builder.gradient(source, SHAPES[name], "float32") for name in "abc"} for _ in range(3)]
    schedule = {2: [{}, builder.changed(lr=0.2, eps=1e-2), {}], 3: [{}, {}, builder.changed(lr=0.05)]}
    about = "Of three groups, the second changes lr and eps, then the third changes lr."
    return builder.golden("second-group", about, params, gradients, [builder.hyper(), builder.hyper(), builder.hyper()], schedule=schedule)


def _two_schedules(builder: CaseBuilder) -> Golden:
    source = builder.source("two-schedules")
    params = [Param(name, source.normal(SHAPES[name]), group=index) for index, name in enumerate("ab")]
    gradients = [{name: builder.gradient(source, SHAPES[name], "float32") for name in "ab"} for _ in range(4)]
    pairs = ((0.1, 0.02), (0.05, 0.3), (0.2, 0.2), (0.01, 0.04))
    schedule = {t: [builder.changed(lr=lr) for lr in pair] for t, pair in enumerate(pairs, start=1)}
    about = "Two groups, each with a schedule of its own that crosses the other's."
    return builder.golden("two-groups", about, params, gradients, [builder.hyper(), builder.hyper()], schedule=schedule)


def horizons(builder: CaseBuilder) -> Iterator[Golden]:
    yield _long(
        builder,
        "260-steps",
        "A horizon across step 257, where a count in bfloat16 or 8 bits stops or wraps.",
        260,
        [1, 2, 255, 256, 257, 258, 260],
    )
    if builder.dialect.framework == "torch" and not is_abridged(builder.dialect.name):
        about = "A horizon across step 2049, where a count in half precision stops."
        yield _long(builder, "2052-steps", about, 2052, [1, 100, 1000, 2047, 2048, 2049, 2050, 2052])


def _long(builder: CaseBuilder, slug: str, about: str, steps: int, record: Sequence[int]) -> Golden:
    source = builder.source(slug)
    shape = (2, 2)
    gradients = [{"w": builder.gradient(source, shape, "float32", rows=[t % 2] if t % 3 else [1, 0])} for t in range(steps)]
    return builder.golden(slug, about, [Param("w", source.normal(shape))], gradients, builder.hyper(**VISIBLE_EPS), record=record)
