"""Formulations: algebraically equal ways to compute a stage. They share their truth and differ in rounding.

Each table maps a form to its formula. `ONE` names one form per table, what a learner would write; `ALL` names every form
that an implementation may use. The bound of `ALL` covers every mixture of them, since each table's results are joined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from itertools import product
from typing import Any

from ..arithmetic import Arithmetic, Number
from ..dialects.stages import Eps
from . import _mistakes
from .scalars import Scalars


class Averaging(Enum):
    """Where a mean over n ranks, over n micro-batches or over n occurrences meets the sum of the gradients."""

    DIVIDED = "sum(g)/n"
    MULTIPLIED = "sum(g)*(1/n)"
    EACH_DIVIDED = "sum(g/n)"
    EACH_MULTIPLIED = "sum(g*(1/n))"
    RANKS_DIVIDED = "sum over the ranks of (sum within a rank)/n"
    RANKS_MULTIPLIED = "sum over the ranks of (sum within a rank)*(1/n)"
    RUNNING = "mean + (g - mean)/k, of the k-th micro-batch"


class Mean(Enum):
    """How a moving average takes in a new value."""

    WEIGHTED = "b*old + (1-b)*new"
    LERP = "old + (new - old)*(1-b)"
    FUSED = "fma(b, old, fma(-b, new, new))"
    LERP_FROM_NEW = "new - (new - old)*b"
    NEW_MINUS_SCALED = "b*old + (new - b*new)"


class Square(Enum):
    """How v takes in the square of the gradient."""

    WEIGHTED = "b2*v + (1-b2)*(g*g)"
    WEIGHTED_ONCE = "b2*v + ((1-b2)*g)*g"
    LERP = "v + (g*g - v)*(1-b2)"
    FUSED = "fma(b2, v, fma(-b2, g*g, g*g))"
    LERP_FROM_NEW = "g*g - (g*g - v)*b2"
    NEW_MINUS_SCALED = "b2*v + (g*g - b2*(g*g))"


class Scale(Enum):
    """Where the step size and the bias corrections meet the moments."""

    FOLDED = "(step*m)/denominator"
    LATE = "(m/denominator)*step"
    INVERSE = "m*(step/denominator)"
    ON_MOMENTS = "(m_hat/denominator of v_hat)*lr"
    LR_FIRST = "((lr*m)/c1)/denominator of v_hat"
    LR_ON_M_HAT = "(lr*m_hat)/denominator of v_hat"
    EPS_SCALED = "the corrections of v folded into step and eps, or taken out of both"


class Unscaling(Enum):
    """How a coupled decay and the loss scale meet the gradient."""

    DECAY_FIRST = "(g + (wd*ls)*p)*(1/ls)"
    DIVIDE_FIRST = "g/ls + wd*p"


class Shrink(Enum):
    """How a decoupled decay shrinks the parameter."""

    FACTOR = "p*(1 - rate)"
    DIFFERENCE = "p - rate*p"
    WITH_CHANGE = "p - lr*(update + wd*p), the decay with the update"


class Move(Enum):
    """How the change is taken from the parameter; apart: NAdam's, which has a part along m and one along g."""

    WHOLE = "p - (along_m + along_g)"
    NARROWED = "as WHOLE, the change rounded to the dtype of a parameter that is kept in a narrower one"
    APART = "(p - along_g) - along_m, over sqrt(v/c2) + eps"
    APART_ROOT = "(p - along_g) - along_m, over sqrt(v)/sqrt(c2) + eps"


@dataclass(frozen=True)
class Forms:
    """The admissible forms of each table; a float computation has exactly one of each."""

    mean: tuple[Mean, ...] = (Mean.WEIGHTED,)
    square: tuple[Square, ...] = (Square.WEIGHTED,)
    scale: tuple[Scale, ...] = (Scale.FOLDED,)
    unscaling: tuple[Unscaling, ...] = (Unscaling.DECAY_FIRST,)
    shrink: tuple[Shrink, ...] = (Shrink.FACTOR,)
    move: tuple[Move, ...] = (Move.WHOLE,)
    averaging: tuple[Averaging, ...] = (Averaging.DIVIDED,)


