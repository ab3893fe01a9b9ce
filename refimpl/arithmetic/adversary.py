"""Adversary: an admissible computation whose every rounding pushes one result the same way, to see how loose a bound is.

A first pass computes without roundings and keeps, for each result, the derivative of the target with respect to it (reverse
accumulation). A second pass makes the same operations again, and rounds each in the direction that moves the target as it is asked for,
as far as the class admits: to nearest, or not at all where that would push back; to the neighbour on that side; an ulp beyond.
To first order no computation with these formulas gets farther from the exact result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..gradients import Array
from ._interface import FORMATS, Number
from .perturbed import LONGEST_PRODUCT, ROUNDINGS

Backward = Callable[[Array], Array]

_NEARLY_ONE = 1 - 2.0**-9  # extended precision leaves a 53-bit integer at least 10 bits of fraction, so nothing carries over


class Numbers:
    """A tensor of shape (rows, width), or independent samples of one scalar, shape (lanes,), with the operation that made it.

    is_hyper: whether it is a hyper-parameter, not yet rounded to any format.
    """

    def __init__(self, x: Array, node: int, system: Adversary, is_hyper: bool = False) -> None:
        self.x, self.node, self.system, self.is_hyper = x, node, system, is_hyper

    def __add__(self, other: Numbers) -> Numbers:
        return self.system.operate(np.add, (self, other), lambda a, b, x: (np.ones_like(a), np.ones_like(b)))

    def __sub__(self, other: Numbers) -> Numbers:
        return self.system.operate(np.subtract, (self, other), lambda a, b, x: (np.ones_like(a), -np.ones_like(b)))

    def __mul__(self, other: Numbers) -> Numbers:
        return self.system.operate(np.multiply, (self, other), lambda a, b, x: (b, a))

    def __truediv__(self, other: Numbers) -> Numbers:
        if other.is_hyper and (other.x == 1).all():
            return self
        return self.system.operate(np.divide, (self, other), lambda a, b, x: (1 / b, -x / b))

    def __neg__(self) -> Numbers:
        return Numbers(-self.x, self.system.emit(self.x.shape, [(self.node, np.negative)]), self.system)

    def __getitem__(self, index: Any) -> Numbers:
        shape = self.x.shape

        def spread(adjoint: Array) -> Array:
            whole = np.zeros(shape)
            np.add.at(whole, index, adjoint)
            return whole

        x = self.x[index]
        return Numbers(x, self.system.emit(x.shape, [(self.node, spread)]), self.system)

    def __setitem__(self, index: Any, value: Numbers) -> None:
        def kept(adjoint: Array) -> Array:
            rest = adjoint.copy()
            rest[index] = 0.0
            return rest

        self.x[index] = value.x
        self.node = self.system.emit(self.x.shape, [(self.node, kept), (value.node, lambda adjoint: adjoint[index])])

    def __len__(self) -> int:
        return len(self.x)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.x.shape)


class Adversary:
    """One pass. directions: of each operation's result, as `directions` gives them; None for the first pass, which rounds nothing."""

    def __init__(self, dtype: str, numerics_class: str, lanes: int = 1, directions: Mapping[int, Array] | None = None) -> None:
        self.format, self.roundings, self.lanes = FORMATS[dtype], ROUNDINGS[numerics_class], lanes
        self.wide = np.dtype(np.longdouble if dtype == "float64" else np.float64)
        self._directions = directions
        self._tape: list[tuple[tuple[int, ...], Sequence[tuple[int, Backward]]]] = []
        self._count = 0

    def emit(self, shape: tuple[int, ...], parents: Sequence[tuple[int, Backward]]) -> int:
        """The number of a new result, and in the first pass what its derivative adds to those of its operands."""
        if self._directions is None:
            self._tape.append((shape, parents))
        self._count += 1
        return self._count - 1

    def directions(self, targets: Sequence[tuple[int, Array]]) -> dict[int, Array]:
        """Of each result, the sign of the derivative of the weighted sum of the targets (the number of a result, and weights)."""
        adjoints: dict[int, Array] = {}
        for target, weight in targets:
            adjoints[target] = adjoints.get(target, 0.0) + np.asarray(weight, np.float64)
        signs = {}
        for node in range(max(adjoints, default=-1), -1, -1):
            adjoint = adjoints.pop(node, None)
            if adjoint is None:
                continue
            signs[node] = np.sign(adjoint).astype(np.int8)
            for parent, backward in self._tape[node][1]:
                with np.errstate(all="ignore"):
                    part = _summed(np.nan_to_num(np.asarray(backward(adjoint), np.float64)), self._tape[parent][0])
                adjoints[parent] = adjoints[parent] + part if parent in adjoints else part
        return signs

    def operate(self, operation: Callable[..., Array], operands: Sequence[Numbers], partials: Callable[..., Sequence[Array]]) -> Numbers:
        read = [self._read(operand) for operand in operands]
        x = operation(*(operand.x for operand in read))
        slopes = partials(*(operand.x for operand in read), x) if self._directions is None else [None] * len(read)
        parents = [(operand.node, lambda adjoint, slope=slope: adjoint * slope) for operand, slope in zip(read, slopes)]
        node = self.emit(x.shape, parents)
        inexact = operation in (np.divide, np.sqrt, np.power)
        return Numbers(self._rounded_scalar(x, node, inexact) if x.ndim == 1 else self._rounded(x, node, inexact), node, self)

    def _read(self, number: Numbers) -> Numbers:
        """A hyper-parameter as one operation takes it in, in `tensor` converted or not; a subnormal operand, flushed or not."""
        if not (self.roundings.flushes if number.x.ndim == 2 else number.is_hyper and self.roundings.tensor_scalars):
            return number
        node = self.emit(number.x.shape, [(number.node, lambda adjoint: adjoint)])
        if number.x.ndim == 1:
            return Numbers(self._pushed(number.x, self._to_nearest(number.x), node), node, self)
        return Numbers(self._flushed(number.x, node), node, self)

    def _direction(self, node: int, shape: tuple[int, ...]) -> Array:
        assert self._directions is not None
        return self._directions.get(node, np.zeros(shape, np.int8))

    def _pushed(self, x: Array, y: Array, node: int) -> Array:
        """y where it lies on the side of x that pushes the target, else x."""
        if self._directions is None:
            return x
        return np.asarray(np.where((y - x) * self._direction(node, x.shape) > 0, y, x))

    def _flushed(self, x: Array, node: int) -> Array:
        small = (np.abs(x) < self.format.tiny) & (x != 0)
        return np.where(small, self._pushed(x, np.zeros_like(x), node), x) if self.roundings.flushes and small.any() else x

    def _rounded_scalar(self, x: Array, node: int, inexact: bool) -> Array:
        """In double, which is as good as exact, or in `tensor` rounded to the format."""
        return self._rounded(x, node, inexact) if self.roundings.tensor_scalars else x

    def _exponent(self, x: Array) -> Array:
        return np.asarray(np.maximum(np.frexp(x)[1] - 1, self.format.min_exponent) - (self.format.precision - 1))

    def _to_nearest(self, x: Array) -> Array:
        exponent = self._exponent(x)
        return np.asarray(np.ldexp(np.rint(np.ldexp(x, -exponent)), exponent))

    def _rounded(self, x: Array, node: int, inexact: bool) -> Array:
        """A result pushed as far as the class admits."""
        if self._directions is None:
            return x
        ulps = self.roundings.ulps_div if inexact else self.roundings.ulps
        direction = self._direction(node, x.shape)
        if not ulps:
            return self._pushed(x, self._to_nearest(x), node)
        exponent = self._exponent(x)
        scaled = np.ldexp(x, -exponent)
        up, down = np.floor(scaled + _NEARLY_ONE), np.floor(scaled)
        if inexact:  # the last ulp that is still within reach, which may be past a result that is exact
            up, down = np.floor(scaled + ulps), np.ceil(scaled - ulps)
        pushed = np.where(direction > 0, up, np.where(direction < 0, down, np.rint(scaled)))
        pushed = np.where(np.sign(pushed) * np.sign(scaled) > 0, pushed, np.where(scaled == 0, scaled, np.trunc(scaled)))  # keeps the sign
        return self._flushed(np.ldexp(pushed, exponent), node)

    def scalar(self, value: float) -> Number:
        return Numbers(np.full(self.lanes, value, self.wide), self.emit((self.lanes,), []), self, is_hyper=True)

    def power(self, base: Numbers, exponent: int, factor: Numbers | None = None) -> Number:
        """By pow, or for short runs as a running product, every factor of which is rounded the same way."""
        if factor is not None:
            y = self.scalar(float(exponent)) * factor
            return self.operate(np.power, (base, y), lambda b, y, x: (y * x / b, x * np.log(b)))
        if not exponent or exponent > LONGEST_PRODUCT or not self.roundings.tensor_scalars:
            t = self.wide.type(exponent)
            return self.operate(
                np.power, (base, Numbers(np.full(self.lanes, t), self.emit((self.lanes,), []), self)), lambda b, t, x: (t * x / b, 0 * b)
            )
        product = Numbers(np.ones(self.lanes, self.wide), self.emit((self.lanes,), []), self)
        factor = self._read(base)
        for _ in range(exponent):
            product = self.operate(np.multiply, (product, factor), lambda a, b, x: (b, a))
        return product

    def kept(self, scalar: Numbers, dtype: str) -> Number:
        """Rounded to nearest in the dtype where that pushes the target."""
        node = self.emit(scalar.x.shape, [(scalar.node, lambda adjoint: adjoint)])
        return Numbers(self._pushed(scalar.x, scalar.x.astype(dtype).astype(self.wide), node), node, self)

    def from_zero_to(self, scalar: Numbers) -> Number:
        return scalar * self.scalar(0.0)

    def choose(self, scalar: Numbers, threshold: float, above: Callable[[], Number], below: Callable[[], Number]) -> Number:
        return above() if (scalar.x > threshold).all() else below()

    def meet(self, scalar: Numbers) -> Number:
        read = self._read(scalar)
        node = self.emit((1, len(read.x)), [(read.node, lambda adjoint: adjoint.reshape(-1))])
        x = read.x.astype(self.wide).reshape(1, -1)
        return Numbers(self._flushed(self._pushed(x, self._to_nearest(x), node), node), node, self, scalar.is_hyper)

    def load(self, array: Array) -> Number:
        return Numbers(array.astype(self.wide), self.emit(array.shape, []), self)

    def store(self, tensor: Numbers, dtype: str | None = None) -> Number:
        """Rounded to nearest, or as far as the class admits a last operation to be rounded."""
        node = self.emit(tensor.x.shape, [(tensor.node, lambda adjoint: adjoint)])
        if self._directions is None:
            return Numbers(tensor.x, node, self)
        exact = self._to_nearest(tensor.x) == tensor.x
        stored = np.where(exact, tensor.x, self._to_nearest(tensor.x) if not self.roundings.ulps else self._rounded(tensor.x, node, False))
        return Numbers(np.where(np.abs(stored) > self.format.max, np.copysign(np.inf, stored), stored), node, self)

    def sqrt(self, x: Numbers) -> Number:
        if x.is_hyper and (x.x == 1).all():
            return x
        clipped = Numbers(np.maximum(x.x, 0), x.node, self, x.is_hyper)
        return self.operate(np.sqrt, (clipped,), lambda a, x: (0.5 / np.where(x > 0, x, np.inf),))

    def maximum(self, a: Numbers, b: Numbers) -> Number:
        first = a.x >= b.x
        node = self.emit(np.broadcast_shapes(a.x.shape, b.x.shape), [(a.node, lambda d: d * first), (b.node, lambda d: d * ~first)])
        return Numbers(np.maximum(a.x, b.x), node, self)

    def lerp(self, old: Number, new: Number, weight: Number) -> Number:
        return old + (new - old) * weight

    def fused_rest(self, new: Number, beta: Number, one_minus_beta: Number) -> Number:
        return new * one_minus_beta

    def sum_rows(self, values: Numbers, slot: Array, n: int) -> Number:
        """One after the other: those of one sign first, the largest in front, so that the partial sums are as large as can be."""
        width = values.shape[1]
        total = Numbers(np.zeros((n, width), self.wide), self.emit((n, width), []), self)
        size = np.where(values.x[:, 0] > 0, -1, 1) * np.abs(values.x[:, 0]) if len(slot) else np.zeros(0)
        order = np.lexsort((np.where(size < 0, size, -size), size > 0, slot))
        rank = np.arange(len(slot)) - np.searchsorted(slot[order], slot[order])
        for k in range(int(rank.max(initial=-1)) + 1):
            at, rows = order[rank == k], slot[order[rank == k]]
            total[rows] = values[at] if k == 0 else total[rows] + values[at]
        return total

    def row_mean(self, values: Numbers) -> Number:
        rows, width = values.shape
        node = self.emit((rows * width, 1), [(values.node, lambda adjoint: adjoint.reshape(rows, width))])
        columns = Numbers(values.x.reshape(-1, 1), node, self)
        return self.sum_rows(columns, np.repeat(np.arange(rows), width), rows) / self.meet(self.scalar(float(width)))

    def join(self, alternatives: Sequence[Number]) -> Number:
        (only,) = alternatives
        return only


def _summed(part: Array, shape: tuple[int, ...]) -> Array:
    """A derivative summed over the axes along which the operand was repeated."""
    if part.shape == shape:
        return part
    axes = tuple(k for k, (long, short) in enumerate(zip(part.shape, shape)) if short == 1 and long != 1)
    summed: Array = part.sum(axis=axes, keepdims=True)
    return np.broadcast_to(summed, shape) if summed.shape != shape else summed
