"""Reading formulas back out of a trace: one element's computation as expressions over the names of the paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from ..arithmetic.traced import Term


@dataclass(frozen=True)
class Element:
    """One row of a term: the operation that computed it, and the term that holds its numbers, as they were when they were taken."""

    term: Term
    row: int
    held: Term
    held_row: int

    @property
    def key(self) -> tuple[int, int]:
        """Orders elements as they were computed."""
        return self.term.serial, self.row


def element(term: Term, row: int) -> Element:
    """What computed a row of a term: past everything that only moves rows about, and past a sum of one occurrence.

    A scalar is the same for every row: its only one is 0.
    """
    row = row if np.ndim(term.values[0]) else 0
    held, held_row = term, row
    while step := MOVES.get(term.operation, _stays)(term, row):
        term, row, has_copy = step
        if has_copy:
            held, held_row = term, row
    return Element(term, row, held, held_row)


Move = tuple[Term, int, bool] | None
"""Where a row comes from, and whether its numbers are to be read there (an array that is written to does not keep them)."""


def _stays(term: Term, row: int) -> Move:
    return None


def _taken(term: Term, row: int) -> Move:
    return term.parts[0], int(_rows(term)[row]), False


def _written(term: Term, row: int) -> Move:
    found = np.flatnonzero(_rows(term) == row)
    return (term.parts[1], int(found[-1]), True) if len(found) else (term.parts[0], row, False)


def _met(term: Term, row: int) -> Move:
    return term.parts[0], row, False


def _summed(term: Term, row: int) -> Move:
    slots = np.flatnonzero(term.index == row)
    return (term.parts[0], int(slots[0]), False) if len(slots) == 1 else None


def _rows(term: Term) -> Any:
    return np.arange(len(term.parts[0].values[0]))[term.index]


MOVES: dict[str, Callable[[Term, int], Move]] = {"take": _taken, "write": _written, "meet": _met, "sum": _summed}


@dataclass(frozen=True)
class Expression:
    """An operation and its operands, or a name or a number (of an element)."""

    operation: str
    operands: tuple[Expression, ...] = ()
    of: Element | None = None
    exponent: int = 0

    @property
    def is_atom(self) -> bool:
        return self.operation in ("name", "number")

    @property
    def is_scalar(self) -> bool:
        if self.of is not None:
            return bool(np.ndim(self.of.held.values[0]) == 0)
        return all(one.is_scalar for one in self.operands)

    def names(self) -> Iterator[Element]:
        """The elements that it names."""
        if self.operation == "name" and self.of is not None:
            yield self.of
        for one in self.operands:
            yield from one.names()


GIVEN = ("state", "load", "scalar")
"""Operations that compute nothing."""

SUMMED = 6
"""A sum of more occurrences than this is not written out."""


def written(of: Element) -> Expression:
    """How an element was computed: down to named elements, and without factors that are 1."""
    term = of.term
    if term.operation in GIVEN:
        return Expression("name" if term.name else "number", of=of)
    if term.operation == "mean":
        return Expression("mean", of=of)
    if term.operation == "sum":
        return _sum(of)
    operands = tuple(_reference(element(part, of.row)) for part in term.parts)
    return FOLDED.get(term.operation, _kept)(term, operands)


def _reference(of: Element) -> Expression:
    """An element inside a formula: by its name if it has one, and something is computed under that name."""
    return Expression("name", of=of) if of.term.name and not _collapses(of) else written(of)


def _collapses(of: Element) -> bool:
    """Whether an element is one that is given, but for factors of 1; without writing out what it was computed of."""
    operation = of.term.operation
    if operation in GIVEN or not np.ndim(of.term.values[0]):
        return written(of).is_atom
    if operation not in ("*", "/"):
        return False
    left, right = (element(part, of.row) for part in of.term.parts)
    return (_is_unit(right) and _collapses(left)) or (operation == "*" and _is_unit(left) and _collapses(right))


def _is_unit(of: Element) -> bool:
    return not np.ndim(of.term.values[0]) and _is_one(written(of))


def _sum(of: Element) -> Expression:
    slots = np.flatnonzero(of.term.index == of.row)
    if len(slots) > SUMMED:
        return Expression("many", (_occurrence(of, int(slots[0])), _occurrence(of, int(slots[-1]))), exponent=len(slots))
    return reduce(lambda a, b: Expression("+", (a, b)), (_occurrence(of, slot) for slot in slots.tolist()))


def _occurrence(of: Element, slot: int) -> Expression:
    return _reference(element(of.term.parts[0], slot))


Operands = tuple[Expression, ...]


def _kept(term: Term, operands: Operands) -> Expression:
    return Expression(term.operation, operands)


def _times(term: Term, operands: Operands) -> Expression:
    left, right = operands
    if _is_one(left) or _is_one(right):
        return right if _is_one(left) else left
    if left.of and right.of and left.of.key == right.of.key:
        return Expression("power", (left,), exponent=2)
    return Expression("*", (right, left) if right.is_scalar and not left.is_scalar else (left, right))


def _over(term: Term, operands: Operands) -> Expression:
    return operands[0] if _is_one(operands[1]) else Expression("/", operands)


def _root(term: Term, operands: Operands) -> Expression:
    return operands[0] if _is_one(operands[0]) else Expression("sqrt", operands)


def _power(term: Term, operands: Operands) -> Expression:
    return Expression("power", operands, exponent=int(term.index))


def _lerp(term: Term, operands: Operands) -> Expression:
    old, new, weight = operands
    return Expression("+", (old, Expression("*", (Expression("-", (new, old)), weight))))


FOLDED: dict[str, Callable[[Term, Operands], Expression]] = {"*": _times, "/": _over, "sqrt": _root, "power": _power, "lerp": _lerp}


def _is_one(one: Expression) -> bool:
    """Whether this is the number 1, or a loss scale of 1, which scales nothing."""
    if one.of is None or not one.is_atom or one.of.term.name not in ("", "ls"):
        return False
    return bool(one.is_scalar and one.of.term.values[0] == 1)


PRECEDENCE = {"+": 1, "-": 1, "many": 1, "*": 2, "/": 2, "neg": 3, "power": 4}
"""How tightly an operation binds; names, numbers and functions bind tightest."""

Show = Callable[[Element], str]


def spelled(one: Expression, show: Show, exponent: Callable[[Expression], str]) -> str:
    """The expression as text. show: an element as its name, or as its number; exponent: what stands above a base."""

    def inner(part: Expression, least: int) -> str:
        text = spelled(part, show, exponent)
        binding = PRECEDENCE.get(part.operation, 5)
        return f"({text})" if binding < least or (part.of and text.startswith("-")) else text

    parts = one.operands
    if one.of is not None:
        return show(one.of)
    if one.operation == "many":
        return f"{inner(parts[0], 1)} + ... + {inner(parts[1], 1)}"
    if one.operation == "neg":
        return f"-{inner(parts[0], 3)}"
    if one.operation == "power":
        return f"{inner(parts[0], 5)}^{exponent(one)}"
    if one.operation not in PRECEDENCE:
        return f"{one.operation}({', '.join(spelled(part, show, exponent) for part in parts)})"
    binding = PRECEDENCE[one.operation]
    left, right = inner(parts[0], binding), inner(parts[1], binding + (one.operation != "+"))
    spaced = binding == 1 or (one.operation == "/" and not all(part.is_atom for part in parts))
    return f"{left} {one.operation} {right}" if spaced else f"{left}{one.operation}{right}"
