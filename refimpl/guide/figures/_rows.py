"""Figures about which rows an update touches: untouched rows, and duplicates."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from .._drawing import figure
from ..lab import run
from ..problems import TOUCHED_TWICE, bowl, letters_touched


def descent() -> Figure:
    """Gradient descent, at its best learning rate, and Adam, on a bowl that is steep one way and flat the other."""
    made, (loss,) = figure(height=2.7)
    for label, values in bowl().items():
        loss.plot(values, label=label)
    loss.set(yscale="log", xlabel="step", title="Loss")
    loss.legend()
    return made


def letters() -> Figure:
    """Which rows of the embedding each step of a real training touches."""
    made, (axes,) = figure(height=3.4)
    touched = letters_touched()
    step, row = np.nonzero(touched)
    axes.scatter(step + 1, row, s=14, marker="s")
    axes.set(xlabel="step", title="Rows touched, one per letter", yticks=range(27), ylim=(26.7, -0.7))
    axes.set_yticklabels(["␣", *"abcdefghijklmnopqrstuvwxyz"], fontsize=6.5)
    axes.set_xticks(range(1, len(touched) + 1))
    axes.grid(False)
    return made


def rest() -> Figure:
    """A row that is untouched for ten steps, under three choices of what happens to it."""
    made, (p, m) = figure(2, height=2.2, sharex=True)
    for label, pick in (("stored rows only", "stored"), ("all rows", "all"), ("catches up when touched", "catch_up")):
        history = run(TOUCHED_TWICE, lr=0.1, change={"touch": pick})
        p.plot(history.p[:, 0], label=label)
        m.plot(history.m[:, 0])
    p.set_title("The parameter p")
    m.set(title="The first moment m", xlabel="steps made; the row is touched in steps 1 and 12")
    p.legend()
    return made


def duplicates() -> Figure:
    """A row whose multiplicity changes from step to step."""
    made, (axes,) = figure(height=3.2)
    counts = (1, 3, 1, 2, 4, 1, 2, 1)
    given = [[(0, 1.0)] * count for count in counts]
    picks = {
        "sum": "summed",
        "mean": "averaged",
        "last": "the last one wins",
        "sequential": "in sequence",
        "old_state": "each from the old state",
    }
    for pick, label in picks.items():
        axes.plot(-run(given, lr=0.1, change={"merge": pick}).p[:, 0] / 0.1, label=label)
    axes.set(title="Way made, in units of lr", xlabel="steps made; the row occurs " + ", ".join(map(str, counts)) + " times")
    axes.legend()
    return made


FIGURES = {"descent": descent, "letters": letters, "rest": rest, "duplicates": duplicates}
