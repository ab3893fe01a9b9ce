"""The CPU kernels: one step of one parameter in place, and the merging of duplicate rows, at the speed of memory.

They are code of their own, not the text of the reference, and are checked against it like any other backend.
"""

from ._validation import DTYPES, check
from .merging import merge
from .stepping import Prepared, prepare, step

__all__ = ["DTYPES", "Prepared", "check", "merge", "prepare", "step"]
