"""The oracle: the exact result of a case, how far a correct implementation may be from it, and which mistakes a case catches."""

from ._catches import LAST_STEP, catches, catches_of_reduced, changes
from ._row_classes import Reduced, reduced
from .expectations import Expectations, Recorded, bounded, expectations, in_range, leaves_range, recorded, stored_bounds

__all__ = [
    "LAST_STEP",
    "Expectations",
    "Recorded",
    "Reduced",
    "bounded",
    "catches",
    "catches_of_reduced",
    "changes",
    "expectations",
    "in_range",
    "leaves_range",
    "recorded",
    "reduced",
    "stored_bounds",
]
