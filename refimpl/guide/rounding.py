"""One run in every number system: what it should give, what float32 gives, and what each numerics class allows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..arithmetic import CLASSES, FORMATS, Bounded, Float
from ..gradients import Array
from ..reference import ALL, ONE, Forms, each
from .lab import History, StepGradient, run

MEASURED = ("exact-ieee", "tensor-faithful")
"""The numerics classes that are drawn: the tightest, and the one that conformance requires of a CPU."""


@dataclass(frozen=True)
class Trained:
    """A run of one row, by field ("p", "m", "v") and step: |error| of float32, largest over formulations, and the bounds.

    All in units in the last place of the exact value. bound: field to class to an array over the steps.
    """

    exact: History
    error: dict[str, Array]
    bound: dict[str, dict[str, Array]]


def gradients(steps: int = 100) -> list[StepGradient]:
    """Gradients of a row as a training might give them: of either sign, from about 0.01 to 1."""
    return [[(0, float(np.float32(np.sin(3.7 * t) * 10 ** (np.cos(t) - 1))))] for t in range(1, steps + 1)]


@cache
def trained(steps: int = 100) -> Trained:
    """A row that starts at 0.1 and makes a hundred steps with the defaults of torch.optim.SparseAdam."""
    from ..arithmetic.balls import Ball

    options: dict[str, Any] = {"start": float(np.float32(0.1)), "dtype": "float32"}
    exact = run(gradients(steps), arithmetic=Ball(), **options)
    bounded = run(gradients(steps), arithmetic=Bounded("float32"), forms=ALL, **options)
    floats = [run(gradients(steps), arithmetic=Float("float32"), forms=forms, **options) for forms in some_forms()]
    error, bound = {}, {}
    for field in ("p", "m", "v"):
        truth = getattr(exact, field)[1:, 0]
        ulp = 2 * FORMATS["float32"].u * 2.0 ** np.floor(np.log2(np.abs(truth)))
        error[field] = np.max([np.abs(getattr(history, field)[1:, 0] - truth) for history in floats], axis=0) / ulp
        bound[field] = {name: bounded.bound[field][1:, CLASSES.index(name), 0] / ulp for name in CLASSES}
    return Trained(exact, error, bound)


def some_forms() -> list[Forms]:
    """The formulations that differ for a step without decay or loss scale."""
    return [forms for forms in each() if (forms.unscaling, forms.shrink) == (ONE.unscaling, ONE.shrink)]
