"""Wrong in ways that no known cause describes: the only right diagnosis is that no cause is known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .dialects import ADAM, LAZY, SPARSE
from .hooks import Hooks, base, with_settings
from .implementation import Call, Implementation
from .table import NO_CAUSE, Row, named, refused_because, wrong


def scaled_change(factor: Callable[[Implementation, Call], Any]) -> Hooks:
    """factor: of the change of p, from the run and the call."""
    return {"change": lambda run, call, d, v: base.change(run, call, d, v) * call.scalar(factor(run, call))}


def rectified(run: Implementation, call: Call, d: np.ndarray, v: np.ndarray) -> np.ndarray:
    """RAdam's factor."""
    far = 2 / (1 - call.s.beta2) - 1
    now = far - 2 * call.t * call.s.beta2**call.t / call.c2
    if now <= 5:
        return d * call.scalar(call.s.lr / call.c1)
    factor = np.sqrt((now - 4) * (now - 2) * far / ((far - 4) * (far - 2) * now))
    return base.change(run, call, d, v) * call.scalar(factor)


def largest_so_far(run: Implementation, call: Call, v: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Adamax: v is a decaying maximum."""
    return np.maximum(v * call.scalar(call.s.beta2), g * g)


def first_row_twice(run: Implementation, call: Call, rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distinct, total = base.merge(run, call, rows, g)
    if call.form != "dense" and len(rows):
        total[distinct == rows[0]] += g[0]
    return distinct, total


def columns_exchanged(run: Implementation, call: Call, gradient: Any) -> tuple[np.ndarray, np.ndarray]:
    rows, values = base.occurrences(run, call, gradient)
    values = values.copy()
    if values.shape[1] > 1:
        values[:, [0, 1]] = values[:, [1, 0]]
    return rows, values


def rows_off_by_one(run: Implementation, call: Call, gradient: Any) -> tuple[np.ndarray, np.ndarray]:
    rows, values = base.occurrences(run, call, gradient)
    return (rows if call.form == "dense" else (rows + 1) % max(call.shape[0], 1)), values


def momentum_every_other(run: Implementation, call: Call, m: np.ndarray, g: np.ndarray) -> np.ndarray:
    return m if call.t % 2 == 0 else base.first_moment(run, call, m, g)


def smoothed(run: Implementation, call: Call, d: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The denominator is the mean of its row."""
    root = run.denominator(call, v)
    return d * call.scalar(run.step_size(call)) / (root.mean(axis=1, keepdims=True) if root.size else root)


def heavy_ball(run: Implementation, call: Call, m: np.ndarray, g: np.ndarray) -> np.ndarray:
    return m * call.scalar(call.s.beta1) + g * call.scalar(call.s.lr)


def weighted_by_norm(run: Implementation, call: Call, d: np.ndarray, v: np.ndarray) -> np.ndarray:
    """LAMB's trust ratio."""
    change = base.change(run, call, d, v)
    norm = float(np.sqrt(np.square(change, dtype=np.float64).sum()))
    return change * call.scalar(min(1.0, 1 / norm) if norm else 1.0)


def repeats_change(run: Implementation, call: Call, p: np.ndarray, change: np.ndarray) -> np.ndarray:
    """The change of the call before is made once more."""
    before = run.__dict__.setdefault("before", {})
    old, before[call.name] = before.get(call.name), change
    return p - change - old if old is not None else p - change


def refuses_empty(run: Implementation, call: Call, gradient: Any) -> tuple[np.ndarray, np.ndarray]:
    rows, values = base.occurrences(run, call, gradient)
    if not len(rows):
        raise ValueError("cannot reduce an empty gradient")
    return rows, values


row = partial(wrong, answer=NO_CAUSE)

# fmt: off
ROWS: tuple[Row, ...] = (
    row("lr-times-one-minus-beta1", "lr is multiplied by 1 - beta1", "two conventions", hooks=with_settings(lambda run, slot, s: {"lr": s.lr * (1 - s.beta1)}), cases=("betas/*", "basics/*")),
    row("lr-over-root-of-t", "lr falls with the root of t", "a schedule nobody asked for", hooks=scaled_change(lambda run, call: 1 / np.sqrt(call.t))),
    row("lr-by-width", "lr is divided by the root of the width", "scaled initialisation", hooks=scaled_change(lambda run, call: 1 / np.sqrt(max(call.shape[1], 1)))),
    row("lr-by-place", "each later parameter has a smaller lr", "layer-wise decay", hooks=with_settings(lambda run, slot, s: {"lr": s.lr * 0.9**slot.place}), cases=("counters/*", "groups/*")),
    row("eps-times-lr", "eps is multiplied by lr", "both folded", answer=named("eps-times-lr"), hooks={"eps": lambda run, call: call.s.eps * call.s.lr}, cases=("eps/*",)),
    row("eps-grows", "eps is multiplied by t", "a loop variable", hooks={"eps": lambda run, call: call.s.eps * call.t}, cases=("eps/*",)),
    row("beta2-of-the-root", "the root of beta2 stands for it", "half-lives", answer=named("beta2-scaled").or_none(), hooks=with_settings(lambda run, slot, s: {"beta2": float(np.sqrt(s.beta2))})),
    row("beta1-grows", "beta1 grows to its value", "NAdam's schedule", hooks={"first_moment": lambda run, call, m, g: run.average(call, m, g, call.s.beta1 * (1 - 0.5 * 0.96**call.t))}),
    row("corrections-of-half-t", "the correction of v takes t / 2", "two clocks", hooks={"corrections": lambda run, call: (base.corrections(run, call)[0], 1 - call.s.beta2 ** (call.t / 2))}),
    row("rectified", "RAdam's factor", "RAdam", hooks={"change": rectified}, dialects=(SPARSE, ADAM)),
    row("adamax", "v is a decaying maximum", "Adamax", hooks={"second_moment": largest_so_far}),
    row("signs-only", "moves by the sign of m", "Lion", hooks={"change": lambda run, call, d, v: np.sign(d) * call.scalar(call.s.lr)}),
    row("trust-ratio", "the change has a norm of 1 at most", "LAMB", hooks={"change": weighted_by_norm}, dialects=(SPARSE, ADAM), cases=("basics/large-lr", "resumed/far-above-root", "betas/*")),
    row("heavy-ball", "m takes in lr g", "SGD's momentum", hooks={"first_moment": heavy_ball}),
    row("momentum-every-other", "m takes in every other gradient", "accumulation", hooks={"first_moment": momentum_every_other}),
    row("root-of-row", "the denominator is the mean of its row", "row-wise Adam half done", hooks={"change": smoothed}),
    row("first-row-twice", "the first occurrence of a gradient counts twice", "off by one", hooks={"merge": first_row_twice}, dialects=(SPARSE, LAZY)),
    row("columns-exchanged", "the first two columns are exchanged", "a stride", hooks={"occurrences": columns_exchanged}),
    row("rows-off-by-one", "each row number is one too large", "indices from 1", hooks={"occurrences": rows_off_by_one}, dialects=(SPARSE, LAZY)),
    row("maximize-halves", "maximize also halves the gradient", "an option that does two things", hooks={"signed": lambda run, call, values: values * call.scalar(-0.5) if call.s.maximize else values}, dialects=(SPARSE, ADAM), cases=("options/*", "pairs/*")),
    row("no-correction-where-resumed", "no bias correction where a state was loaded", "a flag", hooks={"corrections": lambda run, call: (1.0, 1.0) if call.slot.param.step else base.corrections(run, call)}, dialects=(SPARSE, ADAM), cases=("resumed/*",)),
    row("changes-add-up", "a call repeats the change of the call before", "a buffer that is not cleared", hooks={"moved": repeats_change}, dialects=(ADAM,)),
    wrong("crashes-on-empty", "an empty gradient raises", "pytorch 82486, DGL 2859", refused_because("raised"), {"occurrences": refuses_empty}, dialects=(SPARSE, LAZY), cases=("counters/*",)),
)
# fmt: on
