"""Judging a random case: rows that no gradient stores bit for bit, the rest by screen and oracle, places as in the drawn case."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fuzz_runs import Broken, right, table

from refimpl.backends.execute import execute
from refimpl.case import Golden, Param, Step
from refimpl.cases.random_sizes import sized_case
from refimpl.fuzz._judging import element_steps, judged, truth
from refimpl.judging.compare import judge
from refimpl.judging.verdict import CaseVerdict, Status

REQUIRED = "tensor-faithful"


def verdict_of(golden: Golden, fault: Any) -> CaseVerdict:
    return judged(golden, execute(Broken(fault, (golden.case.dialect,)), golden), REQUIRED)


def nudged(array: str, place: tuple[int, ...], by: float, at: int = 1) -> Any:
    def fault(case: Any, number: int, state: Any) -> Any:
        if number < at:
            return state
        values = state["w"][array].copy()
        values[place] += values.dtype.type(by)
        return {"w": {**state["w"], array: values}}

    return fault


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_right_table_passes_and_every_array_has_a_ratio(dtype: str) -> None:
    verdict = verdict_of(table(70_000, 2, [3, 69_999, 3], dtype=dtype), right)
    assert verdict.status is Status.PASSED
    assert {array.array for array in verdict.arrays} == {"param", "exp_avg", "exp_avg_sq"}
    assert all(0 <= array.worst[REQUIRED] <= 1 for array in verdict.arrays)


@pytest.mark.parametrize("array", ["param", "exp_avg", "exp_avg_sq"])
def test_a_row_that_no_gradient_stores_must_keep_its_bits(array: str) -> None:
    verdict = verdict_of(table(70_000, 2, [3, 69_999]), nudged(array, (41_234, 1), 1e-7))
    assert verdict.status is Status.FAILED
    assert verdict.mismatch is not None
    assert (verdict.mismatch.array, verdict.mismatch.index) == (array, (41_234, 1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("place", "at"), [((69_999, 0), 1), ((3, 1), 2)])
def test_a_wrong_stored_element_is_found_at_its_place(dtype: str, place: tuple[int, int], at: int) -> None:
    verdict = verdict_of(table(70_000, 2, [3, 69_999, 8], steps=2, dtype=dtype), nudged("param", place, 1e-3, at))
    assert verdict.status is Status.FAILED
    assert verdict.mismatch is not None
    assert (verdict.mismatch.param, verdict.mismatch.index, verdict.mismatch.step) == ("w", place, at)


def test_a_wrong_element_of_a_dense_parameter_of_three_axes_is_found_at_its_place() -> None:
    golden = table(2, 3, [0], name="torch.Adam")
    value = np.random.default_rng(0).normal(size=(4, 3, 5)).astype("float32")
    case = replace(golden.case, params=(Param("w", value),), steps=(Step({"w": value}, ({},)),))
    verdict = verdict_of(Golden(case, {}), nudged("exp_avg", (2, 1, 4), 1.0))
    assert verdict.mismatch is not None
    assert verdict.mismatch.index == (2, 1, 4)


def test_an_error_and_a_nan_are_failures() -> None:
    def raises(case: Any, number: int, state: Any) -> Any:
        raise RuntimeError("on principle")

    assert verdict_of(table(4, 2, [1]), raises).status is Status.ERROR
    assert verdict_of(table(4, 2, [1]), nudged("param", (1, 0), float("nan"))).status is Status.FAILED


def test_an_array_that_is_not_shown_is_told() -> None:
    verdict = verdict_of(table(4, 2, [1]), lambda case, number, state: {"w": {"param": state["w"]["param"]}})
    assert verdict.status is Status.PASSED
    assert verdict.not_shown == ("exp_avg", "exp_avg_sq")


@pytest.mark.parametrize("name", ["torch.SparseAdam", "mindspore.LazyAdam", "torch.Adam"])
@pytest.mark.parametrize("seed", range(4))
def test_the_verdict_is_that_of_balls(name: str, seed: int) -> None:
    """The plain twin: all of the case by `expectations` and `judge`, without a screen and without leaving out rows."""
    rng = np.random.default_rng((seed, 40))
    golden = next(
        golden
        for golden in (sized_case(rng, name, "twin", ("float32", "float64")) for _ in range(200))
        if element_steps(golden.case) < 120 and golden.case.theme != "extreme" and len(golden.case.steps) < 4
    )
    number = int(rng.integers(2))
    faults: list[Any] = [right, _doubled]
    outcome = execute(Broken(faults[number], (name,)), golden)
    whole = Golden(golden.case, truth(golden.case), golden.kind, golden.layout)
    assert judged(golden, outcome, REQUIRED).status is judge(whole, outcome, REQUIRED).status


def _doubled(case: Any, number: int, state: Any) -> Any:
    return {name: {**arrays, "exp_avg": arrays["exp_avg"] * arrays["exp_avg"].dtype.type(2)} for name, arrays in state.items()}
