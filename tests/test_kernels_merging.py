import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from kernel_twin import merged

from refimpl.errors import InvalidGradient
from refimpl.kernels import merge, merging, planning, summing
from refimpl.kernels.merging import looked_over, uneven
from refimpl.kernels.planning import chained

ROWS = 2**40
INDICES = hnp.arrays(
    st.sampled_from([np.int32, np.int64]), st.integers(0, 40), elements=st.integers(0, 7) | st.sampled_from([2**31 - 1, 2**30])
)


@settings(deadline=None)
@given(INDICES, st.integers(1, 4))
def test_merging_has_the_bits_of_summing_each_row_in_the_order_given(indices: np.ndarray, width: int) -> None:
    values = np.random.default_rng(0).standard_normal((len(indices), width)).astype(np.float32)
    rows, summed = merge(indices, values, ROWS)
    expected_rows, expected = merged(indices, values)
    assert rows.tolist() == expected_rows
    assert rows.dtype == indices.dtype
    np.testing.assert_array_equal(summed, np.array(expected, np.float32).reshape(-1, width))


@settings(deadline=None)
@given(INDICES, st.sampled_from([np.float16, ml_dtypes.bfloat16]))
def test_half_precision_is_summed_in_float32_and_rounded_once(indices: np.ndarray, dtype: type) -> None:
    values: np.ndarray = np.random.default_rng(0).uniform(-6e4, 6e4, (len(indices), 2)).astype(dtype)
    rows, summed = merge(indices, values, ROWS)
    expected_rows, expected = merged(indices, values.astype(np.float32))
    assert rows.tolist() == expected_rows
    assert summed.dtype == dtype
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(summed, np.array(expected, np.float32).reshape(-1, 2).astype(dtype))


@settings(deadline=None)
@given(st.sets(st.integers(0, 100)).map(list))
def test_rows_that_occur_once_come_back_as_the_very_arrays_that_were_given(rows: list[int]) -> None:
    indices, values = np.array(rows, np.int64), np.ones((len(rows), 2), np.float32)
    got_rows, got_values = merge(indices, values, 101)
    assert got_rows is indices
    assert got_values is values


@pytest.mark.parametrize("stride", [1, 2, 64, 4096, 2**20, 2**33])
def test_rows_at_equal_distances_are_told_apart(stride: int) -> None:
    indices = np.tile(np.arange(200)[::-1] * stride, 3)
    first, following = chained(indices)
    assert indices[first].tolist() == indices[:200].tolist()
    assert following.tolist() == [*range(200, 600), *range(200)]  # after the last occurrence comes the first


def test_the_values_may_have_any_shape_beyond_the_first_axis() -> None:
    values = np.arange(12, dtype=np.float64).reshape(3, 2, 2)
    rows, summed = merge(np.array([5, 1, 5]), values, 6)
    assert rows.tolist() == [5, 1]
    np.testing.assert_array_equal(summed, [values[0] + values[2], values[1]])


def test_many_rows_split_over_threads_have_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    indices, values = rng.integers(0, 50, 500), rng.standard_normal((500, 3)).astype(np.float32)
    alone = merge(indices, values, 50)
    monkeypatch.setattr(summing, "threads_for", lambda *_: 2)
    together = merge(indices, values, 50)
    for expected, got in zip(alone, together):
        np.testing.assert_array_equal(expected, got)


@pytest.mark.parametrize("index", [-1, 4])
def test_an_index_out_of_range_is_refused(index: int) -> None:
    with pytest.raises(InvalidGradient, match=f"indices\\[1\\] = {index} is outside the table of 4 rows"):
        merge(np.array([0, index]), np.ones((2, 3)), 4)


def parted(indices: np.ndarray, count: int) -> list[tuple[list[int], list[int]]]:
    """The rows and the places of each part, as one launch of `count` threads divides them."""
    seen = planning.look_over(indices)
    work = planning.stored(indices, 1, seen)
    assert work.threads == count
    chunks, low, factor, shift, _ = work.division
    counts = np.empty((chunks, work.parts), np.int64)
    rows, places = np.empty(len(indices), np.int64), np.empty(len(indices), np.int32)
    merging.divide(indices, low, factor, shift, counts, rows, places, np.zeros(merging.COUNTERS, np.int64))
    ends = counts[-1].tolist()
    return [(rows[start:end].tolist(), places[start:end].tolist()) for start, end in zip([0, *ends], ends)]


@settings(deadline=None)
@given(st.integers(30, 200).flatmap(lambda n: hnp.arrays(np.int64, n, elements=st.integers(0, 50) | st.integers(0, 2**40))), st.booleans())
def test_a_part_has_every_occurrence_of_its_rows_in_their_order(indices: np.ndarray, hashed: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "PART", 8)
        patch.setattr(planning, "uneven", lambda *_: hashed)
        patch.setattr(planning, "threads_for", lambda *_: 1)
        indices[0] = 2**40 + 1  # and so they do not increase
        parts = parted(indices, 1)
    owner = {row: number for number, (rows, _) in enumerate(parts) for row in rows}
    assert sorted(place for _, places in parts for place in places) == list(range(len(indices)))
    for number, (rows, places) in enumerate(parts):
        assert places == sorted(places)
        assert rows == indices[places].tolist()
        assert all(owner[row] == number for row in rows)


def test_rows_are_divided_by_a_hash_where_a_range_of_them_is_used_much_more_often() -> None:
    rng = np.random.default_rng(0)
    counts = np.empty(16, np.int64)
    even, skewed = rng.integers(0, 1 << 20, 5000), rng.zipf(1.3, 5000) % (1 << 20)
    assert not uneven(even, 0, 16, counts)
    assert uneven(skewed, 0, 16, counts)


def test_one_pass_tells_the_least_and_the_largest_index_and_whether_they_increase() -> None:
    assert looked_over(np.array([3, 5, 9])) == (3, 9, True)
    assert looked_over(np.array([3, 5, 5])) == (3, 5, False)
    assert looked_over(np.array([7, -2, 8])) == (-2, 8, False)
