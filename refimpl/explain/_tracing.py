"""Running a case up to one step of one parameter, and giving the intermediate results the names of the paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from ..arithmetic import Float, Number
from ..arithmetic.traced import Lockstep, Term, Traced
from ..case import Case
from ..dialects import Deviation, Picks, dialect
from ..dialects.stages import Eps
from ..gradients import Array, Occurrences
from ..oracle import bounded, leaves_range
from ..reference import ALL, ONE, Forms, State, scheduled, trajectory
from ..reference.forms import Scale
from ..reference.scalars import Scalars
from ._labels import HYPER

SYMBOLS = {
    "lr": "lr",
    "beta1": "b1",
    "beta2": "b2",
    "eps": "eps",
    "eps_root": "eps_root",
    "weight_decay": "wd",
    "loss_scale": "ls",
    "correction1": "c1",
    "correction2": "c2",
    "v_hat_divisor": "c2",
    "step": "step",
    "hat_step": "step",
}
"""Fields of Scalars that have a name of their own in formulas; the others are written out."""

HATS = {("m", "c1"): "m_hat", ("d", "c1"): "d_hat", ("v", "c2"): "v_hat", ("v_max", "c2"): "v_hat"}
"""A quotient of these is known by this name."""

PAPER = (Eps.PAPER, Eps.PAPER_STORED, Eps.PAPER_ROOTED, Eps.INSIDE)
"""The places of eps that are written with v_hat; the others with a step size that holds the corrections (Kingma and Ba 2015, section 2)."""


@dataclass(frozen=True, eq=False)
class Pass:
    """One update of some rows, from the trace events: `rows` and, by name, what it computed for them with these scalars."""

    rows: Array
    s: Scalars
    results: Mapping[str, Term]


@dataclass(frozen=True, eq=False)
class Trace:
    """What was said while one parameter made one step, and its state afterwards.

    prepared: the occurrences before they are merged, passes: the updates; several for rows that occur more than once.
    out_of_range: elements that some admissible formulation may have taken out of the range of the format.
    """

    given: Occurrences | None
    picks: Picks
    prepared: tuple[Term, ...]
    passes: tuple[Pass, ...]
    state: Mapping[str, Traced]
    out_of_range: Array

    @property
    def updated(self) -> Array:
        """The rows that were updated, in ascending order."""
        return np.unique(np.concatenate([np.zeros(0, np.int64), *(one.rows for one in self.passes)]))


@dataclass
class _Notes:
    """What one state was told during one step."""

    given: Occurrences
    picks: Picks
    s: Scalars
    prepared: list[Term] = field(default_factory=list)
    passes: list[Pass] = field(default_factory=list)


class Tracer(Lockstep):
    """An arithmetic of floats, balls and bounds at once that records the trace events of the reference and names their terms."""

    def __init__(self, dtype: str) -> None:
        from ..arithmetic.balls import Ball

        super().__init__(Float(dtype), Ball(), bounded(dtype))
        self._notes: dict[int, _Notes] = {}
        self._now: _Notes | None = None

    def next_step(self) -> None:
        """Forget the events of the step before."""
        self._notes, self._now = {}, None

    def of(self, state: State) -> _Notes | None:
        return self._notes.get(id(state))

    def store(self, tensor: Number) -> Number:
        if tensor.term.operation != "take" and not tensor.term.name:
            tensor.term.name = "p"  # every other array of the state has been named by an event before it is stored
        return tensor

    def on_event(self, event: str, values: Mapping[str, Any]) -> None:
        getattr(self, f"_{event}")(**values)

    def _begins(self, state: State, given: Occurrences, picks: Picks, s: Scalars) -> None:
        if id(state) not in self._notes:
            for one in fields(state):
                tensor: Traced = getattr(state, one.name)
                tensor.term = Term("state", (), tensor.values, name=one.name)  # what led here is of no use: let it go
            self._notes[id(state)] = _Notes(given, picks, s)
        for name, symbol in SYMBOLS.items():
            _set_name(getattr(s, name).term, symbol)
        self._now = self._notes[id(state)]
        self._now.s = s

    def _prepared(self, g: Traced) -> None:
        assert self._now is not None  # `begins` came before
        for term in inside(g.term):
            if term.operation == "load":
                _set_name(term, "given")
        if g.term.operation != "load":
            g.term.name = "occurrence"
        self._now.prepared.append(g.term)

    def _advanced(self, rows: Array, **results: Traced) -> None:
        assert self._now is not None
        for name, result in results.items():
            _set_name(result.term, name)
        for term in inside(results["change"].term):
            hat = HATS.get((named(term.parts[0]), named(term.parts[1]))) if term.operation == "/" else None
            if hat:
                _set_name(term, hat)
        self._now.passes.append(Pass(np.asarray(rows), self._now.s, {name: result.term for name, result in results.items()}))


def traced(case: Case, step: int, param: str, deviations: tuple[Deviation, ...] = ()) -> Trace:
    """Run a case to a step (from 1), and keep the trace of one parameter."""
    table = dialect(case.dialect)
    group = next(one.group for one in case.params if one.name == param)
    case = replace(case, steps=case.steps[:step])
    *_, hypers = scheduled(case)
    picks = table.resolve(hypers[group], deviations)[1]
    a = Tracer(case.dtype)
    outside: Array = np.zeros((1, 1), bool)
    states = trajectory(case, a, table, deviations, shown_forms(picks.eps))
    for _ in range(step):
        a.next_step()
        state = next(states)[param]
        outside = outside | leaves_range(_bounds(state))
    notes = a.of(state)
    out_of_range = np.broadcast_to(outside, state.p.values[0].shape)
    arrays = {one.name: getattr(state, one.name) for one in fields(state)}
    if notes is None:
        return Trace(None, picks, (), (), arrays, out_of_range)
    return Trace(notes.given, notes.picks, tuple(notes.prepared), tuple(notes.passes), arrays, out_of_range)


def _bounds(state: State) -> State:
    """The state in the last of the number systems."""
    return State(**{one.name: getattr(state, one.name).values[-1] for one in fields(state)})


def shown_forms(eps: Eps) -> Forms:
    """Every admissible form, after the one that is written down (see Lockstep)."""
    shown = replace(ONE, scale=(Scale.ON_MOMENTS,)) if eps in PAPER else ONE
    return Forms(**{one.name: (*getattr(shown, one.name), *getattr(ALL, one.name)) for one in fields(ALL)})


def named(term: Term) -> str:
    """The name of a term, or of what it takes its rows from."""
    while not term.name and term.operation in ("take", "meet"):
        term = term.parts[0]
    return term.name


def _set_name(term: Term, name: str) -> None:
    """Name what computed these rows; numbers as they are given have a name only if they are hyper-parameters or gradients."""
    if term.operation in ("take", "meet"):
        _set_name(term.parts[0], name)
    elif term.operation == "write":
        for part in term.parts:
            _set_name(part, name)
    elif not term.name and (term.operation not in ("load", "scalar") or name in LEAVES):
        term.name = name


LEAVES = (*HYPER, "given")


def inside(term: Term) -> list[Term]:
    """A term and everything that it was computed of, each once."""
    found: dict[int, Term] = {}
    left = [term]
    while left:
        one = left.pop()
        if one.serial not in found:
            found[one.serial] = one
            left += one.parts
    return list(found.values())
