"""refimpl.vectors._periods: what repeats is found, so that a large case with few bit patterns is a small file."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refimpl.vectors._deflate import FARTHEST
from refimpl.vectors._periods import distances, period
from refimpl.vectors.npz import pack


def periodic(count: int, rows: int, width: int, dtype: str = "float32", lead: tuple[int, ...] = ()) -> np.ndarray:
    """An array of shape (*lead, count, width) whose rows repeat after `rows` different ones."""
    patterns = np.random.default_rng(rows).standard_normal((*lead, rows, width)).astype(dtype)
    return patterns[..., np.arange(count) % rows, :]


@pytest.mark.parametrize("rows", [2, 13, 97, 251])
@pytest.mark.parametrize("width", [1, 3, 8])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_period_of_rows_is_found(rows, width, dtype):
    table = periodic(3000, rows, width, dtype)
    row = width * table.itemsize
    assert period(table.tobytes(), table.itemsize, FARTHEST) == rows * row


def test_rows_of_few_patterns_that_differ_in_one_element_have_the_period_of_the_whole():
    table = np.zeros((4000, 8), np.float32)
    table[np.arange(4000), np.arange(4000) % 8] = np.float32([1, -1, 0.5, 2, -2])[np.arange(4000) % 5]
    assert period(table.tobytes(), 4, FARTHEST) == 40 * 32


def test_66000_rows_of_251_patterns_are_a_few_kilobytes():
    assert len(pack({"a/param.w": periodic(66_000, 251, 1)})) < 5_000
    assert len(pack({"a/expect.param.w": periodic(66_000, 251, 1, "float64", (2,))})) < 24_000
    assert len(pack({"a/bound.param.w": periodic(66_000, 251, 1, "float32", (4, 2))})) < 40_000


def test_classes_and_steps_that_repeat_are_offered():
    bounds = np.random.default_rng(1).random((1, 3, 20, 5), np.float32).repeat(4, axis=0)
    assert 3 * 20 * 5 * 4 in distances(bounds, FARTHEST)
    assert 20 * 5 * 4 in distances(bounds, FARTHEST)
    assert len(pack({"a/bound.param.w": bounds})) < bounds.nbytes / 2


def test_noise_has_no_period_and_what_is_too_far_apart_is_not_offered():
    noise = np.random.default_rng(1).standard_normal(20_000)
    assert period(noise.tobytes(), 8, FARTHEST) == 0
    far = np.tile(noise[:5000], 4)
    assert period(far.tobytes(), 8, FARTHEST) == 0
    assert period(far.tobytes(), 8, 40_000) == 40_000


@given(hnp.arrays(st.sampled_from(["f2", "f4", "f8", "i8", "u1"]), hnp.array_shapes(min_dims=0, min_side=0, max_dims=4, max_side=9)))
def test_every_distance_is_one_that_deflate_takes(array):
    found = distances(array, FARTHEST)
    assert found
    assert list(found) == sorted(set(found))
    assert 1 <= found[0] <= found[-1] <= FARTHEST


@given(st.integers(1, 40), st.integers(1, 6), st.integers(0, 700))
def test_a_period_is_never_invented(rows, width, count):
    data = periodic(count, rows, width).tobytes()
    found = period(data, 4, FARTHEST)
    assert found % 4 == 0
    assert found == 0 or data[found : found + 128] == data[:128] or data[-128:] == data[-128 - found : -found]
