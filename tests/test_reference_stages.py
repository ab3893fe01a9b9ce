"""Each alternative of each stage against numbers worked out by hand from its definition.

Everywhere beta1 = 0.5, beta2 = 0.96, lr = 0.1, eps = 0.01. From m = v = 0 a gradient of 2 gives m = 1, v = 0.16 and, at t = 1,
c1 = 0.5, c2 = 0.04, so that the step size lr sqrt(c2) / c1 is 0.04 and p moves by 0.04 * 1 / (0.4 + 0.01).
"""

import math
from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Any

import numpy as np
import pytest

from refimpl.arithmetic import Float
from refimpl.case import Case, Group, Param, Step
from refimpl.dialects import STAGES, Deviation, Hyper, Picks, dialect
from refimpl.dialects.stages import (
    Accumulation,
    Amsgrad,
    Betas,
    Bias,
    Centralization,
    Clock,
    Counter,
    Decay,
    DecayOrder,
    DecayRate,
    Direction,
    Eps,
    Merge,
    Moments,
    Objective,
    Precision,
    Rectification,
    Reduction,
    Resume,
    Schedule,
    Second,
    Skip,
    Touch,
    Unscale,
    Update,
)
from refimpl.gradients import RowGradient, occurrences
from refimpl.reference import Forms, State, trajectory
from refimpl.reference._update import step_parameter
from refimpl.reference.forms import Scale
from refimpl.reference.scalars import scalars

HYPER = {"learning_rate": 0.1, "beta1": 0.5, "beta2": 0.96, "eps": 0.01, "weight_decay": 0.0, "loss_scale": 1.0}


def step_size(t: int, lr: float = 0.1) -> float:
    return lr * math.sqrt(1 - 0.96**t) / (1 - 0.5**t)


def move(m: float, v: float, t: int = 1, lr: float = 0.1) -> float:
    """The change of p, with eps beside sqrt(v)."""
    return step_size(t, lr) * m / (math.sqrt(v) + 0.01)


def first(g: float, t: int = 1) -> float:
    """The change of p by a first gradient."""
    return move(0.5 * g, 0.04 * g * g, t)


def rows(indices: list[int], values: list[float], height: int = 2, width: int = 1) -> RowGradient:
    return RowGradient(np.array(indices, np.int64), np.array(values, np.float64).reshape(len(indices), width), (height, width))


def run(
    *gradients: Any,
    picks: dict[str, Enum] | None = None,
    start: Param | None = None,
    schedule: dict[int, float] | None = None,
    skipped: int = 0,
    **hyper: Any,
) -> list[np.ndarray]:
    """p after each step of a table that starts at 1, with some stages picked anew. gradients: for w, or for several by name.

    skipped: the call that finds an infinite gradient, from 1.
    """
    params: tuple[Param, ...] = (start or Param("w", np.ones((2, 1))),)
    if isinstance(gradients[0], dict):
        params = tuple(Param(name, np.ones((2, 1))) for name in gradients[0])
    else:
        gradients = tuple({"w": gradient} for gradient in gradients)
    changes = schedule or {}
    steps = tuple(
        Step(by_name, ({"learning_rate": changes[t]} if t in changes else {},), found_inf=t == skipped)
        for t, by_name in enumerate(gradients, start=1)
    )
    case = Case("x/y/z", "", "mindspore.LazyAdam", params, (Group({**HYPER, **hyper}),), steps, ())
    deviations = (Deviation("picked", "D", "", picks, ()),) if picks else ()
    states = trajectory(case, Float("float64"), dialect("mindspore.LazyAdam"), deviations)
    return [np.concatenate([state[name].p for name in state]).ravel().copy() for state in states]


PLAIN = dialect("mindspore.LazyAdam").picks
G = rows([0], [2.0])
ONE = 1 - first(2.0)  # p[0] after G
LR, BETA2, EPS = (float(np.float32(value)) for value in (0.1, 0.96, 0.01))
NARROW = 1 - LR * math.sqrt(1 - BETA2) / 0.5 * 1.0 / (math.sqrt((1 - BETA2) * 4) + EPS)


def resumed(m: float = 3.0, v: float = 0.25, step: int = 4) -> Param:
    return Param("w", np.ones((2, 1)), exp_avg=np.full((2, 1), m), exp_avg_sq=np.full((2, 1), v), step=step)


