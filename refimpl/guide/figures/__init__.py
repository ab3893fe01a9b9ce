"""The figures of the guide: each function computes what it shows with the reference, and draws it."""

from collections.abc import Callable

from matplotlib.figure import Figure

from . import _gradients as gradients
from . import _numbers as numbers
from . import _rows as rows
from . import _steps as steps

FIGURES: dict[str, Callable[[], Figure]] = {**rows.FIGURES, **gradients.FIGURES, **steps.FIGURES, **numbers.FIGURES}
"""What a chapter calls it, to the function that draws it."""
