"""Preparations of the calls themselves: which are made, with which gradients missing, at which rate and eps, after which decay."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..dialects import Hyper, Picks
from ..dialects.stages import Amsgrad, Bias, Counter, Decay, DecayRate, Direction, Eps
from ..gradients import RowGradient, laid_out, row_layout
from ..reference.counters import tick
from ..reference.scalars import CLOCK
from ._gradient_adapters import less, with_calls
from ._replay import Call, Target, Transfer

DECOUPLED = (Decay.DECOUPLED_ALL, Decay.DECOUPLED_TOUCHED)

FOLDED = (Eps.HAT, Eps.PAPER)
"""The places of eps for which a step is lr times a factor of t, and eps times another."""


def decays_by_lr(picks: Picks) -> bool:
    """Whether p is multiplied by 1 - lr * weight_decay."""
    return picks.decay in DECOUPLED and picks.decay_rate is DecayRate.LR


def decay_by_hand(transfer: Transfer, b: Target) -> Transfer:
    """p multiplied by 1 - lr * weight_decay before the call, for a decoupled decay."""
    return with_calls(transfer, tuple(map(_shrunk, transfer.calls)))


def _shrunk(call: Call) -> Call:
    decayed = {
        name: wanted
        for name, wanted in call.wanted.items()
        if wanted.picks.decay in DECOUPLED and wanted.picks.decay_rate is not DecayRate.STEP_SIZE
    }
    if not decayed:
        return call
    factors = dict(call.shrink)
    for name, wanted in decayed.items():
        gradient, shape = call.gradients[name], call.before[name].shape
        if gradient is not None:
            rate = wanted.hyper.weight_decay * (wanted.hyper.lr if decays_by_lr(wanted.picks) else 1.0)
            rows = laid_out(gradient, shape).indices if wanted.picks.decay is Decay.DECOUPLED_TOUCHED else slice(None)
            factor = np.ones(row_layout(shape))
            factor[rows] = 1.0 - rate
            factors[name] = factor.reshape(shape)
    left = {name: less(wanted, {"weight_decay": 0.0}, decay=Decay.NONE, decay_rate=DecayRate.LR) for name, wanted in decayed.items()}
    return replace(call, shrink=factors, wanted={**call.wanted, **left})


def own_optimizers(transfer: Transfer, b: Target) -> Transfer:
    """An optimizer per parameter, called only with a gradient."""
    return transfer if transfer.own else replace(transfer, own=True)


def fill(transfer: Transfer, b: Target) -> Transfer:
    """An empty gradient where there is none; not beside a scalar, which has no rows to leave out."""
    shapes = {param.name: param.value.shape for param in transfer.params}
    if () in shapes.values():
        return transfer
    return with_calls(transfer, tuple(_filled(call, shapes) for call in transfer.calls))


def _filled(call: Call, shapes: dict[str, tuple[int, ...]]) -> Call:
    missing = {name: shapes[name] for name, gradient in call.gradients.items() if gradient is None}
    empty = {name: RowGradient(np.zeros(0, np.int64), np.zeros((0, *shape[1:])), shape) for name, shape in missing.items()}
    return replace(call, gradients={**call.gradients, **empty}) if empty else call


def skip_empty_calls(transfer: Transfer, b: Target) -> Transfer:
    """No call where no parameter has a gradient."""
    return with_calls(transfer, tuple(call for call in transfer.calls if any(g is not None for g in call.gradients.values())))


def rescale(transfer: Transfer, b: Target) -> Transfer:
    """lr and eps of each call such that B's step size and eps come out as A's, and weight_decay such that lr * weight_decay stays."""
    theirs = b.picks
    if Counter.ROW in (theirs.counter, transfer.a.picks.counter):
        return transfer
    counter = Counter.PARAMETER if transfer.own and theirs.counter is Counter.CALL else theirs.counter
    counters = [dict.fromkeys(call.wanted, counter) for call in transfer.calls]
    ticks = tick([call.gradients for call in transfer.calls], transfer.params, counters)
    return with_calls(transfer, tuple(_rescaled(call, theirs, at) for call, at in zip(transfer.calls, ticks)))


def _rescaled(call: Call, theirs: Picks, at: dict[str, int]) -> Call:
    rescaled = {}
    for name, wanted in call.wanted.items():
        hyper, picks = wanted.hyper, {stage: getattr(theirs, stage) for stage in ("clock", "bias", "eps", "counter")}
        new = less(wanted, **picks)
        mine, other = _factors(hyper, wanted.picks, call.t[name]), _factors(hyper, new.picks, at[name])
        if call.gradients[name] is None or mine is None or other is None or 0.0 in (*mine, *other):
            continue
        if mine != other:
            factor, eps = mine[0] / other[0], hyper.eps * (mine[1] / other[1])
            decay = hyper.weight_decay / (factor if decays_by_lr(wanted.picks) else 1.0)
            new = less(wanted, {"lr": hyper.lr * factor, "eps": eps, "weight_decay": decay}, **picks)
        if new != wanted:
            rescaled[name] = new
    return replace(call, wanted={**call.wanted, **rescaled}) if rescaled else call


def _factors(hyper: Hyper, picks: Picks, t: int) -> tuple[float, float] | None:
    """p <- p - lr s d/(sqrt(v) + eps e): (s, e) at step t, None where a step is not of this form."""
    t = CLOCK[picks.clock](t)
    corrects_v = picks.bias in (Bias.BOTH, Bias.SECOND) and picks.amsgrad is not Amsgrad.MAX_V_HAT
    corrects_m = picks.bias in (Bias.BOTH, Bias.FIRST) and picks.direction is not Direction.NADAM
    if picks.eps not in FOLDED or t < 1:
        return None
    root2 = math.sqrt(1.0 - hyper.beta2**t) if corrects_v else 1.0
    c1 = 1.0 - hyper.beta1**t if corrects_m else 1.0
    return root2 / c1, root2 if picks.eps is Eps.PAPER else 1.0
