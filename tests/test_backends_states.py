"""refimpl.backends._states, layouts and watch: all four arrays of a state, each in a dtype of its own."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from backend_cases import case, rows, table

from refimpl.backends._layouts import handed_out
from refimpl.backends._snapshots import Watch
from refimpl.backends._states import problems
from refimpl.case import ARRAYS, LAYOUTS

PLAIN = table()
RESUMED = replace(
    PLAIN,
    exp_avg=PLAIN.value.astype(np.float64),
    exp_avg_sq=PLAIN.value**2,
    max_exp_avg_sq=(PLAIN.value**2 * 2).astype(np.float16),
    dtypes={"exp_avg": "float64", "max_exp_avg_sq": "float16"},
)
RESUMED_CASE = case(rows([0]), params=[RESUMED])


def state(**changes: Any) -> dict[str, dict[str, np.ndarray]]:
    """A state of RESUMED_CASE in the right dtypes, with some arrays replaced."""
    arrays = {array: np.zeros((4, 3), RESUMED.dtype_of(array)) for array in ARRAYS}
    return {"w": {**arrays, **changes}}


def problems_of(states: Any) -> list[str]:
    return list(problems(states, RESUMED_CASE, (), lambda dtype: (dtype,)))


def test_each_array_is_held_against_its_own_dtype() -> None:
    assert problems_of(state()) == []
    assert problems_of(state(exp_avg=np.zeros((4, 3), np.float32))) == ["exp_avg of 'w' has dtype float32, not float64"]
    assert problems_of(state(max_exp_avg_sq=np.zeros((4, 3), np.float32))) == ["max_exp_avg_sq of 'w' has dtype float32, not float16"]
    assert problems_of(state(param=np.zeros((4, 3), np.float64))) == ["param of 'w' has dtype float64, not float32"]


def test_a_maximum_may_be_shown_where_none_is_kept_and_left_out_where_one_is() -> None:
    plain = case(rows([0]))
    shown = {"w": {array: np.zeros((4, 3), np.float32) for array in ARRAYS}}
    assert list(problems(shown, plain, (), lambda dtype: (dtype,))) == []
    del shown["w"]["max_exp_avg_sq"]
    assert list(problems(shown, plain, (), lambda dtype: (dtype,))) == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_maximum_is_handed_out_in_its_layout_and_dtype(layout: str) -> None:
    (param,) = handed_out(RESUMED_CASE, layout).params
    for array in ARRAYS[1:]:
        handed, original = getattr(param, array), getattr(RESUMED, array)
        assert handed.dtype == original.dtype == param.dtype_of(array)
        assert np.array_equal(handed, original)
        assert not np.shares_memory(handed, original)
        assert handed.flags.writeable is (layout != "read-only")
        assert handed.flags.c_contiguous is (layout in ("contiguous", "read-only"))


def test_what_is_handed_out_has_a_table_of_dtypes_of_its_own() -> None:
    (param,) = handed_out(RESUMED_CASE, "contiguous").params
    assert param.dtypes == RESUMED.dtypes
    assert param.dtypes is not RESUMED.dtypes


@pytest.mark.parametrize("array", ["value", *ARRAYS[1:]])
def test_a_change_to_any_array_that_was_given_is_seen(array: str) -> None:
    made = handed_out(RESUMED_CASE, "contiguous")
    watch = Watch(made)
    watch.look("before")
    assert watch.changes == []
    getattr(made.params[0], array)[1, 2] = 9
    watch.look("after step 1", 1)
    (change,) = watch.changes
    assert change.startswith(f"parameter 'w': {array} [1, 2] changed from ")
