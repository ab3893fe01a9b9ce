"""The update of one parameter by one gradient: this is the algorithm, read it first.

    m <- b1 m + (1 - b1) g
    v <- b2 v + (1 - b2) g^2
    p <- p - lr m_hat / (sqrt(v_hat) + eps)

Kingma and Ba, Adam (2015), algorithm 1. Restricted to the rows that a gradient stores, it is the lazy variant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..arithmetic import Arithmetic, Number
from ..arithmetic.compensation import Pair, pair, taken_from_pair
from ..case import ARRAYS, COMPENSATION
from ..dialects import Picks
from ..dialects.stages import Amsgrad, Decay, DecayOrder, DecayRate, Direction, Eps, Merge, Objective, Rectification, Second, Touch, Update
from ..gradients import Array, Occurrences
from . import _mistakes
from ._merged import Merged, occurrence_rounds
from ._ranks import reduced
from ._trace import altered, emit
from .forms import (
    APART,
    CHANGE,
    INFINITY_CHANGE,
    MEAN,
    RECTIFIED,
    SHRINK,
    SQUARE,
    UNRECTIFIED,
    Change,
    Forms,
    Move,
    Scale,
    Shrink,
    admissible,
)
from .gradient import merge, prepare
from .scalars import LOOK_AHEAD, SCHEDULED, Scalars


@dataclass
class State:
    """A parameter and its moments, laid out as (rows, width): the one thing that a step changes.

    kept_in: field -> the dtype that it is kept in between steps, where that is not what the step computes in; pair: those of p and of its
    compensation, where p is their sum; whole: where p is shown in its own dtype, the sum.
    """

    p: Number
    m: Number
    v: Number
    v_max: Number
    kept_in: Mapping[str, str] = field(default_factory=dict)
    pair: Pair | None = None
    whole: Number = None

    def take(self, rows: Any) -> State:
        return State(self.p[rows], self.m[rows], self.v[rows], self.v_max[rows], self.kept_in, self.pair)

    def put(self, a: Arithmetic, rows: Any, new: State) -> None:
        for name in FIELDS.values():
            getattr(self, name)[rows] = self.stored(a, name, getattr(new, name))

    def stored(self, a: Arithmetic, name: str, number: Number) -> Number:
        return pair(a, number, self.pair) if self.pair and name == "p" else a.store(number, self.kept_in.get(name))

    def read(self, a: Arithmetic, rows: Array) -> Number:
        """p as a decay reads it: a compensated parameter without its compensation, which the bound of the sum covers too."""
        return a.store(self.p[rows], self.pair.high) if self.pair else self.p[rows]


FIELDS = dict(zip(ARRAYS, ("p", "m", "v", "v_max")))
"""The name of an array, as vectors have it, to the field of State that holds it."""

SHOWN = {**FIELDS, COMPENSATION: "whole"}
"""The same for what is compared, in a state that is shown."""


def step_parameter(
    a: Arithmetic, state: State, given: Occurrences, picks: Picks, s: Scalars, forms: Forms, centralize: bool = False
) -> None:
    """One optimizer step of a parameter with one gradient; changes `state` in place.

    centralize: whether the shape of the parameter qualifies for MindSpore's rule.
    """
    given, g = reduced(a, given, picks, forms)
    emit(a, "begins", state=state, given=given, picks=picks, s=s)
    first = picks.decay_order is DecayOrder.BEFORE
    undecayed = state.p[np.arange(len(state.p))] if picks.decay in DECOUPLED and first and picks.decay_rate is DecayRate.LR else None
    if picks.decay is Decay.DECOUPLED_ALL and first:
        shrink_rows(a, state, np.arange(len(state.p)), s, forms)
    g = prepare(a, g, state.read(a, given.indices), picks, s, forms, centralize)
    emit(a, "prepared", g=g)
    merged = touch(a, merge(a, given.indices, g, picks.merge), given, picks)
    if picks.decay is Decay.DECOUPLED_TOUCHED and first:
        shrink_rows(a, state, merged.rows, s, forms)
    if picks.decay in (Decay.COUPLED_MERGED, Decay.COUPLED_ALL):
        g = merged.g + state.read(a, merged.rows) * s.weight_decay
        merged = Merged(merged.rows, -g if picks.objective is Objective.MAXIMIZE_LAST else g, merged.square)
    if picks.merge is Merge.OLD_STATE:
        update_from_old_state(a, state, merged, picks, s, forms)
    elif picks.merge is Merge.SEQUENTIAL:
        for positions in occurrence_rounds(merged.rows):
            update_rows(a, state, merged.at(positions), picks, s, forms)
    else:
        update_rows(a, state, merged, picks, s, forms, undecayed)
    if picks.decay in DECOUPLED and not first:
        shrink_rows(a, state, merged.rows if picks.decay is Decay.DECOUPLED_TOUCHED else np.arange(len(state.p)), s, forms)


DECOUPLED = (Decay.DECOUPLED_TOUCHED, Decay.DECOUPLED_ALL)


def shrink_rows(a: Arithmetic, state: State, rows: Array, s: Scalars, forms: Forms) -> None:
    rows = np.unique(rows)
    old = state.take(rows)
    ways = [shrink(a, old.p, s, forms)] if Move.WHOLE in forms.move or not old.pair else []
    if old.pair and Move.NARROWED in forms.move:
        ways.append(taken_from_pair(a, old.p, a.store(old.p, old.pair.high) * s.decay, old.pair))
    state.p[rows] = state.stored(a, "p", a.join(ways))


def touch(a: Arithmetic, merged: Merged, given: Occurrences, picks: Picks) -> Merged:
    """Which rows the update works on: those that are stored, those that are not all zero, or all of them."""
    if given.dense:
        return replace(merged, stored=len(merged.rows))
    if picks.touch in _mistakes.UPDATED_ROWS:
        total = np.zeros(given.layout)
        np.add.at(total, given.indices, given.values)
        return merged.at(np.flatnonzero(_mistakes.UPDATED_ROWS[picks.touch](total[merged.rows])))
    if picks.touch is Touch.ALL_UNLESS_EMPTY and not len(given.indices):
        return merged
    if picks.touch in EVERY_ROW or picks.decay is Decay.COUPLED_ALL:
        missing = np.setdiff1d(np.arange(given.layout[0]), merged.rows)
        rows = np.r_[merged.rows, missing]
        padded = a.load(np.zeros((len(rows), given.layout[1])))
        square = None if merged.square is None else a.load(np.zeros((len(rows), given.layout[1])))
        padded[: len(merged.rows)] = merged.g
        if square is not None:
            square[: len(merged.rows)] = merged.square
        return Merged(rows, padded, square, len(merged.rows))
    return merged


EVERY_ROW = (Touch.ALL, Touch.ALL_UNLESS_EMPTY, Touch.MOMENTS_OF_ALL)
"""Picks under which a step works on every row of a parameter."""


def update_rows(
    a: Arithmetic, state: State, merged: Merged, picks: Picks, s: Scalars, forms: Forms, undecayed: Number | None = None
) -> None:
    """The update of rows that occur once each. undecayed: p of all rows before a decoupled decay, where the update may take it in."""
    if picks.eps in _mistakes.EPS_OF_ROWS:
        stored = np.arange(len(merged.rows)) < merged.stored
        for eps, some in zip(_mistakes.EPS_OF_ROWS[picks.eps], (stored, ~stored)):
            update_rows(a, state, merged.at(np.flatnonzero(some)), replace(picks, eps=eps), s, forms)
        return
    old = state.take(merged.rows)
    new, change, parts = advance(a, old, merged, picks, s, forms)
    new.p = moved(a, old, change, parts, None if undecayed is None else undecayed[merged.rows], s, forms)
    if picks.update is Update.TWICE:
        new.p = new.p - change
    if picks.touch is Touch.MOMENTS_OF_ALL:
        new.p[merged.stored :] = old.p[merged.stored :]
    state.put(a, merged.rows, new)


def moved(a: Arithmetic, old: State, change: Number, parts: Parts, undecayed: Number | None, s: Scalars, forms: Forms) -> Number:
    """p - change, in every form that may be used. undecayed: p before a decoupled decay, where the change may take the decay in."""
    ways = []
    if Move.WHOLE in forms.move or not (parts or "p" in old.kept_in or old.pair):
        if undecayed is None or forms.shrink != (Shrink.WITH_CHANGE,):
            whole = old.p - change
            ways.append(whole)
        if undecayed is not None and Shrink.WITH_CHANGE in forms.shrink:
            ways.append(undecayed - (change + (undecayed * s.weight_decay) * s.lr))
    if Move.NARROWED in forms.move and "p" in old.kept_in:
        ways.append(old.p - a.store(change, old.kept_in["p"]))
    if Move.NARROWED in forms.move and old.pair:
        ways.append(taken_from_pair(a, old.p, change, old.pair))
    return a.join([*ways, *((old.p - along_g) - along_m for along_g, along_m in parts)])


def update_from_old_state(a: Arithmetic, state: State, merged: Merged, picks: Picks, s: Scalars, forms: Forms) -> None:
    """Every occurrence starts from the old state; the changes add up, and the last occurrence's moments win."""
    new, change, _ = advance(a, state.take(merged.rows), merged, picks, s, forms)
    for positions in occurrence_rounds(merged.rows):
        rows = merged.rows[positions]
        later = new.take(positions)
        later.p = state.p[rows] - change[positions]
        if picks.update is Update.TWICE:
            later.p = later.p - change[positions]
        state.put(a, rows, later)


