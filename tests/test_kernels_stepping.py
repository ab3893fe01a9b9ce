import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from backend_cases import elements
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from kernel_twin import stepped

from refimpl import kernels
from refimpl.dialects import Hyper, Picks, dialect
from refimpl.dialects.stages import Amsgrad, Bias, Decay, Direction, Merge, Touch
from refimpl.errors import UsageError
from refimpl.gradients import RowGradient
from refimpl.kernels import planning

WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "sparse": ("torch.SparseAdam", {}),
    "sparse-maximize": ("torch.SparseAdam", {"maximize": True, "eps": 1e-3}),
    "lazy": ("mindspore.LazyAdam", {"learning_rate": 0.1}),
    "lazy-decay-scale": ("mindspore.LazyAdam", {"weight_decay": 0.1, "loss_scale": 1024.0}),
    "lazy-nesterov-centralized": ("mindspore.LazyAdam", {"use_nesterov": True, "grad_centralization": True}),
    "old-state": ("mindspore.LazyAdam.default-target", {}),
    "old-state-decay": ("mindspore.LazyAdam.default-target", {"weight_decay": 0.1, "use_nesterov": True}),
    "all-rows": ("mindspore.Adam", {}),
    "all-rows-amsgrad-decay": ("mindspore.Adam", {"use_amsgrad": True, "weight_decay": 0.1, "loss_scale": 2.0}),
}
DENSE: dict[str, tuple[str, dict[str, Any]]] = {
    "paper": ("torch.Adam", {"eps": 1e-3}),
    "paper-amsgrad-decay": ("torch.Adam", {"amsgrad": True, "weight_decay": 0.1}),
    "decoupled-maximize": ("torch.Adam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    "centralized": ("mindspore.Adam", {"grad_centralization": True}),
}


def resolved(way: str) -> tuple[Hyper, Picks]:
    name, options = {**WAYS, **DENSE}[way]
    return dialect(name).resolve({**dialect(name).defaults(), **options})


def state(shape: tuple[int, ...], dtype: Any, picks: Picks, seed: int = 1, moments: Any = None) -> tuple[Any, Any, Any, Any]:
    """A state in the middle of training, its moments in a dtype of their own where one is given."""
    rng = np.random.default_rng(seed)
    param, exp_avg = (np.asarray(rng.standard_normal(shape)).astype(kept) for kept in (dtype, moments or dtype))
    exp_avg_sq, largest = (np.asarray(rng.random(shape)).astype(moments or dtype) for _ in range(2))
    return param, exp_avg, exp_avg_sq, None if picks.amsgrad is Amsgrad.OFF else largest


def assert_twin(way: str, shape: tuple[int, ...], dtype: Any, gradient: Any, t: int = 3, moments: Any = None) -> None:
    hyper, picks = resolved(way)
    arrays = state(shape, dtype, picks, moments=moments)
    expected = stepped(*arrays, gradient, hyper, picks, t)
    kernels.step(*arrays, gradient, hyper, picks, t)
    for got, wanted in zip(arrays, expected):
        assert got is None or got.dtype == wanted.dtype
        ours, theirs = (array if array is None else array.astype(np.float64) for array in (got, wanted))  # NumPy knows no nan of bfloat16
        np.testing.assert_array_equal(ours, theirs)


FLOATS = st.floats(-(2.0**100), 2.0**100, width=32) | st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, 2.0**-130])


@st.composite
def row_gradients(draw: st.DrawFn) -> RowGradient:
    rows, width = draw(st.integers(1, 9)), draw(st.sampled_from([1, 3, 16, 33]))
    indices = draw(hnp.arrays(draw(st.sampled_from([np.int32, np.int64])), st.integers(0, 12), elements=st.integers(0, rows - 1)))
    values = draw(hnp.arrays(np.float32, (len(indices), width), elements=FLOATS))
    return RowGradient(indices, values, (rows, width))


@settings(deadline=None, max_examples=40)
@given(row_gradients(), st.sampled_from(list(WAYS)), st.integers(1, 2000))
def test_a_step_by_rows_has_the_bits_of_the_same_step_in_numpy(gradient: Any, way: str, t: int) -> None:
    assert_twin(way, gradient.shape, np.float32, gradient, t)


@settings(deadline=None, max_examples=30)
@given(
    hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, max_side=17), elements=FLOATS), st.sampled_from(list(DENSE)), st.integers(1, 2000)
)
def test_a_dense_step_has_the_bits_of_the_same_step_in_numpy(gradient: Any, way: str, t: int) -> None:
    assert_twin(way, gradient.shape, np.float32, gradient, t)


