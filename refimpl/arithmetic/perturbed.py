"""Perturbed: an adversary that computes as inexactly as a numerics class admits, to hold the bounds of `Bounded` against.

Values are kept wider than the format (double; extended precision for float64, where the platform has it). After every
operation some elements are rounded to the format, to nearest or wherever the class admits, in one direction for all or each
on its own, and some are left as they are until the next operation: that is what a fused multiply-add and what double
inside do. `store` always rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..gradients import Array
from ._interface import FORMATS, Format, Number


@dataclass(frozen=True)
class Roundings:
    """What a class admits: scalars rounded first, ulps of + - *, ulps of division and root (0: to nearest), flush to zero."""

    tensor_scalars: bool
    ulps: int
    ulps_div: int
    flushes: bool


ROUNDINGS = {
    "exact-ieee": Roundings(False, 0, 0, False),
    "exact-faithful": Roundings(False, 1, 1, False),
    "tensor-faithful": Roundings(True, 1, 1, False),
    "tensor-approx": Roundings(True, 1, 2, True),
}

_NEARLY_ONE = 1 - 2.0**-9  # extended precision leaves a 53-bit integer at least 10 bits of fraction, so nothing carries over

Rule = Callable[[Array, np.random.Generator], Array]
"""How a multiple of the ulp becomes an integer."""

BRACKET: tuple[Rule, ...] = (
    lambda scaled, rng: np.rint(scaled),
    lambda scaled, rng: np.floor(scaled),
    lambda scaled, rng: np.floor(scaled + _NEARLY_ONE),
    lambda scaled, rng: np.trunc(scaled),
    lambda scaled, rng: np.sign(scaled) * np.floor(np.abs(scaled) + _NEARLY_ONE),
    lambda scaled, rng: np.floor(scaled + rng.random(scaled.shape) * _NEARLY_ONE),
)
"""Faithful roundings of a multiple of the ulp to an integer: what is an integer stays, the rest goes to a neighbour."""


def _to_nearest(scaled: Array, rng: np.random.Generator) -> Array:
    return np.asarray(np.rint(scaled))


def _faithfully(scaled: Array, rng: np.random.Generator) -> Array:
    return BRACKET[rng.integers(len(BRACKET))](scaled, rng)


def _within_1_ulp(scaled: Array, rng: np.random.Generator) -> Array:
    """Faithful, and where the result is exact possibly one off: square roots of squares that miss by an ulp."""
    shift = np.where(scaled == np.rint(scaled), rng.integers(-1, 2, scaled.shape), 0)
    return _keeping_sign(scaled, _faithfully(scaled, rng) + shift)


def _within_2_ulp(scaled: Array, rng: np.random.Generator) -> Array:
    return _keeping_sign(scaled, _faithfully(scaled, rng) + rng.integers(-1, 2, scaled.shape))


def _keeping_sign(scaled: Array, steps: Array) -> Array:
    return np.where(np.sign(steps) * np.sign(scaled) > 0, steps, np.where(scaled == 0, scaled, np.trunc(scaled)))


_ROUND = {0: _to_nearest, 1: _faithfully}
_ROUND_DIV = {0: _to_nearest, 1: _within_1_ulp, 2: _within_2_ulp}


def rounded(x: Array, format: Format, rule: Rule, rng: np.random.Generator) -> Array:
    """x as numbers of a format, by a rule that rounds multiples of the ulp to integers; beyond its largest number, infinity."""
    exponent = np.maximum(np.frexp(x)[1] - 1, format.min_exponent) - (format.precision - 1)
    y = np.ldexp(rule(np.ldexp(x, -exponent), rng), exponent)
    rounded: Array = np.where(np.abs(y) > format.max, np.copysign(np.inf, y), y)
    return rounded


class _Operators:
    """Operators that leave the rounding to `_operate(operation, *operands)`."""

    _operate: Callable[..., Any]

    def __add__(self, other: Any) -> Any:
        return self._operate(np.add, self, other)

    def __sub__(self, other: Any) -> Any:
        return self._operate(np.subtract, self, other)

    def __mul__(self, other: Any) -> Any:
        return self._operate(np.multiply, self, other)

    def __truediv__(self, other: Any) -> Any:
        return self._operate(np.divide, self, other)

    def sqrt(self) -> Any:
        return self._operate(np.sqrt, self)


def _is_power_of_two(x: Array) -> bool:
    return bool((np.abs(np.frexp(x)[0]) == 0.5).all())


class Scalars(_Operators):
    """Independent samples of one scalar, shape (lanes,). is_hyper: whether it is a hyper-parameter, not yet rounded to any format."""

    def __init__(self, x: Array, system: Perturbed, is_hyper: bool = False) -> None:
        self.x, self.system, self.is_hyper = x, system, is_hyper

    def _operate(self, operation: Callable[..., Array], *operands: Scalars) -> Scalars:
        factors = [operand.read() for operand in operands]
        # A product with a power of two is exact: only its conversion to the format rounds it, which is to nearest in every class.
        scales = operation is np.multiply and any(map(_is_power_of_two, factors))
        return self.system.scalar_result(operation(*factors), _to_nearest if scales else self.system.rule(operation))

    def __truediv__(self, other: Scalars) -> Scalars:
        return self if other.is_one() else super().__truediv__(other)

    def sqrt(self) -> Scalars:
        return self if self.is_one() else super().sqrt()

    def is_one(self) -> bool:
        """Whether this is the constant 1, by which nobody divides and whose root nobody takes."""
        return self.is_hyper and bool((self.x == 1).all())

    def read(self) -> Array:
        """The samples as one operation takes them in: a given number as it is, or rounded to the format first."""
        system = self.system
        if not self.is_hyper or not system.roundings.tensor_scalars:
            return self.x
        return system.mixed(self.x, rounded(self.x, system.format, _to_nearest, system.rng))


class Tensor(_Operators):
    """An array of shape (rows, width), or (1, lanes) where it was a scalar; is_one: the constant 1."""

    def __init__(self, x: Array, system: Perturbed, is_one: bool = False) -> None:
        self.x, self.system, self.is_one = x, system, is_one

    def _operate(self, operation: Callable[..., Array], *operands: Tensor) -> Tensor:
        system = self.system
        return Tensor(system.settled(operation(*(system.flushed(operand.x) for operand in operands)), operation), system)

    def __truediv__(self, other: Tensor) -> Tensor:
        return self if other.is_one else super().__truediv__(other)

    def __neg__(self) -> Tensor:
        return Tensor(-self.x, self.system)

    def __getitem__(self, index: Any) -> Tensor:
        return Tensor(self.x[index], self.system)

    def __setitem__(self, index: Any, value: Tensor) -> None:
        self.x[index] = value.x

    def __len__(self) -> int:
        return len(self.x)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.x.shape)


class Perturbed:
    """One admissible implementation of a numerics class, drawn at random operation by operation.

    lanes: how many independent samples of each scalar there are, one per column; 1, or the width of every parameter.
    """

    def __init__(self, dtype: str, numerics_class: str, rng: np.random.Generator, lanes: int = 1) -> None:
        self.format, self.roundings, self.rng, self.lanes = FORMATS[dtype], ROUNDINGS[numerics_class], rng, lanes
        self.wide = np.dtype(np.longdouble if dtype == "float64" else np.float64)
        self.unrounded = float(rng.choice([0.0, 0.2, 0.6]))  # the share of operations whose results stay wide

    def scalar(self, value: float) -> Number:
        return Scalars(np.full(self.lanes, value, np.longdouble), self, is_hyper=True)

    def power(self, base: Number, exponent: int, factor: Number | None = None) -> Number:
        """By pow, or for short runs as a running product."""
        if factor is not None:
            whole = self.scalar_result(np.longdouble(exponent) * factor.read(), self.rule(np.multiply))
            return self.scalar_result(base.read() ** whole.read(), self.rule(np.divide))
        if exponent > LONGEST_PRODUCT or self.rng.random() < 0.5:
            return self.scalar_result(base.read() ** np.longdouble(exponent), self.rule(np.divide))
        product, factor = Scalars(np.ones(self.lanes, np.longdouble), self), Scalars(base.read(), self)
        for _ in range(exponent):
            product = product * factor
        return product

    def kept(self, scalar: Number, dtype: str) -> Number:
        """Rounded to the dtype, or left as it is, as samples go."""
        x = scalar.read()
        return Scalars(self.mixed(x, rounded(x, FORMATS[dtype], _to_nearest, self.rng)), self)

    def from_zero_to(self, scalar: Number) -> Number:
        return Scalars(scalar.read() * self.rng.random(self.lanes), self)

    def choose(self, scalar: Number, threshold: float, above: Callable[[], Number], below: Callable[[], Number]) -> Number:
        """Each sample of the scalar decides for its column."""
        is_above = scalar.read() > threshold
        if is_above.all() or not is_above.any():
            return above() if is_above.all() else below()
        return Tensor(np.where(is_above.reshape(1, -1), above().x, below().x), self)

    def scalar_result(self, x: Array, rule: Rule) -> Scalars:
        """Rounded faithfully to double, or not at all; where the class admits it, to the format instead, by the rule."""
        exact = self.mixed(x, rounded(x, FORMATS["float64"], _faithfully, self.rng))
        if not self.roundings.tensor_scalars:
            return Scalars(exact, self)
        return Scalars(self.mixed(exact, self.flushed(rounded(x, self.format, rule, self.rng))), self)

    def meet(self, scalar: Number) -> Number:
        """Converted to the format, which rounds to nearest in every class, or left wide."""
        x = scalar.read().astype(self.wide)
        return Tensor(
            self._some_left(x, self.flushed(rounded(x, self.format, _to_nearest, self.rng))).reshape(1, -1), self, scalar.is_one()
        )

    def load(self, array: Array) -> Number:
        return Tensor(array.astype(self.wide), self)

    def store(self, tensor: Number, dtype: str | None = None) -> Number:
        x = self.rounded(tensor.x, np.multiply)
        if dtype is not None:
            x = rounded(x, FORMATS[dtype], _ROUND[self.roundings.ulps], self.rng)
        return Tensor(x, self)

    def sqrt(self, x: Number) -> Number:
        if isinstance(x, Tensor):
            # One operation flushed and the next not, or an ulp among subnormals, can leave a v of minus some subnormal. A machine
            # flushes throughout or not at all, and never gets there.
            x = Tensor(np.where((x.x < 0) & (x.x > -self.format.tiny), 0.0, x.x), self)
        return x.sqrt()

    def maximum(self, a: Number, b: Number) -> Number:
        return Tensor(np.maximum(a.x, b.x), self)

    def lerp(self, old: Number, new: Number, weight: Number) -> Number:
        return old + (new - old) * weight

    def fused_rest(self, new: Number, beta: Number, one_minus_beta: Number) -> Number:
        """Where beta is the tensor's, which only `tensor` admits; a product of two doubles is exact in no wider format that there is."""
        if not self.roundings.tensor_scalars or self.format.name == "float64":
            return new * one_minus_beta
        new_x = self.flushed(new.x)
        return Tensor(self.settled(new_x - new_x * self.flushed(beta.x), np.subtract), self)

    def sum_rows(self, values: Number, slot: Array, n: int) -> Number:
        """In a random order, one after the other or as a balanced tree."""
        order = self.rng.permutation(len(slot))
        order = order[np.argsort(slot[order], kind="stable")]
        x, slot = values.x[order], slot[order]
        return Tensor((self._tree if self.rng.random() < 0.5 else self._chain)(x, slot, n), self)

    def _chain(self, x: Array, slot: Array, n: int) -> Array:
        total, rank = np.zeros((n, x.shape[1]), self.wide), _ranks(slot)
        for k in range(rank.max(initial=-1) + 1):
            rows, terms = slot[rank == k], x[rank == k]
            total[rows] = terms if k == 0 else self.settled(self.flushed(total[rows]) + self.flushed(terms), np.add)
        return total

    def _tree(self, x: Array, slot: Array, n: int) -> Array:
        while (odd := _ranks(slot) % 2 == 1).any():
            right = np.flatnonzero(odd)
            x = x.copy()
            x[right - 1] = self.settled(self.flushed(x[right - 1]) + self.flushed(x[right]), np.add)
            x, slot = x[~odd], slot[~odd]
        total = np.zeros((n, x.shape[1]), self.wide)
        total[slot] = x
        return total

    def row_mean(self, values: Number) -> Number:
        rows, width = values.shape
        columns = Tensor(values.x.reshape(-1, 1), self)
        return self.sum_rows(columns, np.repeat(np.arange(rows), width), rows) / Tensor(np.full((1, 1), width, self.wide), self)

    def join(self, alternatives: Sequence[Number]) -> Number:
        """Each element by any of the formulations."""
        pick = self.rng.integers(len(alternatives), size=alternatives[0].shape)
        return Tensor(np.choose(pick, [alternative.x for alternative in alternatives]), self)

    def settled(self, x: Array, operation: Callable[..., Array]) -> Array:
        """The result of an operation: rounded as the class admits, or left wide, all of it or here and there."""
        return self._some_left(x, self.rounded(x, operation))

    def _some_left(self, x: Array, y: Array) -> Array:
        drawn = self.rng.random()
        if drawn < self.unrounded / 2:
            return x
        return self.mixed(x, y, self.unrounded / 2) if drawn < 0.5 else y

    def rounded(self, x: Array, operation: Callable[..., Array]) -> Array:
        return self.flushed(rounded(x, self.format, self.rule(operation), self.rng))

    def rule(self, operation: Callable[..., Array]) -> Rule:
        return _ROUND_DIV[self.roundings.ulps_div] if operation in (np.divide, np.sqrt) else _ROUND[self.roundings.ulps]

    def flushed(self, x: Array) -> Array:
        """Numbers below the smallest normal set to zero: all, some or none of them."""
        if not self.roundings.flushes:
            return x
        small = (np.abs(x) < self.format.tiny) & (x != 0)
        if not small.any():
            return x
        return np.where(small & (self.rng.random(x.shape) < self.rng.choice([0.0, 0.5, 1.0])), 0.0, x)

    def mixed(self, x: Array, y: Array, share: float = 0.5) -> Array:
        """Elements of x with this probability, else of y."""
        return np.where(self.rng.random(np.shape(x)) < share, x, y)


LONGEST_PRODUCT = 64
"""Beyond this exponent a running product is left out: it would take longer than the step that it is for."""


def _ranks(slot: Array) -> Array:
    """0, 1, 2 ... within each run of equal numbers of a sorted array."""
    starts = np.flatnonzero(np.r_[True, slot[1:] != slot[:-1]]) if len(slot) else np.zeros(0, np.int64)
    return np.arange(len(slot)) - np.repeat(starts, np.diff(np.r_[starts, len(slot)]))
