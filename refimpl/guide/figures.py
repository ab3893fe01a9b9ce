"""The figures of the guide: each function computes what it shows with the reference, and draws it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from ..gradients import Array
from . import problems
from ._drawing import RULE, Panel, curves, figure
from .lab import History, StepGradient, alternatives
from .rounding import MEASURED, trained

ONES: list[StepGradient] = [[(0, 1.0)]]
"""A step whose gradient is 1; times a number, as many of them."""

LENGTH = "Length of each step, in units of lr"


def _paths(runs: Mapping[str, History], field: str = "p") -> dict[str, Array]:
    """Label to a field of the first row, from the start on."""
    return {label: getattr(history, field)[:, 0] for label, history in runs.items()}


def _lengths(runs: Mapping[str, History]) -> dict[str, tuple[Array, Array]]:
    """Label to the steps, and how far each takes the first row down."""
    return {label: (np.arange(1, len(history.p)), -np.diff(history.p[:, 0])) for label, history in runs.items()}


def descent() -> Figure:
    """Gradient descent, at its best learning rate, and Adam, on a bowl that is steep one way and flat the other."""
    return curves(Panel(problems.bowl(), "Loss", settings={"yscale": "log"}), xlabel="step", height=2.7)


def letters() -> Figure:
    """Which rows of the embedding each step of a real training touches."""
    made, (axes,) = figure(height=3.4)
    touched = problems.letters_touched()
    step, row = np.nonzero(touched)
    axes.scatter(step + 1, row, s=14, marker="s")
    axes.set(xlabel="step", title="Rows touched, one per letter", yticks=range(27), ylim=(26.7, -0.7))
    axes.set_yticklabels(["␣", *"abcdefghijklmnopqrstuvwxyz"], fontsize=6.5)
    axes.set_xticks(range(1, len(touched) + 1))
    axes.grid(False)
    return made


def untouched() -> Figure:
    """A row that is untouched for ten steps, under three choices of what happens to it."""
    picks = {"stored rows only": "stored", "all rows": "all", "catches up when touched": "catch_up"}
    runs = alternatives("touch", picks, problems.TOUCHED_TWICE, lr=0.1)
    return curves(
        Panel(_paths(runs), "The parameter p"),
        Panel(_paths(runs, "m"), "The first moment m"),
        xlabel="steps made; the row is touched in steps 1 and 12",
        height=2.2,
    )


def duplicates() -> Figure:
    """A row whose multiplicity changes from step to step."""
    counts = (1, 3, 1, 2, 4, 1, 2, 1)
    picks = {
        "summed": "sum",
        "averaged": "mean",
        "the last one wins": "last",
        "in sequence": "sequential",
        "each from the old state": "old_state",
    }
    runs = alternatives("merge", picks, [[(0, 1.0)] * count for count in counts], lr=0.1)
    return curves(
        Panel({label: -history.p[:, 0] / 0.1 for label, history in runs.items()}, "Way made, in units of lr"),
        xlabel=f"steps made; the row occurs {', '.join(map(str, counts))} times",
        height=3.2,
    )


def objective() -> Figure:
    """One gradient, both signs of the objective."""
    runs = alternatives("objective", {"minimize": "minimize", "maximize": "maximize"}, ONES * 20, start=1.0, lr=0.05)
    return curves(Panel(_paths(runs), "The parameter p"), xlabel="steps made, each with a gradient of 1", height=2.3)


def centralization() -> Figure:
    """A row of sixteen gradients, before its mean is taken off and after."""
    made, (axes,) = figure(height=2.4)
    before, after = problems.centralized()
    columns = np.arange(16)
    axes.bar(columns - 0.2, before, 0.4, color="#110000", label="as given")
    axes.bar(columns + 0.2, after, 0.4, color="#220000", hatch="////", edgecolor="#040404", linewidth=0, label="centralized")
    axes.axhline(before.mean(), color="#110000", linewidth=0.9, linestyle=":")
    axes.axhline(0, **RULE)
    axes.set(title="Gradient of one row", xlabel="column", xticks=columns[::3], ylim=(-1.3, 2.7))
    axes.legend(ncols=2, loc="upper left")
    return made


def unscale() -> Figure:
    """Gradients that were scaled up, and what becomes of p and of m where they are scaled down rightly, twice, or not at all."""
    runs = problems.unscaled()
    moments = {label: (np.arange(1, len(history.m)), np.abs(history.m[1:, 0])) for label, history in runs.items()}
    return curves(
        Panel(_paths(runs), "The parameter p"),
        Panel(moments, "|m|", settings={"yscale": "log"}),
        xlabel=f"steps made, with a loss scale of {problems.SCALE:.0f} and weight decay",
        height=2.1,
    )


def decay() -> Figure:
    """A row whose gradients are zero: what is left of it is what the decay leaves."""
    panel = Panel(problems.decay_alone(), "The parameter p", settings={"ylim": (0.3, 1.05)})
    return curves(panel, xlabel="steps made, each with a stored gradient of 0", height=2.7, loc="lower left")


def decay_rows() -> Figure:
    """Which rows decay: one that is touched in every fifth step, and one that never is."""
    runs = problems.decayed_rows()
    return curves(
        Panel({label: p[:, 0] for label, p in runs.items()}, "A row that is touched in every fifth step"),
        Panel({label: p[:, 1] for label, p in runs.items()}, "A row that is never touched"),
        xlabel="steps made",
        height=1.9,
        fontsize=8,
    )


def late_row() -> Figure:
    """The first step of a row, by the step of the optimizer in which it is first touched."""
    title = "Length of the row's first step, in units of lr"
    panel = Panel(problems.first_steps(), title, settings={"xscale": "log", "ylim": (0, 3.4)})
    return curves(panel, xlabel="t of the optimizer when the row is first touched")


def clock() -> Figure:
    """A clock that is wrong by one."""
    picks = {"t": "t", "t + 1": "t_plus_1", "2 t": "twice_t", "t - 1, uncorrected at first": "t_minus_1_or_none"}
    runs = alternatives("clock", picks, ONES * 30, lr=1.0)
    return curves(Panel(_lengths(runs), LENGTH), xlabel="step, each with a gradient of 1", height=2.4)


def bias() -> Figure:
    """Steps along a constant gradient, with and without the corrections."""
    picks = {"both": "both", "none": "none", "first moment only": "first", "second moment only": "second"}
    runs = alternatives("bias", picks, ONES * 300, lr=1.0)
    panel = Panel(_lengths(runs), LENGTH, settings={"xscale": "log", "yscale": "log"})
    return curves(panel, xlabel="step, each with a gradient of 1", height=2.9, ncols=2)


def powers() -> Figure:
    """The error of the step size where the powers of beta are float32 numbers."""
    settings = {"xscale": "log", "yscale": "log", "ylim": (1e-9, 2e-4)}
    panel = Panel(problems.corrected_in_float32(), "Relative error of the step size", settings=settings)
    return curves(panel, xlabel="t", height=2.7, loc="upper right")


def eps() -> Figure:
    """The first step, for gradients from far below eps to far above it."""
    gradients = np.logspace(-13, -1, 97)
    picks = {"beside √v̂": "paper", "beside √v": "hat", "inside the root": "inside", "not added": "dropped"}
    runs = alternatives("eps", picks, [list(enumerate(gradients))], rows=len(gradients), lr=1.0)
    lengths = {label: (gradients, -history.p[1]) for label, history in runs.items()}
    settings = {"xscale": "log", "yscale": "log", "ylim": (1e-6, 3)}
    panel = Panel(lengths, "Length of the first step, in units of lr", x=1e-8, settings=settings)
    made = curves(panel, xlabel="|g|", height=2.9, loc="lower right")
    made.axes[0].text(1.3e-8, 1.6e-6, "eps", fontsize=9)
    return made


def direction() -> Figure:
    """A gradient that turns round after ten steps, and how soon the step does."""
    panel = Panel(_lengths(problems.turning()), LENGTH, y=0, x=10.5)
    return curves(panel, xlabel="step; the gradient is 1 up to step 10, then -1", height=2.9)


def amsgrad() -> Figure:
    """The problem on which Adam moves away from the minimum."""
    paths = _paths(problems.counterexample())
    panel = Panel(paths, "The parameter p; every third gradient is larger", y=0)
    return curves(panel, xlabel=f"steps made, with gradients {problems.COUNTEREXAMPLE:.0f}, -1, -1, and so on")


def schedule() -> Figure:
    """A learning rate that is halved twice, read rightly and wrongly."""
    lengths = _lengths(problems.by_schedule())
    panel = Panel(lengths, "Length of each step", settings={"ylim": (0, 0.6)}, drawstyle="steps-mid")
    return curves(panel, xlabel="step; lr is 0.4, from step 5 on 0.2, from step 9 on 0.1", ncols=2, loc="upper center")


def resume() -> Figure:
    """A training that goes on from a saved state, with a part of the state lost."""
    return curves(Panel(problems.resumed(), "The parameter p", x=200), xlabel="steps made; saved and loaded after step 200", height=2.8)


def bound() -> Figure:
    """A float32 run, its error, and what each numerics class allows."""
    made, panels = figure(2)
    training = trained()
    for axes, field, title in zip(panels, ("p", "v"), ("Parameter p: |error|, in units of its last place", "Second moment v: the same")):
        steps = np.arange(1, len(training.error[field]) + 1)
        for name in MEASURED:
            axes.plot(steps, training.bound[field][name], label=f"bound, {name}")
        axes.plot(steps, training.error[field], "o", markersize=2.5, color="#330000", linestyle="none", label="error, every formulation")
        axes.set(yscale="log", title=title)
    panels[0].legend(fontsize=8, loc="lower right")
    panels[1].set_xlabel("steps made")
    return made


FIGURES = {
    draw.__name__: draw
    for draw in (
        *(descent, letters, untouched, duplicates, objective, centralization, unscale, decay, decay_rows),
        *(late_row, clock, bias, powers, eps, direction, amsgrad, schedule, resume, bound),
    )
}
"""What a chapter calls it, to the function that draws it."""
