"""From the gradient that is given to the one that the moments take in: sign, decay, centralization, unscaling, merging."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..arithmetic import Arithmetic, Number
from ..dialects import Picks
from ..dialects.stages import Centralization, Decay, Merge, Objective, Unscale
from ..gradients import Array
from . import _mistakes
from ._merged import Merged, unique_rows
from .forms import Forms, Unscaling
from .scalars import Scalars


def prepare(a: Arithmetic, g: Number, p: Number, picks: Picks, s: Scalars, forms: Forms, centralize: bool) -> Number:
    """Each occurrence g after the stages that come before merging, shape (n, width).

    g <- -g (maximize); g <- (g + wd ls p) / ls (coupled decay, loss scale); g <- g - mean(g) (centralization).
    p: the parameter's rows, one per occurrence. Read: mindspore 2.10.0, nn/optim/optimizer.py (decay_weight, gradients_centralization,
    scale_grad, in this order).
    """
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


def _with_decay(g: Number, p: Number | None, s: Scalars) -> Number:
    return g if p is None else g + p * s.weight_decay


def _decay_first(g: Number, p: Number | None, s: Scalars) -> Number:
    return (g if p is None else g + p * s.scaled_decay) * s.inverse_loss_scale


def _divide_first(g: Number, p: Number | None, s: Scalars) -> Number:
    return _with_decay(g / s.loss_scale, p, s)


UNSCALE: dict[Unscale, dict[Unscaling, Unscaled]] = {
    Unscale.DECAY_KEPT: {Unscaling.DECAY_FIRST: _decay_first, Unscaling.DIVIDE_FIRST: _divide_first},
    **{pick: dict.fromkeys(Unscaling, formula) for pick, formula in _mistakes.UNSCALE.items()},
}


def merge(a: Arithmetic, rows: Array, g: Number, pick: Merge) -> Merged:
    """One gradient per row out of its occurrences. SEQUENTIAL and OLD_STATE keep them apart: the update takes each."""
    return MERGE[pick](a, rows, g)


def _sum(a: Arithmetic, rows: Array, g: Number) -> Merged:
    unique, slot = unique_rows(rows)
    return Merged(unique, a.sum_rows(g, slot, len(unique)))


def _mean(a: Arithmetic, rows: Array, g: Number) -> Merged:
    merged = _sum(a, rows, g)
    count = a.load(np.bincount(unique_rows(rows)[1], minlength=len(merged.rows))[:, None])
    return Merged(merged.rows, merged.g / count)


def _apart(a: Arithmetic, rows: Array, g: Number) -> Merged:
    return Merged(rows, g)


MERGE: dict[Merge, Callable[[Arithmetic, Array, Number], Merged]] = {
    Merge.SUM: _sum,
    Merge.MEAN: _mean,
    Merge.SEQUENTIAL: _apart,
    Merge.OLD_STATE: _apart,
    **_mistakes.MERGE,
}
