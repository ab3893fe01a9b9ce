"""The optimizers that users of either framework know, over NumPy arrays and the kernels: SparseAdam, LazyAdam, Adam and AdamW."""

from ._adam import Adam
from ._mindspore_style import LazyAdam
from ._torch_style import AdamW, SparseAdam

__all__ = ["Adam", "AdamW", "LazyAdam", "SparseAdam"]
