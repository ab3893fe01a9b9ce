"""The fast judge: which numbers of a step are certainly within their proven bound. Only the proof may call a number wrong.

For every element the kernel computes the step in double by one formulation, x, and beside it e, a *lower* bound on what `Bounded` charges
for that formulation. It clears an element whose number is within MARGIN e of x. That the proof would pass it too follows from these:

1. The bound of the oracle is the maximum over the formulations, so not less than that of this one.
2. What `Bounded` charges for a rounding is r lp(|z| + 2e), where lp is the power of two at or below its argument, so that more than half
   of r |z| is charged. The kernel charges r/2 |z|. Where `Bounded` charges nothing (a sum with an exact zero, a product with a power of
   two, a division by a constant 1), nor does the kernel; of what a product that underflows adds, it takes the smallest number, the least
   that any class has; and terms of second order, which `Bounded` adds, are left out.
3. x is off the exact result by the roundings of double, 2^-53 of each z, through the same operations: less than 2^-20 of what is charged
   for them, which is at least 2^-25 of z. Where nothing is charged, double rounds nothing either. The errors of the scalars in double are
   taken off beforehand (`_least.Least`).
4. Where any formulation might leave the range of the format, or a divisor may be zero, the bound is infinite and other rules hold (see
   `oracle.expectations`). Such elements are not cleared: every magnitude must be a quarter of the largest number at most, and the
   error of a divisor a 32nd of it.

So an element that is not cleared may be right: the proof decides. `tests/test_watch_kernel.py` holds the kernel against the oracle.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..gradients import Array
from ..kernels.compiling import jit
from ._least import ADAM, APART, HAT, INFINITY, MET, UNRECTIFIED, Plan

MARGIN = 1 - 2.0**-19
"""Of e: what points 2 and 3 need, since the kernel's own roundings of e are below 2^-40."""

BLOCK = 4096
"""Elements that are worked on at once, so that what a stage leaves for the next stays in the first caches."""


@jit(inline="always")
def add(x, e, y, d, r):  # type: ignore[no-untyped-def]  # typed by the compiler
    z = x + y
    return z, e + d + (r * abs(z) if (x != 0.0) & (y != 0.0) else 0.0)


@jit(inline="always")
def scale(x, e, y, d, w, r, low):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The product with a scalar (y, d); w is 0 where it rounds nothing."""
    z = x * y
    return z, abs(x) * d + abs(y) * e + w * (r * abs(z) + (low if x != 0.0 else 0.0))


@jit(inline="always")
def divide(x, e, y, d, w, r, low):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The quotient by a scalar."""
    z = x / y
    return z, (abs(z) * d + e) / abs(y) + w * (r * abs(z) + (low if x != 0.0 else 0.0))


@jit(inline="always")
def divide_by(x, e, y, d, r, low):  # type: ignore[no-untyped-def]  # typed by the compiler
    z = x / y
    return z, (abs(z) * d + e) / abs(y) + r * abs(z) + (low if x != 0.0 else 0.0)


@jit(inline="always")
def square(x, e, r, low):  # type: ignore[no-untyped-def]  # typed by the compiler
    z = x * x
    return z, 2.0 * abs(x) * e + r * z + (low if x != 0.0 else 0.0)


@jit(inline="always")
def averaged(old, x, e, beta, rest, r, low):  # type: ignore[no-untyped-def]  # typed by the compiler
    """b old + (1 - b) x."""
    z, d = scale(np.float64(old), 0.0, beta[0], beta[1], beta[2], r, low)
    x, e = scale(x, e, rest[0], rest[1], rest[2], r, low)
    return add(z, d, x, e, r)


@jit(inline="always")
def root(x, e, r):  # type: ignore[no-untyped-def]  # typed by the compiler
    """`Bounded` charges e/(sqrt(x - e) + sqrt(x - 2e)), which is at least e/(2 sqrt(x)), or sqrt(e), whichever is less."""
    z = np.sqrt(x)
    return z, (e / (2.0 * z) if e < 4.0 * x else np.sqrt(e)) + r * z