ONE = Forms()
ALL = Forms(tuple(Mean), tuple(Square), tuple(Scale), tuple(Unscaling), tuple(Shrink), tuple(Move), tuple(Averaging))


def each(
    beta1: float = 1.0,
    beta2: float = 1.0,
    *,
    moves: tuple[Move, ...] = (Move.WHOLE,),
    averagings: tuple[Averaging, ...] = (Averaging.DIVIDED,),
) -> Iterator[Forms]:
    """Every combination with one form per table that betas of at most this size admit; by default, that all betas do.

    moves, averagings: the forms of Move and Averaging; most steps have one.
    """
    means, squares = admissible(tuple(Mean), max(beta1, beta2)), admissible(tuple(Square), beta2)
    for mean, square, scale, unscaling, shrink, move, averaging in product(means, squares, Scale, Unscaling, Shrink, moves, averagings):
        yield Forms((mean,), (square,), (scale,), (unscaling,), (shrink,), (move,), (averaging,))


Average = Callable[[Arithmetic, Number, Number, Number, Number], Number]

# From the new value it is written out: a fused multiply-add may leave one of the two products that make it unrounded, so that
# they do not carry the same error, and `old`, which alone comes back at the next step, stands there once.
MEAN: dict[Mean, Average] = {
    Mean.WEIGHTED: lambda a, old, new, b, one_minus_b: old * b + new * one_minus_b,
    Mean.LERP: lambda a, old, new, b, one_minus_b: a.lerp(old, new, one_minus_b),
    Mean.FUSED: lambda a, old, new, b, one_minus_b: old * b + a.fused_rest(new, b, one_minus_b),
    Mean.LERP_FROM_NEW: lambda a, old, new, b, one_minus_b: new - (new - old) * b,
    Mean.NEW_MINUS_SCALED: lambda a, old, new, b, one_minus_b: old * b + (new - new * b),
}

SQUARE: dict[Square, Average] = {
    Square.WEIGHTED: lambda a, v, g, b, one_minus_b: v * b + (g * g) * one_minus_b,
    Square.WEIGHTED_ONCE: lambda a, v, g, b, one_minus_b: v * b + (g * one_minus_b) * g,
    Square.LERP: lambda a, v, g, b, one_minus_b: a.lerp(v, g * g, one_minus_b),
    Square.FUSED: lambda a, v, g, b, one_minus_b: v * b + a.fused_rest(g * g, b, one_minus_b),
    Square.LERP_FROM_NEW: lambda a, v, g, b, one_minus_b: g * g - (g * g - v) * b,
    Square.NEW_MINUS_SCALED: lambda a, v, g, b, one_minus_b: v * b + (g * g - (g * g) * b),
}

FROM_NEW = (Mean.LERP_FROM_NEW, Mean.NEW_MINUS_SCALED, Square.LERP_FROM_NEW, Square.NEW_MINUS_SCALED)
"""Averages that round at the size of the new value, 1/(1-b) times what they take in of it: admissible only where b <= 1/2."""

REFUSED = "a moving average rounded at the size of the new value"
"""What is wrong with FROM_NEW above 1/2, in words."""

MENDED = "b*old + (1-b)*new, or old + (new - old)*(1-b)"
"""The forms that mend it: they round at the size of what is taken in."""


def admissible(forms: tuple[Any, ...], beta: float) -> list[Any]:
    """The forms of a moving average that may be used with this beta; where none of them may, all, since they were asked for."""
    return [form for form in forms if beta <= 0.5 or form not in FROM_NEW] or list(forms)


def refused(beta1: float, beta2: float) -> Iterator[Forms]:
    """Forms, one per table, that are not admissible with these betas: what the moments are where they are computed in one of them."""
    for mean, square in zip(FROM_NEW[:2], FROM_NEW[2:]):
        if beta1 > 0.5 or beta2 > 0.5:
            yield replace(ONE, mean=(mean,), square=(square,))


SHRINK: dict[Shrink, Callable[[Number, Number, Number], Number]] = {
    Shrink.FACTOR: lambda p, rate, one_minus_rate: p * one_minus_rate,
    Shrink.DIFFERENCE: lambda p, rate, one_minus_rate: p - p * rate,
}