@pytest.mark.parametrize("way", [*WAYS, *DENSE])
def test_a_step_in_double_has_the_bits_of_the_same_step_in_numpy(way: str) -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((6, 16))
    assert_twin(way, (6, 16), np.float64, values if way in DENSE else RowGradient(np.array([3, 0, 3, 5, 3, 0]), values, (6, 16)))


@settings(deadline=None, max_examples=40)
@given(row_gradients(), st.sampled_from([way for way in WAYS if "amsgrad" not in way]), st.integers(1, 2000))
def test_a_step_in_half_precision_has_the_bits_of_numpy_in_float32_rounded_once(gradient: Any, way: str, t: int) -> None:
    with np.errstate(over="ignore"):
        values = gradient.values.astype(np.float16)
    assert_twin(way, gradient.shape, np.float16, replace(gradient, values=values), t)


@pytest.mark.parametrize("way", ["paper", "decoupled-maximize", "centralized"])
def test_a_dense_step_in_half_precision_has_the_bits_of_numpy_in_float32_rounded_once(way: str) -> None:
    values = np.random.default_rng(0).standard_normal((6, 16)).astype(np.float16)
    assert_twin(way, (6, 16), np.float16, values)


@pytest.mark.parametrize("given_in", [np.float32, np.float64, ">f2", ml_dtypes.bfloat16])
def test_a_gradient_of_another_dtype_than_a_half_precision_parameter_is_not_rounded_to_it_first(given_in: Any) -> None:
    values = (1 + np.arange(24).reshape(8, 3) / 1024 / 3).astype(given_in)
    assert_twin("sparse", (9, 3), np.float16, RowGradient(np.array([1, 1, 3, 4, 8, 2, 1, 0]), values, (9, 3)))


def test_moments_may_be_wider_than_the_parameter_also_with_amsgrad() -> None:
    values = np.random.default_rng(0).standard_normal((5, 3)).astype(ml_dtypes.bfloat16)
    gradient = RowGradient(np.array([4, 0, 2, 0, 1]), values, (6, 3))
    assert_twin("all-rows-amsgrad-decay", (6, 3), ml_dtypes.bfloat16, gradient, moments=np.float32)


def test_many_rows_of_half_precision_split_over_threads_have_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "threads_for", lambda *_: 2)
    rng = np.random.default_rng(0)
    indices = rng.integers(0, 700, 900)
    assert_twin("sparse", (800, 5), np.float16, RowGradient(indices, rng.standard_normal((900, 5)).astype(np.float16), (800, 5)))


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 12300])
def test_dense_parameters_of_any_size_are_updated_to_the_last_element(size: int) -> None:
    assert_twin("paper", (size,), np.float32, np.random.default_rng(size).standard_normal(size).astype(np.float32))


def test_single_elements_are_rows_of_their_own() -> None:
    assert_twin("sparse", (4, 3), np.float32, elements(([3, 0, 3, 0], [2, 1, 2, 0]), [1.0, 2.0, 3.0, 4.0]))


def test_a_scalar_parameter_is_updated() -> None:
    assert_twin("paper", (), np.float32, np.array(2.0, np.float32))


@pytest.mark.parametrize("way", ["sparse", "old-state-decay", "all-rows-amsgrad-decay"])
def test_many_rows_split_over_threads_have_the_same_bits(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "threads_for", lambda *_: 2)
    rng = np.random.default_rng(0)
    indices = rng.integers(0, 700, 900)
    assert_twin(way, (800, 5), np.float32, RowGradient(indices, rng.standard_normal((900, 5)).astype(np.float32), (800, 5)))


@pytest.mark.parametrize("t", [1, 10, 100_000_000])
def test_a_touched_row_moves_by_at_most_about_the_learning_rate_under_a_first_or_steady_gradient(t: int) -> None:
    hyper, picks = resolved("sparse")
    g = np.full((1, 4), 0.5, np.float32)
    param, exp_avg, exp_avg_sq = np.zeros((2, 4), np.float32), np.zeros((2, 4), np.float32), np.zeros((2, 4), np.float32)
    exp_avg[1], exp_avg_sq[1] = 0.5 * (1 - 0.9 ** (t - 1)), 0.25 * (1 - 0.999 ** (t - 1))
    kernels.step(param, exp_avg, exp_avg_sq, None, RowGradient(np.array([1]), g, (2, 4)), hyper, picks, t)
    np.testing.assert_allclose(param, np.array([[0.0] * 4, [-0.001] * 4]), rtol=1e-5)


def strided(array: np.ndarray) -> np.ndarray:
    return np.repeat(array, 2, axis=-1)[..., ::2]


