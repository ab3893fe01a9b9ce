"""From a trace to an explanation: the lines of one element, their numbers in every number system, what is said of them, and the state."""

from __future__ import annotations

import collections
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..arithmetic import CLASSES, numpy_dtype
from ..case import KINDS, Case, Expected, Param
from ..common.text import counted, listed
from ..dialects import Deviation, Picks
from ..dialects.stages import Clock, Counter, Decay, Touch
from ..gradients import Array, Occurrences, row_layout
from ..oracle import expectations, stored_bounds
from ..reference import FIELDS, kept_arrays
from ._data import Explanation, Line, Value
from ._formulas import Element, Expression, element_of, spelled, written
from ._tracing import Trace, traced

DIGITS = 20
"""Significant digits of an exact value: three more than a double needs."""


def derived(place: Explanation, case: Case, param: Param, deviations: tuple[Deviation, ...]) -> Explanation:
    """The explanation of the element that `place` names, with the update that the reference computes for it.

    case: one that nothing refuses up to that step.
    """
    trace = traced(case, place.step, param, deviations)
    row, col = divmod(place.flat, trace.out_of_range.shape[1])  # a row of the trace is one element where a gradient is of elements
    page = _Page(trace, row, col, case.dtype)
    picks = trace.picks
    values = {
        array: page.value(element_of(trace.state[FIELDS[array]].term, row)) for array in kept_arrays(case)[param.name] if array in FIELDS
    }
    leaves_range = bool(trace.out_of_range[row, col]) and not deviations
    return replace(
        place,
        t=page.t,
        clock=picks.counter.value if picks.clock is Clock.T else f"{picks.counter.value}; read as {picks.clock.value}",
        touched=tuple(touched(trace, param, row)),
        given=tuple(page.inputs()),
        lines=tuple(page.lines()),
        state=_state(place, case, values, leaves_range),
    )


def _state(place: Explanation, case: Case, values: Mapping[str, Value], leaves_range: bool) -> dict[str, Value]:
    """The values as vectors hold them. leaves_range: some admissible formulation does, so that the oracle says what is expected."""
    if leaves_range:
        expected, index = expectations(replace(case, record=(place.step,)))[place.param], (0, *place.index)
    else:
        exact = {array: (np.asarray(value.nearest), np.array(list(value.bound.values()))) for array, value in values.items()}
        expected, index = {array: Expected(nearest, stored_bounds(nearest, e)) for array, (nearest, e) in exact.items()}, ()
    state = {}
    for array, of_array in ((array, expected[array]) for array in values):
        allowed = "" if of_array.allowed is None else " or ".join(kind for kind, bit in KINDS.items() if of_array.allowed[index] & bit)
        bound = {name: float(of_array.bound[name][index]) for name in CLASSES}
        state[array] = replace(values[array], nearest=float(of_array.value[index]), bound=bound, allowed=allowed)
    return state


class _Page:
    """The named elements that one element of the state was computed from, in the order of computation."""

    def __init__(self, trace: Trace, row: int, col: int, dtype: str) -> None:
        self.trace, self.row, self.col, self.scalar_type = trace, row, col, numpy_dtype(dtype).type
        formulas: dict[tuple[int, int], tuple[Element, Expression]] = {}
        left = list(self._roots())
        while left:
            element = left.pop()
            if element.key not in formulas:
                formulas[element.key] = element, written(element)
                left += formulas[element.key][1].names()
        self.formulas = [formulas[key] for key in sorted(formulas)]
        self.t = next((update.t for update in trace.passes if row in update.rows), None)
        self.rows_of_term = collections.Counter(element.term.serial for element, _ in self.formulas)
        computed = [(element, formula) for element, formula in self.formulas if not formula.is_atom]
        self.first_computed = {element.term.name: element.key for element, _ in reversed(computed)}
        self.repeated = trace.gradient is not None and np.sum(trace.gradient.indices == row) > 1

    def _roots(self) -> Iterator[Element]:
        yield from (element_of(self.trace.state[name].term, self.row) for name in FIELDS.values())
        for update in self.trace.passes:
            for place in np.flatnonzero(update.rows == self.row):
                yield from (element_of(term, int(place)) for name, term in update.results.items() if name != "v_max")

    def inputs(self) -> Iterator[Line]:
        """The names that the formulas start from: the state before, the gradient, then the hyper-parameters."""
        inputs = [element for element, formula in self.formulas if formula.is_atom and formula.element is element and element.term.name]
        for element in sorted(inputs, key=lambda element: ORDER.get(element.term.operation, 0)):
            yield Line(self._name(element), about(element.term.name, self.trace.picks), "", "", self.value(element))

    def lines(self) -> Iterator[Line]:
        unbounded: set[tuple[int, int]] = set()
        for element, formula in self.formulas:
            value = self.value(element)
            if math.inf in value.bound.values() or any(operand.key in unbounded for operand in formula.names()):
                unbounded.add(element.key)  # what is made of a number without a bound has none either
                value = replace(value, bound=dict.fromkeys(CLASSES, math.inf))
            if not formula.is_atom and element.term.name:
                yield Line(
                    name=self._name(element),
                    about=about(element.term.name, self.trace.picks, element.term.operation == "sum"),
                    formula=spelled(formula, partial(self._name, within=element), self.t),
                    numbers=spelled(formula, self._digits),
                    value=value,
                )

    def value(self, element: Element) -> Value:
        """An element's numbers: computed in the dtype, exact, and the bound of each class."""
        _, exact, bound = element.held.values
        middle = self._at(exact, element).mid()
        finite = np.isfinite(self._at(bound.x, element))
        e = np.maximum.accumulate([self._at(per_class, element) if finite else np.inf for per_class in bound.e])
        return Value(
            computed=self._digits(element),
            exact=_plain(middle.str(DIGITS, radius=False)),
            nearest=float(middle),
            bound=dict(zip(CLASSES, map(float, e))),
        )

    def _digits(self, element: Element) -> str:
        """As many digits of the computed number as its dtype needs."""
        with np.errstate(over="ignore"):
            return str(self.scalar_type(self._at(element.held.values[0], element))).removesuffix(".0")

    def _at(self, numbers: Any, element: Element) -> Any:
        """One number out of a tensor of shape (rows, width) or (rows, 1), or a scalar."""
        shape = np.shape(numbers)
        return numbers[min(element.held_row, shape[0] - 1), min(self.col, shape[1] - 1)] if len(shape) == 2 else numbers

    def _name(self, element: Element, within: Element | None = None) -> str:
        """The name of an element, with its place in the gradient where the row occurs several times. within: whose formula names it."""
        term, name = element.term, element.term.name
        if not name:
            return "mean(row)" if term.operation == "mean" else self._digits(element)
        if name in ("grad", "occurrence"):
            shown = "grad" if name == "grad" and "occurrence" in self.first_computed else "g"
            return f"{shown}[{element.row}]" if self.repeated else shown
        if self.rows_of_term[term.serial] > 1:
            return f"{name}[{element.row}]"
        if within is not None and term.operation == "state" and within.term.name != name:
            return f"{name}_old" if name in self.first_computed and self.first_computed[name] < within.key else name
        return name