Change = Callable[[Arithmetic, Number, Number, Scalars], Number]

# LR_FIRST, read from left to right as C does, is rounded the most often, beside a divisor that is rounded the most often, so that
# it also covers the mixtures of numerators and divisors that are not written down.
# The change of p, from the direction d and v. In the scalars, hat_step = lr sqrt(1-b2^t) / (1-b1^t) and step = lr / (1-b1^t).
# d and v are divided by their corrections, not multiplied by reciprocals: a scalar reciprocal would be one more rounding of
# the same size as the one it saves, so the forms below cover it.
CHANGE: dict[Eps, dict[Scale, Change]] = {
    Eps.HAT: {
        Scale.FOLDED: lambda a, d, v, s: (d * s.hat_step) / (a.sqrt(v) + s.eps),
        Scale.LATE: lambda a, d, v, s: (d / (a.sqrt(v) + s.eps)) * s.hat_step,
        Scale.INVERSE: lambda a, d, v, s: d * (s.hat_step / (a.sqrt(v) + s.eps)),
        Scale.ON_MOMENTS: lambda a, d, v, s: ((d / s.correction1) / ((a.sqrt(v) + s.eps) / s.root2)) * s.lr,
        Scale.EPS_SCALED: lambda a, d, v, s: ((d / s.correction1) / (a.sqrt(v / s.correction2) + s.eps_over_root2)) * s.lr,
        Scale.LR_FIRST: lambda a, d, v, s: ((d * s.lr) / s.correction1) / ((a.sqrt(v) + s.eps) / s.root2),
        Scale.LR_ON_M_HAT: lambda a, d, v, s: ((d / s.correction1) * s.lr) / (a.sqrt(v / s.correction2) + s.eps_over_root2),
    },
    Eps.PAPER: {
        Scale.FOLDED: lambda a, d, v, s: (d * s.step) / (a.sqrt(v) / s.root2 + s.eps),
        Scale.LATE: lambda a, d, v, s: (d / (a.sqrt(v) / s.root2 + s.eps)) * s.step,
        Scale.INVERSE: lambda a, d, v, s: d * (s.step / (a.sqrt(v) / s.root2 + s.eps)),
        Scale.ON_MOMENTS: lambda a, d, v, s: ((d / s.correction1) / (a.sqrt(v / s.correction2) + s.eps)) * s.lr,
        Scale.EPS_SCALED: lambda a, d, v, s: (d / (a.sqrt(v) + s.eps_times_root2)) * s.hat_step,
        Scale.LR_FIRST: lambda a, d, v, s: ((d * s.lr) / s.correction1) / (a.sqrt(v) / s.root2 + s.eps),
        Scale.LR_ON_M_HAT: lambda a, d, v, s: ((d / s.correction1) * s.lr) / (a.sqrt(v / s.correction2) + s.eps),
    },
    Eps.INSIDE: {
        Scale.FOLDED: lambda a, d, v, s: (d * s.step) / a.sqrt(v / s.correction2 + s.eps),
        Scale.LATE: lambda a, d, v, s: (d / a.sqrt(v / s.correction2 + s.eps)) * s.step,
        Scale.ON_MOMENTS: lambda a, d, v, s: ((d / s.correction1) / a.sqrt(v / s.correction2 + s.eps)) * s.lr,
        Scale.LR_FIRST: lambda a, d, v, s: ((d * s.lr) / s.correction1) / a.sqrt(v / s.correction2 + s.eps),
        Scale.LR_ON_M_HAT: lambda a, d, v, s: ((d / s.correction1) * s.lr) / a.sqrt(v / s.correction2 + s.eps),
    },
    Eps.PAPER_ROOTED: {
        Scale.FOLDED: lambda a, d, v, s: (d * s.step) / (a.sqrt(v / s.correction2 + s.eps_root) + s.eps),
        Scale.LATE: lambda a, d, v, s: (d / (a.sqrt(v / s.correction2 + s.eps_root) + s.eps)) * s.step,
        Scale.INVERSE: lambda a, d, v, s: d * (s.step / (a.sqrt(v / s.correction2 + s.eps_root) + s.eps)),
        Scale.ON_MOMENTS: lambda a, d, v, s: ((d / s.correction1) / (a.sqrt(v / s.correction2 + s.eps_root) + s.eps)) * s.lr,
        Scale.LR_FIRST: lambda a, d, v, s: ((d * s.lr) / s.correction1) / (a.sqrt(v / s.correction2 + s.eps_root) + s.eps),
        Scale.LR_ON_M_HAT: lambda a, d, v, s: ((d / s.correction1) * s.lr) / (a.sqrt(v / s.correction2 + s.eps_root) + s.eps),
    },
    **{eps: dict(zip((Scale.FOLDED, Scale.LATE), formulas)) for eps, formulas in _mistakes.CHANGE.items()},
}

