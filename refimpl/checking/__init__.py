"""What `python -m refimpl.check` consists of: its options, what is judged, judging it, and what is remembered between two runs."""

from .examining import default_class, examine
from .subject import Judged

__all__ = ["Judged", "default_class", "examine"]
