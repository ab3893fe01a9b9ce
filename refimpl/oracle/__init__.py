"""The oracle: the exact result of a case, how far a correct implementation may be from it, and which mistakes a case catches."""

from ._catches import LAST_STEP, catches, catches_of_reduced, changes
from ._row_classes import Reduced, Rows, reduced, restricted, rows_of
from .expectations import Expectations, Recorded, bounded, expectations, in_range, leaves_range, recorded, stored_bounds
from .quick import quick_expectations, screen

__all__ = [
    "LAST_STEP",
    "Expectations",
    "Recorded",
    "Reduced",
    "Rows",
    "bounded",
    "catches",
    "catches_of_reduced",
    "changes",
    "expectations",
    "in_range",
    "leaves_range",
    "quick_expectations",
    "recorded",
    "reduced",
    "restricted",
    "rows_of",
    "screen",
    "stored_bounds",
]