CHANGE[Eps.PAPER_STORED] = CHANGE[Eps.PAPER]  # of the rows that are stored; the update takes the others apart

INFINITY_CHANGE: dict[Eps, dict[Scale, Change]] = {
    Eps.HAT: {
        Scale.FOLDED: lambda a, d, u, s: (d * s.step) / (u + s.eps),
        Scale.LATE: lambda a, d, u, s: (d / (u + s.eps)) * s.step,
        Scale.INVERSE: lambda a, d, u, s: d * (s.step / (u + s.eps)),
        Scale.ON_MOMENTS: lambda a, d, u, s: ((d / s.correction1) / (u + s.eps)) * s.lr,
        Scale.LR_FIRST: lambda a, d, u, s: (d * s.lr) / ((u + s.eps) * s.correction1),
        Scale.LR_ON_M_HAT: lambda a, d, u, s: ((d / s.correction1) * s.lr) / (u + s.eps),
    },
    Eps.BESIDE_GRADIENT: {
        Scale.FOLDED: lambda a, d, u, s: (d * s.step) / u,
        Scale.LATE: lambda a, d, u, s: (d / u) * s.step,
        Scale.INVERSE: lambda a, d, u, s: d * (s.step / u),
        Scale.ON_MOMENTS: lambda a, d, u, s: ((d / s.correction1) / u) * s.lr,
        Scale.LR_FIRST: lambda a, d, u, s: (d * s.lr) / (u * s.correction1),
        Scale.LR_ON_M_HAT: lambda a, d, u, s: ((d / s.correction1) * s.lr) / u,
    },
    Eps.SUBTRACTED: {Scale.FOLDED: lambda a, d, u, s: (d * s.step) / (u - s.eps)},
}
"""The change of p in Adamax, where u takes the place of the root of v."""

INFINITY_CHANGE[Eps.DROPPED] = INFINITY_CHANGE[Eps.BESIDE_GRADIENT]


def _rectified(formulas: dict[Scale, Change]) -> dict[Scale, Change]:
    def times_r(change: Change) -> Change:
        return lambda a, d, v, s: change(a, d, v, s) * s.rectifier

    return {form: times_r(change) for form, change in formulas.items()}


RECTIFIED: dict[Eps, dict[Scale, Change]] = {eps: _rectified(formulas) for eps, formulas in CHANGE.items()}
"""RAdam's change once v averages enough gradients: r times that of Adam."""

RECTIFIED[Eps.HAT][Scale.INVERSE] = lambda a, d, v, s: (((d / s.correction1) * s.lr) * (s.root2 / (a.sqrt(v) + s.eps))) * s.rectifier

UNRECTIFIED: dict[Scale, Change] = {
    Scale.FOLDED: lambda a, d, v, s: d * s.step,
    Scale.ON_MOMENTS: lambda a, d, v, s: (d / s.correction1) * s.lr,
    Scale.LR_FIRST: lambda a, d, v, s: (d * s.lr) / s.correction1,
}
"""RAdam's change as long as v averages too few gradients: lr m_hat."""

APART: dict[Move, Callable[[Arithmetic, Number, Scalars], Number]] = {
    Move.APART: lambda a, v, s: a.sqrt(v / s.correction2) + s.eps,
    Move.APART_ROOT: lambda a, v, s: a.sqrt(v) / s.root2 + s.eps,
}
"""What both parts of NAdam's change are divided by where each is taken from p by itself, eps standing beside sqrt(v_hat)."""
