"""Preparations of the calls themselves: which are made, with which gradients missing or empty, at which rate and eps, after which decay."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..dialects import Hyper, Picks
from ..dialects.stages import Amsgrad, Bias, Counter, Decay, DecayRate, Direction, Eps
from ..dialects.translate import Wanted
from ..gradients import RowGradient, laid_out, row_layout
from ..reference.counters import is_empty, tick
from ..reference.scalars import CLOCK
from ._replay import Call, Target, Transfer

DECOUPLED = (Decay.DECOUPLED_ALL, Decay.DECOUPLED_TOUCHED)


def decay_by_hand(given: Transfer, b: Target) -> Transfer:
    """p multiplied by 1 - lr * weight_decay before the call, for a decoupled decay."""
    calls = tuple(_shrunk(call) for call in given.calls)
    return replace(given, calls=calls) if any(new is not old for new, old in zip(calls, given.calls)) else given


def _shrunk(call: Call) -> Call:
    factors, wanted = dict(call.shrink), dict(call.wanted)
    for name, one in call.wanted.items():
        gradient = call.gradients[name]
        if one.picks.decay not in DECOUPLED or one.picks.decay_rate is DecayRate.STEP_SIZE:
            continue
        rate = one.hyper.weight_decay * (one.hyper.lr if one.picks.decay_rate is DecayRate.LR else 1.0)
        wanted[name] = Wanted(replace(one.hyper, weight_decay=0.0), replace(one.picks, decay=Decay.NONE, decay_rate=DecayRate.LR))
        if gradient is None:
            continue
        shape = call.before[name].shape
        factor = np.full(row_layout(shape), 1.0 - rate)
        if one.picks.decay is Decay.DECOUPLED_TOUCHED:
            factor = np.ones(row_layout(shape))
            factor[laid_out(gradient, shape).indices] = 1.0 - rate
        factors[name] = factor.reshape(shape)
    return replace(call, shrink=factors, wanted=wanted) if any(wanted[name] is not call.wanted[name] for name in wanted) else call


def own_optimizers(given: Transfer, b: Target) -> Transfer:
    """An optimizer per parameter, called only with a gradient."""
    return given if given.own else replace(given, own=True)


def fill(given: Transfer, b: Target) -> Transfer:
    """An empty gradient where there is none."""
    shapes = {param.name: param.value.shape for param in given.params}
    if not any(one is None for call in given.calls for one in call.gradients.values()) or any(len(shape) == 0 for shape in shapes.values()):
        return given
    calls = tuple(
        replace(call, gradients={name: _empty(shapes[name]) if one is None else one for name, one in call.gradients.items()})
        for call in given.calls
    )
    return replace(given, calls=calls)


def _empty(shape: tuple[int, ...]) -> RowGradient:
    return RowGradient(np.zeros(0, np.int64), np.zeros((0, *shape[1:])), shape)


def drop_empty(given: Transfer, b: Target) -> Transfer:
    """No gradient where it is empty."""
    if not any(one is not None and is_empty(one) for call in given.calls for one in call.gradients.values()):
        return given
    calls = tuple(
        replace(call, gradients={name: None if is_empty(one) else one for name, one in call.gradients.items()}) for call in given.calls
    )
    return replace(given, calls=calls)


def skip_empty_calls(given: Transfer, b: Target) -> Transfer:
    """No call where no parameter has a gradient."""
    calls = tuple(call for call in given.calls if any(one is not None for one in call.gradients.values()))
    return replace(given, calls=calls) if len(calls) < len(given.calls) else given


FOLDED = (Eps.HAT, Eps.PAPER)
"""The places of eps for which a step is lr times a factor of t, and eps times another."""


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


def rescale(given: Transfer, b: Target) -> Transfer:
    """lr and eps of each call such that B's step size and eps come out as A's, and weight_decay such that lr * weight_decay stays."""
    theirs = b.picks
    if Counter.ROW in (theirs.counter, given.a.picks.counter):
        return given
    counters = [dict.fromkeys(call.wanted, theirs.counter) for call in given.calls]
    gradients = [call.gradients for call in given.calls]
    if given.own and theirs.counter is Counter.CALL:
        counters = [dict.fromkeys(call.wanted, Counter.PARAMETER) for call in given.calls]
    ticks = tick(gradients, given.params, counters)
    calls = tuple(_rescaled(call, theirs, at) for call, at in zip(given.calls, ticks))
    return replace(given, calls=calls) if any(new is not old for new, old in zip(calls, given.calls)) else given


def _rescaled(call: Call, theirs: Picks, at: dict[str, int]) -> Call:
    wanted = dict(call.wanted)
    for name, one in call.wanted.items():
        if call.gradients[name] is None:
            continue
        picks = replace(one.picks, clock=theirs.clock, bias=theirs.bias, eps=theirs.eps, counter=theirs.counter)
        mine, other = _factors(one.hyper, one.picks, call.t[name]), _factors(one.hyper, picks, at[name])
        if mine is None or other is None or 0.0 in (*mine, *other):
            continue
        if mine == other:  # what the optimizer picks comes to the same
            wanted[name] = Wanted(one.hyper, picks) if picks != one.picks else one
            continue
        factor = mine[0] / other[0]
        by_lr = one.picks.decay in DECOUPLED and one.picks.decay_rate is DecayRate.LR
        decay = one.hyper.weight_decay / factor if by_lr else one.hyper.weight_decay
        hyper = replace(one.hyper, lr=one.hyper.lr * factor, eps=one.hyper.eps * (mine[1] / other[1]), weight_decay=decay)
        wanted[name] = Wanted(hyper, picks)
    return replace(call, wanted=wanted) if any(wanted[name] is not call.wanted[name] for name in wanted) else call
