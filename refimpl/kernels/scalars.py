"""The scalars that a kernel takes: computed in double, and rounded once, by the kernel, to the format of its arithmetic.

Differences between dialects are put into these numbers where possible, so that one kernel serves all dialects:

    eps beside sqrt(v_hat) is eps sqrt(1-b2^t) beside sqrt(v), with the corrections folded into the step size;
    the direction is look_m m + look_g g, with (1, 0) for m itself and (b1, 1-b1) for Nesterov's look ahead;
    a decoupled decay keeps 1 - lr wd of p, and without one, 1 of it.
"""

from __future__ import annotations

import math
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..dialects import Hyper, Picks
from ..dialects import stages as st
from ..errors import UsageError
from ..gradients import Array

DECOUPLED = (st.Decay.DECOUPLED_TOUCHED, st.Decay.DECOUPLED_ALL)

LAST_STEP = 2**53
"""The largest count that differs from the next one in double: beyond it the beta powers would be those of another step."""


class Scalars(NamedTuple):
    """In the order in which the kernels unpack them; see `scalars` for what each is."""

    beta1: float
    rest1: float
    beta2: float
    rest2: float
    look_m: float
    look_g: float
    step: float
    eps: float
    keep: float
    sign: float
    decay: float
    unscale: float
    late_decay: float


COMPUTED: dict[str, tuple[Enum, ...]] = {
    "objective": tuple(st.Objective),
    "betas": (st.Betas.AS_GIVEN,),
    "precision": (st.Precision.OWN,),
    "clock": (st.Clock.T,),
    "decay": (
        st.Decay.NONE,
        st.Decay.COUPLED_OCCURRENCE,
        st.Decay.COUPLED_MERGED,
        st.Decay.DECOUPLED_TOUCHED,
        st.Decay.DECOUPLED_ALL,
    ),
    "decay_rate": (st.DecayRate.LR,),
    "centralization": tuple(st.Centralization),
    "unscale": (st.Unscale.DECAY_KEPT,),
    "merge": (st.Merge.SUM, st.Merge.OLD_STATE),
    "touch": (st.Touch.STORED, st.Touch.ALL),
    "moments": (st.Moments.EMA,),
    "second": (st.Second.SQUARES,),
    "rectification": (st.Rectification.NONE,),
    "bias": (st.Bias.BOTH,),
    "amsgrad": (st.Amsgrad.OFF, st.Amsgrad.MAX_V),
    "eps": (st.Eps.HAT, st.Eps.PAPER),
    "direction": (st.Direction.M, st.Direction.NESTEROV),
    "update": (st.Update.ONCE,),
}
"""Stage to the alternatives that the kernels compute. Counters, schedules and resuming are the caller's."""


def computes(picks: Picks) -> bool:
    """Whether the kernels compute every one of these alternatives."""
    return all(getattr(picks, stage) in alternatives for stage, alternatives in COMPUTED.items())


@lru_cache(maxsize=256)
def check_picks(picks: Picks, dense: bool) -> None:
    """Raise UsageError for an alternative, or two together, that no kernel computes."""
    for stage, alternatives in COMPUTED.items():
        pick = getattr(picks, stage)
        if pick not in alternatives:
            known = ", ".join(f"{alternative.name.lower()}" for alternative in alternatives)
            raise UsageError(
                f"the kernels do not compute {stage}: {pick.name.lower()}", f"they compute {known}; the reference computes all"
            )
    if picks.decay in DECOUPLED and picks.merge is st.Merge.OLD_STATE:
        raise UsageError("the kernels do not compute a decoupled decay where occurrences are kept apart", "use the reference")
    if picks.decay is st.Decay.DECOUPLED_ALL and picks.touch is not st.Touch.ALL and not dense:
        raise UsageError("the kernels do not decay all rows under a gradient of some", "use decay: decoupled_touched, or the reference")


def scalars(hyper: Hyper, picks: Picks, t: int) -> Array:
    """The scalars of step t (from 1), shape (13,) in float64, in the order of Scalars. A kernel rounds them to its own format.

    step = lr sqrt(1-b2^t) / (1-b1^t); decay = wd ls and unscale = 1/ls, so that g <- (g + wd ls p) / ls.
    """
    if not isinstance(t, (int, np.integer)) or not 1 <= t <= LAST_STEP:
        raise UsageError(f"step t = {t!r}", f"steps are counted by an integer from 1 to {LAST_STEP}")
    if not (0.0 <= hyper.beta1 < 1.0 and 0.0 <= hyper.beta2 < 1.0 and hyper.loss_scale != 0.0):
        raise UsageError(
            f"beta1 = {hyper.beta1!r}, beta2 = {hyper.beta2!r}, loss_scale = {hyper.loss_scale!r}",
            "the kernels compute 0 <= beta < 1 and a loss_scale that is not 0",
        )
    decay, loss_scale = hyper.weight_decay, hyper.loss_scale
    root2 = math.sqrt(1.0 - hyper.beta2**t)
    nesterov = picks.direction is st.Direction.NESTEROV
    exact = Scalars(  # in order, as calls with names take twice as long
        hyper.beta1,
        1.0 - hyper.beta1,
        hyper.beta2,
        1.0 - hyper.beta2,
        hyper.beta1 if nesterov else 1.0,
        1.0 - hyper.beta1 if nesterov else 0.0,
        hyper.lr * root2 / (1.0 - hyper.beta1**t),
        hyper.eps * root2 if picks.eps is st.Eps.PAPER else hyper.eps,
        1.0 - hyper.lr * decay if picks.decay in DECOUPLED else 1.0,
        -1.0 if picks.objective is st.Objective.MAXIMIZE else 1.0,
        decay * loss_scale if picks.decay is st.Decay.COUPLED_OCCURRENCE else 0.0,
        1.0 / loss_scale,
        decay if picks.decay is st.Decay.COUPLED_MERGED else 0.0,
    )
    return np.array(exact)


def without_gradient(with_gradient: Array) -> Array:
    """The scalars for rows that no occurrence stores: those of `with_gradient` without the operations on occurrences."""
    idle = with_gradient.copy()
    for name, value in (("sign", 1), ("decay", 0), ("unscale", 1)):
        idle[Scalars._fields.index(name)] = value
    return idle
