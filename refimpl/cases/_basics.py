"""First steps, hyper-parameters one at a time: what every implementation computes thousands of times a day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..case import Golden, Param
from .build import VISIBLE_EPS, CaseBuilder, row_gradient


def basics(builder: CaseBuilder) -> Iterator[Golden]:
    for dtype in builder.dtypes("float32", "float64"):
        yield builder.plain("one-step", "The first step: bias correction makes it as long as any later one.", steps=1, dtype=dtype)
        yield builder.plain("five-steps", "Five steps with default hyper-parameters.", steps=5, dtype=dtype)
        yield builder.plain(
            "from-zero", "Parameters that start at 0 show the change itself, without rounding of p.", start=0.0, dtype=dtype
        )
        yield builder.plain(
            "shrinking",
            "Gradients that shrink from 10 to 1e-6: the squares of the large ones dominate v.",
            scale=[10.0, 1e-1, 1e-3, 1e-6],
            dtype=dtype,
        )
        yield builder.plain("growing", "Gradients that grow from 1e-6 to 10.", scale=[1e-6, 1e-3, 1e-1, 10.0], dtype=dtype)
    yield builder.plain("large-lr", "A learning rate of 0.5 makes every term of the change visible in p.", builder.hyper(lr=0.5))
    yield builder.plain("odd-lr", "A learning rate that no power of ten is near.", builder.hyper(lr=0.0376251))
    yield builder.plain("tiny-lr", "A learning rate of 1e-9: p barely moves, the moments move as ever.", builder.hyper(lr=1e-9))
    if builder.accepts(builder.hyper(lr=0.0)):
        yield builder.plain("zero-lr", "A learning rate of 0: p stays, the moments move.", builder.hyper(lr=0.0))
        yield _zero(
            builder, "zero-lr-zero-gradient", "A learning rate of 0 and a gradient of 0: nothing divides by either.", builder.hyper(lr=0.0)
        )
    yield builder.plain("visible-eps", "An eps that is a part of sqrt(v) from the first step on.", builder.hyper(**VISIBLE_EPS))
    yield _constant(builder)
    yield _zero(builder, "zero", "A gradient of 0 while v is 0 changes no bit of p; after a nonzero gradient, m still moves p.")
    yield _alternating(builder)


def _constant(builder: CaseBuilder) -> Golden:
    shape = (3, 2)
    ones = np.full(shape, 0.25, np.float32)
    gradient = ones if not builder.sparse else builder.gradient(builder.source("constant"), shape, "float32", rows=[2, 0])
    return builder.golden(
        "constant",
        "The same gradient six times: each step is as long as the first.",
        [Param("w", ones)],
        [{"w": gradient}] * 6,
        builder.hyper(lr=0.1),
    )


def _zero(builder: CaseBuilder, slug: str, about: str, hyper: Mapping[str, Any] | None = None) -> Golden:
    source = builder.source("zero")
    shape = (4, 3)
    gradients = [builder.gradient(source, shape, "float32", scale, rows=[3, 1]) for scale in (0.0, 0.0, 1.0, 0.0)]
    return builder.golden(slug, about, [Param("w", source.normal(shape))], [{"w": gradient} for gradient in gradients], hyper)


def _alternating(builder: CaseBuilder) -> Golden:
    source = builder.source("alternating")
    shape = (4, 2)
    first = source.normal(shape)
    rows = [2, 3, 0]

    def gradient(sign: np.float32) -> object:
        return row_gradient(rows, sign * first[rows], shape) if builder.sparse else sign * first

    signs = (1.0, -1.0, 1.0, -1.0, 1.0)
    return builder.golden(
        "alternating",
        "Gradients of alternating sign: m nearly cancels, v does not.",
        [Param("w", source.normal(shape))],
        [{"w": gradient(np.float32(sign))} for sign in signs],
        builder.hyper(beta1=0.5),
    )


def eps(builder: CaseBuilder) -> Iterator[Golden]:
    for dtype in builder.dtypes("float32", "float64"):
        for slug, value, scale, about in EPS:
            yield builder.plain(slug, about, builder.hyper(eps=value, lr=0.01), scale=scale, dtype=dtype)
    if builder.accepts(builder.hyper(eps=0.0)):
        yield builder.plain("eps-zero", "eps of 0: the denominator is the root of v alone.", builder.hyper(eps=0.0))


EPS = (
    ("eps-against-tiny-gradient", 1e-8, 1e-8, "eps of 1e-8 against gradients of 1e-8: where eps stands decides how far p moves."),
    ("eps-near-root", 1e-5, 1e-4, "eps near sqrt(v), so that its place and its sign show in every step."),
    ("eps-large", 1e-3, 1.0, "eps of 1e-3 with ordinary gradients."),
    ("eps-one", 1.0, 0.5, "eps of 1: it is the larger part of most denominators."),
    ("eps-odd", 3.3e-7, 1e-6, "An eps that is no power of ten."),
    ("eps-tiny", 1e-12, 1e-10, "eps of 1e-12 with gradients of 1e-10."),
    ("eps-falling", 1e-6, [1.0, 1e-2, 1e-5, 1e-7], "Gradients that fall below eps while v still holds the squares of larger ones."),
)


def betas(builder: CaseBuilder) -> Iterator[Golden]:
    for beta1, beta2, about in BETAS:
        hyper = builder.hyper(beta1=beta1, beta2=beta2, **VISIBLE_EPS)
        if not builder.accepts(hyper):
            continue
        for dtype in builder.dtypes("float32", "float64"):
            slug = f"beta1-{beta1}-beta2-{beta2}".replace(".", "p")
            yield builder.plain(slug, about, hyper, steps=5, scale=[1.0, 0.1, 3.0, 0.3, 1.0], dtype=dtype)


BETAS = (
    (0.8, 0.999, "beta1 of 0.8, the default for beta2."),
    (0.9, 0.99, "beta2 of 0.99, as for sparse features."),
    (0.5, 0.9, "Betas far below their defaults."),
    (0.8765, 0.98765, "Betas whose digits no format holds."),
    (0.99, 0.9999, "Betas close to 1: 1 - beta2 loses most of its digits in float32."),
    (0.95, 0.5, "beta2 below beta1."),
    (0.3, 0.2, "Betas below one half, where an interpolation may start from the new value."),
    (0.0, 0.999, "beta1 of 0: m is the gradient."),
    (0.9, 0.0, "beta2 of 0: v is the square of the gradient."),
    (0.0, 0.0, "Betas of 0: every bias correction is 1."),
)
