"""The options of a dialect beyond the numbers of the paper: signs, decay, scaling, look-ahead, maxima."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..case import Golden, Param
from .build import VISIBLE_EPS, CaseBuilder, row_gradient


def options(builder: CaseBuilder) -> Iterator[Golden]:
    for needs, slug, changes, about in OPTIONS:
        if not builder.has(*needs):
            continue
        for dtype in builder.dtypes("float32", "float64"):
            yield builder.plain(slug, about, builder.hyper(**{"lr": 0.1, "eps": VISIBLE_EPS["eps"], **changes}), steps=4, dtype=dtype)
    if builder.has("weight_decay") and builder.takes("rows"):
        yield from _decayed_duplicates(builder)
    if builder.has("grad_centralization"):
        for width, about in (
            (16, "Centralized: the mean of each row is subtracted, its width a multiple of 16."),
            (12, "Not centralized: 12 is no multiple of 16."),
            (8, "Not centralized: 8 is no multiple of 16, though 16 is one of 8."),
        ):
            hyper = builder.hyper(lr=0.1, grad_centralization=True)
            yield builder.plain(f"centralization-{width}", about, hyper, shape=(3, width), steps=3)
        hyper = builder.hyper(lr=0.1, grad_centralization=True)
        about = "Centralized over all axes but the first: the second is a multiple of 16."
        yield builder.plain("centralization-cube", about, hyper, shape=(2, 16, 2), steps=2)
        yield builder.plain("centralization-vector", "Not centralized: a vector has no rows.", hyper, shape=(16,), steps=2)
    for name in ("amsgrad", "use_amsgrad"):
        if builder.has(name):
            yield _falling(builder, name)
            yield _same_shapes(builder, name)
    if builder.has("decoupled_weight_decay"):
        hyper = builder.hyper(lr=0.0, weight_decay=0.1, decoupled_weight_decay=True)
        about = "A learning rate of 0 with decoupled decay: p stays, and nothing is divided by 0."
        yield builder.plain("decoupled-zero-lr", about, hyper, steps=3)


OPTIONS: Sequence[tuple[tuple[str, ...], str, dict[str, Any], str]] = (
    (("maximize",), "maximize", {"maximize": True}, "The objective is maximized: the gradient's sign is turned, once."),
    (
        ("maximize", "weight_decay"),
        "maximize-and-decay",
        {"maximize": True, "weight_decay": 0.1},
        "The sign is turned before the decay is added.",
    ),
    (("weight_decay",), "weight-decay", {"weight_decay": 0.1}, "Weight decay of 0.1."),
    (("weight_decay",), "weight-decay-large", {"weight_decay": 2.5}, "Weight decay that is larger than the gradient."),
    (
        ("decoupled_weight_decay",),
        "decoupled",
        {"weight_decay": 0.1, "decoupled_weight_decay": True},
        "Decoupled weight decay: p shrinks by lr times 0.1.",
    ),
    (
        ("decoupled_weight_decay", "maximize"),
        "decoupled-maximize",
        {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True},
        "Decoupled weight decay is not turned around by maximize.",
    ),
    (("loss_scale",), "loss-scale", {"loss_scale": 1024.0}, "The gradient is divided by a loss scale of 1024."),
    (("loss_scale",), "loss-scale-odd", {"loss_scale": 3.7}, "A loss scale whose reciprocal no format holds."),
    (
        ("loss_scale", "weight_decay"),
        "loss-scale-and-decay",
        {"loss_scale": 128.0, "weight_decay": 0.1},
        "The decay is not divided by the loss scale.",
    ),
    (("use_nesterov",), "nesterov", {"use_nesterov": True}, "The Nesterov direction."),
    (
        ("use_nesterov", "weight_decay"),
        "nesterov-and-decay",
        {"use_nesterov": True, "weight_decay": 0.1},
        "The look-ahead takes the decayed gradient.",
    ),
    (("use_nesterov",), "nesterov-odd-beta", {"use_nesterov": True, "beta1": 0.7}, "The Nesterov direction with beta1 of 0.7."),
    (("nesterov",), "nesterov", {"nesterov": True}, "The Nesterov direction."),
    (("nesterov",), "nesterov-odd-beta", {"nesterov": True, "beta1": 0.7}, "The Nesterov direction with beta1 of 0.7."),
    (("momentum_decay",), "momentum-decay", {"momentum_decay": 0.7}, "A momentum that reaches beta1 within a few steps."),
    (("momentum_decay",), "momentum-decay-zero", {"momentum_decay": 0.0}, "A momentum that stays at half of beta1."),
    (("momentum_decay",), "momentum-decay-odd", {"momentum_decay": 0.0371, "beta1": 0.8}, "A momentum decay that no format holds."),
    (("eps_root",), "eps-root", {"eps_root": 1e-4}, "eps_root of 1e-4 inside the root, beside an eps of 1e-8 outside."),
    (("eps_root",), "eps-root-alone", {"eps_root": 1e-6, "eps": 0.0}, "eps_root alone, without an eps beside the root."),
    (("lazy_mode",), "lazy-mode", {"lazy_mode": True}, "Only the rows that a gradient stores are updated."),
    (("lazy_update",), "lazy-update-off", {"lazy_update": False}, "Every row is updated, whatever a gradient stores."),
    (("use_locking",), "locking", {"use_locking": True}, "use_locking protects the update and changes no number."),
    (("amsgrad",), "amsgrad", {"amsgrad": True}, "amsgrad divides by the largest v so far."),
    (("amsgrad", "weight_decay"), "amsgrad-and-decay", {"amsgrad": True, "weight_decay": 0.1}, "amsgrad with weight decay."),
    (("amsgrad", "maximize"), "amsgrad-maximize", {"amsgrad": True, "maximize": True}, "amsgrad with maximize."),
    (("use_amsgrad",), "amsgrad", {"use_amsgrad": True}, "amsgrad divides by the largest v so far."),
    (
        ("use_amsgrad", "loss_scale"),
        "amsgrad-loss-scale",
        {"use_amsgrad": True, "loss_scale": 16.0},
        "amsgrad takes the largest v of the unscaled gradients.",
    ),
)


def _falling(builder: CaseBuilder, name: str) -> Golden:
    hyper = builder.hyper(beta2=0.5, lr=0.1, **{name: True})
    about = "Falling gradients with a short memory: the maximum of v is its first value, and it must be kept."
    return builder.plain("amsgrad-falling", about, hyper, scale=[10.0, 1.0, 0.1, 0.01, 0.01])


def _same_shapes(builder: CaseBuilder, name: str) -> Golden:
    source = builder.source("amsgrad-same-shapes")
    shape = (2, 3)
    scales = {"a": (10.0, 1.0, 0.1), "b": (0.1, 1.0, 0.3)}
    params = [Param(key, source.normal(shape)) for key in scales]
    gradients = [{key: builder.gradient(source, shape, "float32", scales[key][call]) for key in scales} for call in range(3)]
    about = "Two parameters of one shape whose gradients fall and grow: each has a maximum of its own."
    return builder.golden("amsgrad-same-shapes", about, params, gradients, builder.hyper(beta2=0.5, lr=0.1, **{name: True}))


def _decayed_duplicates(builder: CaseBuilder) -> Iterator[Golden]:
    shape = (5, 2)
    for slug, changes, about in DECAYED:
        if not builder.has(*changes):
            continue
        source = builder.source(slug)
        gradients = [{"w": row_gradient(rows, source.normal((len(rows), 2)), shape)} for rows in ([4, 1, 4, 4], [1, 0], [4, 1, 1])]
        hyper = builder.hyper(lr=0.1, **changes)
        yield builder.golden(slug, about, [Param("w", source.normal(shape))], gradients, hyper)
    source = builder.source("decay-of-zero-gradient")
    zeros = row_gradient([3, 1], np.zeros((2, 2), np.float32), shape)
    about = "Stored rows of 0: the decay alone is their gradient."
    yield builder.golden(
        "decay-of-zero-gradient", about, [Param("w", source.normal(shape))], [{"w": zeros}] * 3, builder.hyper(lr=0.1, weight_decay=0.05)
    )


DECAYED: Sequence[tuple[str, dict[str, Any], str]] = (
    ("decay-and-duplicates", {"weight_decay": 0.1}, "A row that occurs three times is decayed three times."),
    ("decay-duplicates-scale", {"weight_decay": 0.1, "loss_scale": 8.0}, "Repeated rows with decay and a loss scale."),
)
