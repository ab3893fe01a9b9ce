"""Float against the NumPy expressions that it stands for."""

import numpy as np
import pytest

from refimpl.arithmetic import FORMATS, Float, numpy_dtype

DTYPES = list(FORMATS)
TABLE = np.array([[0.1, -0.7], [3.0, 1e-3]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_tensor_operations_are_those_of_numpy(dtype: str) -> None:
    a, kind = Float(dtype), numpy_dtype(dtype)
    x, y = a.load(TABLE), a.load(TABLE.T)
    assert x.dtype == kind
    plain_x, plain_y = TABLE.astype(kind), TABLE.T.astype(kind)
    weight = a.meet(a.scalar(0.25))
    for got, expected in [
        (x + y, plain_x + plain_y),
        (x * y, plain_x * plain_y),
        (x / y, plain_x / plain_y),
        (a.sqrt(x * x), np.sqrt(plain_x * plain_x)),
        (a.maximum(x, y), np.maximum(plain_x, plain_y)),
        (a.lerp(x, y, weight), plain_x + (plain_y - plain_x) * kind.type(0.25)),
    ]:
        assert got.dtype == kind
        np.testing.assert_array_equal(got, expected)


def test_scalars_are_double_and_rounded_once_where_they_meet_a_tensor() -> None:
    a = Float("float32")
    beta = a.scalar(0.999)
    assert beta == 0.999
    assert a.meet(a.scalar(1.0) - a.power(beta, 3)) == np.float32(1 - 0.999**3)


def test_tensor_scalars_are_rounded_first_and_computed_in_the_dtype() -> None:
    a = Float("float32", tensor_scalars=True)
    beta = a.scalar(0.999)
    assert float(beta) == float(np.float32(0.999)) != 0.999
    difference = a.meet(a.scalar(1.0) - a.power(beta, 3))
    assert difference == np.float32(1) - np.float32(0.999) ** np.float32(3)
    assert difference != np.float32(1 - 0.999**3)


def test_the_order_of_a_sum_changes_its_rounding() -> None:
    values, slot = np.array([[1.0], [1e8], [-1e8], [5.0]]), np.array([1, 1, 1, 0])
    forward, backward = Float("float32"), Float("float32", reverse=True)
    np.testing.assert_array_equal(forward.sum_rows(forward.load(values), slot, 2), [[5.0], [0.0]])
    np.testing.assert_array_equal(backward.sum_rows(backward.load(values), slot, 2), [[5.0], [1.0]])


def test_the_mean_of_a_row_is_summed_from_the_left_in_the_dtype() -> None:
    a = Float("float16")
    mean = a.row_mean(a.load(np.array([[2048.0, 1.0, 1.0, 2.0]])))
    assert mean.dtype == np.float16
    np.testing.assert_array_equal(mean, [[512.5]])  # 2048 + 1 is 2048 in half precision, twice; 2050 / 4


def test_what_is_loaded_is_a_copy() -> None:
    original = np.ones((1, 1), np.float32)
    Float("float32").load(original)[0, 0] = 7
    assert original[0, 0] == 1


def test_a_float_computation_is_one_formulation() -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # in the words of Python
        Float("float32").join([1, 2])