def with_maximum() -> Param:
    """A resumed state whose maximum, 100, is larger than v."""
    return replace(resumed(), max_exp_avg_sq=np.full((2, 1), 100.0))


def of_resumed(g: float, t: int = 5, m: float = 3.0, v: float = 0.25) -> float:
    return 1 - move(0.5 * m + 0.5 * g, 0.96 * v + 0.04 * g * g, t)


SCHEDULED = 1 - 0.02 * (1 * 0.25 / (1 - 0.0625) + 2 * 0.75 / (1 - 0.25)) / 0.41


def rectifier(t: int) -> float:
    """RAdam's r at step t, where rho_inf = 2 / 0.04 - 1 = 49."""
    rho = 49 - 2 * t * 0.96**t / (1 - 0.96**t)
    return math.sqrt((rho - 4) * (rho - 2) * 49 / (45 * 47 * rho))


V_HAT = (0.96 * 0.25 + 0.04 * 4) / (1 - 0.96**5)
PAPER_RESUMED = 1 - 0.1 / (1 - 0.5**5) * (0.5 * 3 + 0.5 * 2) / (math.sqrt(V_HAT) + 0.01)
DUPLICATES = rows([0, 1, 0, 0], [2.0, 1.0, 4.0, 6.0])


def sequentially(*gs: float) -> float:
    p, m, v = 1.0, 0.0, 0.0
    for g in gs:
        m, v = 0.5 * m + 0.5 * g, 0.96 * v + 0.04 * g * g
        p -= move(m, v)
    return p


NOTHING = rows([], [])
SWAPPED = 0.1 * math.sqrt(0.5) / 0.04 * (0.04 * 2) / (math.sqrt(0.5 * 4) + 0.01)
WIDE = np.tile(np.array([[1.0, 3.0]]), (1, 8))  # 16 columns with a mean of 2
D, T = Decay.DECOUPLED_TOUCHED, rows([0, 0], [1.0, 1.0])

Z = rows([0], [0.0])
HALF, AFTER_ZERO = 0.5, 0.96 * 0.16  # m and v after gradients of 2 and 0
CAUGHT_UP = ONE - move(HALF, AFTER_ZERO, 2) - move(HALF / 2, 0.96 * AFTER_ZERO, 3)

UNTOUCHED = 1 - move(0.5 * (0.5 * 3) + 0.5 * 2, 0.96 * (0.96 * 0.25) + 0.04 * 4, 6)  # untouched for a step, but for its moments
LAST_V = ONE - move(HALF, 0.16, 2) - move(HALF / 2, AFTER_ZERO, 3)  # the third step knows v of the second, not of the first

