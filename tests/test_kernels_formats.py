from typing import Any

import ml_dtypes
import numba
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refimpl.kernels.formats import FORMATS, kernel_view, read, write

HALVES = {"float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
PATTERNS = np.arange(2**16, dtype=np.uint16)


@numba.njit
def read_all(into, array):  # type: ignore[no-untyped-def]
    for k in range(len(array)):
        into[k] = read(array, k)


@numba.njit
def write_all(array, numbers):  # type: ignore[no-untyped-def]
    for k in range(len(array)):
        write(array, k, numbers[k])


def widened(array: np.ndarray) -> np.ndarray:
    into = np.empty(len(array), np.float32)
    read_all(into, kernel_view(array))
    return into


def narrowed(numbers: np.ndarray, dtype: np.dtype) -> np.ndarray:
    array = np.empty(len(numbers), dtype)
    write_all(kernel_view(array), numbers)
    return array


def assert_same(got: np.ndarray, expected: np.ndarray) -> None:
    """The same bits, and nan with the same sign where nan is expected: what a nan holds besides differs from library to library."""
    word = np.dtype(f"u{got.itemsize}")
    with np.errstate(invalid="ignore"):
        nan = np.isnan(expected)
        np.testing.assert_array_equal(np.isnan(got), nan)
    np.testing.assert_array_equal(got.view(word)[~nan], expected.view(word)[~nan])
    np.testing.assert_array_equal(np.signbit(got[nan]), np.signbit(expected[nan]))


def assert_rounds(numbers: np.ndarray, dtype: np.dtype) -> None:
    """As the plain twin rounds: NumPy to float16, ml_dtypes to bfloat16."""
    with np.errstate(all="ignore"):
        expected = numbers.astype(dtype)
    assert_same(narrowed(numbers, dtype), expected)


@pytest.fixture(params=HALVES.values(), ids=list(HALVES))
def dtype(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_every_number_of_half_precision_is_widened_as_numpy_widens_it(dtype: np.dtype) -> None:
    numbers = PATTERNS.view(dtype)
    assert_same(widened(numbers), numbers.astype(np.float32))


def test_every_number_of_half_precision_comes_back_with_its_bits(dtype: np.dtype) -> None:
    numbers = PATTERNS.view(dtype)
    assert_same(narrowed(widened(numbers), dtype), numbers)


def test_every_tie_goes_to_even_and_what_lies_beside_it_to_the_nearest(dtype: np.dtype) -> None:
    """Each middle of two neighbours, of the largest number and of the one that would follow it too, and the float32 beside it."""
    finite = np.isfinite(PATTERNS.view(dtype).astype(np.float32))
    numbers = np.unique(np.abs(PATTERNS[finite].view(dtype).astype(np.float64)))
    following = np.append(numbers[1:], 2 * numbers[-1] - numbers[-2])
    ties = ((numbers + following) / 2).astype(np.float32)
    assert ties[-1] == {"float16": 65520.0, "bfloat16": 2.0**128 - 2.0**119}[dtype.name]
    around = np.concatenate([np.nextafter(ties, np.float32(0)), ties, np.nextafter(ties, np.float32(np.inf))])
    assert_rounds(np.concatenate([around, -around]), dtype)
    assert np.isinf(narrowed(ties[-1:], dtype)).all()
    assert np.isfinite(narrowed(np.nextafter(ties[-1:], np.float32(0)), dtype)).all()


EDGES = [
    np.nan,
    np.inf,
    0.0,
    2.0**-149,
    2.0**-126,
    2.0**-25,
    1.5 * 2.0**-25,
    2.0**-24,
    2.0**-14,
    65504.0,
    65535.0,
    65536.0,
    65600.0,
    70000.0,
    2.0**17,
    2.0**127,
]


def test_numbers_at_the_edges_of_the_formats_are_rounded_as_numpy_rounds_them(dtype: np.dtype) -> None:
    edges = np.array(EDGES, np.float32)
    assert_rounds(np.concatenate([edges, -edges, np.nextafter(edges, np.float32(0)), np.nextafter(edges, np.float32(np.inf))]), dtype)


@given(hnp.arrays(np.uint32, st.integers(0, 64)), st.sampled_from(list(HALVES)))
def test_any_float32_is_rounded_as_numpy_rounds_it(bits: np.ndarray, name: str) -> None:
    assert_rounds(bits.view(np.float32), HALVES[name])


def test_subnormal_numbers_are_kept_where_the_cpu_flushes_its_own(dtype: np.dtype) -> None:
    numbers = PATTERNS.view(dtype)
    plain, rounded = widened(numbers), narrowed(widened(numbers), dtype)
    if not torch.set_flush_denormal(True):
        pytest.skip("this CPU cannot flush subnormal numbers")
    try:
        flushed, again = widened(numbers), narrowed(plain, dtype)
    finally:
        torch.set_flush_denormal(False)
    np.testing.assert_array_equal(flushed.view(np.uint32), plain.view(np.uint32))
    np.testing.assert_array_equal(again.view(np.uint16), rounded.view(np.uint16))


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_floats_are_read_and_written_as_they_are(name: str) -> None:
    numbers = np.array([1.5, -0.0, np.inf, 2.0**-149], name)
    into, array = np.empty(4, name), np.empty(4, name)
    assert kernel_view(numbers) is numbers
    read_all(into, numbers)
    write_all(array, numbers)
    np.testing.assert_array_equal(into.view("u1"), numbers.view("u1"))
    np.testing.assert_array_equal(array.view("u1"), numbers.view("u1"))


def test_a_kernel_takes_the_bits_in_the_same_memory(dtype: np.dtype) -> None:
    array = np.zeros((2, 3), dtype)
    kernel_view(array)[1, 2] = 1
    assert array.view(np.uint16)[1, 2] == 1


def test_half_precision_is_computed_in_float32_and_other_dtypes_have_no_format() -> None:
    computed_in = {dtype.name: stored.arithmetic.name for dtype, stored in FORMATS.items()}
    assert computed_in == {"float64": "float64", **dict.fromkeys(("float32", *HALVES), "float32")}
    for other in (">f4", ">f2", "i2", "c8", ml_dtypes.float8_e4m3fn):
        assert np.dtype(other) not in FORMATS
