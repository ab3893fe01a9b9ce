"""refimpl.vectors.layout: the same numbers, lying in memory as the layout says."""

import numpy as np
import pytest

from refimpl.case import LAYOUTS
from refimpl.vectors.layout import lay_out

ARRAYS = [
    np.arange(12.0).reshape(3, 4),
    np.arange(5),
    np.float32(2) * np.ones(()),
    np.zeros((0, 3)),
    np.zeros((3, 0)),
    np.arange(3.0)[:, None],
]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.shape))
def test_every_layout_holds_the_same_numbers_in_memory_of_its_own(array: np.ndarray, layout: str) -> None:
    got = lay_out(array, layout)
    np.testing.assert_array_equal(got, array)
    assert (got.dtype, got.shape) == (array.dtype, array.shape)
    assert not np.shares_memory(got, array)


def test_each_layout_is_what_it_says() -> None:
    table = ARRAYS[0]
    assert lay_out(table, "contiguous").flags.c_contiguous
    assert lay_out(table, "contiguous").flags.writeable
    assert lay_out(table, "strided").strides == (64, 16)
    assert not lay_out(table, "read-only").flags.writeable
    assert lay_out(table, "fortran").flags.f_contiguous
    assert not lay_out(table, "fortran").flags.c_contiguous


def test_the_gaps_of_a_strided_array_hold_nan_or_zero() -> None:
    for array, filling in ((np.ones((2, 3)), np.nan), (np.ones(3, np.int64), 0)):
        base = lay_out(array, "strided").base
        assert base is not None
        np.testing.assert_array_equal(base[..., 1::2], np.full(array.shape, filling))
