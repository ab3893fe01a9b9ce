"""The optimizers that users of either framework know, over NumPy arrays and the kernels: SparseAdam, LazyAdam and Adam."""

from .adam import Adam
from .mindspore_style import LazyAdam
from .torch_style import SparseAdam

__all__ = ["Adam", "LazyAdam", "SparseAdam"]