Parts = list[tuple[Number, Number]]
"""What NAdam takes from p along g and along m, one after the other: an entry per form that does so, none in other directions."""


def advance(a: Arithmetic, old: State, merged: Merged, picks: Picks, s: Scalars, forms: Forms) -> tuple[State, Number, Parts]:
    """The new moments (with the old p), the change of p and its parts, for rows that are taken out of the table."""
    g = merged.g
    m = altered(a, "m", first_moment(a, old.m, g, picks, s, forms))
    v = altered(a, "v", second_moment(a, old.v, g, merged.square, picks, s, forms))
    v_max, v_used = running_maximum(a, old.v_max, v, picks, s)
    d = direction(a, old.m, m, g, picks, s, forms)
    if picks.direction in _mistakes.DIVIDES_BY_OLD_V:
        v_used = old.v
    change = altered(a, "change", change_of_p(a, d, v_used, picks, s, forms), s.lr)
    denominators = [
        APART[form](a, v_used, s) for form in forms.move if form in APART and picks.direction in SCHEDULED and picks.eps is Eps.PAPER
    ]
    parts = [((g * s.lr_times_new) / denominator, (m * s.lr_times_old) / denominator) for denominator in denominators]
    emit(a, "advanced", rows=merged.rows, g=g, m=m, v=v, v_max=v_max, d=d, change=change)
    if picks.moments in _mistakes.KEPT_MOMENTS:
        m, v = _mistakes.KEPT_MOMENTS[picks.moments](m, v, s)
    return State(old.p, m, v, v_max, old.kept_in), change, parts


