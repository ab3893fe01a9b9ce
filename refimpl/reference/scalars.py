"""The scalars of a step: the hyper-parameters and what follows from them at step t."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from ..arithmetic import Arithmetic, Number
from ..dialects import Hyper, Picks
from ..dialects.stages import Amsgrad, Betas, Bias, Clock, DecayRate, Direction, Precision, Rectification
from . import _mistakes
from ._trace import altered


@dataclass(frozen=True)
class Scalars:
    """Each scalar as it meets a tensor. With c1 = 1 - b1^t and c2 = 1 - b2^t (1 where the dialect does not correct):

    correction1 = c1, correction2 = c2, root2 = sqrt(c2), step = lr/c1, hat_step = lr sqrt(c2)/c1.
    rho, which stays a scalar, and rectifier are RAdam's; 1 where nothing is rectified.
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
    lr_times_old: Number
    lr_times_new: Number
    rho: Number
    rectifier: Number
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
    corrects_m = picks.bias not in (Bias.NONE, Bias.SECOND) and picks.direction not in LOOK_AHEAD
    corrects_v = picks.bias not in (Bias.NONE, Bias.FIRST) and picks.amsgrad is not Amsgrad.MAX_V_HAT
    divisors = _mistakes.CORRECTIONS.get(picks.bias, _as_they_are)
    correction1, correction2 = divisors(c1 if corrects_m else one, c2 if corrects_v else one, one)
    root2 = altered(a, "root2", a.sqrt(correction2))
    step = altered(a, "step", lr / correction1)
    hat_step = altered(a, "step", lr * root2 / correction1)
    old, new = look_ahead(a, hyper, picks, beta1, c1, t) if picks.direction in LOOK_AHEAD else (one, one)
    rho, rectifier = (one, one) if picks.rectification is Rectification.NONE else rectification(a, settings["one_minus_beta2"], power2, t)
    if picks.rectification is Rectification.UNROOTED:
        rectifier = rectifier * rectifier
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
        "nesterov_old": old,
        "nesterov_new": new,
        "lr_times_old": lr * old,
        "lr_times_new": lr * new,
        "rectifier": rectifier,
        "decay": decay,
        "one_minus_decay": one - decay,
    }
    return Scalars(**met, **{name: a.meet(value) for name, value in of_step.items()}, rho=rho, betas=betas)


def look_ahead(a: Arithmetic, hyper: Hyper, picks: Picks, beta1: Number, c1: Number, t: int) -> tuple[Number, Number]:
    """What NAdam multiplies m and g by: b1/(1-b1^(t+1)) and (1-b1)/(1-b1^t), or with a momentum of its own for each step
    mu(t+1)/(1-P(t+1)) and (1-mu(t))/(1-P(t)), where P(t) = mu(1)...mu(t). Dozat 2016; torch 2.13.0, torch/optim/nadam.py.
    """
    one = a.scalar(1.0)
    if picks.direction not in SCHEDULED:
        return beta1 / (one - a.power(beta1, t + 1)), (one - beta1) / c1
    t_of_mu = t + SCHEDULED[picks.direction]
    product = momentum_product(a, hyper, picks, t)
    mu, mu_next = (momentum(a, hyper.momentum_decay, hyper.beta1, k) for k in (t_of_mu, t_of_mu + 1))
    return mu_next / (one - product * mu_next), (one - mu) / (one - product)


SCHEDULED = {Direction.NADAM_SCHEDULED: 0, **_mistakes.SCHEDULED}
"""Directions whose momentum changes from step to step, and how far the step that it is computed for is from t."""

LOOK_AHEAD = (Direction.NADAM, *SCHEDULED)
"""Directions in which m and g have corrections of their own."""

VANISHED = -400
"""Below 2 to this power, a product of momenta is only followed as a number from 0 to b1^t: 1 - P is 1 in every format."""


@lru_cache(maxsize=1 << 16)  # a product of momenta is taken again for every deviation and every t
def momentum(a: Arithmetic, momentum_decay: float, beta1: float, t: int) -> Number:
    """mu(t) = b1 (1 - 0.96^(t psi)/2)."""
    base, decay, b1, one, half = _of_momentum(a, momentum_decay, beta1)
    return b1 * (one - half * a.power(base, t, decay))


@lru_cache(maxsize=256)
def _of_momentum(a: Arithmetic, momentum_decay: float, beta1: float) -> tuple[Number, ...]:
    return tuple(map(a.scalar, (0.96, momentum_decay, beta1, 1.0, 0.5)))


def momentum_product(a: Arithmetic, hyper: Hyper, picks: Picks, t: int) -> Number:
    """P(t) = mu(1)...mu(t), each mu with the settings of its step: hyper.past_momenta for the last ones, its first entry before them."""
    before, *past = hyper.past_momenta or ((hyper.beta1, hyper.momentum_decay),)
    past = past[-t:] if t else []
    begun = t - len(past)
    in_float32 = picks.precision is Precision.PRODUCT_FLOAT32
    product = _Products(a, *before, SCHEDULED[picks.direction], in_float32).up_to(begun)
    for k, settings in enumerate(past, start=begun + 1):
        product = _Products(a, *settings, SCHEDULED[picks.direction], in_float32).multiplied(product, k)
    return product


@dataclass(frozen=True)
class _Products:
    """Products of momenta in one arithmetic. in_float32: an implementation may keep each product in float32 until the next step."""

    a: Arithmetic
    beta1: float
    momentum_decay: float
    shift: int
    in_float32: bool

    def multiplied(self, product: Number, t: int) -> Number:
        product = product * momentum(self.a, self.momentum_decay, self.beta1, t + self.shift)
        return self.a.kept(product, "float32") if self.in_float32 else product

    def up_to(self, t: int) -> Number:
        """The product of the first t, all of the same settings."""
        vanishes = 1 if self.beta1 == 0 else math.ceil(VANISHED / math.log2(self.beta1))
        known = _known_products(self)
        while len(known) <= min(t, vanishes):
            known.append(self.multiplied(known[-1], len(known)))
        return known[max(t, 0)] if t <= vanishes else self.a.from_zero_to(known[vanishes])


@lru_cache(maxsize=64)
def _known_products(products: _Products) -> list[Number]:
    """P(0), P(1) ... as far as they have been computed: the caller appends to them."""
    return [products.a.scalar(1.0)]


def rectification(a: Arithmetic, one_minus_beta2: Number, power2: Number, t: int) -> tuple[Number, Number]:
    """RAdam (Liu et al. 2020, algorithm 2): rho(t), how many gradients v averages, and r(t), which scales the step.

    rho_inf = 2/(1-b2) - 1, rho = rho_inf - 2 t b2^t/(1-b2^t); r = sqrt((rho-4)(rho-2) rho_inf / ((rho_inf-4)(rho_inf-2) rho)).

    Both terms of rho are near 2/(1-b2), and rho is near t: it loses as many digits as 2/((1-b2) t) has. At b2 = 0.999 and t = 5, rho is
    4.996, and float32 scalars make 4.986 of it, or 5.010 where b2^t alone comes from double. Whether such a step is rectified is open in
    the `tensor` classes, and no sharper bound admits both; in the `exact` ones it is not.
    """
    one, two, four = a.scalar(1.0), a.scalar(2.0), a.scalar(4.0)
    rho_inf = two / one_minus_beta2 - one
    rho = rho_inf - two * a.scalar(float(t)) * power2 / (one - power2)
    return rho, a.sqrt((rho - four) * (rho - two) * rho_inf / ((rho_inf - four) * (rho_inf - two) * rho))


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
