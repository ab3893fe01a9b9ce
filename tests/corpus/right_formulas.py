"""Right formulas: moving averages, the change of p and the scalars, each in several admissible forms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .hooks import base
from .implementation import Arrays, Call, Implementation

# --- moving averages ---


def lerp(run: Implementation, call: Call, old: np.ndarray, new: np.ndarray, beta: float) -> np.ndarray:
    return old + (new - old) * call.scalar(1 - beta)


def lerp_like_torch(run: Implementation, call: Call, old: np.ndarray, new: np.ndarray, beta: float) -> np.ndarray:
    """torch.lerp starts from the new value where the weight is at least one half."""
    if 1 - beta < 0.5:
        return lerp(run, call, old, new, beta)
    return new - (new - old) * call.scalar(1 - (1 - beta))


def wider(call: Call) -> Any:
    return np.float64 if call.dtype == np.float32 else np.longdouble


def fused(x: Any, y: Any, z: Any, wide: Any) -> Any:
    """x * y + z, of which only the sum is rounded. wide: a format that holds the product of float32; float64 is split instead."""
    z = np.asarray(z)
    if z.dtype == np.float64:
        return _fused_double(np.asarray(x, np.float64), np.asarray(y, np.float64), z)
    return np.asarray(np.asarray(x, wide) * np.asarray(y, wide) + np.asarray(z, wide)).astype(z.dtype)


def _fused_double(x: Any, y: Any, z: Any) -> np.ndarray:
    """Dekker's product and Knuth's sum: both errors are added before the result is rounded."""
    product = x * y
    (x1, x2), (y1, y2) = _halves(x), _halves(y)
    product_error = ((x1 * y1 - product) + x1 * y2 + x2 * y1) + x2 * y2
    total = product + z
    part = total - product
    total_error = (product - (total - part)) + (z - part)
    exact = total + (total_error + product_error)
    return np.where(np.isfinite(exact), exact, total)


def _halves(x: Any) -> tuple[np.ndarray, np.ndarray]:
    """x as the sum of two doubles of 26 bits each (Veltkamp)."""
    scaled = x * float(2**27 + 1)
    high = scaled - (scaled - x)
    return high, x - high


def average_fused(run: Implementation, call: Call, old: np.ndarray, new: np.ndarray, beta: float) -> np.ndarray:
    return fused(old, call.scalar(beta), new * call.scalar(1 - beta), wider(call))


def average_fused_other(run: Implementation, call: Call, old: np.ndarray, new: np.ndarray, beta: float) -> np.ndarray:
    return fused(new, call.scalar(1 - beta), old * call.scalar(beta), wider(call))


def lerp_fused(run: Implementation, call: Call, old: np.ndarray, new: np.ndarray, beta: float) -> np.ndarray:
    return fused(new - old, call.scalar(1 - beta), old, wider(call))


def average_of_llm_c(run: Implementation, call: Call, old: np.ndarray, new: np.ndarray, beta: float) -> np.ndarray:
    """fma(beta, m, fma(-beta, g, g))"""
    b = call.scalar(beta)
    return fused(b, old, fused(-b, new, new, wider(call)), wider(call))


def average_in_place(run: Implementation, call: Call, old: np.ndarray, new: np.ndarray, beta: float) -> np.ndarray:
    kept = old.copy()
    kept *= call.scalar(beta)
    kept += call.scalar(1 - beta) * new
    return kept


def average_in_tensor_scalars(run: Implementation, call: Call, old: np.ndarray, new: np.ndarray, beta: float) -> np.ndarray:
    b = call.scalar(beta)
    return old * b + new * (call.scalar(1) - b)


def square_once(run: Implementation, call: Call, v: np.ndarray, g: np.ndarray) -> np.ndarray:
    return v * call.scalar(call.s.beta2) + (g * call.scalar(1 - call.s.beta2)) * g


def square_by_power(run: Implementation, call: Call, v: np.ndarray, g: np.ndarray) -> np.ndarray:
    return run.average(call, v, np.power(g, 2), call.s.beta2)


def square_fused(run: Implementation, call: Call, v: np.ndarray, g: np.ndarray) -> np.ndarray:
    """addcmul with a fused multiply-add."""
    return fused(g * call.scalar(1 - call.s.beta2), g, v * call.scalar(call.s.beta2), wider(call))


# --- the change of p ---


def late_step(run: Implementation, call: Call, d: np.ndarray, v: np.ndarray) -> np.ndarray:
    return d / run.denominator(call, v) * call.scalar(run.step_size(call))


def inverse(run: Implementation, call: Call, d: np.ndarray, v: np.ndarray) -> np.ndarray:
    return d * (call.scalar(run.step_size(call)) / run.denominator(call, v))


def corrected_moments(run: Implementation, call: Call, d: np.ndarray, v: np.ndarray) -> np.ndarray:
    """m_hat and v_hat, eps scaled where the dialect has it beside sqrt(v)."""
    eps = call.s.eps if run.traits.eps_beside_corrected_root else call.s.eps / np.sqrt(call.c2)
    return call.scalar(call.s.lr) * (d / call.scalar(call.c1)) / (np.sqrt(v / call.scalar(call.c2)) + call.scalar(eps))


def left_to_right(run: Implementation, call: Call, d: np.ndarray, v: np.ndarray) -> np.ndarray:
    """lr * m / c1 / denominator, as C evaluates it."""
    if run.traits.eps_beside_corrected_root:
        return call.scalar(call.s.lr) * d / call.scalar(call.c1) / (np.sqrt(v / call.scalar(call.c2)) + call.scalar(call.s.eps))
    return call.scalar(call.s.lr) * d / call.scalar(call.c1) / ((np.sqrt(v) + call.scalar(call.s.eps)) / call.scalar(np.sqrt(call.c2)))


def lr_last(run: Implementation, call: Call, d: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (d / call.scalar(call.c1)) / run.denominator(call, v) * call.scalar(run.step_size(call) * call.c1)


def eps_hat(run: Implementation, call: Call, d: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The correction of v folded into step size and eps, for the paper's eps."""
    if not run.traits.eps_beside_corrected_root:
        return base.change(run, call, d, v)
    root2 = np.sqrt(call.c2)
    return d * call.scalar(call.s.lr * root2 / call.c1) / (np.sqrt(v) + call.scalar(call.s.eps * root2))