def first_moment(a: Arithmetic, m: Number, g: Number, picks: Picks, s: Scalars, forms: Forms) -> Number:
    """m <- b1 m + (1 - b1) g."""
    if picks.moments in _mistakes.FIRST_MOMENT:
        return _mistakes.FIRST_MOMENT[picks.moments](m, g, s)
    return moving_average(a, m, g, s, forms)


def second_moment(a: Arithmetic, v: Number, g: Number, square: Number | None, picks: Picks, s: Scalars, forms: Forms) -> Number:
    """v <- b2 v + (1 - b2) g^2; with a square of its own where duplicates were squared apart, or every row has one square.

    Adamax (Kingma and Ba 2015, section 7.1): u <- max(b2 u, |g|).
    """
    if picks.second is Second.INFINITY:
        size = a.maximum(g, -g)
        return a.maximum(v * s.beta2, size + s.eps if picks.eps is Eps.BESIDE_GRADIENT else size)
    if picks.second is Second.ROW_SQUARES:
        square = a.row_mean(g * g)
    if square is not None:
        return a.join([MEAN[form](a, v, square, s.beta2, s.one_minus_beta2) for form in admissible(forms.mean, s.betas[1])])
    return a.join([SQUARE[form](a, v, g, s.beta2, s.one_minus_beta2) for form in admissible(forms.square, s.betas[1])])


