"""The scalars of a step with a lower bound on the error that the proven analysis charges for each: what the fast kernel computes with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from ..arithmetic import CLASSES, FORMATS, Bounded, Number
from ..arithmetic.roundings import conversion_error, tensor_rounding
from ..dialects import Hyper, Picks
from ..dialects.stages import Amsgrad, Decay, Direction, Eps, Objective, Rectification
from ..gradients import Array
from ..reference import RECTIFIED_ABOVE
from ..reference.scalars import LOOK_AHEAD, scalars


class Met(NamedTuple):
    """A scalar where it meets a tensor: its double, an error that is granted, and 1.0 where an operation with it rounds, else 0.0."""

    x: float
    e: float
    rounds: float


class Least(Bounded):
    """`Bounded` for the scalars of one class, each with less than the error that Bounded charges where it meets a tensor.

    Less by the error of the double itself, `e[0]`, so that a number within `e` of this double is within Bounded's error of the exact
    result. A hyper-parameter is exact as a double. Products with powers of two, and with a constant 1, round nothing.
    """

    def __init__(self, dtype: str, scalars: str | None, numerics_class: str) -> None:
        super().__init__(dtype, scalars)
        self.number = CLASSES.index(numerics_class)

    def meet(self, scalar: Number) -> Met:
        charged = scalar.e[self.number]
        own = 0.0 if scalar.raw is not None else scalar.e[0]
        if scalar.raw is not None:
            charged = max(charged, conversion_error(scalar.x, self.format))
        exact = scalar.x == 0 or scalar.raw == 1 or scalar.factor()
        return Met(scalar.x, max(charged - own, 0.0), 0.0 if exact else 1.0)


@cache
def least(dtype: str, scalars: str | None, numerics_class: str) -> Least:
    return Least(dtype, scalars, numerics_class)


MET = ("lr", "beta1", "one_minus_beta1", "beta2", "one_minus_beta2", "eps", "correction1", "root2", "lr_times_old", "lr_times_new",
       "rectifier", "weight_decay", "loss_scale", "one_minus_decay")  # fmt: skip
"""The scalars that the kernel takes, in its order."""

ADAM, HAT, UNRECTIFIED, INFINITY, APART = range(5)
"""What the change of p is divided by: sqrt(v)/root2 + eps; (sqrt(v) + eps)/root2; nothing; the largest
gradient; as the first, along g and along m apart."""


@dataclass(frozen=True, eq=False)
class Plan:
    """How the kernel computes a step: scalars (len(MET), 3), switches, and half of the largest rounding of the class per operation."""

    scalars: Array
    change: int
    amsgrad: bool
    sign: float
    decoupled: bool
    rounding: float
    rounding_div: float
    smallest: float
    largest: float


NOTHING, ONE = Met(0.0, 0.0, 0.0), Met(1.0, 0.0, 0.0)
"""Scalars that a product leaves out."""

DIALECTS = (
    *("torch.SparseAdam", "torch.Adam", "torch.AdamW", "torch.NAdam", "torch.RAdam", "torch.Adamax"),
    *("optax.adam", "optax.adamw", "keras.Adam", "keras.AdamW"),
)
"""The dialects whose steps the kernel computes."""


@lru_cache(maxsize=64)  # parameters of one group share it within a call
def plan_of(
    dialect: str, hyper: Hyper, picks: Picks, t: int, dtype: str, numerics_class: str, scalar_format: str | None = None
) -> Plan | None:
    """The plan of a step in a format, None where the kernel does not compute it. t: the count after the step."""
    if dtype == "float64" or dialect not in DIALECTS:
        return None
    change = {Eps.PAPER: ADAM, Eps.HAT: HAT, Eps.BESIDE_GRADIENT: INFINITY}.get(picks.eps)
    if change is None or picks.direction not in (Direction.M, Direction.NADAM_SCHEDULED):
        return None
    a = least(dtype, scalar_format, numerics_class)
    s = scalars(a, hyper, picks, t)
    rectifies = picks.rectification is not Rectification.NONE
    rectified = rectifies and s.rho.x > RECTIFIED_ABOVE
    if rectifies and abs(s.rho.x - RECTIFIED_ABOVE) <= 4 * s.rho.e[0]:
        return None  # double does not tell on which side of the threshold the exact number is
    format, rounding = FORMATS[dtype], tensor_rounding(FORMATS[dtype])
    k = CLASSES.index(numerics_class)
    met = np.array([getattr(s, name) for name in MET])
    if picks.decay is not Decay.COUPLED_MERGED:
        met[MET.index("weight_decay")] = NOTHING
    if picks.decay is not Decay.DECOUPLED_ALL:
        met[MET.index("one_minus_decay")] = ONE
    return Plan(
        scalars=met,
        change=UNRECTIFIED if rectifies and not rectified else APART if picks.direction in LOOK_AHEAD else change,
        amsgrad=picks.amsgrad is Amsgrad.MAX_V,
        sign=-1.0 if picks.objective is Objective.MAXIMIZE else 1.0,
        decoupled=picks.decay is Decay.DECOUPLED_ALL,
        rounding=float(rounding.relative[k, 0, 0]) / 2,
        rounding_div=float(rounding.relative_div[k, 0, 0]) / 2,
        smallest=format.smallest,
        largest=format.max,
    )
