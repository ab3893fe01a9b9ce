"""Rules by which tools call two arrays close: tolerances per element, and rules about a whole array.

Each measure is an *excess*: at most 1 where the rule accepts, above 1 where it refuses. Beside it stands how large the excess of a
result can be that is within a bound of the expectation: where that is at most 1, the rule accepts every correct implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..case import ARRAYS
from ..common.tables import read_table
from ..errors import UsageError, did_you_mean
from ..gradients import Array

Limits = tuple[float, ...]
"""The numbers of a rule, in the order that its kind says."""


@dataclass(frozen=True)
class Kind:
    """A way to compare. words: with the names of the limits in braces.

    excess: (result, expectation, limits), most: (expectation, bound, limits), see the top of this module; of one array at one step,
    without elements that are not finite. ratios: (distance, expectation, limits), where each element is judged without the others: its
    own excess.
    """

    limits: tuple[str, ...]
    words: str
    excess: Callable[[Array, Array, Limits], float]
    most: Callable[[Array, Array, Limits], float]
    ratios: Callable[[Array, Array, Limits], Array] | None = None


@dataclass(frozen=True)
class Rule:
    """A rule of a tool. by_dtype: the limits, by the dtype of an array; arrays: what the tool compares; source: where that was read."""

    name: str
    about: str
    kind: str
    by_dtype: Mapping[str, Limits]
    arrays: tuple[str, ...] = ARRAYS
    source: str = ""

    def limits(self, dtype: str) -> Limits | None:
        """The limits for arrays of a dtype; None where the tool has none."""
        return self.by_dtype.get(dtype, self.by_dtype.get(ANY))

    def words(self, dtype: str) -> str:
        """The rule as a formula in x, the result, and e, the expectation."""
        limits = self.limits(dtype)
        kind = KINDS[self.kind]
        return "no rule" if limits is None else kind.words.format(**{name: f"{limit:g}" for name, limit in zip(kind.limits, limits)})

    def excess(self, x: Array, e: Array, dtype: str) -> float:
        """At most 1 where the rule accepts x for e; 0 where it has nothing to say about this dtype."""
        limits = self.limits(dtype)
        return KINDS[self.kind].excess(x, e, limits) if limits is not None and x.size else 0.0

    def ratios(self, x: Array, e: Array, dtype: str) -> Array:
        """The excess of each element; where the rule judges a whole array, how far each is away."""
        limits = self.limits(dtype)
        own = KINDS[self.kind].ratios
        return np.abs(x - e) if own is None or limits is None else own(np.abs(x - e), e, limits)

    def most(self, e: Array, bound: Array, dtype: str) -> float:
        """A number that the excess of no x with |x - e| <= bound is above."""
        limits = self.limits(dtype)
        return KINDS[self.kind].most(e, bound, limits) if limits is not None and e.size else 0.0


ANY = "any"
"""The key of limits that hold for every dtype."""


def elementwise(rtol: float, atol: float, arrays: tuple[str, ...] = ARRAYS) -> Rule:
    """|x - e| <= atol + rtol |e| in every element, whatever the dtype."""
    return Rule("tolerance", "the tolerance that was asked for", "elements", {ANY: (rtol, atol)}, arrays)


def ratio(distance: Array | float, allowed: Array | float) -> Array:
    """distance / allowed; 0 where nothing is away, inf where something is and nothing is allowed."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(distance == 0, 0.0, np.asarray(distance) / allowed)


def _of_elements(distance: Array, e: Array, limits: Limits) -> Array:
    rtol, atol = limits
    return ratio(distance, atol + rtol * np.abs(e))


def _of_both(distance: Array, e: Array, limits: Limits) -> Array:
    absolute, relative = limits
    return np.maximum(ratio(distance, absolute), ratio(distance, relative * np.abs(e)))


def _of_mean(distance: Array, e: Array, limits: Limits) -> float:
    return float(ratio(distance.mean(), limits[0]))


def _means_apart(difference: Array, e: Array, limits: Limits) -> float:
    rtol, atol = limits
    return float(ratio(abs(difference.mean()), atol + rtol * abs(e.mean())))


def _norms_apart(x: Array, e: Array, limits: Limits) -> float:
    return float(ratio(abs(norm(x) - norm(e)), limits[0] * norm(e)))