def moving_average(a: Arithmetic, old: Number, new: Number, s: Scalars, forms: Forms) -> Number:
    return a.join([MEAN[form](a, old, new, s.beta1, s.one_minus_beta1) for form in admissible(forms.mean, s.betas[0])])


def running_maximum(a: Arithmetic, v_max: Number, v: Number, picks: Picks, s: Scalars) -> tuple[Number, Number]:
    """amsgrad (Reddi et al. 2018): the maximum that is kept, and the v that the step divides by."""
    if picks.amsgrad is Amsgrad.OFF:
        return v_max, v
    candidate = v / s.v_hat_divisor if picks.amsgrad is Amsgrad.MAX_V_HAT else v
    largest = a.maximum(v_max, candidate)
    kept = _mistakes.KEPT_MAXIMUM[picks.amsgrad](v_max, candidate) if picks.amsgrad in _mistakes.KEPT_MAXIMUM else largest
    return kept, largest


def change_of_p(a: Arithmetic, d: Number, v: Number, picks: Picks, s: Scalars, forms: Forms) -> Number:
    """What is taken from p: lr m_hat / (sqrt(v_hat) + eps), in every form that may be used."""

    def by(formulas: dict[Scale, Change]) -> Number:
        return a.join([formulas[form](a, d, v, s) for form in forms.scale if form in formulas] or [_only(formulas)(a, d, v, s)])

    if picks.second is Second.INFINITY:
        return by(INFINITY_CHANGE[picks.eps])
    if picks.rectification is Rectification.NONE:
        return by(CHANGE[picks.eps])
    unrectified = _mistakes.UNRECTIFIED.get(picks.rectification, UNRECTIFIED)
    threshold = _mistakes.RECTIFIED_ABOVE.get(picks.rectification, RECTIFIED_ABOVE)
    return a.choose(s.rho, threshold, lambda: by(RECTIFIED[picks.eps]), lambda: by(unrectified))


RECTIFIED_ABOVE = 5.0
"""How many gradients v has to average before RAdam divides by its root (Liu et al. 2020 have 4, their code and all others 5)."""


def direction(a: Arithmetic, m_old: Number, m: Number, g: Number, picks: Picks, s: Scalars, forms: Forms) -> Number:
    """What the step moves along: m, or a look ahead."""
    if picks.direction is Direction.NESTEROV:
        return moving_average(a, m, g, s, forms)
    if picks.direction in LOOK_AHEAD:
        return m * s.nesterov_old + g * s.nesterov_new
    return _mistakes.DIRECTION[picks.direction](m_old, m, g) if picks.direction in _mistakes.DIRECTION else m


def shrink(a: Arithmetic, p: Number, s: Scalars, forms: Forms) -> Number:
    """Decoupled weight decay (Loshchilov and Hutter 2019): p <- p - rate wd p."""
    ways = [SHRINK[form](p, s.decay, s.one_minus_decay) for form in forms.shrink if form in SHRINK]
    return a.join(ways or [_only(SHRINK)(p, s.decay, s.one_minus_decay)])


def _only(formulas: dict[Any, Any]) -> Any:
    return next(iter(formulas.values()))
