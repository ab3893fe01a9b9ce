"""From the gradient that is given to the one that the moments take in: sign, decay, centralization, unscaling, merging."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..arithmetic import Arithmetic, Number
from ..dialects import Picks
from ..dialects.stages import Centralization, Decay, Merge, Objective, Unscale
from ..gradients import Array, Occurrences
from .forms import Forms, Unscaling
from .scalars import Scalars


@dataclass(frozen=True)
class Merged:
    """What the update takes in: a gradient per row, and its square where that is not the square of the gradient.

    stored: how many of the rows, which come first, the gradient stores; by default all.
    """

    rows: Array
    g: Number
    square: Number | None = None
    stored: int = sys.maxsize

    def at(self, positions: Array) -> Merged:
        return Merged(self.rows[positions], self.g[positions], None if self.square is None else self.square[positions])


def prepare(a: Arithmetic, given: Occurrences, p: Number, picks: Picks, s: Scalars, forms: Forms, centralize: bool) -> Number:
    """Each occurrence after the stages that come before merging: g, shape (n, width).

    g <- -g (maximize); g <- (g + wd ls p) / ls (coupled decay, loss scale); g <- g - mean(g) (centralization).
    p: the parameter's rows at given.indices. Read: mindspore 2.10.0, nn/optim/optimizer.py (decay_weight, gradients_centralization,
    scale_grad, in this order).
    """
    g = a.load(given.values)
    if picks.objective is Objective.MAXIMIZE:
        g = -g
    decays = picks.decay is Decay.COUPLED_OCCURRENCE
    if picks.centralization is Centralization.BEFORE_DECAY and centralize:
        g = g - a.row_mean(g)
    g = a.join([UNSCALE[picks.unscale][form](g, p if decays else None, s) for form in forms.unscaling])
    if picks.objective is Objective.MAXIMIZE_LAST and decays:
        g = -g
    if picks.centralization is Centralization.ANY_WIDTH or (picks.centralization is Centralization.ROW_MEAN and centralize):
        g = g - a.row_mean(g)
    return g


Unscaled = Callable[[Number, "Number | None", Scalars], Number]


def _plain(g: Number, p: Number | None, s: Scalars) -> Number:
    return g if p is None else g + p * s.weight_decay


def _decay_first(g: Number, p: Number | None, s: Scalars) -> Number:
    return (g if p is None else g + p * s.scaled_decay) * s.inverse_loss_scale


def _divide_first(g: Number, p: Number | None, s: Scalars) -> Number:
    return _plain(g / s.loss_scale, p, s)


def _decay_shrunk(g: Number, p: Number | None, s: Scalars) -> Number:
    return _plain(g, p, s) * s.inverse_loss_scale


def _twice(g: Number, p: Number | None, s: Scalars) -> Number:
    return _decay_first(g, p, s) * s.inverse_loss_scale


UNSCALE: dict[Unscale, dict[Unscaling, Unscaled]] = {
    Unscale.DECAY_KEPT: {Unscaling.DECAY_FIRST: _decay_first, Unscaling.DIVIDE_FIRST: _divide_first},
    Unscale.DECAY_SHRUNK: dict.fromkeys(Unscaling, _decay_shrunk),
    Unscale.IGNORED: dict.fromkeys(Unscaling, _plain),
    Unscale.TWICE: dict.fromkeys(Unscaling, _twice),
}


def merge(a: Arithmetic, rows: Array, g: Number, pick: Merge) -> Merged:
    """One gradient per row out of its occurrences. SEQUENTIAL and OLD_STATE keep them apart: the update sees each."""
    return MERGE[pick](a, rows, g)


def _sum(a: Arithmetic, rows: Array, g: Number) -> Merged:
    unique, slot = _unique(rows)
    return Merged(unique, a.sum_rows(g, slot, len(unique)))


def _mean(a: Arithmetic, rows: Array, g: Number) -> Merged:
    merged = _sum(a, rows, g)
    count = a.load(np.bincount(_unique(rows)[1], minlength=len(merged.rows))[:, None])
    return Merged(merged.rows, merged.g / count)


def _sum_of_squares(a: Arithmetic, rows: Array, g: Number) -> Merged:
    merged = _sum(a, rows, g)
    return Merged(merged.rows, merged.g, _sum(a, rows, g * g).g)


def _first(a: Arithmetic, rows: Array, g: Number) -> Merged:
    unique, at = np.unique(rows, return_index=True)
    return Merged(unique, g[at])


def _last(a: Arithmetic, rows: Array, g: Number) -> Merged:
    return _first(a, rows[::-1], g[np.arange(len(rows))[::-1]])


def _adjacent(a: Arithmetic, rows: Array, g: Number) -> Merged:
    starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]]) if len(rows) else np.zeros(0, np.int64)
    slot = np.cumsum(np.isin(np.arange(len(rows)), starts)) - 1
    return _last(a, rows[starts], a.sum_rows(g, slot, len(starts)))


def _apart(a: Arithmetic, rows: Array, g: Number) -> Merged:
    return Merged(rows, g)


MERGE: dict[Merge, Callable[[Arithmetic, Array, Number], Merged]] = {
    Merge.SUM: _sum,
    Merge.MEAN: _mean,
    Merge.FIRST: _first,
    Merge.LAST: _last,
    Merge.ADJACENT: _adjacent,
    Merge.SEQUENTIAL: _apart,
    Merge.OLD_STATE: _apart,
    Merge.SUM_OF_SQUARES: _sum_of_squares,
}


def _unique(rows: Array) -> tuple[Array, Array]:
    unique, slot = np.unique(rows, return_inverse=True)
    return unique, slot.reshape(-1)  # NumPy 2.0.0 alone shapes the inverse like its input


def occurrence_rounds(rows: Array) -> list[Array]:
    """Positions of the first occurrence of each row, then of the second, and so on: each round holds a row at most once."""
    order = np.argsort(rows, kind="stable")
    _, counts = np.unique(rows, return_counts=True)
    rank = np.empty(len(rows), np.int64)
    rank[order] = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return [np.flatnonzero(rank == k) for k in range(counts.max(initial=0))]