# stage, alternative, what is run, p (of all rows, after the last step) worked out by hand
WORKED: list[tuple[Enum, Callable[[dict[str, Enum]], list[np.ndarray]], list[float]]] = [
    (Objective.MINIMIZE, lambda s: run(G, picks=s), [ONE, 1]),
    (Objective.MAXIMIZE, lambda s: run(G, picks=s), [1 + first(2.0), 1]),
    (Objective.MAXIMIZE_LAST, lambda s: run(G, picks=s, weight_decay=0.5), [1 + first(2.5), 1]),
    (Objective.MAXIMIZE_LAST, lambda s: run(G, picks={**s, "decay": Decay.COUPLED_MERGED}, weight_decay=0.5), [1 + first(2.5), 1]),
    (Resume.AS_GIVEN, lambda s: run(G, picks=s, start=resumed()), [of_resumed(2), 1]),
    (Resume.MOMENTS_DROPPED, lambda s: run(G, picks=s, start=resumed()), [of_resumed(2, m=0, v=0), 1]),
    (Resume.MOMENTS_HALVED, lambda s: run(G, picks=s, start=resumed(2049.0, 0.25)), [of_resumed(2, m=2048.0), 1]),
    (Resume.FIRST_DROPPED, lambda s: run(G, picks=s, start=resumed()), [of_resumed(2, m=0), 1]),
    (Resume.SECOND_DROPPED, lambda s: run(G, picks=s, start=resumed()), [of_resumed(2, v=0), 1]),
    (Resume.MAXIMUM_DROPPED, lambda s: run(G, picks={**s, "amsgrad": Amsgrad.MAX_V}, start=with_maximum()), [of_resumed(2), 1]),
    (Resume.STEP_DROPPED, lambda s: run(G, picks=s, start=resumed()), [of_resumed(2, t=1), 1]),
    (Schedule.AS_GIVEN, lambda s: run(G, G, picks=s, schedule={2: 0.3}), [ONE - move(1.5, 0.3136, 2, 0.3), 1]),
    (Schedule.EARLY, lambda s: run(G, G, picks=s, schedule={2: 0.3})[:1], [1 - 3 * first(2), 1]),
    (Schedule.LATE, lambda s: run(G, G, picks=s, schedule={2: 0.3}), [ONE - move(1.5, 0.3136, 2), 1]),
    (Schedule.IGNORED, lambda s: run(G, G, picks=s, schedule={1: 0.3}), [ONE - move(1.5, 0.3136, 2), 1]),
    (Betas.AS_GIVEN, lambda s: run(G, picks=s), [ONE, 1]),
    (Betas.SWAPPED, lambda s: run(G, picks=s), [1 - SWAPPED, 1]),
    (Counter.CALL, lambda s: run({"a": None, "b": G}, {"a": G, "b": None}, picks=s), [1 - first(2, 2), 1, ONE, 1]),
    (Counter.PARAMETER, lambda s: run({"a": None, "b": G}, {"a": G, "b": None}, picks=s), [ONE, 1, ONE, 1]),
    (Counter.PARAMETER, lambda s: run(NOTHING, G, picks=s), [1 - first(2, 2), 1]),
    (Counter.PARAMETER_NONEMPTY, lambda s: run(NOTHING, G, picks=s), [ONE, 1]),
    (Counter.CALL_NONEMPTY, lambda s: run({"a": NOTHING}, {"a": None}, {"a": G}, picks=s), [ONE, 1]),
    (Counter.ROW, lambda s: run(rows([1], [2.0]), rows([0, 1], [2.0, 2.0]), picks=s), [ONE, ONE - move(1.5, 0.3136, 2)]),
    (Counter.BUMPED_PER_PARAMETER, lambda s: run({"a": G, "b": G}, picks=s), [ONE, 1, 1 - first(2, 2), 1]),
    (Clock.T, lambda s: run(G, picks=s, start=resumed(0, 0)), [1 - first(2, 5), 1]),
    (Clock.T_PLUS_1, lambda s: run(G, picks=s), [1 - first(2, 2), 1]),
    (Clock.T_MINUS_1_OR_NONE, lambda s: run(G, picks=s), [1 - 0.1 / 0.41, 1]),
    (Clock.T_MINUS_1_OR_NONE, lambda s: run(G, picks=s, start=resumed(0, 0)), [1 - first(2, 4), 1]),
    (Clock.T_MINUS_1, lambda s: run(G, picks=s, start=resumed(0, 0)), [1 - first(2, 4), 1]),
    (Clock.TWICE_T, lambda s: run(G, picks=s, start=resumed(0, 0)), [1 - first(2, 10), 1]),
    (Decay.NONE, lambda s: run(T, picks=s, weight_decay=0.5), [1 - first(2), 1]),
    (Decay.COUPLED_OCCURRENCE, lambda s: run(T, picks=s, weight_decay=0.5), [1 - first(3), 1]),
    (Decay.COUPLED_MERGED, lambda s: run(T, picks=s, weight_decay=0.5), [1 - first(2.5), 1]),
    (Decay.COUPLED_ALL, lambda s: run(T, picks=s, weight_decay=0.5), [1 - first(2.5), 1 - first(0.5)]),
    (Decay.DECOUPLED_TOUCHED, lambda s: run(T, picks=s, weight_decay=0.5), [0.95 - first(2), 1]),
    (Decay.DECOUPLED_ALL, lambda s: run(T, picks=s, weight_decay=0.5), [0.95 - first(2), 0.95]),
    (DecayRate.LR, lambda s: run(G, picks={**s, "decay": D}, weight_decay=0.5), [0.95 - first(2), 1]),
    (DecayRate.ONE, lambda s: run(G, picks={**s, "decay": D}, weight_decay=0.5), [0.5 - first(2), 1]),
    (DecayOrder.BEFORE, lambda s: run(G, picks={**s, "decay": D}, weight_decay=0.5), [0.95 - first(2), 1]),
    (DecayOrder.AFTER, lambda s: run(G, picks={**s, "decay": D}, weight_decay=0.5), [0.95 * ONE, 1]),
    (DecayOrder.AFTER, lambda s: run(G, picks={**s, "decay": Decay.DECOUPLED_ALL}, weight_decay=0.5), [0.95 * ONE, 0.95]),
    (DecayRate.STEP_SIZE, lambda s: run(G, picks={**s, "decay": Decay.DECOUPLED_ALL}, weight_decay=0.5), [0.98 - first(2), 0.98]),
    (Unscale.DECAY_KEPT, lambda s: run(G, picks=s, weight_decay=0.5, loss_scale=4.0), [1 - first(0.5 + 0.5), 1]),
    (Unscale.DECAY_SHRUNK, lambda s: run(G, picks=s, weight_decay=0.5, loss_scale=4.0), [1 - first(2.5 / 4), 1]),
    (Unscale.IGNORED, lambda s: run(G, picks=s, weight_decay=0.5, loss_scale=4.0), [1 - first(2.5), 1]),
    (Unscale.TWICE, lambda s: run(G, picks=s, weight_decay=0.5, loss_scale=4.0), [1 - first((2 + 0.5 * 4) / 16), 1]),
    (Merge.SUM, lambda s: run(DUPLICATES, picks=s), [1 - first(12), 1 - first(1)]),
    (Merge.MEAN, lambda s: run(DUPLICATES, picks=s), [1 - first(4), 1 - first(1)]),
    (Merge.FIRST, lambda s: run(DUPLICATES, picks=s), [1 - first(2), 1 - first(1)]),
    (Merge.LAST, lambda s: run(DUPLICATES, picks=s), [1 - first(6), 1 - first(1)]),
    (Merge.ADJACENT, lambda s: run(DUPLICATES, picks=s), [1 - first(10), 1 - first(1)]),
    (Merge.SEQUENTIAL, lambda s: run(DUPLICATES, picks=s), [sequentially(2, 4, 6), 1 - first(1)]),
    (Merge.OLD_STATE, lambda s: run(DUPLICATES, picks=s), [1 - first(2) - first(4) - first(6), 1 - first(1)]),
    (Merge.SUM_OF_SQUARES, lambda s: run(DUPLICATES, picks=s), [1 - move(6, 0.04 * (4 + 16 + 36)), 1 - first(1)]),
    (Touch.STORED, lambda s: run(rows([0, 0], [2.0, -2.0]), picks=s, start=resumed()), [of_resumed(0), 1]),
    (Touch.NONZERO, lambda s: run(rows([0, 0, 1], [2.0, -2.0, 1.0]), picks=s, start=resumed()), [1, of_resumed(1)]),
    (Touch.NONZERO_SUM, lambda s: run(rows([0, 0, 1], [2.0, -2.0, 1.0]), picks=s, start=resumed()), [1, of_resumed(1)]),
    (Touch.MOMENTS_OF_ALL, lambda s: run(G, picks=s, start=resumed()), [of_resumed(2), 1]),
    (Touch.MOMENTS_OF_ALL, lambda s: run(G, rows([1], [2.0]), picks=s, start=resumed()), [of_resumed(2), UNTOUCHED]),
    (Touch.ALL, lambda s: run(G, picks=s, start=resumed()), [of_resumed(2), of_resumed(0)]),
    (Touch.ALL_UNLESS_EMPTY, lambda s: run(G, picks=s, start=resumed()), [of_resumed(2), of_resumed(0)]),
    (Touch.ALL_UNLESS_EMPTY, lambda s: run(NOTHING, picks=s, start=resumed()), [1, 1]),
    (Touch.CATCH_UP, lambda s: run(G, rows([1], [2.0]), Z, picks=s), [CAUGHT_UP, 1 - first(2, 2)]),
    (Touch.CATCH_UP_AND_ONE, lambda s: run(G, Z, picks=s), [ONE - move(HALF, AFTER_ZERO, 1) - move(HALF / 2, 0.96 * AFTER_ZERO, 2), 1]),
    (Moments.EMA, lambda s: run(G, picks=s), [ONE, 1]),
    (Moments.DIVIDED, lambda s: run(G, picks=s, start=resumed()), [of_resumed(2), 1]),
    (Moments.UNWEIGHTED, lambda s: run(G, picks=s), [1 - 0.04 * 2 / 0.41, 1]),
    (Moments.CORRECTED, lambda s: run(G, Z, picks=s), [ONE - move(0.5 * 2, AFTER_ZERO, 2), 1]),
    (Moments.BOTH_CORRECTED, lambda s: run(G, Z, picks=s), [ONE - move(0.5 * 2, 0.96 * 4, 2), 1]),
    (Bias.EXCHANGED, lambda s: run(G, picks=s), [1 - 0.1 * math.sqrt(0.5) / 0.04 / 0.41, 1]),
    (Bias.MULTIPLIED, lambda s: run(G, picks=s), [1 - 0.1 * 0.5 / math.sqrt(0.04) / 0.41, 1]),
    (Bias.UNROOTED, lambda s: run(G, picks=s), [1 - 0.1 * 0.04 / 0.5 / 0.41, 1]),
    (Bias.BOTH, lambda s: run(G, picks=s), [1 - 0.1 / 0.5 * 0.2 * 1 / 0.41, 1]),
    (Bias.NONE, lambda s: run(G, picks=s), [1 - 0.1 / 0.41, 1]),
    (Bias.FIRST, lambda s: run(G, picks=s), [1 - 0.1 / 0.5 / 0.41, 1]),
    (Bias.SECOND, lambda s: run(G, picks=s), [1 - 0.1 * 0.2 / 0.41, 1]),
    (Amsgrad.OFF, lambda s: run(G, Z, picks=s), [ONE - move(HALF, AFTER_ZERO, 2), 1]),
    (Amsgrad.MAX_V, lambda s: run(G, Z, picks=s), [ONE - move(HALF, 0.16, 2), 1]),
    (Amsgrad.MAX_LOST, lambda s: run(G, Z, picks=s), [ONE - move(HALF, AFTER_ZERO, 2), 1]),
    (Amsgrad.LAST_V, lambda s: run(G, Z, Z, picks=s), [LAST_V, 1]),
    (Amsgrad.MAX_V_HAT, lambda s: run(G, Z, picks=s), [1 - 0.1 / 0.5 / 2.01 - 0.1 / 0.75 * HALF / 2.01, 1]),
    (Precision.OWN, lambda s: run(G, picks=s), [ONE, 1]),
    (Precision.FLOAT32, lambda s: run(G, picks=s), [NARROW, 1]),
    (Eps.HAT, lambda s: run(G, picks=s), [1 - 0.04 / 0.41, 1]),
    (Eps.PAPER, lambda s: run(G, picks=s), [1 - 0.1 * 2 / (2 + 0.01), 1]),
    (Eps.PAPER_STORED, lambda s: run(G, picks=s), [1 - 0.1 * 2 / (2 + 0.01), 1]),
    (Eps.PAPER_STORED, lambda s: run(G, picks={**s, "touch": Touch.ALL}, start=resumed()), [PAPER_RESUMED, of_resumed(0)]),
    (Eps.INSIDE, lambda s: run(G, picks=s), [1 - 0.1 * 2 / math.sqrt(4 + 0.01), 1]),
    (Eps.INSIDE_HAT, lambda s: run(G, picks=s), [1 - 0.04 / math.sqrt(0.16 + 0.01), 1]),
    (Eps.SQUARED_INSIDE, lambda s: run(G, picks=s), [1 - 0.04 / math.sqrt(0.16 + 0.0001), 1]),
    (Eps.SQUARED_INSIDE_PAPER, lambda s: run(G, picks=s), [1 - 0.1 * 2 / math.sqrt(4 + 0.0001), 1]),
    (Eps.AS_MAXIMUM, lambda s: run(G, picks=s), [1 - 0.04 / 0.4, 1]),
    (Eps.AS_MAXIMUM, lambda s: run(Z, picks=s, start=resumed(v=0.0)), [1 - step_size(5) * 1.5 / 0.01, 1]),
    (Eps.SUBTRACTED, lambda s: run(G, picks=s), [1 - 0.04 / 0.39, 1]),
    (Eps.DROPPED, lambda s: run(G, picks=s), [0.9, 1]),
    (Eps.OVER_STEP_SIZE, lambda s: run(G, picks=s), [1 - 0.1 * 2 / 2.01, 1]),
    (Eps.OVER_STEP_SIZE, lambda s: run(Z, picks=s, learning_rate=0.0), [math.nan, 1]),
    (Direction.M, lambda s: run(G, picks=s), [ONE, 1]),
    (Direction.NESTEROV, lambda s: run(G, picks=s), [1 - 0.04 * (0.5 * 1 + 0.5 * 2) / 0.41, 1]),
    (Direction.NADAM, lambda s: run(G, picks=s), [1 - 0.02 * (1 * 0.5 / 0.75 + 2 * 0.5 / 0.5) / 0.41, 1]),
    (Direction.RAW, lambda s: run(G, picks=s), [1 - 0.04 * 2 / 0.41, 1]),
    (Direction.OLD_MOMENTS, lambda s: run(G, picks=s, start=resumed()), [1 - move(3, 0.25, 5), 1]),
    (Direction.OLD_M, lambda s: run(G, picks=s, start=resumed()), [1 - move(3, 0.96 * 0.25 + 0.04 * 4, 5), 1]),
    (Direction.OLD_V, lambda s: run(G, picks=s, start=resumed()), [1 - move(0.5 * 3 + 0.5 * 2, 0.25, 5), 1]),
    # Without a decay of the momentum mu is b1/2 = 0.25 at every step, so that P(1) = 0.25 and P(2) = 0.0625.
    (Direction.NADAM_SCHEDULED, lambda s: run(G, picks=s), [SCHEDULED, 1]),
    (Direction.NADAM_FROM_ZERO, lambda s: run(G, picks=s), [SCHEDULED, 1]),
    (Precision.PRODUCT_FLOAT32, lambda s: run(G, picks={**s, "direction": Direction.NADAM_SCHEDULED}), [SCHEDULED, 1]),
    (Second.SQUARES, lambda s: run(G, picks=s), [ONE, 1]),
    (
        Second.ROW_SQUARES,  # of 2 and 4: their squares are 10 in the mean
        lambda s: run(rows([0], [2.0, 4.0], 1, 2), picks=s, start=Param("w", np.ones((1, 2)))),
        [1 - 0.04 * m / (math.sqrt(0.4) + 0.01) for m in (1, 2)],
    ),
    (Second.INFINITY, lambda s: run(G, picks=s), [1 - 0.2 * 1 / (2 + 0.01), 1]),
    (Second.INFINITY, lambda s: run(G, picks=s, start=resumed(v=8.0)), [1 - 0.1 / (1 - 0.5**5) * 2.5 / (0.96 * 8 + 0.01), 1]),
    (Eps.BESIDE_GRADIENT, lambda s: run(G, picks={**s, "second": Second.INFINITY}), [1 - 0.2 * 1 / (2 + 0.01), 1]),
    (
        Eps.BESIDE_GRADIENT,
        lambda s: run(G, picks={**s, "second": Second.INFINITY}, start=resumed(v=8.0)),
        [1 - 0.1 / (1 - 0.5**5) * 2.5 / (0.96 * 8), 1],
    ),
    # rho is 1 at step 1, 4.84 at step 5 and 5.76 at step 6.
    (Rectification.NONE, lambda s: run(G, picks=s), [ONE, 1]),
    (Rectification.ABOVE_5, lambda s: run(G, picks=s), [1 - 0.1 * 2, 1]),
    (Rectification.ABOVE_5, lambda s: run(G, picks=s, start=resumed()), [1 - 0.1 * 2.5 / (1 - 0.5**5), 1]),
    (Rectification.ABOVE_5, lambda s: run(G, picks=s, start=resumed(step=5)), [1 - rectifier(6) * (1 - of_resumed(2, 6)), 1]),
    (Rectification.ABOVE_4, lambda s: run(G, picks=s, start=resumed()), [1 - rectifier(5) * (1 - of_resumed(2, 5)), 1]),
    (Rectification.ABOVE_5_ELSE_STILL, lambda s: run(G, picks=s, start=resumed()), [1, 1]),
    (Rectification.UNROOTED, lambda s: run(G, picks=s, start=resumed(step=5)), [1 - rectifier(6) ** 2 * (1 - of_resumed(2, 6)), 1]),
    (Skip.NOT_COUNTED, lambda s: run(G, G, G, picks=s, skipped=2), [ONE - move(1.5, 0.3136, 2), 1]),
    (Skip.COUNTED, lambda s: run(G, G, G, picks=s, skipped=2), [ONE - move(1.5, 0.3136, 3), 1]),
    (Skip.MADE, lambda s: run(G, G, picks=s, skipped=2), [ONE - move(1.5, 0.3136, 2), 1]),
    (Skip.ZEROS, lambda s: run(G, G, picks=s, skipped=2), [ONE - move(0.5, 0.1536, 2), 1]),
    (Update.ONCE, lambda s: run(G, picks=s), [ONE, 1]),
    (Update.TWICE, lambda s: run(G, picks=s), [1 - 2 * first(2), 1]),
]

