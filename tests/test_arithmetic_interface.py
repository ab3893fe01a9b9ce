"""The table of formats against what NumPy knows of them."""

import ml_dtypes
import numpy as np
import pytest

from refimpl.arithmetic import FORMATS, numpy_dtype


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_has_the_limits_of_its_dtype(name: str) -> None:
    format, info = FORMATS[name], ml_dtypes.finfo(numpy_dtype(name))
    assert format.max == float(info.max)
    assert format.tiny == float(info.smallest_normal)
    assert format.smallest == float(info.smallest_subnormal)
    assert format.u == float(info.eps) / 2


def test_the_dtype_of_bfloat16_comes_from_ml_dtypes() -> None:
    assert numpy_dtype("bfloat16") == np.dtype(ml_dtypes.bfloat16)
