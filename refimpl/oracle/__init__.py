"""The oracle: the exact result of a case, how far a correct implementation may be from it, and which mistakes a case catches."""

from .catches import catches, changes
from .expectations import Expectations, Recorded, bounded, expectations, leaves_range, recorded, stored_bounds

__all__ = ["Expectations", "Recorded", "bounded", "catches", "changes", "expectations", "leaves_range", "recorded", "stored_bounds"]