STAGE_OF = {alternative: stage for stage, alternatives in STAGES.items() for alternative in alternatives}


@pytest.mark.parametrize(("alternative", "computed", "by_hand"), WORKED, ids=[str(row[0]) for row in WORKED])
def test_an_alternative_computes_what_its_definition_says(alternative: Enum, computed: Any, by_hand: list[float]) -> None:
    steps = computed({STAGE_OF[alternative]: alternative})
    assert steps[-1].tolist() == pytest.approx(by_hand, rel=1e-13, nan_ok=True)


def test_every_alternative_of_every_stage_is_worked_out() -> None:
    worked = {row[0] for row in WORKED}
    assert {alternative for alternative in STAGE_OF if alternative not in worked} == {
        *Centralization,
        Eps.PAPER_ROOTED,
        *Accumulation,  # these accumulate gradients of micro-batches: tests/test_cases_micro_batches.py
        *Reduction,  # these reduce gradients of ranks before a step: tests/test_reference_ranks.py
    }


def test_a_second_eps_may_stand_inside_the_root() -> None:
    rooted = Picks(**{**{name: getattr(PLAIN, name) for name in STAGES}, "eps": Eps.PAPER_ROOTED})
    start = np.array([[1.0]])
    zero = np.zeros((1, 1))
    a = Float("float64")
    stored = occurrences(np.array([[2.0]]), (1, 1), "w")
    for scale in (Scale.FOLDED, Scale.LATE, Scale.INVERSE, Scale.ON_MOMENTS):
        own = State(start.copy(), zero.copy(), zero.copy(), zero.copy())
        step_parameter(a, own, stored, rooted, scalars(a, Hyper(0.1, 0.5, 0.96, 0.01, eps_root=0.5), rooted, 1), Forms(scale=(scale,)))
        assert own.p.item() == pytest.approx(1 - 0.1 * 2 / (math.sqrt(4 + 0.5) + 0.01), rel=1e-13)


