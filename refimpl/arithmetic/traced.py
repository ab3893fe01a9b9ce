"""Traced: several number systems in lockstep, and for every number the expression that computed it.

The reference runs in it as in any other; the formulas that it evaluates can be read from the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from operator import add, mul, neg, sub, truediv
from typing import Any

import numpy as np

from ..gradients import Array
from ._interface import Arithmetic, Number
from .compensation import Pair, pair, taken_from_pair

_SERIAL = count()


class Term:
    """One operation: its operands, its result in each number system, and an optional name.

    index: the rows of a "take" or a "write", the slots of a "sum", the exponent of a "power"; serial: orders terms as they were computed.
    """

    __slots__ = ("index", "name", "operation", "parts", "serial", "values")

    def __init__(self, operation: str, parts: tuple[Term, ...], values: tuple[Number, ...], index: Any = None, name: str = "") -> None:
        self.operation, self.parts, self.values, self.index, self.name = operation, parts, values, index, name
        self.serial = next(_SERIAL)


class Traced:
    """A number in all systems. Assigning to its rows changes the number, never a term that was computed from it before."""

    __slots__ = ("term",)

    def __init__(self, operation: str, parts: tuple[Traced, ...], values: tuple[Number, ...], index: Any = None) -> None:
        self.term: Term = Term(operation, tuple(part.term for part in parts), values, index)

    @property
    def values(self) -> tuple[Number, ...]:
        return self.term.values

    def __len__(self) -> int:
        return len(self.values[0])

    def __getitem__(self, index: Any) -> Traced:
        return Traced("take", (self,), tuple(value[index] for value in self.values), index)

    def __setitem__(self, index: Any, new: Traced) -> None:
        for mine, theirs in zip(self.values, new.values):
            mine[index] = theirs
        self.term = Term("write", (self.term, new.term), self.values, index)

    def __neg__(self) -> Traced:
        return Traced("neg", (self,), tuple(map(neg, self.values)))

    def __add__(self, other: Traced) -> Traced:
        return self._with("+", add, other)

    def __sub__(self, other: Traced) -> Traced:
        return self._with("-", sub, other)

    def __mul__(self, other: Traced) -> Traced:
        return self._with("*", mul, other)

    def __truediv__(self, other: Traced) -> Traced:
        return self._with("/", truediv, other)

    def _with(self, operation: str, compute: Callable[[Number, Number], Number], other: Traced) -> Traced:
        return Traced(operation, (self, other), tuple(map(compute, self.values, other.values)))


class Lockstep:
    """The number systems that a trace runs in, the first of which is shown.

    The first alternative of a `join` is the one that is written down and that the first system computes; the others are all that
    are joined in the remaining systems. So a form to be shown is named twice: in front, and in its place.
    """

    def __init__(self, *systems: Arithmetic) -> None:
        self.systems = systems

    def _made(self, operation: str, parts: tuple[Traced, ...], compute: Callable[..., Number], index: Any = None) -> Traced:
        operands = [part.values for part in parts]
        values = tuple(compute(system, *(values_of[k] for values_of in operands)) for k, system in enumerate(self.systems))
        return Traced(operation, parts, values, index)

    def scalar(self, value: float) -> Number:
        return self._made("scalar", (), lambda system: system.scalar(value))

    def power(self, base: Traced, exponent: int, factor: Traced | None = None) -> Number:
        if factor is None:
            return self._made("power", (base,), lambda system, number: system.power(number, exponent), exponent)
        return self._made("power", (base, factor), lambda system, number, by: system.power(number, exponent, by), exponent)

    def kept(self, scalar: Traced, dtype: str) -> Number:
        return self._made("kept", (scalar,), lambda system, number: system.kept(number, dtype), dtype)

    def from_zero_to(self, scalar: Traced) -> Number:
        return self._made("from zero to", (scalar,), lambda system, number: system.from_zero_to(number))

    def choose(self, scalar: Traced, threshold: float, above: Callable[[], Number], below: Callable[[], Number]) -> Number:
        """What is shown is the computation that the first system chooses; each system has the value of its own choice."""
        computed: dict[bool, Traced] = {}

        def branch(is_above: bool) -> Traced:
            if is_above not in computed:
                computed[is_above] = above() if is_above else below()
            return computed[is_above]

        def value(k: int) -> Number:
            system = self.systems[k]
            return system.choose(scalar.values[k], threshold, lambda: branch(True).values[k], lambda: branch(False).values[k])

        shown = branch(self.systems[0].choose(scalar.values[0], threshold, lambda: True, lambda: False))
        made = Traced(shown.term.operation, (), tuple(map(value, range(len(self.systems)))), shown.term.index)
        made.term.parts, made.term.name = shown.term.parts, shown.term.name
        return made

    def meet(self, scalar: Traced) -> Number:
        return self._made("meet", (scalar,), lambda system, number: system.meet(number))

    def load(self, array: Array) -> Number:
        return self._made("load", (), lambda system: system.load(array))

    def store(self, tensor: Number, dtype: str | None = None) -> Number:
        return tensor if dtype is None else self._made("store", (tensor,), lambda system, number: system.store(number, dtype), dtype)

    def pair(self, tensor: Traced, kept: Pair) -> Number:
        return self._made("store", (tensor,), lambda system, number: pair(system, number, kept), kept.high)

    def taken_from_pair(self, tensor: Traced, change: Traced, kept: Pair) -> Number:
        return self._made("-", (tensor, change), lambda system, number, by: taken_from_pair(system, number, by, kept))

    def sqrt(self, x: Traced) -> Number:
        return self._made("sqrt", (x,), lambda system, number: system.sqrt(number))

    def maximum(self, a: Traced, b: Traced) -> Number:
        return self._made("max", (a, b), lambda system, first, second: system.maximum(first, second))

    def lerp(self, old: Traced, new: Traced, weight: Traced) -> Number:
        return self._made("lerp", (old, new, weight), lambda system, *numbers: system.lerp(*numbers))

    def fused_rest(self, new: Traced, beta: Traced, one_minus_beta: Traced) -> Number:
        return self._made("fused rest", (new, beta, one_minus_beta), lambda system, *numbers: system.fused_rest(*numbers))

    def sum_rows(self, values: Traced, slot: Array, n: int) -> Number:
        return self._made("sum", (values,), lambda system, number: system.sum_rows(number, slot, n), np.asarray(slot))

    def row_mean(self, values: Traced) -> Number:
        return self._made("mean", (values,), lambda system, number: system.row_mean(number))

    def join(self, alternatives: Sequence[Traced]) -> Number:
        shown, rest = alternatives[0], alternatives[1:]
        joined = (system.join([alternative.values[k] for alternative in rest]) for k, system in enumerate(self.systems[1:], start=1))
        made = Traced(shown.term.operation, (), (shown.values[0], *joined), shown.term.index)
        made.term.parts, made.term.name = shown.term.parts, shown.term.name
        return made
