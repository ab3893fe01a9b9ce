"""From a trace to an explanation: the lines of one element, their numbers in every number system, and the state that is left."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..arithmetic import CLASSES, numpy_dtype
from ..case import KINDS, Case, Param
from ..dialects import Deviation
from ..dialects.stages import Clock
from ..oracle import expectations, stored_bounds
from ..reference import FIELDS, kept_arrays
from ._data import Explanation, Line, Value, flat_of, index_of
from ._formulas import Element, Expression, element, spelled, written
from ._labels import about
from ._rows import touched
from ._tracing import Trace, traced

DIGITS = 20
"""Significant digits of an exact value: three more than a double needs."""


@dataclass(frozen=True, eq=False)
class Working:
    """One step of one parameter of a case, from which any of its elements can be explained."""

    case: Case
    param: Param
    step: int
    deviations: tuple[Deviation, ...]
    trace: Trace

    @classmethod
    def of(cls, case: Case, param: str, step: int, deviations: tuple[Deviation, ...] = ()) -> Working:
        """Run the reference up to this step (from 1) of a case that nothing refuses."""
        one = next(one for one in case.params if one.name == param)
        return cls(case, one, step, deviations, traced(case, step, param, deviations))

    def explain(self, row: int, col: int) -> Explanation:
        """The update of one element. col: its place in the row laid out flat."""
        at = self.position(row, col)
        page = _Page(self.trace, *at)
        counter, clock = self.trace.picks.counter.value, self.trace.picks.clock
        return Explanation(
            case=self.case.id,
            about=self.case.about,
            dialect=self.case.dialect,
            deviations=tuple(one.id for one in self.deviations),
            param=self.param.name,
            dtype=self.case.dtype,
            shape=self.param.value.shape,
            step=self.step,
            steps=len(self.case.steps),
            row=row,
            col=col,
            t=page.t,
            clock=counter if clock is Clock.T else f"{counter}; read as {clock.value}",
            touched=tuple(touched(self.trace, self.param, at[0])),
            given=tuple(page.given()),
            lines=tuple(page.lines()),
            state=self.state(row, col),
        )

    def state(self, row: int, col: int) -> dict[str, Value]:
        """What is expected of this element after the step, as vectors hold it: array name to value."""
        at = self.position(row, col)
        kept = kept_arrays(self.case)[self.param.name]
        values = {array: value(element(self.trace.state[FIELDS[array]].term, at[0]), at[1], self.case.dtype) for array in kept}
        if self.trace.out_of_range[at] and not self.deviations:
            return self._wild(row, col, values)
        return {array: _as_stored(one) for array, one in values.items()}

    def _wild(self, row: int, col: int, values: Mapping[str, Value]) -> dict[str, Value]:
        """For an element that some admissible formulation takes out of the range of the dtype, what the oracle makes of that."""
        shape = self.param.value.shape
        index = (0, *index_of(shape, flat_of(shape, row, col)))
        found = {}
        for array, of in expectations(replace(self.case, record=(self.step,)))[self.param.name].items():
            allowed = "" if of.allowed is None else " or ".join(kind for kind, bit in KINDS.items() if of.allowed[index] & bit)
            bound = {name: float(of.bound[name][index]) for name in CLASSES}
            found[array] = replace(values[array], nearest=float(of.value[index]), bound=bound, allowed=allowed)
        return found

    def position(self, row: int, col: int) -> tuple[int, int]:
        """Where the element stands in the trace, whose rows are single elements where some gradient is of single elements."""
        row, col = divmod(flat_of(self.param.value.shape, row, col), self.trace.out_of_range.shape[1])
        return row, col


def value(of: Element, col: int, dtype: str) -> Value:
    """An element's numbers: computed in the dtype, exact, and the bound of each class."""
    _, exact, bound = of.held.values
    middle = _at(exact, of, col).mid()
    finite = np.isfinite(_at(bound.x, of, col))
    e = np.maximum.accumulate([_at(per_class, of, col) if finite else np.inf for per_class in bound.e])
    return Value(
        computed=digits(of, col, dtype),
        exact=_plain(middle.str(DIGITS, radius=False)),
        nearest=float(middle),
        bound={name: float(e[k]) for k, name in enumerate(CLASSES)},
    )


def digits(of: Element, col: int, dtype: str) -> str:
    """As many digits of the computed number as its dtype needs."""
    with np.errstate(over="ignore"):
        text = str(numpy_dtype(dtype).type(_at(of.held.values[0], of, col)))
    return text.removesuffix(".0")


def _plain(text: str) -> str:
    """Without zeros at the end."""
    mantissa, e, exponent = text.partition("e")
    return (mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa) + e + exponent


