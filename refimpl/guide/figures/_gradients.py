"""Figures about what happens to a gradient before the moments take it in, and about decay."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from .._drawing import figure
from ..lab import run
from ..problems import SCALE, centralized, decayed_rows, resting_decay, unscaled


def objective() -> Figure:
    """One gradient, both signs of the objective."""
    made, (axes,) = figure(height=2.3)
    for label, pick in (("minimize", "minimize"), ("maximize", "maximize")):
        axes.plot(run([[(0, 1.0)]] * 20, start=1.0, lr=0.05, change={"objective": pick}).p[:, 0], label=label)
    axes.set(title="The parameter p", xlabel="steps made, each with a gradient of 1")
    axes.legend()
    return made


def centralization() -> Figure:
    """A row of sixteen gradients, before its mean is taken off and after."""
    made, (axes,) = figure(height=2.4)
    before, after = centralized()
    columns = np.arange(16)
    axes.bar(columns - 0.2, before, 0.4, color="#110000", label="as given")
    axes.bar(columns + 0.2, after, 0.4, color="#220000", hatch="////", edgecolor="#040404", linewidth=0, label="centralized")
    axes.axhline(before.mean(), color="#110000", linewidth=0.9, linestyle=":")
    axes.axhline(0, color="#020202", linewidth=0.9)
    axes.set(title="Gradient of one row", xlabel="column", xticks=columns[::3], ylim=(-1.3, 2.7))
    axes.legend(ncols=2, loc="upper left")
    return made


def unscale() -> Figure:
    """Gradients that were scaled up, and what becomes of p and of m where they are scaled down rightly, twice, or not at all."""
    made, (p, m) = figure(2, height=2.1, sharex=True)
    for label, history in unscaled().items():
        p.plot(history.p[:, 0], label=label)
        m.plot(np.arange(1, len(history.m)), np.abs(history.m[1:, 0]))
    p.set_title("The parameter p")
    m.set(title="|m|", xlabel=f"steps made, with a loss scale of {SCALE:.0f} and weight decay", yscale="log")
    p.legend()
    return made


def decay() -> Figure:
    """A row whose gradients are zero: what is left of it is what the decay leaves."""
    made, (axes,) = figure(height=2.7)
    for label, values in resting_decay().items():
        axes.plot(values, label=label)
    axes.set(title="The parameter p", xlabel="steps made, each with a stored gradient of 0", ylim=(0.3, 1.05))
    axes.legend(loc="lower left")
    return made


def decay_rows() -> Figure:
    """Which rows decay: one that is touched in every fifth step, and one that never is."""
    made, (touched, other) = figure(2, height=1.9, sharex=True)
    for label, values in decayed_rows().items():
        touched.plot(values[:, 0], label=label)
        other.plot(values[:, 1])
    touched.set_title("A row that is touched in every fifth step")
    other.set(title="A row that is never touched", xlabel="steps made")
    touched.legend(fontsize=8)
    return made


FIGURES = {
    "objective": objective,
    "centralization": centralization,
    "unscale": unscale,
    "decay": decay,
    "decay_rows": decay_rows,
}
