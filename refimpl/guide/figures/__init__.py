"""The figures of the guide: each function computes what it shows with the reference, and draws it."""

from collections.abc import Callable

from matplotlib.figure import Figure

from . import gradients, numbers, rows, steps

FIGURES: dict[str, Callable[[], Figure]] = {**rows.FIGURES, **gradients.FIGURES, **steps.FIGURES, **numbers.FIGURES}
"""What a chapter calls it, to the function that draws it."""
