"""The optimizers that users of either framework know, over NumPy arrays and the kernels: SparseAdam, LazyAdam and Adam."""

from ._adam import Adam
from ._mindspore_style import LazyAdam
from ._torch_style import SparseAdam

__all__ = ["Adam", "LazyAdam", "SparseAdam"]