def negated_step(run: Implementation, call: Call, p: np.ndarray, change: np.ndarray) -> np.ndarray:
    return p + -change


def moved_fused(run: Implementation, call: Call, p: np.ndarray, change: np.ndarray) -> np.ndarray:
    return fused(-1.0, change, p, wider(call))


def addcdiv(run: Implementation, call: Call, old: Arrays, g: np.ndarray) -> Arrays:
    """p + (-step) * m / denominator with the last product and the sum fused."""
    new = base.advance(run, call, old, g)
    used = new["max_exp_avg_sq"] if call.s.amsgrad else new["exp_avg_sq"]
    quotient = run.direction(call, old, new["exp_avg"], g) / run.denominator(call, used)
    step = call.scalar(run.step_size(call))
    return {**new, "param": fused(-step, quotient, old["param"], wider(call)), "change": step * quotient}


# --- scalars ---


def tensor_powers(run: Implementation, call: Call, beta: float) -> Any:
    return float(call.scalar(call.scalar(beta) ** call.scalar(call.t)))


def power_by_exp(run: Implementation, call: Call, beta: float) -> Any:
    return math.exp(call.t * math.log(beta)) if beta else 0.0


def power_by_squares(run: Implementation, call: Call, beta: float) -> Any:
    result, factor, t = 1.0, float(beta), int(call.t)
    while t:
        result, factor, t = result * (factor if t & 1 else 1.0), factor * factor, t >> 1
    return result


def power_by_product(run: Implementation, call: Call, beta: float, scalar_type: Callable[[Any], Any] = float) -> Any:
    """A running product of one beta, which starts from a power where a state is loaded."""
    kept = run.__dict__.setdefault("products", {}).setdefault((call.name, beta), [call.t - 1, scalar_type(beta) ** scalar_type(call.t - 1)])
    while kept[0] < call.t:
        kept[0] += 1
        kept[1] = kept[1] * scalar_type(beta)
    return float(kept[1])


def power_by_tensor_product(run: Implementation, call: Call, beta: float) -> Any:
    return power_by_product(run, call, beta, call.dtype.type)


def corrections_by_expm1(run: Implementation, call: Call) -> Any:
    return tuple(-math.expm1(call.t * math.log(beta)) if beta else 1.0 for beta in (call.s.beta1, call.s.beta2))


def corrections_in_longdouble(run: Implementation, call: Call) -> Any:
    return tuple(1 - np.longdouble(beta) ** call.t for beta in (call.s.beta1, call.s.beta2))


def step_in_tensor_scalars(run: Implementation, call: Call) -> Any:
    """lr, corrections and their quotient in the format of the tensor."""
    lr, c1, c2 = call.scalar(call.s.lr), call.scalar(call.c1), call.scalar(call.c2)
    return lr / c1 if run.traits.eps_beside_corrected_root else lr * np.sqrt(c2) / c1


def root_before_lr(run: Implementation, call: Call) -> Any:
    size = np.sqrt(call.c2) / call.c1 if not run.traits.eps_beside_corrected_root else 1 / call.c1
    return size * call.s.lr


def tensor_corrections(run: Implementation, call: Call) -> Any:
    scalar_type = call.dtype.type
    return tuple(float(scalar_type(1) - scalar_type(beta) ** scalar_type(call.t)) for beta in (call.s.beta1, call.s.beta2))
