"""The CPU kernels: one step of one parameter in place, and the merging of duplicate rows. Memory bandwidth limits their speed.

They share no code with the reference, and are checked against it like any other backend.
"""

from ._validation import DTYPES, check
from .scalars import computes
from .stepping import Prepared, prepare, step
from .summing import merge

__all__ = ["DTYPES", "Prepared", "check", "computes", "merge", "prepare", "step"]
