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


def element_of(term: Term, row: int) -> Element:
    """What computed a row of a term: past everything that only moves rows, and past a sum of one occurrence.

    A scalar is the same for every row: its only row is 0.
    """
    row = row if np.ndim(term.values[0]) else 0
    held, held_row = term, row
    while term.operation in SOURCES and (source := SOURCES[term.operation](term, row)):
        part, row = source
        if term.operation == "write" and part is term.parts[1]:  # the array that is written to does not keep these numbers
            held, held_row = part, row
        term = part
    return Element(term, row, held, held_row)


Source = tuple[Term, int] | None
"""The term and the row that a row comes from; None where it was computed."""


def _written(term: Term, row: int) -> Source:
    places = np.flatnonzero(_rows(term) == row)
    return (term.parts[1], int(places[-1])) if len(places) else (term.parts[0], row)


def _summed(term: Term, row: int) -> Source:
    slots = np.flatnonzero(term.index == row)
    return (term.parts[0], int(slots[0])) if len(slots) == 1 else None


def _rows(term: Term) -> Any:
    return np.arange(len(term.parts[0].values[0]))[term.index]


SOURCES: dict[str, Callable[[Term, int], Source]] = {
    "take": lambda term, row: (term.parts[0], int(_rows(term)[row])),
    "meet": lambda term, row: (term.parts[0], row),
    "write": _written,
    "sum": _summed,
}


@dataclass(frozen=True)
class Expression:
    """An operation and its operands, or a name or a number (of an element)."""

    operation: str
    operands: tuple[Expression, ...] = ()
    element: Element | None = None
    exponent: int = 0

    @property
    def is_atom(self) -> bool:
        return self.operation in ("name", "number")

    @property
    def is_scalar(self) -> bool:
        if self.element is not None:
            return bool(np.ndim(self.element.held.values[0]) == 0)
        return all(operand.is_scalar for operand in self.operands)

    @property
    def is_one(self) -> bool:
        """Whether this is the number 1, or a loss scale of 1, which scales nothing."""
        if self.element is None or not self.is_atom or self.element.term.name not in ("", "ls"):
            return False
        return bool(self.is_scalar and self.element.term.values[0] == 1)

    def names(self) -> Iterator[Element]:
        """The elements that it names."""
        if self.operation == "name" and self.element is not None:
            yield self.element
        for operand in self.operands:
            yield from operand.names()


INPUT = ("state", "load", "scalar")
"""Operations that compute nothing."""

SUMMED = 6
"""A sum of more occurrences than this is not written out."""


def written(element: Element) -> Expression:
    """How an element was computed: down to named elements, and without factors that are 1."""
    term = element.term
    if term.operation in INPUT:
        return Expression("name" if term.name else "number", element=element)
    if term.operation == "mean":
        return Expression("mean", element=element)
    if term.operation == "sum":
        return _sum(element)
    operands = tuple(_reference(element_of(part, element.row)) for part in term.parts)
    return FOLDED[term.operation](term, operands) if term.operation in FOLDED else Expression(term.operation, operands)


def _reference(element: Element) -> Expression:
    """An element inside a formula: by its name if it has one, and something is computed under that name."""
    return Expression("name", element=element) if element.term.name and not _is_input(element) else written(element)


def _is_input(element: Element) -> bool:
    """Whether an element is an input, but for factors of 1; without writing out what it was computed from."""
    operation = element.term.operation
    if operation in INPUT or not np.ndim(element.term.values[0]):
        return written(element).is_atom
    if operation not in ("*", "/"):
        return False
    left, right = (element_of(part, element.row) for part in element.term.parts)
    return (_is_unit(right) and _is_input(left)) or (operation == "*" and _is_unit(left) and _is_input(right))


def _is_unit(element: Element) -> bool:
    return not np.ndim(element.term.values[0]) and written(element).is_one


def _sum(element: Element) -> Expression:
    slots = np.flatnonzero(element.term.index == element.row).tolist()
    operation, shown = ("+", slots) if len(slots) <= SUMMED else ("many", [slots[0], slots[-1]])
    occurrences = (_reference(element_of(element.term.parts[0], slot)) for slot in shown)
    return reduce(lambda a, b: Expression(operation, (a, b)), occurrences)


Operands = tuple[Expression, ...]


def _times(term: Term, operands: Operands) -> Expression:
    left, right = operands
    if left.is_one or right.is_one:
        return right if left.is_one else left
    if left.element and right.element and left.element.key == right.element.key:
        return Expression("power", (left,), exponent=2)
    return Expression("*", (right, left) if right.is_scalar and not left.is_scalar else (left, right))


def _lerp(term: Term, operands: Operands) -> Expression:
    old, new, weight = operands
    return Expression("+", (old, Expression("*", (Expression("-", (new, old)), weight))))


FOLDED: dict[str, Callable[[Term, Operands], Expression]] = {
    "*": _times,
    "/": lambda term, operands: operands[0] if operands[1].is_one else Expression("/", operands),
    "sqrt": lambda term, operands: operands[0] if operands[0].is_one else Expression("sqrt", operands),
    "power": lambda term, operands: Expression("power", operands, exponent=int(term.index)),
    "lerp": _lerp,
}
"""Operations that are written in another way than as themselves."""

SPELLING = {
    "+": (1, "{} + {}", (1, 1)),
    "-": (1, "{} - {}", (1, 2)),
    "many": (1, "{} + ... + {}", (1, 1)),
    "*": (2, "{}*{}", (2, 3)),
    "/": (2, "{}/{}", (2, 3)),
    "neg": (3, "-{}", (3,)),
    "power": (4, "{}^{exponent}", (5,)),
}
"""How tightly an operation binds, how it is written, and how tightly each operand must bind to stand without parentheses."""

TIGHTEST = 5
"""How tightly names, numbers and functions bind."""


def spelled(expression: Expression, show: Callable[[Element], str], t: int | None = None) -> str:
    """The expression as text. show: an element as its name, or as its number; t: the power of a scalar that is written as t."""
    if expression.element is not None:
        return show(expression.element)
    operation, operands = expression.operation, expression.operands
    texts = [spelled(operand, show, t) for operand in operands]
    if operation not in SPELLING:
        return f"{operation}({', '.join(texts)})"
    _, template, least = SPELLING[operation]
    for k, (operand, tightness) in enumerate(zip(operands, least)):
        binding = SPELLING[operand.operation][0] if operand.operation in SPELLING else TIGHTEST
        if binding < tightness or (operand.element and texts[k].startswith("-")):
            texts[k] = f"({texts[k]})"
    if operation == "/" and not all(operand.is_atom for operand in operands):
        template = "{} / {}"
    exponents = {t: "t", t + 1: "(t+1)"} if t is not None and expression.is_scalar else {}
    exponent = exponents.get(expression.exponent, str(expression.exponent))
    factor = texts[1] if operation == "power" and len(texts) > 1 else ""  # of the exponent
    return template.format(*texts, exponent=f"({exponent}*{factor})" if factor else exponent)
