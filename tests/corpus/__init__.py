"""Implementations independent of the reference: right ones, which conform, and wrong ones, each with the verdict that it must get."""

from .dialects import ALL
from .right import ROWS as RIGHT
from .table import Answer, Row
from .wrong_calls import ROWS as _CALLS
from .wrong_counters import ROWS as _COUNTERS
from .wrong_formats import ROWS as _FORMATS
from .wrong_merging import ROWS as _MERGING
from .wrong_places import ROWS as _PLACES
from .wrong_settings import ROWS as _SETTINGS
from .wrong_stages import ROWS as _STAGES
from .wrong_together import ROWS as _TOGETHER
from .wrong_unnamed import ROWS as _UNNAMED

WRONG: tuple[Row, ...] = (*_MERGING, *_PLACES, *_COUNTERS, *_SETTINGS, *_FORMATS, *_STAGES, *_CALLS, *_TOGETHER, *_UNNAMED)

__all__ = ["ALL", "RIGHT", "WRONG", "Answer", "Row"]
