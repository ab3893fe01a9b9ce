"""Figures about rounding: how the error of a float32 computation grows, and its bound with it."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from .._drawing import figure
from ..rounding import MEASURED, trained


def bound() -> Figure:
    """A float32 run, its error, and what each numerics class allows."""
    made, panels = figure(2, height=2.5, sharex=True)
    run = trained()
    for axes, field, title in zip(panels, ("p", "v"), ("Parameter p: |error|, in units of its last place", "Second moment v: the same")):
        steps = np.arange(1, len(run.error[field]) + 1)
        for name in MEASURED:
            axes.plot(steps, run.bound[field][name], label=f"bound, {name}")
        axes.plot(steps, run.error[field], "o", markersize=2.5, color="#330000", linestyle="none", label="error, every formulation")
        axes.set(yscale="log", title=title)
    panels[0].legend(fontsize=8, loc="lower right")
    panels[1].set_xlabel("steps made")
    return made


FIGURES = {"bound": bound}
