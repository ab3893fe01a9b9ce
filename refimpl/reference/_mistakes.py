"""What no dialect does: the alternatives that only mistakes pick, apart from the algorithm, which looks them up here.

An alternative is a line in a table of its stage. The formulas take what the algorithm's own take; a stage that has no table here decides
by its pick where it stands, because a mistake changes the order of its steps and no formula.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arithmetic import Arithmetic, Number
from ..dialects.stages import (
    Accumulation,
    Amsgrad,
    Bias,
    Clock,
    DecayRate,
    Direction,
    Eps,
    Merge,
    Moments,
    Rectification,
    Reduction,
    Touch,
    Unscale,
)
from ..gradients import Array, Occurrences, Ranks
from ._merged import Merged, unique_rows

if TYPE_CHECKING:
    from .scalars import Scalars

CLOCK: dict[Clock, Callable[[int], int]] = {
    Clock.T_PLUS_1: lambda t: t + 1,
    Clock.T_MINUS_1: lambda t: max(t - 1, 0),
    Clock.T_MINUS_1_OR_NONE: lambda t: max(t - 1, 0),
    Clock.TWICE_T: lambda t: 2 * t,
}
"""What the bias corrections read in the place of t."""

DECAY_RATE: dict[DecayRate, Callable[[Number, Number, Number], Number]] = {
    DecayRate.ONE: lambda decay, lr, hat_step: decay,
    DecayRate.STEP_SIZE: lambda decay, lr, hat_step: decay * hat_step,
}

CORRECTIONS: dict[Bias, Callable[[Number, Number, Number], tuple[Number, Number]]] = {
    Bias.EXCHANGED: lambda c1, c2, one: (c2, c1),
    Bias.MULTIPLIED: lambda c1, c2, one: (one / c1, one / c2),
    Bias.UNROOTED: lambda c1, c2, one: (c1, c2 * c2),
}
"""What divides m and v in the place of c1 and c2."""

UNSCALE: dict[Unscale, Callable[[Number, Number | None, Scalars], Number]] = {
    Unscale.DECAY_SHRUNK: lambda g, p, s: _with_decay(g, p, s.weight_decay) * s.inverse_loss_scale,
    Unscale.IGNORED: lambda g, p, s: _with_decay(g, p, s.weight_decay),
    Unscale.TWICE: lambda g, p, s: _with_decay(g, p, s.scaled_decay) * s.inverse_loss_scale * s.inverse_loss_scale,
}


def _with_decay(g: Number, p: Number | None, decay: Number) -> Number:
    return g if p is None else g + p * decay


def _first(a: Arithmetic, rows: Array, g: Number) -> Merged:
    unique, at = np.unique(rows, return_index=True)
    return Merged(unique, g[at])


def _last(a: Arithmetic, rows: Array, g: Number) -> Merged:
    return _first(a, rows[::-1], g[np.arange(len(rows))[::-1]])


def _adjacent(a: Arithmetic, rows: Array, g: Number) -> Merged:
    starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]]) if len(rows) else np.zeros(0, np.int64)
    slot = np.cumsum(np.isin(np.arange(len(rows)), starts)) - 1
    return _last(a, rows[starts], a.sum_rows(g, slot, len(starts)))


def _sum_of_squares(a: Arithmetic, rows: Array, g: Number) -> Merged:
    unique, slot = unique_rows(rows)
    return Merged(unique, a.sum_rows(g, slot, len(unique)), a.sum_rows(g * g, slot, len(unique)))


MERGE: dict[Merge, Callable[[Arithmetic, Array, Number], Merged]] = {
    Merge.FIRST: _first,
    Merge.LAST: _last,
    Merge.ADJACENT: _adjacent,
    Merge.SUM_OF_SQUARES: _sum_of_squares,
}


def _mean_of_holders(given: Occurrences, ranks: Ranks) -> tuple[Occurrences, tuple[Array, ...]]:
    pairs = np.unique(np.stack([given.indices, ranks.of]), axis=1)
    return given, (np.bincount(pairs[0], minlength=given.layout[0])[given.indices],)


def _last_rank(given: Occurrences, ranks: Ranks) -> tuple[Occurrences, tuple[float, ...]]:
    last = np.full(given.layout[0], -1)
    np.maximum.at(last, given.indices, ranks.of)
    return given.at(np.flatnonzero(ranks.of == last[given.indices])), (float(ranks.world),)


REDUCE: dict[Reduction, Callable[[Occurrences, Ranks], tuple[Occurrences, tuple[float | Array, ...]]]] = {
    Reduction.MEAN_OF_HOLDERS: _mean_of_holders,
    Reduction.MEAN_OF_GIVING: lambda given, ranks: (given, (float(len(ranks.giving)),)),
    Reduction.MEAN_TWICE: lambda given, ranks: (given, (float(ranks.world), float(ranks.world))),
    Reduction.MEAN_OF_FIRST_WORLD: lambda given, ranks: (given, (float(ranks.first_world),)),
    Reduction.FIRST_PARAMETER: lambda given, ranks: (given, (float(ranks.world),) if ranks.is_first else ()),
    Reduction.FIRST_RANK: lambda given, ranks: (given.at(np.flatnonzero(ranks.of == 0)), ()),
    Reduction.LAST_RANK: _last_rank,
}
"""The occurrences of several ranks that are taken, and what their sum is divided by."""

ACCUMULATE: dict[Accumulation, Callable[[Occurrences, Ranks], tuple[Occurrences, tuple[float | Array, ...]]]] = {
    Accumulation.FIRST: lambda given, batches: (given.at(np.flatnonzero(batches.of == min(batches.giving))), ()),
    Accumulation.LAST: lambda given, batches: (given.at(np.flatnonzero(batches.of == max(batches.giving))), ()),
}
"""The same of several micro-batches."""

UPDATED_ROWS: dict[Touch, Callable[[Array], Array]] = {
    Touch.NONZERO: lambda total: (total != 0).any(axis=1),
    Touch.NONZERO_SUM: lambda total: total.sum(axis=1) != 0,
}
"""Which of the stored rows are updated, from the sum of the occurrences of each, (rows, width)."""

FIRST_MOMENT: dict[Moments, Callable[[Number, Number, Scalars], Number]] = {
    Moments.DIVIDED: lambda m, g, s: (m + g * s.one_minus_beta1 / s.beta1) * s.beta1,
    Moments.UNWEIGHTED: lambda m, g, s: m * s.beta1 + g,
}

KEPT_MOMENTS: dict[Moments, Callable[[Number, Number, Scalars], tuple[Number, Number]]] = {
    Moments.CORRECTED: lambda m, v, s: (m / s.correction1, v),
    Moments.BOTH_CORRECTED: lambda m, v, s: (m / s.correction1, v / s.correction2),
}
"""What is kept of m and v once the change of p has been computed."""

SCHEDULED = {Direction.NADAM_FROM_ZERO: -1}
"""Directions whose momentum is that of another step, and how far that one is from t."""

RECTIFIED_ABOVE = {Rectification.ABOVE_4: 4.0}

UNRECTIFIED: dict[Rectification, dict[Any, Callable[[Arithmetic, Number, Number, Any], Number]]] = {
    Rectification.ABOVE_5_ELSE_STILL: {None: lambda a, d, v, s: d * a.meet(a.scalar(0.0))}
}
"""The change of p before RAdam rectifies."""

KEPT_MAXIMUM: dict[Amsgrad, Callable[[Number, Number], Number]] = {
    Amsgrad.MAX_LOST: lambda v_max, candidate: v_max,
    Amsgrad.LAST_V: lambda v_max, candidate: candidate,
}
"""What amsgrad keeps in the place of the larger one of the two."""

DIRECTION: dict[Direction, Callable[[Number, Number, Number], Number]] = {
    Direction.RAW: lambda m_old, m, g: g,
    Direction.OLD_MOMENTS: lambda m_old, m, g: m_old,
    Direction.OLD_M: lambda m_old, m, g: m_old,
}

DIVIDES_BY_OLD_V = (Direction.OLD_MOMENTS, Direction.OLD_V)

EPS_OF_ROWS: dict[Eps, tuple[Eps, Eps]] = {Eps.PAPER_STORED: (Eps.PAPER, Eps.HAT)}
"""Where eps stands in the rows that a gradient stores, and in the others."""

Change = Callable[[Arithmetic, Number, Number, Any], Number]

CHANGE: dict[Eps, tuple[Change, ...]] = {
    Eps.INSIDE_HAT: (
        lambda a, d, v, s: (d * s.hat_step) / a.sqrt(v + s.eps),
        lambda a, d, v, s: (d / a.sqrt(v + s.eps)) * s.hat_step,
    ),
    Eps.SQUARED_INSIDE: (
        lambda a, d, v, s: (d * s.hat_step) / a.sqrt(v + s.eps * s.eps),
        lambda a, d, v, s: (d / a.sqrt(v + s.eps * s.eps)) * s.hat_step,
    ),
    Eps.SQUARED_INSIDE_PAPER: (
        lambda a, d, v, s: (d * s.step) / a.sqrt(v / s.correction2 + s.eps * s.eps),
        lambda a, d, v, s: (d / a.sqrt(v / s.correction2 + s.eps * s.eps)) * s.step,
    ),
    Eps.AS_MAXIMUM: (
        lambda a, d, v, s: (d * s.hat_step) / a.maximum(a.sqrt(v), s.eps),
        lambda a, d, v, s: (d / a.maximum(a.sqrt(v), s.eps)) * s.hat_step,
    ),
    Eps.SUBTRACTED: (
        lambda a, d, v, s: (d * s.hat_step) / (a.sqrt(v) - s.eps),
        lambda a, d, v, s: (d / (a.sqrt(v) - s.eps)) * s.hat_step,
    ),
    Eps.DROPPED: (
        lambda a, d, v, s: (d * s.hat_step) / a.sqrt(v),
        lambda a, d, v, s: (d / a.sqrt(v)) * s.hat_step,
    ),
    Eps.OVER_STEP_SIZE: (lambda a, d, v, s: d / (a.sqrt(v) / s.root2 / s.step + s.eps / s.step),),
}
"""The change of p where eps stands at another place: the step size folded into d, and, where there is a second one, applied late."""
