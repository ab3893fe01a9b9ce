"""Wide: double inside, rounded to the dtype only where the state is kept between steps."""

from __future__ import annotations

from ._floats import Float
from ._interface import Number, numpy_dtype


class Wide(Float):
    """An implementation that computes in double and keeps its state in `dtype`."""

    def __init__(self, dtype: str, *, tensor_scalars: bool = False, reverse: bool = False) -> None:
        super().__init__("float64", reverse=reverse)
        self.stored_dtype = numpy_dtype(dtype)
        if tensor_scalars:
            self.scalar_dtype = self.stored_dtype

    def store(self, tensor: Number, dtype: str | None = None) -> Number:
        return tensor.astype(self.stored_dtype if dtype is None else numpy_dtype(dtype)).astype(self.dtype)
