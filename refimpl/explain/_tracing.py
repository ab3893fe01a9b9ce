"""Running a case up to one step of one parameter, and giving the intermediate results the names of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..arithmetic import Float, Number
from ..arithmetic.traced import Lockstep, Term, Traced
from ..case import Case, Param
from ..dialects import Deviation, Picks, dialect
from ..dialects.stages import Eps
from ..gradients import Array, Occurrences
from ..oracle import bounded, leaves_range
from ..reference import ALL, FIELDS, ONE, Forms, State, scheduled, trajectory
from ..reference.forms import Scale
from ._formulas import element_of

HYPER = {"lr": "lr", "beta1": "b1", "beta2": "b2", "eps": "eps", "eps_root": "eps_root", "weight_decay": "wd", "loss_scale": "ls"}
SYMBOLS = {**HYPER, "correction1": "c1", "correction2": "c2", "v_hat_divisor": "c2", "step": "step", "hat_step": "step"}
"""Fields of Scalars that have a name of their own in formulas, the hyper-parameters first; the others are written out."""

INPUTS = {*HYPER.values(), "grad"}
"""Names of numbers that nothing computes. The exact value of a hyper-parameter says nothing: it is a double that somebody wrote down."""

HATS = {("m", "c1"): "m_hat", ("d", "c1"): "d_hat", ("v", "c2"): "v_hat", ("v_max", "c2"): "v_hat"}
"""A quotient of these is known by this name."""

PAPER = (Eps.PAPER, Eps.PAPER_STORED, Eps.PAPER_ROOTED, Eps.INSIDE)
"""The places of eps that are written with v_hat; the others with a step size that holds the corrections (Kingma and Ba 2015, section 2)."""


@dataclass(frozen=True, eq=False)
class Pass:
    """One update of some rows: t as the powers of the betas read it, and by name what it computed for these rows."""

    rows: Array
    t: int
    results: Mapping[str, Term]


@dataclass(eq=False)
class Trace:
    """The trace events of one parameter during one step, and its state afterwards.

    gradient: None where it has none; passes: the updates, several for rows that occur more than once; out_of_range: elements that some
    admissible formulation may have taken out of the range of the format.
    """

    picks: Picks
    gradient: Occurrences | None = None
    passes: list[Pass] = field(default_factory=list)
    state: Mapping[str, Traced] = field(default_factory=dict)
    out_of_range: Array = field(default_factory=lambda: np.zeros((1, 1), bool))

    @property
    def updated(self) -> Array:
        """The rows that were updated, in ascending order."""
        return np.unique(np.concatenate([np.zeros(0, np.int64), *(update.rows for update in self.passes)]))


class Tracer(Lockstep):
    """An arithmetic of floats, balls and bounds at once that records the trace events of the reference and names their terms."""

    def __init__(self, dtype: str) -> None:
        from ..arithmetic.balls import Ball

        super().__init__(Float(dtype), Ball(), bounded(dtype))
        self.traces: dict[int, Trace] = {}

    def store(self, tensor: Number, dtype: str | None = None) -> Number:
        if tensor.term.operation != "take" and not tensor.term.name:
            tensor.term.name = "p"  # every other array of the state has been named by an event before it is stored
        return tensor if dtype is None else super().store(tensor, dtype)

    def join(self, alternatives: Sequence[Traced]) -> Number:
        return super().join([alternatives[0], *alternatives])  # the reference may leave one form alone: it is shown and joined

    def on_event(self, event: str, values: Mapping[str, Any]) -> None:
        getattr(self, f"_{event}")(values)

    def _begins(self, values: Mapping[str, Any]) -> None:
        state: State = values["state"]
        if id(state) not in self.traces:
            for name in FIELDS.values():
                tensor: Traced = getattr(state, name)
                tensor.term = Term("state", (), tensor.values, name=name)  # what led here is of no use: let it go
            self.traces[id(state)] = Trace(values["picks"], values["given"])
        for name, symbol in SYMBOLS.items():
            _set_name(getattr(values["s"], name).term, symbol)
        correction = element_of(values["s"].v_hat_divisor.term, 0).term  # 1 - b2^t, or 1
        self._now = self.traces[id(state)], int(correction.parts[1].index) if correction.operation == "-" else 0

    def _prepared(self, values: Mapping[str, Any]) -> None:
        prepared: Term = values["g"].term
        for term in inside(prepared):
            if term.operation == "load":
                _set_name(term, "grad")
        if prepared.operation != "load":
            prepared.name = "occurrence"

    def _advanced(self, values: Mapping[str, Any]) -> None:
        results: dict[str, Term] = {name: result.term for name, result in values.items() if name != "rows"}
        for name, term in results.items():
            _set_name(term, name)
        for term in inside(results["change"]):
            if term.operation == "/":
                _set_name(term, HATS.get((named(term.parts[0]), named(term.parts[1])), ""))
        trace, t = self._now
        trace.passes.append(Pass(np.asarray(values["rows"]), t, results))


def traced(case: Case, step: int, param: Param, deviations: tuple[Deviation, ...] = ()) -> Trace:
    """Run a case to a step (from 1), and keep the trace of one parameter."""
    table = dialect(case.dialect)
    case = replace(case, steps=case.steps[:step])
    *_, hypers = scheduled(case)
    picks = table.resolve(hypers[param.group], deviations)[1]
    a = Tracer(case.computed_in(param.name))
    outside: Array = np.zeros((1, 1), bool)
    for states in trajectory(case, a, table, deviations, shown_forms(picks.eps)):
        state = states[param.name]
        arrays: dict[str, Traced] = {name: getattr(state, name) for name in FIELDS.values()}
        outside = outside | leaves_range(State(**{name: tensor.values[-1] for name, tensor in arrays.items()}))
        trace = a.traces.get(id(state), Trace(picks))
        a.traces.clear()  # the next step begins anew
    trace.state, trace.out_of_range = arrays, np.broadcast_to(outside, state.p.values[0].shape)
    return trace


def shown_forms(eps: Eps) -> Forms:
    """Every admissible form, after the one that is written down (see Lockstep)."""
    shown = replace(ONE, scale=(Scale.ON_MOMENTS,)) if eps in PAPER else ONE
    return Forms(**{name: (*getattr(shown, name), *forms) for name, forms in vars(ALL).items()})


def named(term: Term) -> str:
    """The name of a term, or of what it takes its rows from."""
    while not term.name and term.operation in ("take", "meet"):
        term = term.parts[0]
    return term.name


def _set_name(term: Term, name: str) -> None:
    """Name what computed these rows, unless it has a name; what nothing computed takes a name of INPUTS only."""
    if term.operation in ("take", "meet"):
        _set_name(term.parts[0], name)
    elif term.operation == "write":
        for part in term.parts:
            _set_name(part, name)
    elif not term.name and (term.operation not in ("load", "scalar") or name in INPUTS):
        term.name = name


def inside(term: Term) -> list[Term]:
    """A term and everything that it was computed from, each once."""
    terms: dict[int, Term] = {}
    left = [term]
    while left:
        part = left.pop()
        if part.serial not in terms:
            terms[part.serial] = part
            left += part.parts
    return list(terms.values())
