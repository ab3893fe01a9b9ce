"""The number systems that the reference computes in. Ball needs python-flint and is imported where it is used."""

from ._bound import Bound
from ._bounded import Bounded
from ._floats import Float
from ._interface import FORMATS, Arithmetic, Format, Number, numpy_dtype
from .roundings import ACCELERATOR_CLASS, CLASSES, CPU_CLASS

__all__ = [
    "ACCELERATOR_CLASS",
    "CLASSES",
    "CPU_CLASS",
    "FORMATS",
    "Arithmetic",
    "Bound",
    "Bounded",
    "Float",
    "Format",
    "Number",
    "numpy_dtype",
]
