"""What one rounding may change, and what is known of it beforehand."""

import numpy as np
import pytest

from refimpl.arithmetic import FORMATS, numpy_dtype
from refimpl.arithmetic.roundings import conversion_error, conversions, leading_power, nearest


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_nearest_is_the_conversion_of_the_hardware(dtype: str) -> None:
    rng = np.random.default_rng(0)
    for x in [*(rng.normal(size=300) * 10.0 ** rng.uniform(-9, 5, 300)), 0.0, -0.0, 65519.0, 65520.0, 6e-8, 2.9e-8, 1 + 2.0**-24, np.inf]:
        with np.errstate(over="ignore"):
            assert nearest(float(x), FORMATS[dtype]) == float(numpy_dtype(dtype).type(x))


def test_bfloat16_is_reached_directly_and_by_way_of_float32() -> None:
    tie = 1 + 2.0**-8 + 2.0**-30  # just above the middle of two bfloat16, and in float32 the middle itself
    assert conversions(tie, FORMATS["bfloat16"]) == (1 + 2.0**-7, 1.0)
    assert conversion_error(tie, FORMATS["bfloat16"]) == tie - 1
    assert conversions(0.1, FORMATS["float32"]) == (float(np.float32(0.1)),)


def test_the_leading_power_is_the_power_of_two_below() -> None:
    sizes = np.array([1.0, 1.5, 1.999, 2.0, 3e-300, 0.0, np.inf])
    assert leading_power(sizes.copy())[:4].tolist() == [1.0, 1.0, 1.0, 2.0]
    assert leading_power(sizes.copy())[4] == 2.0 ** np.floor(np.log2(3e-300))
    assert leading_power(sizes.copy())[5] == 0.0
    assert np.isinf(leading_power(sizes.copy())[6])


def test_a_magnitude_that_may_be_the_next_power_counts_as_that() -> None:
    assert leading_power(np.array([2 - 2.0**-45])).tolist() == [2.0]
    assert leading_power(np.array([2 - 2.0**-35])).tolist() == [1.0]