CENTRALIZED = [
    (Centralization.NONE, 16, [1.5, 3.5]),
    (Centralization.NONE, 14, [1.5, 3.5]),
    (Centralization.ROW_MEAN, 16, [-1.0, 1.0]),
    (Centralization.ROW_MEAN, 14, [1.5, 3.5]),
    (Centralization.ANY_WIDTH, 16, [-1.0, 1.0]),
    (Centralization.ANY_WIDTH, 14, [-1.0, 1.0]),
    (Centralization.BEFORE_DECAY, 16, [-0.5, 1.5]),
    (Centralization.BEFORE_DECAY, 14, [1.5, 3.5]),
]
"""The pick, the width of a table of ones with gradients 1, 3, 1, 3 ... and a decay of 0.5, and what is taken in of the first two."""


@pytest.mark.parametrize(("pick", "width", "taken"), CENTRALIZED)
def test_centralization_subtracts_the_mean_where_the_pick_says_so(pick: Centralization, width: int, taken: list[float]) -> None:
    start = Param("w", np.ones((1, width)))
    gradient = RowGradient(np.array([0]), WIDE[:, :width], (1, width))
    p = run(gradient, picks={"centralization": pick}, start=start, weight_decay=0.5)[-1]
    assert p[:2].tolist() == pytest.approx([1 - first(g) for g in taken], rel=1e-13)