@jit(inline="always")
def kept(x, e, relative, absolute):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The number in a narrower dtype."""
    return e + (relative * abs(x) + absolute if x != 0.0 else 0.0)


@jit(inline="always")
def ratio(got, x, e):  # type: ignore[no-untyped-def]  # typed by the compiler
    off = abs(got - x)
    return off / e if off != 0.0 else 0.0


@jit
def prepare(p, g, g_e, s, sign, r, r_div, low, shrunk, out):  # type: ignore[no-untyped-def]  # typed by the compiler
    """g and p as the moments and the change meet them: after sign, loss scale and decay."""
    g_x, g_d, p_x, p_d = out[G], out[G + 1], out[P], out[P + 1]
    of_loss, of_decay, of_shrink = s[LOSS_SCALE], s[DECAY], s[SHRINK]
    for i in range(len(g)):
        x, e = divide(sign * g[i], g_e[i], of_loss[0], of_loss[1], of_loss[2], r_div, low)
        y, d = scale(np.float64(p[i]), 0.0, of_decay[0], of_decay[1], of_decay[2], r, low)
        g_x[i], g_d[i] = add(x, e, y, d, r)
        x, e = scale(np.float64(p[i]), 0.0, of_shrink[0], of_shrink[1], of_shrink[2], r, low)
        p_x[i], p_d[i] = x, kept(x, e, shrunk[0], shrunk[1])


@jit
def moments(m, v, s, r, low, out):  # type: ignore[no-untyped-def]  # typed by the compiler
    g_x, g_d, m_x, m_d, v_x, v_d = out[G], out[G + 1], out[M], out[M + 1], out[V], out[V + 1]
    beta1, rest1, beta2, rest2 = s[BETA1], s[ONE_MINUS_BETA1], s[BETA2], s[ONE_MINUS_BETA2]
    for i in range(len(m)):
        m_x[i], m_d[i] = averaged(m[i], g_x[i], g_d[i], beta1, rest1, r, low)
        x, e = square(g_x[i], g_d[i], r, low)
        v_x[i], v_d[i] = averaged(v[i], x, e, beta2, rest2, r, low)


@jit
def moments_of_infinity(m, v, s, r, low, out):  # type: ignore[no-untyped-def]  # typed by the compiler
    """Adamax: the largest of b2 u and |g| + eps in the place of v."""
    g_x, g_d, m_x, m_d, v_x, v_d = out[G], out[G + 1], out[M], out[M + 1], out[V], out[V + 1]
    beta1, rest1, beta2, eps = s[BETA1], s[ONE_MINUS_BETA1], s[BETA2], s[EPS]
    for i in range(len(m)):
        m_x[i], m_d[i] = averaged(m[i], g_x[i], g_d[i], beta1, rest1, r, low)
        x, e = scale(np.float64(v[i]), 0.0, beta2[0], beta2[1], beta2[2], r, low)
        y, d = add(abs(g_x[i]), g_d[i], eps[0], eps[1], r)
        v_x[i] = x if x > y else y
        v_d[i] = e if e > d else d


@jit
def maximum(v_max, out):  # type: ignore[no-untyped-def]  # typed by the compiler
    v_x, v_d, u_x, u_d = out[V], out[V + 1], out[U], out[U + 1]
    for i in range(len(v_max)):
        x = np.float64(v_max[i])
        u_x[i] = x if x > v_x[i] else v_x[i]
        u_d[i] = v_d[i]


@jit
def change_of_adam(d_x, d_d, u_x, u_d, s, r, r_div, low, out):  # type: ignore[no-untyped-def]  # typed by the compiler
    """((d lr)/c1) / (sqrt(u)/root2 + eps), and the smallest divisor of any formulation."""
    c_x, c_d, least, least_d = out[C], out[C + 1], out[LEAST], out[LEAST + 1]
    lr, c1, root2, eps = s[LR], s[CORRECTION1], s[ROOT2], s[EPS]
    for i in range(out.shape[1]):
        x, e = scale(d_x[i], d_d[i], lr[0], lr[1], lr[2], r, low)
        x, e = divide(x, e, c1[0], c1[1], c1[2], r_div, low)
        y, d = root(u_x[i], u_d[i], r_div)
        y, d = divide(y, d, root2[0], root2[1], root2[2], r_div, low)
        y, d = add(y, d, eps[0], eps[1], r)
        least[i], least_d[i] = y * root2[0], d
        c_x[i], c_d[i] = divide_by(x, e, y, d, r_div, low)


@jit
def change_of_hat(d_x, d_d, u_x, u_d, s, r, r_div, low, out):  # type: ignore[no-untyped-def]  # typed by the compiler
    """(((d lr)/c1) / ((sqrt(u) + eps)/root2)) rectifier, and the smallest divisor of any formulation."""
    c_x, c_d, least, least_d = out[C], out[C + 1], out[LEAST], out[LEAST + 1]
    lr, c1, root2, eps, rectifier = s[LR], s[CORRECTION1], s[ROOT2], s[EPS], s[RECTIFIER]
    for i in range(out.shape[1]):
        x, e = scale(d_x[i], d_d[i], lr[0], lr[1], lr[2], r, low)
        x, e = divide(x, e, c1[0], c1[1], c1[2], r_div, low)
        y, d = root(u_x[i], u_d[i], r_div)
        y, d = add(y, d, eps[0], eps[1], r)
        least[i], least_d[i] = y, d
        y, d = divide(y, d, root2[0], root2[1], root2[2], r_div, low)
        x, e = divide_by(x, e, y, d, r_div, low)
        c_x[i], c_d[i] = scale(x, e, rectifier[0], rectifier[1], rectifier[2], r, low)


@jit
def change_apart(m_x, m_d, u_x, u_d, s, r, r_div, low, out):  # type: ignore[no-untyped-def]  # typed by the compiler
    """NAdam: p - (g lr_new)/(sqrt(v)/root2 + eps) in the place of p, and (m lr_old)/(the same) as the change."""
    g_x, g_d, p_x, p_d = out[G], out[G + 1], out[P], out[P + 1]
    c_x, c_d, least, least_d = out[C], out[C + 1], out[LEAST], out[LEAST + 1]
    old, new, root2, eps = s[OLD], s[NEW], s[ROOT2], s[EPS]
    for i in range(out.shape[1]):
        y, d = root(u_x[i], u_d[i], r_div)
        y, d = divide(y, d, root2[0], root2[1], root2[2], r_div, low)
        y, d = add(y, d, eps[0], eps[1], r)
        least[i], least_d[i] = y * root2[0], d
        x, e = scale(g_x[i], g_d[i], new[0], new[1], new[2], r, low)
        x, e = divide_by(x, e, y, d, r_div, low)
        p_x[i], p_d[i] = add(p_x[i], p_d[i], -x, e, r)
        x, e = scale(m_x[i], m_d[i], old[0], old[1], old[2], r, low)
        c_x[i], c_d[i] = divide_by(x, e, y, d, r_div, low)


@jit
def change_unrectified(d_x, d_d, s, r, r_div, low, out):  # type: ignore[no-untyped-def]  # typed by the compiler
    """(d lr)/c1."""
    c_x, c_d, least, least_d = out[C], out[C + 1], out[LEAST], out[LEAST + 1]
    lr, c1 = s[LR], s[CORRECTION1]
    for i in range(out.shape[1]):
        x, e = scale(d_x[i], d_d[i], lr[0], lr[1], lr[2], r, low)
        c_x[i], c_d[i] = divide(x, e, c1[0], c1[1], c1[2], r_div, low)
        least[i], least_d[i] = 1.0, 0.0


@jit
def change_of_infinity(d_x, d_d, u_x, u_d, s, r, r_div, low, out):  # type: ignore[no-untyped-def]  # typed by the compiler
    """(d lr)/(u c1)."""
    c_x, c_d, least, least_d = out[C], out[C + 1], out[LEAST], out[LEAST + 1]
    lr, c1 = s[LR], s[CORRECTION1]
    for i in range(out.shape[1]):
        x, e = scale(d_x[i], d_d[i], lr[0], lr[1], lr[2], r, low)
        y, d = scale(u_x[i], u_d[i], c1[0], c1[1], c1[2], r, low)
        least[i], least_d[i] = y, d
        c_x[i], c_d[i] = divide_by(x, e, y, d, r_div, low)


@jit
def compare(got, x, e, narrower, ratios):  # type: ignore[no-untyped-def]  # typed by the compiler
    for i in range(len(got)):
        ratios[i] = ratio(got[i], x[i], kept(x[i], e[i], narrower[0], narrower[1]))


@jit
def compare_p(got, d_x, u_x, s, r, largest, narrower, out, ratios):  # type: ignore[no-untyped-def]  # typed by the compiler
    """The ratio of p - change; nan where some formulation may come near the end of the range, or to a division by nearly 0."""
    g_x, p_x, p_d, c_x, c_d, least, least_d = out[G], out[P], out[P + 1], out[C], out[C + 1], out[LEAST], out[LEAST + 1]
    c1, c2, lr = s[CORRECTION1, 0], s[ROOT2, 0] * s[ROOT2, 0], s[LR, 0]
    factor, of_loss = (1.0 + lr + abs(s[OLD, 0]) + abs(s[NEW, 0])) * (1.0 + s[RECTIFIER, 0]), (1.0 + s[LOSS_SCALE, 0]) / c2
    for i in range(len(got)):
        x, e = add(p_x[i], p_d[i], -c_x[i], c_d[i], r)
        of_g = (g_x[i] * g_x[i] + abs(g_x[i])) * of_loss
        of_d = abs(d_x[i]) / c1 + 1.0
        of_p = abs(p_x[i]) + abs(c_x[i])
        of_change = factor * (of_d + abs(g_x[i]) + lr / c1) / least[i]
        inside = (of_g <= largest) & (u_x[i] / c2 <= largest) & (of_p <= largest) & (of_d <= largest) & (of_change <= largest)
        is_near = ratio(got[i], x, kept(x, e, narrower[0], narrower[1]))
        ratios[i] = is_near if inside & (32.0 * least_d[i] <= least[i]) else np.nan


@jit
def largest_of_rows(ratios, width, largest):  # type: ignore[no-untyped-def]  # typed by the compiler
    """Of each row the largest ratio of its elements; a nan stays, since no number is larger."""
    for array in range(ratios.shape[0]):
        for row in range(largest.shape[1]):
            worst = 0.0
            for k in range(row * width, (row + 1) * width):
                x = ratios[array, k]
                if (x > worst) | (x != x):
                    worst = x
            largest[array, row] = worst


LR, BETA1, ONE_MINUS_BETA1, BETA2, ONE_MINUS_BETA2, EPS, CORRECTION1 = range(7)
ROOT2, OLD, NEW, RECTIFIER, DECAY, LOSS_SCALE, SHRINK = range(7, len(MET))
"""The rows of `Plan.scalars`."""

G, P, M, V, U, C, LEAST = range(0, 14, 2)
"""Where a block has the numbers of a stage; their errors stand behind them."""

NO_ERROR = np.zeros(0)
NONE = np.zeros(2)


def ratios_of(
    plan: Plan,
    before: Sequence[Array],
    gradient: Array,
    after: Sequence[Array],
    narrower: Array,
    gradient_error: Array = NO_ERROR,
    width: int = 1,
) -> Array:
    """The largest |got - x|/e of each row, per array (param, exp_avg, exp_avg_sq, max_exp_avg_sq); a row is cleared if none exceeds MARGIN.

    before, after: p, m, v and, with amsgrad, the maximum, as flat arrays of float32 of one length, rows of `width` elements; gradient:
    flat, of float32 or float64, and what a sum of its occurrences may be off, flat or empty; narrower: (4, 2), what the conversion of
    each array to a narrower dtype adds, relative and absolute. A row with a nan is not cleared.
    """
    rows = len(gradient) // width
    at_once = max(BLOCK // width, 1)
    largest = np.zeros((4, rows))
    scratch, none, ratios = np.empty((14, at_once * width)), np.zeros(at_once * width), np.zeros((4, at_once * width))
    for start in range(0, rows, at_once):
        stop = min(start + at_once, rows)
        block = slice(start * width, stop * width)
        size = block.stop - block.start
        errors = gradient_error[block] if len(gradient_error) else none[:size]
        olds, news = ([array[block] for array in arrays] for arrays in (before, after))
        target = largest[:, start:stop] if width == 1 else ratios[:, :size]
        _block(plan, olds, gradient[block], errors, news, narrower, scratch[:, :size], target)
        if width > 1:
            largest_of_rows(ratios, width, largest[:, start:stop])
    return largest


def _block(plan: Plan, before: list[Array], g: Array, g_e: Array, after: list[Array], narrower: Array, out: Array, ratios: Array) -> None:
    s, r, r_div, low = plan.scalars, plan.rounding, plan.rounding_div, plan.smallest
    prepare(before[0], g, g_e, s, plan.sign, r, r_div, low, narrower[0] if plan.decoupled else NONE, out)
    (moments_of_infinity if plan.change == INFINITY else moments)(before[1], before[2], s, r, low, out)
    u = v = out[V : V + 2]
    m = out[M : M + 2]
    if plan.amsgrad:
        maximum(before[3], out)
        u = out[U : U + 2]
    if plan.change == UNRECTIFIED:
        change_unrectified(*m, s, r, r_div, low, out)
    else:
        CHANGE[plan.change](*m, *u, s, r, r_div, low, out)
    compare_p(after[0], m[0], u[0], s, r, plan.largest / 4, narrower[0], out, ratios[0])
    for index, numbers in zip(range(1, len(after)), (m, v, u)):
        compare(after[index], *numbers, narrower[index], ratios[index])


CHANGE = {ADAM: change_of_adam, HAT: change_of_hat, INFINITY: change_of_infinity, APART: change_apart}
