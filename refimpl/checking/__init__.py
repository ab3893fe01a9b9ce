"""The parts of `python -m refimpl.check`: its options, what is judged, judging it, and the record of the last run."""

from .examining import default_class, examine
from .subject import Judged

__all__ = ["Judged", "default_class", "examine"]
