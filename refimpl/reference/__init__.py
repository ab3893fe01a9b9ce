"""The reference: one step written once, as a text that runs in every number system. Start with `_update`."""

from ._merged import occurrence_rounds
from ._update import EVERY_ROW, FIELDS, RECTIFIED_ABOVE, SHOWN, State
from .forms import ALL, ONE, Forms, each
from .trajectory import ByFormat, States, System, kept_arrays, scheduled, system_of, trajectory

__all__ = [
    "ALL",
    "EVERY_ROW",
    "FIELDS",
    "ONE",
    "RECTIFIED_ABOVE",
    "SHOWN",
    "ByFormat",
    "Forms",
    "State",
    "States",
    "System",
    "each",
    "kept_arrays",
    "occurrence_rounds",
    "scheduled",
    "system_of",
    "trajectory",
]
