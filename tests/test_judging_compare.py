"""Judging: the ratio of error and bound, kinds of numbers that are not finite, and how each end of a run is judged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from refimpl.arithmetic import CLASSES
from refimpl.backends.outcome import End, Outcome
from refimpl.case import ARRAYS, KINDS, Case, Expected, Golden, Group, Param, Step, ratios
from refimpl.judging.compare import judge
from refimpl.judging.verdict import Status


def expected(value: list[float], bounds: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0), allowed: list[int] | None = None) -> Expected:
    values = np.array([value])
    bound = {name: np.full(values.shape, limit, np.float32) for name, limit in zip(CLASSES, bounds)}
    return Expected(values, bound, None if allowed is None else np.array([allowed], np.uint8))


def golden(error: str | None = None, **arrays: Expected) -> Golden:
    value = np.zeros(2, np.float32)
    case = Case("d/t/s", "about it", "d", (Param("w", value),), (Group({}),), (Step({"w": value}, ({},)),), (1,), (), error)
    plain = expected([10.0, -10.0])
    return Golden(case, {"w": {array: arrays.get(array, plain) for array in ARRAYS}})


def states(**arrays: list[float]) -> Outcome:
    return Outcome("d/t/s", End.STATES, {"w": {array: np.array([arrays.get(array, [10.0, -10.0])]) for array in ARRAYS}})


@pytest.mark.parametrize(
    ("error", "attained"), [(0.5, "exact-ieee"), (1.5, "exact-faithful"), (3.0, "tensor-faithful"), (7.0, "tensor-approx")]
)
def test_the_tightest_class_that_holds_every_array_is_attained(error: float, attained: str) -> None:
    assert judge(golden(), states(exp_avg=[10.0, -10.0 - error]), "tensor-approx").attained == attained


def test_an_error_beyond_the_required_class_fails_and_says_where() -> None:
    verdict = judge(golden(), states(exp_avg_sq=[10.0, -15.0]), "tensor-faithful")
    assert verdict.status is Status.FAILED
    assert verdict.attained == "tensor-approx"
    assert verdict.mismatch is not None
    at = verdict.mismatch
    assert (at.param, at.array, at.step, at.index) == ("w", "exp_avg_sq", 1, (1,))
    assert (at.got, at.expected, at.bound, at.ratio) == (-15.0, -10.0, 4.0, 1.25)


def test_the_sign_of_an_error_does_not_matter() -> None:
    below, above = (ratios(np.array([[10.0 + sign * 3, -10.0]]), expected([10.0, -10.0]), "exact-ieee")[0, 0] for sign in (-1, 1))
    assert below == above == 3.0


def test_a_bound_of_zero_asks_for_the_same_number() -> None:
    exactly = expected([1.0, 0.0], bounds=(0.0,) * 4)
    assert ratios(np.array([[1.0, -0.0]]), exactly, "exact-ieee").tolist() == [[0.0, 0.0]]
    assert ratios(np.array([[np.nextafter(1, 2), 0.0]]), exactly, "exact-ieee").tolist() == [[np.inf, 0.0]]


@pytest.mark.parametrize("got", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_fails_where_a_number_is_expected(got: float) -> None:
    assert judge(golden(), states(param=[got, -10.0]), "tensor-approx").status is Status.FAILED


def test_kinds_are_judged_apart() -> None:
    wild = expected([np.inf, np.nan], allowed=[KINDS["+inf"] | KINDS["nan"], KINDS["nan"]])
    assert ratios(np.array([[np.nan, np.nan]]), wild, "exact-ieee").tolist() == [[0.0, 0.0]]
    assert ratios(np.array([[np.inf, np.inf]]), wild, "exact-ieee").tolist() == [[0.0, np.inf]]
    assert ratios(np.array([[-np.inf, 1.0]]), wild, "exact-ieee").tolist() == [[np.inf, np.inf]]


def test_an_infinite_bound_takes_any_number_but_only_numbers() -> None:
    anything = expected([0.0, 0.0], bounds=(np.inf,) * 4)
    assert ratios(np.array([[1e30, np.nan]]), anything, "exact-ieee").tolist() == [[0.0, np.inf]]


def test_a_moment_that_is_left_out_is_not_judged() -> None:
    outcome = Outcome("d/t/s", End.STATES, {"w": {"param": np.array([[10.0, -10.0]])}})
    verdict = judge(golden(), outcome, "exact-ieee")
    assert verdict.status is Status.PASSED
    assert [array.array for array in verdict.arrays] == ["param"]
    assert verdict.not_shown == ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")


def test_an_array_that_the_case_does_not_have_is_not_judged() -> None:
    plain = golden()
    kept = {"w": {array: plain.expected["w"][array] for array in ARRAYS[:3]}}
    verdict = judge(replace(plain, expected=kept), states(max_exp_avg_sq=[0.0, 0.0]), "exact-ieee")
    assert (verdict.status, verdict.not_shown) == (Status.PASSED, ())


def test_changed_arrays_of_the_caller_fail_a_case_with_right_numbers() -> None:
    verdict = judge(golden(), replace(states(), changed=("gradient of 'w' changed",)), "exact-ieee")
    assert verdict.status is Status.FAILED
    assert "gradient of 'w' changed" in verdict.reason


ENDS = [
    (None, End.RAISED, Status.ERROR),
    (None, End.CRASHED, Status.ERROR),
    (None, End.HUNG, Status.ERROR),
    (None, End.MISBEHAVED, Status.ERROR),
    (None, End.UNSUPPORTED, Status.UNSUPPORTED),
    ("invalid-lr", End.RAISED, Status.PASSED),
    ("invalid-lr", End.STATES, Status.FAILED),
    ("invalid-lr", End.CRASHED, Status.ERROR),
    ("invalid-lr", End.UNSUPPORTED, Status.UNSUPPORTED),
]


@pytest.mark.parametrize(("error", "end", "status"), ENDS)
def test_each_end_of_a_run_has_its_status(error: str | None, end: End, status: Status) -> None:
    assert judge(golden(error), replace(states(), end=end, message="why"), "tensor-approx").status is status


def test_an_expected_error_that_changed_an_array_fails() -> None:
    outcome = Outcome("d/t/s", End.RAISED, message="ValueError", changed=("param of 'w' changed",))
    assert judge(golden("dense-gradient"), outcome, "tensor-approx").status is Status.FAILED