def read_only(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.setflags(write=False)
    return array


@pytest.mark.parametrize("lay", [strided, read_only, np.asfortranarray, lambda array: array.astype(array.dtype.newbyteorder(">"))])
def test_gradients_in_any_layout_are_taken_and_left_as_they_are(lay: Callable[[np.ndarray], np.ndarray]) -> None:
    values = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    gradient = RowGradient(lay(np.array([4, 0, 2, 0, 1])), lay(values), (5, 3))
    assert_twin("sparse-maximize", (5, 3), np.float32, gradient)
    np.testing.assert_array_equal(gradient.values, values)
    assert_twin("paper", (5, 3), np.float32, lay(values))


def test_a_gradient_that_shares_memory_with_the_parameter_is_read_before_anything_is_written() -> None:
    hyper, picks = resolved("sparse")
    arrays = state((4, 3), np.float32, picks)
    gradient = RowGradient(np.array([1, 2, 3]), arrays[0][:3], (4, 3))
    expected = stepped(*arrays, replace(gradient, values=gradient.values.copy()), hyper, picks, 1)
    kernels.step(*arrays, gradient, hyper, picks, 1)
    np.testing.assert_array_equal(arrays[0], expected[0])


def test_memory_mapped_tables_are_updated_on_disk(tmp_path: Path) -> None:
    hyper, picks = resolved("sparse")
    p, m, v = (np.memmap(tmp_path / name, np.float32, "w+", shape=(4, 3)) for name in "pmv")
    gradient = RowGradient(np.array([2]), np.ones((1, 3), np.float32), (4, 3))
    kernels.step(p, m, v, None, gradient, hyper, picks, 1)
    p.flush()
    np.testing.assert_allclose(np.fromfile(tmp_path / "p", np.float32).reshape(4, 3)[2], -0.001, rtol=1e-5)


def test_what_a_sparse_step_allocates_grows_with_the_gradient_and_not_with_the_table() -> None:
    hyper, picks = resolved("sparse")

    def peak(rows: int, touched: int) -> int:
        p, m, v = (np.zeros((rows, 4), np.float32) for _ in range(3))
        indices = np.random.default_rng(0).integers(0, rows, touched)
        gradient = RowGradient(indices, np.ones((touched, 4), np.float32), (rows, 4))
        kernels.step(p, m, v, None, gradient, hyper, picks, 1)
        tracemalloc.start()
        kernels.step(p, m, v, None, gradient, hyper, picks, 2)
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(1_000_000, 1000) < 1.5 * peak(2000, 1000)
    assert peak(1_000_000, 1000) < 100 * 1000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bias": Bias.NONE}, "do not compute bias: none"),
        ({"direction": Direction.NADAM}, "do not compute direction: nadam"),
        ({"decay": Decay.DECOUPLED_ALL}, "decay all rows under a gradient of some"),
        ({"decay": Decay.DECOUPLED_TOUCHED, "merge": Merge.OLD_STATE}, "decoupled decay where occurrences are kept apart"),
        ({"touch": Touch.NONZERO}, "do not compute touch: nonzero"),
    ],
)
def test_picks_that_no_kernel_computes_are_refused(changes: dict[str, Any], message: str) -> None:
    hyper, picks = resolved("sparse")
    arrays = state((2, 3), np.float32, picks)
    with pytest.raises(UsageError, match=message):
        kernels.step(*arrays, RowGradient(np.array([0]), np.ones((1, 3), np.float32), (2, 3)), hyper, replace(picks, **changes), 1)


def test_amsgrad_without_its_array_is_refused_and_so_is_the_array_without_amsgrad() -> None:
    hyper, picks = resolved("paper-amsgrad-decay")
    arrays = state((2, 3), np.float32, picks)
    for largest, pick in ((None, picks), (arrays[3], replace(picks, amsgrad=Amsgrad.OFF))):
        with pytest.raises(UsageError, match="max_exp_avg_sq and amsgrad go together"):
            kernels.step(*arrays[:3], largest, np.ones((2, 3), np.float32), hyper, pick, 1)


def test_a_step_before_the_first_is_refused() -> None:
    hyper, picks = resolved("paper")
    with pytest.raises(UsageError, match="from 1 to"):
        kernels.step(*state((2,), np.float32, picks), np.ones(2, np.float32), hyper, picks, 0)


@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize("width", [1, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_repeated_rows_have_the_same_bits_in_one_part_and_in_many(
    dtype: Any, width: int, skewed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    indices = rng.zipf(1.3, 900) % 800 if skewed else rng.integers(0, 800, 900)
    gradient = RowGradient(indices.astype(np.int32), rng.standard_normal((900, width)).astype(dtype), (800, width))
    for part, count in ((10**6, 1), (16, 1), (16, 2)):
        monkeypatch.setattr(planning, "PART", part)
        monkeypatch.setattr(planning, "threads_for", lambda *_, count=count: count)
        assert_twin("sparse", (800, width), dtype, gradient)
