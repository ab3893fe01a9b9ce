"""Shrinking: few elements, one step, plain values, where the fault allows; the same every time; with a cause only where it is proven."""

from typing import Any

import numpy as np
import pytest
from fuzz_runs import SETTINGS, Broken, campaign, small_only

from refimpl.case import Case
from refimpl.fuzz._campaign import FAILING, Shrunk, _of_one
from refimpl.fuzz._reductions import axes, is_valid, kept_along, simpler, size
from refimpl.fuzz._shrinking import CANDIDATES
from refimpl.gradients import RowGradient, check_gradient
from refimpl.judging.verdict import Diagnosis
from refimpl.vectors._read import decode_theme, parse_theme
from refimpl.vectors.npz import unpack


@pytest.fixture(autouse=True)
def _only_small_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    small_only(monkeypatch)


def first_failure(fault: Any, names: tuple[str, ...] = ("torch.SparseAdam",)) -> Shrunk:
    session = campaign(Broken(fault, names), SETTINGS)
    for number in range(60):
        if session.result(number).verdict.status in FAILING:
            return session.shrunk(number)
    raise AssertionError("no case failed")


def saved(shrunk: Shrunk) -> Case:
    document = parse_theme(shrunk.theme.text, shrunk.theme.name, "memory")
    ids = {entry["id"] for entry in document["cases"]}
    (golden,) = decode_theme(document, unpack(shrunk.theme.content, "memory"), "memory", ids)
    return golden.case  # type: ignore[union-attr]


def wrong_from(width: int) -> Any:
    def fault(case: Any, number: int, state: Any) -> Any:
        return {
            name: {**arrays, "exp_avg": arrays["exp_avg"] * 3} if arrays["param"].ndim > 1 and arrays["param"].shape[1] >= width else arrays
            for name, arrays in state.items()
        }

    return fault


def test_a_fault_everywhere_becomes_one_element_and_one_step_with_plain_values() -> None:
    shrunk = first_failure(wrong_from(1))
    assert (shrunk.elements, shrunk.steps, shrunk.again) == (1, 1, True)
    case = saved(shrunk)
    assert case.params[0].value == 0
    gradient: Any = case.steps[0].gradients[case.params[0].name]
    assert np.asarray(gradient.values).tolist() == [[1.0]]
    assert shrunk.tried <= CANDIDATES


def test_a_fault_of_a_width_keeps_that_width_and_nothing_else() -> None:
    shrunk = first_failure(wrong_from(4))
    assert (shrunk.elements, shrunk.steps) == (4, 1)


def test_a_fault_of_a_late_step_keeps_the_steps() -> None:
    def fault(case: Any, number: int, state: Any) -> Any:
        return {name: {**arrays, "param": arrays["param"] + 1} for name, arrays in state.items()} if number >= 3 else state

    shrunk = first_failure(fault)
    assert (shrunk.elements, shrunk.steps) == (1, 3)


def test_the_same_failure_shrinks_to_the_same_bytes() -> None:
    first, second = (first_failure(wrong_from(3)) for _ in range(2))
    assert first == second


def test_an_error_shrinks_too() -> None:
    def raises(case: Any, number: int, state: Any) -> Any:
        if any(arrays["param"].size > 5 for arrays in state.values()):
            raise RuntimeError("too large")
        return state

    shrunk = first_failure(raises)
    assert shrunk.elements == 6
    assert "too large" in shrunk.verdict.reason


def test_no_cause_is_named_of_a_fault_that_nothing_known_explains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refimpl.fuzz._campaign.DIAGNOSED", 100_000)

    def fault(case: Any, number: int, state: Any) -> Any:
        return {name: {**arrays, "exp_avg": arrays["exp_avg"] * np.float32(1.7) + np.float32(0.3)} for name, arrays in state.items()}

    assert first_failure(fault).diagnoses == ()


@pytest.mark.parametrize("number", range(6))
def test_every_reduction_of_a_random_case_leaves_a_case(number: int) -> None:
    session = campaign(Broken(lambda case, number, state: state, ("torch.SparseAdam", "mindspore.LazyAdam", "torch.Adam")))
    golden = session.golden(number)
    assert is_valid(golden.case)
    for find in list(axes(golden.case))[:12]:
        axis = find(golden.case)
        if axis is not None and axis.count > 1:
            smaller = axis.keep(golden.case, np.array([axis.count - 1]))
            assert _fits(smaller)
            assert size(smaller) <= size(golden.case)
    for change in list(simpler(golden))[:40]:
        assert _fits(change(golden).case)


def _fits(case: Case) -> bool:
    """Whether an implementation can run a case: every gradient has the shape of its parameter, and every row lies in it."""
    for step in case.steps:
        for param in case.params:
            gradient = step.gradients.get(param.name)
            if gradient is not None:
                check_gradient(gradient, param.value.shape, param.name)
    return all(len(step.hyper) in (0, len(case.groups)) for step in case.steps)


def test_rows_that_are_left_out_take_their_occurrences_along() -> None:
    session = campaign(Broken(lambda case, number, state: state))
    golden = next(
        golden
        for golden in map(session.golden, range(40))
        if isinstance(golden.case.steps[0].gradients.get("w0"), RowGradient) and golden.case.params[0].value.shape[0] > 2
    )
    kept = kept_along(golden.case, "w0", 0, np.array([0, 2]))
    gradients: Any = [case.steps[0].gradients["w0"] for case in (golden.case, kept)]
    before, after = gradients
    mine = np.isin(before.indices, [0, 2])
    np.testing.assert_array_equal(after.indices, before.indices[mine] // 2)
    np.testing.assert_array_equal(after.values, before.values[mine])


def test_a_cause_that_is_restricted_to_a_place_is_none_of_a_shrunk_case_whatever_its_words() -> None:
    words = "only the last occurrence counts, only then"
    everywhere = Diagnosis(("duplicates-last-wins",), words, ("d/t/shrunk", "d/t/other"))
    somewhere = Diagnosis(("duplicates-last-wins",), "old values stay in rows from 3 on", ("d/t/shrunk",), where="only in rows from 3 on")
    assert [cause.about for cause in _of_one("d/t/shrunk", [everywhere, somewhere])] == [words]
