"""The number systems in which the one text of the reference runs. Ball needs python-flint and is imported where it is used."""

from .bound import Bound
from .bounded import Bounded
from .floats import Float
from .interface import FORMATS, Arithmetic, Format, Number, numpy_dtype
from .roundings import CLASSES

__all__ = ["CLASSES", "FORMATS", "Arithmetic", "Bound", "Bounded", "Float", "Format", "Number", "numpy_dtype"]
