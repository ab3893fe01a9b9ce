"""What of a case is compared: the elements that stay within the range of their format, of the arrays that were asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from ..case import ARRAYS, KINDS, Case, Expected, Golden, kinds
from ..gradients import Array
from ..oracle import LAST_STEP, Recorded, in_range
from .rules import KINDS as RULE_KINDS
from .rules import Rule, ratio


@dataclass(frozen=True)
class Piece:
    """One array of one parameter at one recorded step: which of all elements, in one row, are its own."""

    param: str
    array: str
    dtype: str
    step: int
    own: slice
    places: Array


@dataclass(frozen=True)
class Place:
    """An element: where it is, what is expected there, and how far something is from it."""

    param: str
    array: str
    step: int
    index: tuple[int, ...]
    expected: float
    distance: float
    bounds: float

    @property
    def relative(self) -> float:
        """The distance as a share of what is expected."""
        return self.distance / abs(self.expected) if self.expected else np.inf if self.distance else 0.0


@dataclass(frozen=True, eq=False)
class Compared:
    """All elements that are compared, in one row: expectation, bound, and the pieces of the row, those of an array one after the other."""

    pieces: tuple[Piece, ...]
    e: Array
    bound: Array
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, golden: Golden, arrays: Sequence[str], numerics_class: str) -> Compared:
        case = golden.case
        params = {param.name: param for param in case.params}
        pieces, values, bounds, end = [], [], [], 0
        for array in (array for array in ARRAYS if array in arrays):
            for name, expected in ((name, every[array]) for name, every in golden.expected.items() if array in every):
                known = in_range(golden.expected[name])
                for at, step in enumerate(case.record):
                    bound = expected.bound[numerics_class][at].astype(np.float64).reshape(-1)
                    places = np.flatnonzero(known[at].reshape(-1) & np.isfinite(bound))
                    pieces.append(Piece(name, array, params[name].dtype_of(array), step, slice(end, end + len(places)), places))
                    values.append(expected.value[at].reshape(-1)[places])
                    bounds.append(bound[places])
                    end += len(places)
        shapes = {name: param.value.shape for name, param in params.items()}
        return cls(tuple(pieces), _joined(values), _joined(bounds), shapes)

    def row(self, run: Recorded, record: Sequence[int]) -> Array:
        """The same elements of a computation, in the same row."""
        at = {step: number for number, step in enumerate(record)}
        return _joined([run[piece.param, piece.array][at[piece.step]].reshape(-1)[piece.places] for piece in self.pieces])

    def excess(self, rule: Rule, x: Array) -> float:
        """How far a rule finds a computation from the expectation, in its own measure; inf where an element is not finite and must be."""
        finite = np.isfinite(x)
        worst = 0.0
        for part, piece in self.parts(rule):
            if not finite[part].all():
                return np.inf
            worst = max(worst, rule.excess(x[part], self.e[part], piece.dtype))
        return worst

    def most(self, rule: Rule) -> float:
        """A number that the excess of no correct implementation is above."""
        return max((rule.most(self.e[part], self.bound[part], piece.dtype) for part, piece in self.parts(rule)), default=0.0)

    def parts(self, rule: Rule) -> Iterator[tuple[slice, Piece]]:
        """What a rule compares at once: an array at a step, or, where it judges elements, neighbours of one array and dtype."""
        own = [piece for piece in self.pieces if piece.array in rule.arrays and piece.own.stop > piece.own.start]
        if RULE_KINDS[rule.kind].ratios is None:
            yield from ((piece.own, piece) for piece in own)
            return
        for _, pieces in groupby(own, key=lambda piece: (piece.array, piece.dtype)):
            first, *others = pieces
            yield slice(first.own.start, (others or [first])[-1].own.stop), first

    def without_rounding(self, x: Array) -> Array:
        """A computation with every element that is within its bound put where it is expected: there, no test may see a difference."""
        with np.errstate(invalid="ignore"):
            return np.where(np.abs(x - self.e) <= self.bound, self.e, x)

    def farthest(self, x: Array, arrays: Sequence[str]) -> Place | None:
        """The element of these arrays that is the most bounds away, or is not finite; None where all are within their bounds."""
        own = np.zeros(len(x), bool)
        for piece in self.pieces:
            own[piece.own] = piece.array in arrays
        with np.errstate(invalid="ignore"):
            distance = np.abs(x - self.e)
        bounds = np.where(own, np.where(np.isfinite(x), ratio(distance, self.bound), np.inf), 0.0)
        return self.place(int(np.argmax(bounds)), x) if np.any(bounds > 1) else None

    def refused_at(self, rule: Rule, x: Array) -> Place:
        """The element that a rule finds the farthest, in the part of a computation that it finds the farthest."""
        excess = [(rule.excess(x[part], self.e[part], piece.dtype), part, piece) for part, piece in self.parts(rule)]
        _, part, piece = max(excess, key=lambda entry: entry[0])
        return self.place(part.start + int(np.argmax(rule.ratios(x[part], self.e[part], piece.dtype))), x)

    def place(self, at: int, x: Array) -> Place:
        """An element of a computation by its number in the row."""
        piece = next(piece for piece in self.pieces if piece.own.start <= at < piece.own.stop)
        flat = int(piece.places[at - piece.own.start])
        index = tuple(int(i) for i in np.unravel_index(flat, self.shapes[piece.param]))
        with np.errstate(invalid="ignore"):
            distance = float(abs(x[at] - self.e[at]))
        bounds = float(ratio(distance, self.bound[at])) if np.isfinite(x[at]) else np.inf
        return Place(piece.param, piece.array, piece.step, index, float(self.e[at]), distance, bounds)


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)


def beginning(golden: Golden) -> Golden:
    """The steps in which `catches` was proven, and what is expected there: in a long case, later ones cost too much."""
    case = golden.case
    if len(case.steps) <= LAST_STEP:
        return golden
    kept = sum(step <= LAST_STEP for step in case.record)
    short = replace(case, steps=case.steps[:LAST_STEP], record=case.record[:kept])
    first = {name: {array: _first(e, kept) for array, e in arrays.items()} for name, arrays in golden.expected.items()}
    return replace(golden, case=short, expected=first)


def _first(expected: Expected, kept: int) -> Expected:
    bound = {name: values[:kept] for name, values in expected.bound.items()}
    return Expected(expected.value[:kept], bound, None if expected.allowed is None else expected.allowed[:kept])


def never_finite(golden: Golden, arrays: Sequence[str]) -> bool:
    """Whether some element of these arrays is finite in no correct implementation: it is compared by its kind alone."""
    return any(
        expected.allowed is not None and bool(((expected.allowed & KINDS["finite"]) == 0).any())
        for every in golden.expected.values()
        for array, expected in every.items()
        if array in arrays
    )


def wrong_kind(golden: Golden, run: Recorded, arrays: Sequence[str]) -> bool:
    """Whether a computation in the case's own format has, where none may be finite, a kind of number that no correct implementation has."""
    for name, every in golden.expected.items():
        for array, expected in every.items():
            if array in arrays and expected.allowed is not None:
                never = (expected.allowed & KINDS["finite"]) == 0
                if ((kinds(run[name, array]) & expected.allowed) == 0)[never].any():
                    return True
    return False


def is_compared(case: Case, dtype: str) -> bool:
    """Whether a case ends in a result whose arrays all have this dtype ("all": any)."""
    return case.error is None and (dtype == "all" or all(param.dtype_of(array) == dtype for param in case.params for array in ARRAYS))