ORDER = {"state": 0, "load": 1, "scalar": 2}
"""The order of the inputs, by the operation that holds them."""


def _plain(text: str) -> str:
    """Without zeros at the end."""
    mantissa, e, exponent = text.partition("e")
    return (mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa) + e + exponent


NAMES = {
    "p": "the parameter",
    "m": "first moment",
    "v": "second moment",
    "v_max": "largest v so far",
    "grad": "gradient",
    "occurrence": "gradient, prepared",
    "g": "gradient of the row",
    "d": "direction",
    "m_hat": "m without its bias towards 0",
    "d_hat": "d without its bias towards 0",
    "v_hat": "v without its bias towards 0",
    "c1": "bias correction of m",
    "c2": "bias correction of v",
    "step": "step size, bias corrections folded in",
    "lr": "learning rate",
    "b1": "decay rate of m",
    "b2": "decay rate of v",
    "eps": "keeps the division from growing without limit",
    "eps_root": "stands inside the root",
    "wd": "weight decay",
    "ls": "loss scale",
}
"""Name to what it is."""

STAGES = {"d": "direction", "v_max": "amsgrad"}
"""Names whose formula a stage decides: its pick is said beside them."""


def about(name: str, picks: Picks, merged: bool = False) -> str:
    """What a name is, and which alternative its stage picks. merged: it is made of several occurrences of a row."""
    if merged:
        return f"repeated rows: {picks.merge.value}"
    if name == "change":
        return f"eps: {picks.eps.value}"
    stage = STAGES.get(name)
    return f"{NAMES[name]}; {stage}: {getattr(picks, stage).value}" if stage else NAMES[name]


LISTED = 8
"""Row numbers are listed up to here, and counted beyond."""

COUNT_ON = (Counter.CALL, Counter.CALL_NONEMPTY, Counter.BUMPED_PER_PARAMETER)
"""Counters that another parameter's gradient advances."""

TIMES = {1: "once", 2: "twice"}


def touched(trace: Trace, param: Param, row: int) -> Iterator[str]:
    """What the gradient stores, what is updated and why, and what that means for this row (of the layout of the trace)."""
    gradient, picks = trace.gradient, trace.picks
    if gradient is None:
        others = "; what t counts may go on without it" if picks.counter in COUNT_ON else ""
        yield f"none: {param.name!r} has no gradient at this step{others}."
        return
    noun, name = "row", f"row {row}"
    if gradient.layout != row_layout(param.value.shape):
        noun, name = "element", f"element {tuple(map(int, np.unravel_index(row, param.value.shape)))}"
    updated = trace.updated
    yield _which(gradient, updated, picks, noun)
    times = int(np.sum(gradient.indices == row))
    if times > 1:
        yield f"{name} is stored {TIMES.get(times, f'{times} times')}. Repeated {noun}s: {picks.merge.value}."
    if row not in updated:
        decays = "p only decays" if picks.decay is Decay.DECOUPLED_ALL else "p stays too"
        yield f"{name} is not touched: its m and v stay, and {decays}."


def _which(gradient: Occurrences, updated: Array, picks: Picks, noun: str) -> str:
    rows, stored = gradient.layout[0], np.unique(gradient.indices)
    every = f"all {rows} {noun}s" if rows > 1 else f"the only {noun}"
    if gradient.dense:
        return f"{every}: the gradient is dense."
    if not len(updated) and not len(stored):
        return f"none: the gradient stores no {noun}."
    if len(updated) == len(stored):
        others = rows - len(stored)
        rest = f"; the other {others} stay" if others > 1 else "; the other one stays" if others else ""
        return f"{_some(updated, noun)} of {rows}: what the gradient stores{rest}."
    reason = picks.decay.value if picks.touch is Touch.STORED else picks.touch.value
    which = every if len(updated) == rows else f"{_some(updated, noun)} of {rows}" if len(updated) else "none"
    return f"{which}: {reason}. The gradient stores {_some(stored, noun) if len(stored) else 'nothing'}."


def _some(rows: Array, noun: str) -> str:
    if noun != "row" or len(rows) > LISTED:
        return counted(len(rows), noun)
    return f"{noun}{'s' if len(rows) > 1 else ''} {listed(list(map(str, rows)))}"