def _at(numbers: Any, of: Element, col: int) -> Any:
    """One number out of a tensor of shape (rows, width) or (rows, 1), or a scalar."""
    shape = np.shape(numbers)
    return numbers[min(of.held_row, shape[0] - 1), min(col, shape[1] - 1)] if len(shape) == 2 else numbers


def _as_stored(one: Value) -> Value:
    bounds = stored_bounds(np.asarray(one.nearest), np.array(list(one.bound.values())))
    return replace(one, bound={name: float(bound) for name, bound in bounds.items()})


class _Page:
    """The named elements that one element of the state was computed of, in the order of computation."""

    def __init__(self, trace: Trace, row: int, col: int) -> None:
        self.trace, self.row, self.col, self.dtype = trace, row, col, str(trace.state["p"].values[0].dtype)
        self.found: dict[tuple[int, int], tuple[Element, Expression]] = {}
        left = list(self._roots())
        while left:
            of = left.pop()
            if of.key not in self.found:
                self.found[of.key] = of, written(of)
                left += self.found[of.key][1].names()
        self.places = np.flatnonzero(trace.given.indices == row) if trace.given else np.zeros(0, np.int64)
        self.unprepared = all(written(element(term, int(k))).is_atom for term in trace.prepared[-1:] for k in self.places)

    def _roots(self) -> Iterator[Element]:
        yield from (element(self.trace.state[name].term, self.row) for name in FIELDS.values())
        for one in self.trace.passes:
            for place in np.flatnonzero(one.rows == self.row):
                yield from (element(term, int(place)) for name, term in one.results.items() if name != "v_max")

    @cached_property
    def t(self) -> int | None:
        """What the powers of the betas read: the exponent in the correction of v."""
        s = next((one.s for one in self.trace.passes if self.row in one.rows), None)
        if s is None:
            return None
        correction = element(s.v_hat_divisor.term, 0).term
        return int(correction.parts[1].index) if correction.operation == "-" else 0

    def given(self) -> Iterator[Line]:
        """The names that the formulas start from: the state before, the gradient, then the hyper-parameters."""
        leaves = [of for of, formula in self.found.values() if formula.is_atom and formula.of is of and of.term.name]
        for of in sorted(leaves, key=lambda of: (KIND.get(of.term.operation, 0), of.key)):
            yield Line(self._name(of), about(of.term.name, self.trace.picks), "", "", self._value(of))

    def lines(self) -> Iterator[Line]:
        outside: set[tuple[int, int]] = set()
        for key in sorted(self.found):
            of, formula = self.found[key]
            found = self._value(of)
            if math.inf in found.bound.values() or any(one.key in outside for one in formula.names()):
                outside.add(key)  # what is made of a number without a bound has none either
                found = replace(found, bound=dict.fromkeys(CLASSES, math.inf))
            if formula.is_atom or not of.term.name:
                continue

            def named(one: Element, of: Element = of) -> str:
                return self._name(one, of)

            yield Line(
                name=self._name(of),
                about=about(of.term.name, self.trace.picks, of.term.operation == "sum"),
                formula=spelled(formula, named, self._exponent),
                numbers=spelled(formula, lambda one: digits(one, self.col, self.dtype), lambda one: str(one.exponent)),
                value=found,
            )

    def _value(self, of: Element) -> Value:
        return value(of, self.col, self.dtype)

    def _exponent(self, power: Expression) -> str:
        if power.operands[0].is_scalar and self.t is not None:
            return {self.t: "t", self.t + 1: "(t+1)"}.get(power.exponent, str(power.exponent))
        return str(power.exponent)

    def _name(self, of: Element, within: Element | None = None) -> str:
        """The name of an element, with its place in the gradient where the row occurs several times."""
        name = of.term.name
        if not name:
            return "mean(row)" if of.term.operation == "mean" else digits(of, self.col, self.dtype)
        if name in ("given", "occurrence"):
            shown = "grad" if name == "given" and not self.unprepared else "g"
            return f"{shown}[{of.row}]" if len(self.places) > 1 else shown
        if self._rows_of_term[of.term.serial] > 1:
            return f"{name}[{of.row}]"
        if within is not None and of.term.operation == "state" and within.term.name != name:
            replaced = any(of.key < key < within.key for key in self._keys_by_name[name])
            return f"{name}_old" if replaced else name
        return name

    @cached_property
    def _rows_of_term(self) -> Counter[int]:
        """How many elements of each term are on the page."""
        return Counter(of.term.serial for of, _ in self.found.values())

    @cached_property
    def _keys_by_name(self) -> dict[str, list[tuple[int, int]]]:
        """Where each name stands, in the order of computation."""
        keys: dict[str, list[tuple[int, int]]] = {}
        for key in sorted(self.found):
            keys.setdefault(self.found[key][0].term.name, []).append(key)
        return keys


KIND = {"state": 0, "load": 1, "scalar": 2}
"""What stands first among the given."""