def norm(x: Array) -> float:
    """The Euclidean norm, without overflow or underflow of the squares."""
    scale = float(np.max(np.abs(x), initial=0.0))
    return scale * float(np.sqrt(np.sum(np.square(x / scale)))) if scale else 0.0


NO_NORM = float(np.finfo(float).eps)
"""An array whose norm is not above this counts as zeros in msprobe: then no cosine is near or far, and the largest error alone decides."""


def _cosine(x: Array, e: Array, limits: Limits) -> float:
    """msprobe: refused where cosine and largest error are both beyond the near limits, or either is beyond its far one."""
    if e.size == 1:
        return 0.0  # msprobe has no cosine of a single number, and then finds nothing wrong
    zeros = norm(x) <= NO_NORM, norm(e) <= NO_NORM
    away = 0.0 if any(zeros) else max(1 - float(np.dot(x / norm(x), e / norm(e))), 0.0)
    return _beyond(away, float(np.max(np.abs(x - e))), limits)


def _most_cosine(e: Array, bound: Array, limits: Limits) -> float:
    return 0.0 if e.size == 1 else _beyond(_most_away(norm(e), norm(bound)), float(np.max(bound)), limits)


def _most_away(length: float, error: float) -> float:
    """The most by which a cosine can be below 1: at the tangent from e, of this length, to a ball about it of radius `error`."""
    if length <= NO_NORM:
        return 0.0
    return 1 - float(np.sqrt(1 - (error / length) ** 2)) if error < length else 2.0


def _beyond(away: float, error: float, limits: Limits) -> float:
    cosine, absolute, far_cosine, far_absolute = limits
    return max(min(away / (1 - cosine), error / absolute), away / (1 - far_cosine), error / far_absolute)


def _by_element(limits: tuple[str, ...], words: str, ratios: Callable[[Array, Array, Limits], Array]) -> Kind:
    def worst(distance: Array, e: Array, given: Limits) -> float:
        return float(np.max(ratios(distance, e, given), initial=0.0))

    return Kind(limits, words, lambda x, e, given: worst(np.abs(x - e), e, given), lambda e, bound, given: worst(bound, e, given), ratios)


KINDS: dict[str, Kind] = {
    "elements": _by_element(("rtol", "atol"), "|x - e| <= {atol} + {rtol} |e|", _of_elements),
    "both": _by_element(("absolute", "relative"), "|x - e| <= {absolute}, and <= {relative} |e|", _of_both),
    "mean_difference": Kind(
        ("threshold",),
        "the mean of |x - e| <= {threshold}",
        lambda x, e, limits: _of_mean(np.abs(x - e), e, limits),
        lambda e, bound, limits: _of_mean(bound, e, limits),
    ),
    "means": Kind(
        ("rtol", "atol"),
        "|mean(x) - mean(e)| <= {atol} + {rtol} |mean(e)|",
        lambda x, e, limits: _means_apart(x - e, e, limits),
        lambda e, bound, limits: _means_apart(bound, e, limits),
    ),
    "norms": Kind(
        ("share",),
        "| ||x|| - ||e|| | <= {share} ||e||",
        _norms_apart,
        lambda e, bound, limits: float(ratio(norm(bound), limits[0] * norm(e))),
    ),
    "cosine": Kind(
        ("cosine", "absolute", "far_cosine", "far_absolute"),
        "cos(x, e) >= {cosine} or max |x - e| <= {absolute}; and cos >= {far_cosine}, max <= {far_absolute}",
        _cosine,
        _most_cosine,
    ),
}
"""Every way to compare. Differences are taken before means, so that what cancels in a mean cancels here too."""


@cache
def rules() -> Mapping[str, Rule]:
    """The rules of real tools and suites, by name, in the order of their table."""
    return {name: _rule(name, row) for name, row in read_table(__package__, "rules.yaml").items()}


def rule(name: str) -> Rule:
    """The rule of this name; raises UsageError with the names that may be meant."""
    if name not in rules():
        raise UsageError(f"no preset {name!r}", did_you_mean(name, rules()) or f"choose from {', '.join(rules())}")
    return rules()[name]


def _rule(name: str, row: Mapping[str, Any]) -> Rule:
    kind = KINDS[row["kind"]]
    limits = {dtype: tuple(float(given[key]) for key in kind.limits) for dtype, given in row["limits"].items()}
    return Rule(name, row["about"], row["kind"], limits, tuple(row.get("arrays", ARRAYS)), row["source"])
