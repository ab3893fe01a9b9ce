"""The scalars of a step: the hyper-parameters and what follows from them at step t."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from ..arithmetic import Arithmetic, Number
from ..dialects import Hyper, Picks
from ..dialects.stages import Amsgrad, Betas, Bias, Clock, DecayRate, Direction, Precision
from . import _mistakes
from ._trace import altered


@dataclass(frozen=True)
class Scalars:
    """Each scalar as it meets a tensor. With c1 = 1 - b1^t and c2 = 1 - b2^t (1 where the dialect does not correct):

    correction1 = c1, correction2 = c2, root2 = sqrt(c2), step = lr/c1, hat_step = lr sqrt(c2)/c1.
    """

    lr: Number
    beta1: Number
    beta2: Number
    one_minus_beta1: Number
    one_minus_beta2: Number
    eps: Number
    eps_root: Number
    correction1: Number
    correction2: Number
    v_hat_divisor: Number
    root2: Number
    step: Number
    hat_step: Number
    eps_times_root2: Number
    eps_over_root2: Number
    nesterov_old: Number
    nesterov_new: Number
    weight_decay: Number
    scaled_decay: Number
    loss_scale: Number
    inverse_loss_scale: Number
    decay: Number
    one_minus_decay: Number
    betas: tuple[float, float]


CLOCK: dict[Clock, Callable[[int], int]] = {
    Clock.T: lambda t: t,
    **_mistakes.CLOCK,
}
"""The count after this call to the t that the bias corrections read."""

DECAY_RATE: dict[DecayRate, Callable[[Number, Number, Number], Number]] = {
    DecayRate.LR: lambda decay, lr, hat_step: decay * lr,
    **_mistakes.DECAY_RATE,
}


def _as_they_are(c1: Number, c2: Number, one: Number) -> tuple[Number, Number]:
    return c1, c2


@lru_cache(maxsize=4096)  # the same few steps are evaluated again under every deviation
def scalars(a: Arithmetic, hyper: Hyper, picks: Picks, t: int) -> Scalars:
    """Bias correction (Kingma and Ba 2015, section 3) and step sizes at step t, in the scalar arithmetic, then rounded once.

    m_hat = m / (1 - b1^t), v_hat = v / (1 - b2^t); Nesterov's terms are Dozat's (2016), b1/(1-b1^(t+1)) and (1-b1)/(1-b1^t).
    """
    if picks.precision is Precision.FLOAT32:
        narrow: dict[str, Any] = {name: float(np.float32(value)) for name, value in vars(hyper).items() if isinstance(value, float)}
        hyper = replace(hyper, **narrow)
    betas = (hyper.beta2, hyper.beta1) if picks.betas is Betas.SWAPPED else (hyper.beta1, hyper.beta2)
    settings, met = _of_settings(a, hyper, betas)
    one, lr, beta1, beta2, eps = (settings[name] for name in ("one", "lr", "beta1", "beta2", "eps"))
    t = CLOCK[picks.clock](t)
    power1, power2 = powers(a, hyper, beta1, beta2, t)
    power1, power2 = altered(a, "power1", power1), altered(a, "power2", power2)
    c1 = altered(a, "c1", one - power1)
    c2 = altered(a, "c2", one - power2)
    if t == 0 and picks.clock is Clock.T_MINUS_1_OR_NONE:
        c1 = c2 = one
    # NAdam's terms carry their own corrections of m, and a maximum over v_hat has been corrected already.
    corrects_m = picks.bias not in (Bias.NONE, Bias.SECOND) and picks.direction is not Direction.NADAM
    corrects_v = picks.bias not in (Bias.NONE, Bias.FIRST) and picks.amsgrad is not Amsgrad.MAX_V_HAT
    divisors = _mistakes.CORRECTIONS.get(picks.bias, _as_they_are)
    correction1, correction2 = divisors(c1 if corrects_m else one, c2 if corrects_v else one, one)
    root2 = altered(a, "root2", a.sqrt(correction2))
    step = altered(a, "step", lr / correction1)
    hat_step = altered(a, "step", lr * root2 / correction1)
    decay_lr = lr if hyper.decay_lr is None else a.scalar(hyper.decay_lr)
    decay = DECAY_RATE[picks.decay_rate](settings["weight_decay"], decay_lr, hat_step)
    of_step = {
        "correction1": correction1,
        "correction2": correction2,
        "v_hat_divisor": c2,
        "root2": root2,
        "step": step,
        "hat_step": hat_step,
        "eps_times_root2": eps * root2,
        "eps_over_root2": eps / root2,
        "nesterov_old": beta1 / (one - a.power(beta1, t + 1)),
        "nesterov_new": (one - beta1) / c1,
        "decay": decay,
        "one_minus_decay": one - decay,
    }
    return Scalars(**met, **{name: a.meet(value) for name, value in of_step.items()}, betas=betas)


@lru_cache(maxsize=256)
def _of_settings(a: Arithmetic, hyper: Hyper, betas: tuple[float, float]) -> tuple[dict[str, Number], dict[str, Number]]:
    """The scalars that do not depend on t, by name: in the scalar arithmetic (with the 1 of the text), and as they meet a tensor."""
    one, lr, eps = map(a.scalar, (1.0, hyper.lr, hyper.eps))  # `explain` lists the settings in the order in which they are met
    beta1, beta2 = map(a.scalar, betas)
    weight_decay, loss_scale = a.scalar(hyper.weight_decay), a.scalar(hyper.loss_scale)
    settings = {
        "lr": lr,
        "beta1": beta1,
        "beta2": beta2,
        "one_minus_beta1": altered(a, "one_minus_beta1", one - beta1),
        "one_minus_beta2": altered(a, "one_minus_beta2", one - beta2),
        "eps": eps,
        "eps_root": a.scalar(hyper.eps_root),
        "weight_decay": weight_decay,
        "scaled_decay": weight_decay * loss_scale,
        "loss_scale": loss_scale,
        "inverse_loss_scale": one / loss_scale,
    }
    return {**settings, "one": one}, {name: a.meet(value) for name, value in settings.items()}


def powers(a: Arithmetic, hyper: Hyper, beta1: Number, beta2: Number, t: int) -> tuple[Number, Number]:
    """b1^t and b2^t; with past betas, the product of those that the last steps had and of the first ones before them."""
    if hyper.past_betas is None:
        return a.power(beta1, t), a.power(beta2, t)
    past = hyper.past_betas[-t:] if t else ()
    products = []
    for k in range(2):
        product = a.power(a.scalar(hyper.past_betas[0][k]), t - len(past))
        for betas in past:
            product = product * a.scalar(betas[k])
        products.append(product)
    return products[0], products[1]
