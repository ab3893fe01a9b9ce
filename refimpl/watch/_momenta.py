"""NAdam's product of momenta as a state keeps it, held against that of constant settings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from ..arithmetic import FORMATS

FLOAT32 = FORMATS["float32"]


@cache
def _products(beta1: float, momentum_decay: float) -> list[float]:
    """mu(1)...mu(t) for every t that was asked for so far, in double."""
    return [1.0]


def product(beta1: float, momentum_decay: float, t: int) -> float:
    """mu(1)...mu(t), where mu(k) = beta1 (1 - 0.96^(k momentum_decay)/2)."""
    known = _products(beta1, momentum_decay)
    for k in range(len(known), t + 1):
        if known[-1] == 0.0:
            return 0.0
        known.append(known[-1] * beta1 * (1.0 - 0.5 * 0.96 ** (k * momentum_decay)))
    return known[min(t, len(known) - 1)]


def is_product(state: Mapping[str, Any], group: Mapping[str, Any], count: float) -> bool:
    """Whether `mu_product` is that of these settings: t roundings to float32 and as many of double, and where it underflows the smallest.

    A product of t factors, each rounded, is off by t u relative (Higham 2002, lemma 3.1), doubled here for what a factor is off in double;
    each factor is below 1, so that what an underflow adds is never more than t times the smallest number.
    """
    if "mu_product" not in state or not float(count).is_integer() or count < 0:
        return False
    expected = product(float(group["betas"][0]), float(group["momentum_decay"]), int(count))
    allowed = 2 * (count + 1) * (FLOAT32.u * expected + FLOAT32.smallest)
    return abs(float(state["mu_product"]) - expected) <= allowed
