"""Figures about the step: its counter, its corrections, eps, its direction, a maximum of v, and what is carried over."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from .._drawing import figure
from ..lab import run
from ..problems import COUNTEREXAMPLE, by_schedule, corrected_in_float32, counterexample, first_steps, resumed, turning


def late_row() -> Figure:
    """The first step of a row, by the step of the optimizer in which it is first touched."""
    made, (axes,) = figure(height=2.5)
    for label, (at, length) in first_steps().items():
        axes.plot(at, length, label=label)
    axes.set(
        xscale="log",
        ylim=(0, 3.4),
        title="Length of the row's first step, in units of lr",
        xlabel="t of the optimizer when the row is first touched",
    )
    axes.legend()
    return made


def clock() -> Figure:
    """A clock that is wrong by one."""
    made, (axes,) = figure(height=2.4)
    steps = np.arange(1, 31)
    for label, pick in (("t", "t"), ("t + 1", "t_plus_1"), ("2 t", "twice_t"), ("t - 1, uncorrected at first", "t_minus_1_or_none")):
        axes.plot(steps, -np.diff(run([[(0, 1.0)]] * 30, lr=1.0, change={"clock": pick}).p[:, 0]), label=label)
    axes.set(title="Length of each step, in units of lr", xlabel="step, each with a gradient of 1")
    axes.legend()
    return made


def bias() -> Figure:
    """Steps along a constant gradient, with and without the corrections."""
    made, (axes,) = figure(height=2.9)
    steps = np.arange(1, 301)
    picks = {"both": "both", "none": "none", "first moment only": "first", "second moment only": "second"}
    for label, pick in picks.items():
        axes.plot(steps, -np.diff(run([[(0, 1.0)]] * 300, lr=1.0, change={"bias": pick}).p[:, 0]), label=label)
    axes.set(xscale="log", yscale="log", title="Length of each step, in units of lr", xlabel="step, each with a gradient of 1")
    axes.legend(ncols=2)
    return made


def powers() -> Figure:
    """The error of the step size where the powers of beta are float32 numbers."""
    made, (axes,) = figure(height=2.7)
    for label, (t, error) in corrected_in_float32().items():
        axes.plot(t, error, label=label)
    axes.set(xscale="log", yscale="log", ylim=(1e-9, 2e-4), title="Relative error of the step size", xlabel="t")
    axes.legend(ncols=1, loc="upper right")
    return made


def eps() -> Figure:
    """The first step, for gradients from far below eps to far above it."""
    made, (axes,) = figure(height=2.9)
    gradients = np.logspace(-13, -1, 97)
    picks = {"beside √v̂": "paper", "beside √v": "hat", "inside the root": "inside", "not added": "dropped"}
    for label, pick in picks.items():
        history = run([list(enumerate(gradients))], rows=len(gradients), lr=1.0, change={"eps": pick})
        axes.plot(gradients, -history.p[1], label=label)
    axes.axvline(1e-8, color="#020202", linewidth=0.9)
    axes.text(1.3e-8, 1.6e-6, "eps", fontsize=9)
    axes.set(xscale="log", yscale="log", ylim=(1e-6, 3), title="Length of the first step, in units of lr", xlabel="|g|")
    axes.legend(loc="lower right")
    return made


def direction() -> Figure:
    """A gradient that turns round after ten steps, and how soon the step does."""
    made, (axes,) = figure(height=2.9)
    steps = np.arange(1, 26)
    for label, history in turning().items():
        axes.plot(steps, -np.diff(history.p[:, 0]), label=label)
    axes.axhline(0, color="#020202", linewidth=0.9)
    axes.axvline(10.5, color="#020202", linewidth=0.9)
    axes.set(title="Length of each step, in units of lr", xlabel="step; the gradient is 1 up to step 10, then -1")
    axes.legend()
    return made


def amsgrad() -> Figure:
    """The problem on which Adam walks away from the minimum."""
    made, (axes,) = figure(height=2.5)
    for label, history in counterexample().items():
        axes.plot(history.p[:, 0], label=label)
    axes.axhline(0, color="#020202", linewidth=0.9)
    axes.set(
        title="The parameter p; every third gradient is larger",
        xlabel=f"steps made, with gradients {COUNTEREXAMPLE:.0f}, -1, -1, and so on",
    )
    axes.legend()
    return made


def schedule() -> Figure:
    """A learning rate that is halved twice, read rightly and wrongly."""
    made, (axes,) = figure(height=2.5)
    steps = np.arange(1, 13)
    for label, history in by_schedule().items():
        axes.plot(steps, -np.diff(history.p[:, 0]), drawstyle="steps-mid", label=label)
    axes.set(title="Length of each step", xlabel="step; lr is 0.4, from step 5 on 0.2, from step 9 on 0.1", ylim=(0, 0.6))
    axes.legend(ncols=2, loc="upper center")
    return made


def resume() -> Figure:
    """A training that goes on from a saved state, with a part of the state lost."""
    made, (axes,) = figure(height=2.8)
    for label, (t, p) in resumed().items():
        axes.plot(t, p, label=label)
    axes.axvline(200, color="#020202", linewidth=0.9)
    axes.set(title="The parameter p", xlabel="steps made; saved and loaded after step 200")
    axes.legend()
    return made


FIGURES = {
    "late_row": late_row,
    "clock": clock,
    "bias": bias,
    "powers": powers,
    "eps": eps,
    "direction": direction,
    "amsgrad": amsgrad,
    "schedule": schedule,
    "resume": resume,
}
