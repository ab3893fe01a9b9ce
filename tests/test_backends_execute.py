import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from backend_cases import Toy, ToyRun, case, elements, golden, rows, table

from refimpl.backends._layouts import handed_out
from refimpl.backends.execute import execute
from refimpl.backends.outcome import End, Outcome
from refimpl.case import LAYOUTS, Case
from refimpl.errors import Unsupported
from refimpl.gradients import RowGradient


def run(backend: Any, made: Case, layout: str = "contiguous") -> Outcome:
    return execute(backend, golden(made, layout))


def toy(**overrides: Any) -> Any:
    return type("Overridden", (Toy,), overrides)()


def test_states_are_stacked_over_the_recorded_steps() -> None:
    made = case(rows([0, 0]), rows([1]), rows([2]), record=(1, 3))
    outcome = run(Toy(), made)
    start = made.params[0].value
    first = start.copy()
    np.subtract.at(first, [0, 0], made.steps[0].gradients["w"].values)
    assert outcome.end is End.STATES
    assert outcome.changed == ()
    assert outcome.states["w"]["param"].shape == (2, 4, 3)
    np.testing.assert_array_equal(outcome.states["w"]["param"][0], first)
    assert outcome.seconds > 0


@pytest.mark.parametrize("shape", [(), (0,), (0, 1), (2, 0), (5,), (2, 3, 4)])
def test_parameters_of_every_shape_are_recorded(shape: tuple[int, ...]) -> None:
    outcome = run(Toy(), case(None, params=[table(shape=shape)]))
    assert (outcome.end, outcome.states["w"]["param"].shape) == (End.STATES, (1, *shape))


def test_a_view_that_changes_later_does_not_change_what_was_recorded() -> None:
    def state(self: Toy, run: ToyRun) -> Any:
        return {"w": {"param": run.tables["w"]}}

    made = case(rows([0]), rows([0]))
    recorded = run(toy(state=state), made).states["w"]["param"]
    assert not np.array_equal(recorded[0], recorded[1])


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (lambda self, run: {}, "parameter 'w' is missing"),
        (lambda self, run: None, "gave a NoneType"),
        (lambda self, run: {"w": {"param": run.tables["w"]}, "u": {}}, "parameter 'u' is unknown; the case has w"),
        (lambda self, run: {"w": {}}, "parameter 'w' has no array 'param'"),
        (lambda self, run: {"w": run.tables["w"]}, "has a ndarray, not a mapping"),
        (lambda self, run: {"w": {"param": run.tables["w"], "m": run.tables["w"]}}, "an array 'm'; known are param, exp_avg, exp_avg_sq"),
        (lambda self, run: {"w": {"param": run.tables["w"].reshape(-1)}}, r"param of 'w' has shape \(12,\), not \(4, 3\)"),
        (lambda self, run: {"w": {"param": run.tables["w"].astype("f8")}}, "param of 'w' has dtype float64, not float32"),
        (lambda self, run: {"w": {"param": run.tables["w"].tolist()}}, "is a builtins.list, not a NumPy array"),
    ],
)
def test_a_state_that_is_none_of_the_case_breaks_the_protocol(state: Callable[..., Any], message: str) -> None:
    outcome = run(toy(state=state), case(rows([0])))
    assert outcome.end is End.MISBEHAVED
    assert re.search(message, outcome.message)


def test_a_moment_that_comes_and_goes_breaks_the_protocol() -> None:
    def state(self: Toy, run: ToyRun) -> Any:
        moments = {"exp_avg": run.tables["w"]} if run.calls == 2 else {}
        return {"w": {"param": run.tables["w"], **moments}}

    outcome = run(toy(state=state), case(rows([0]), rows([0])))
    assert outcome.end is End.MISBEHAVED
    assert "exp_avg of 'w' is given at step 1 or at step 2, not at both" in outcome.message


def test_a_run_without_its_methods_breaks_the_protocol() -> None:
    outcome = run(toy(start=lambda self, made: made), case(rows([0])))
    assert (outcome.end, outcome.message) == (End.MISBEHAVED, "start gave a Case that has no step and no state()")


def changes_of(before_step: Callable[[ToyRun, Any], object], made: Case, layout: str = "contiguous") -> tuple[str, ...]:
    outcome = run(toy(before_step=lambda self, run, step: before_step(run, step)), made, layout)
    assert outcome.end is End.STATES, outcome.message
    return outcome.changed


def test_a_changed_gradient_is_named_with_its_step_and_first_element() -> None:
    def negate(run: ToyRun, step: Any) -> None:
        if run.calls == 2:
            step.gradients["w"].values[1:] *= -1

    (sentence,) = changes_of(negate, case(rows([0]), rows([0, 2], np.ones((2, 3)))))
    assert sentence == "gradient of 'w' at step 2: values [1, 0] changed from 1.0 to -1.0 (seen after step 2)"


def test_a_changed_gradient_of_another_step_is_seen_too() -> None:
    def spoil(run: ToyRun, step: Any) -> None:
        run.case.steps[2].gradients["w"].indices[0] = 3

    sentences = changes_of(spoil, case(rows([0]), rows([0]), rows([0])))
    assert sentences == ("gradient of 'w' at step 3: indices [0] changed from 0 to 3 (seen after step 1)",)


def test_a_change_in_a_long_run_is_seen_at_the_end_at_the_latest() -> None:
    def spoil(run: ToyRun, step: Any) -> None:
        run.case.steps[0].gradients["w"].values[0, 0] = 9 if run.calls == 50 else run.case.steps[0].gradients["w"].values[0, 0]

    (sentence,) = changes_of(spoil, case(*[rows([0])] * 100, record=(100,)))
    assert sentence.startswith("gradient of 'w' at step 1: values [0, 0] changed")
    assert sentence.endswith("(seen at the end)")


def test_a_changed_parameter_of_the_caller_is_named() -> None:
    def update_in_place(run: ToyRun, step: Any) -> None:
        run.case.params[0].value[2, 1] += 1

    (sentence,) = changes_of(update_in_place, case(rows([0]), rows([0])))
    assert sentence.startswith("parameter 'w': value [2, 1] changed from ")
    assert sentence.endswith("(seen after step 1)")


def test_a_changed_moment_of_the_caller_is_named() -> None:
    def update_in_place(run: ToyRun, step: Any) -> None:
        run.case.params[0].exp_avg_sq[0, 0] = 5

    zeros = np.zeros((4, 3), np.float32)
    (sentence,) = changes_of(update_in_place, case(rows([0]), params=[table(exp_avg=zeros, exp_avg_sq=zeros, step=3)]))
    assert sentence.startswith("parameter 'w': exp_avg_sq [0, 0] changed from 0.0 to 5.0")


def test_a_change_of_sign_of_zero_is_a_change_and_a_nan_that_stays_is_none() -> None:
    def negate(run: ToyRun, step: Any) -> None:
        np.negative(step.gradients["w"].values, where=[[True, False, False]], out=step.gradients["w"].values)

    (sentence,) = changes_of(negate, case(rows([0], [[0.0, np.nan, np.inf]])))
    assert "[0, 0] changed from 0.0 to -0.0" in sentence


def test_a_reshaped_gradient_is_a_change() -> None:
    def flatten(run: ToyRun, step: Any) -> None:
        step.gradients["w"].resize((3, 4), refcheck=False)

    dense = np.zeros((4, 3), np.float32)
    assert "dense shape changed from (4, 3) to (3, 4)" in changes_of(flatten, case(dense))[0]


def test_summing_the_duplicates_of_an_element_gradient_in_place_is_a_change() -> None:
    def summing(run: ToyRun, step: Any) -> None:
        step.gradients["w"].sum_duplicates()

    made = case(elements(([0, 0], [1, 1]), [1.0, 2.0]))
    assert "gradient of 'w' at step 1: data shape changed from (2,) to (1,) (seen after step 1)" in changes_of(summing, made)


def test_changed_hyper_parameters_are_named() -> None:
    def decay(run: ToyRun, step: Any) -> None:
        hyper: Any = run.case.groups[0].hyper
        hyper["lr"] = 0.5
        step.hyper[0].pop("lr", None)
        step.hyper[0]["eps"] = 1.0

    sentences = changes_of(decay, case(rows([0]), changes={1: [{"lr": 0.25}]}))
    assert sentences == (
        "hyper-parameters of group 0: 'lr' was replaced (seen after step 1)",
        "hyper-parameters of group 0 at step 1: 'lr' was taken out (seen after step 1)",
    )


def test_a_gradient_that_is_replaced_in_its_mapping_is_named() -> None:
    def replace_it(run: ToyRun, step: Any) -> None:
        step.gradients["w"] = None

    assert changes_of(replace_it, case(rows([0]))) == ("gradients of step 1: 'w' was replaced (seen after step 1)",)


def test_the_caller_of_execute_keeps_its_arrays_whatever_the_backend_does() -> None:
    def spoil(run: ToyRun, step: Any) -> None:
        step.gradients["w"].values[:] = 0
        run.case.params[0].value[:] = 0

    made = case(rows([0]))
    kept = made.params[0].value.copy(), made.steps[0].gradients["w"].values.copy()
    assert len(changes_of(spoil, made)) == 2
    np.testing.assert_array_equal(made.params[0].value, kept[0])
    np.testing.assert_array_equal(made.steps[0].gradients["w"].values, kept[1])


def test_an_error_is_reported_with_the_call_and_the_frames_of_the_backend() -> None:
    def explode(self: Toy, run: ToyRun, step: Any) -> None:
        raise ValueError("no such thing")

    outcome = run(toy(before_step=explode), case(rows([0])))
    assert outcome.end is End.RAISED
    first, *frames = outcome.message.splitlines()
    assert first == "ValueError: no such thing (in step 1)"
    assert "in explode" in "".join(frames)
    assert "_go" not in outcome.message


def test_an_error_of_state_is_reported_as_one_of_state() -> None:
    outcome = run(toy(state=lambda self, run: 1 / 0), case(rows([0])))
    assert outcome.end is End.RAISED
    assert outcome.message.startswith("ZeroDivisionError: division by zero (in state after step 1)")


def unsupported(self: Toy, *_: Any) -> None:
    raise Unsupported("no elements here")


def test_unsupported_in_start_is_reported_with_its_reason() -> None:
    outcome = run(toy(start=unsupported), case(rows([0])))
    assert (outcome.end, outcome.message) == (End.UNSUPPORTED, "no elements here")


@pytest.mark.parametrize(("when", "where"), [("before_step", "in step 1"), ("state", "in state after step 1")])
def test_unsupported_after_start_breaks_the_protocol(when: str, where: str) -> None:
    outcome = run(toy(**{when: unsupported}), case(rows([0])))
    assert outcome.end is End.MISBEHAVED
    assert outcome.message == f"raised Unsupported {where}, and only start may: no elements here"


def test_a_backend_gets_no_expectation_in_any_form() -> None:
    def start(self: Toy, made: Case) -> None:
        seen.append(made)
        raise Unsupported("seen")

    seen: list[Case] = []
    run(toy(start=start), replace(case(rows([0]), error="lr"), catches=("duplicates-last-wins",)))
    (made,) = seen
    assert (made.catches, made.error) == ((), None)


def test_a_case_outside_the_claim_does_not_reach_start() -> None:
    outcome = run(toy(start=lambda self, made: pytest.fail("start was called"), dialects={"torch.Adam": None}), case(rows([0])))
    assert outcome.end is End.UNSUPPORTED


def refusing_second_step(change: Callable[[ToyRun], object] = lambda run: None) -> Any:
    def refuse(self: Toy, run: ToyRun, step: Any) -> None:
        if run.calls == 2:
            change(run)
            raise IndexError("row 9 of 4")

    return toy(before_step=refuse)


REFUSED = case(rows([0]), rows([9]), error="index-out-of-range")


def test_an_expected_error_that_leaves_everything_as_it_was_is_a_refusal() -> None:
    outcome = run(refusing_second_step(), REFUSED)
    assert (outcome.end, outcome.message.splitlines()[0], outcome.changed) == (End.RAISED, "IndexError: row 9 of 4 (in step 2)", ())


def test_an_error_is_reported_with_its_call_its_step_and_every_name_of_its_type() -> None:
    raised = run(refusing_second_step(), REFUSED).raised
    assert (raised.call, raised.step, raised.kinds) == ("step", 2, ("IndexError", "LookupError", "Exception"))
    raised = run(toy(start=lambda self, made: 1 / 0), REFUSED).raised
    assert (raised.call, raised.step, raised.kinds[0]) == ("start", 0, "ZeroDivisionError")


def test_a_state_is_compared_around_every_error_and_not_only_around_expected_ones() -> None:
    def half_done(run: ToyRun) -> None:
        run.tables["w"][3, 2] = 7

    (sentence,) = run(refusing_second_step(half_done), replace(REFUSED, error=None)).changed
    assert sentence.endswith("to 7.0 by the error in step 2")


@pytest.mark.parametrize(
    "made", [case(*[rows([0])] * 40, record=(40,)), case(rows([0], shape=(90_000, 1)), params=[table(shape=(90_000, 1))])]
)
def test_the_state_of_a_long_or_large_case_is_not_copied_before_each_step(made: Case) -> None:
    def state(self: Toy, run: ToyRun) -> Any:
        calls.append(run.calls)
        return {"w": {"param": run.tables["w"]}}

    calls: list[int] = []
    assert run(toy(state=state), made).end is End.STATES
    assert calls == [len(made.steps)]


def test_a_state_that_cannot_be_shown_before_the_first_step_does_not_fail_the_case() -> None:
    def state(self: Toy, run: ToyRun) -> Any:
        return {"w": {"param": run.tables["w"]}} if run.calls else 1 / 0

    assert run(toy(state=state), case(rows([0]))).end is End.STATES


def test_a_state_that_an_expected_error_leaves_changed_is_named() -> None:
    def half_done(run: ToyRun) -> None:
        run.tables["w"][3, 2] = 7

    outcome = run(refusing_second_step(half_done), REFUSED)
    assert outcome.end is End.RAISED
    (sentence,) = outcome.changed
    assert sentence.startswith("param of 'w' [3, 2] changed from ")
    assert sentence.endswith("to 7.0 by the error in step 2")


def test_a_callers_array_that_an_expected_error_leaves_changed_is_named() -> None:
    def spoil(run: ToyRun) -> None:
        run.case.steps[1].gradients["w"].indices[0] = 0

    (sentence,) = run(refusing_second_step(spoil), REFUSED).changed
    assert sentence == "gradient of 'w' at step 2: indices [0] changed from 9 to 0 (seen at the end)"


def test_an_expected_error_in_start_needs_no_state() -> None:
    outcome = run(toy(start=lambda self, made: 1 / 0), REFUSED)
    assert (outcome.end, outcome.message.splitlines()[0]) == (End.RAISED, "ZeroDivisionError: division by zero (in start)")


def test_an_expected_error_that_does_not_come_gives_states() -> None:
    assert run(Toy(), case(rows([0]), error="lr")).end is End.STATES


LAID_OUT = case(rows([0, 1]), elements(([0], [1]), [1.0]), np.ones((4, 3), np.float32), None)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_has_the_same_numbers_in_arrays_of_its_own(layout: str) -> None:
    made = handed_out(LAID_OUT, layout)
    for original, fresh in zip(arrays_of(LAID_OUT), arrays_of(made), strict=True):
        np.testing.assert_array_equal(original, fresh)
        assert original.dtype == fresh.dtype
        assert not np.shares_memory(original, fresh)


def arrays_of(made: Case) -> Iterator[np.ndarray]:
    yield made.params[0].value
    for step in made.steps:
        gradient = step.gradients["w"]
        if isinstance(gradient, RowGradient):
            yield from (gradient.indices, gradient.values)
        elif isinstance(gradient, np.ndarray):
            yield gradient
        elif gradient is not None:
            yield from (gradient.data, *gradient.coords)


def test_each_layout_has_its_strides_in_memory() -> None:
    strided, fortran, read_only = (list(arrays_of(handed_out(LAID_OUT, layout))) for layout in ("strided", "fortran", "read-only"))
    assert all(array.strides[-1] == 2 * array.itemsize for array in strided)
    assert all(array.flags.f_contiguous for array in fortran)
    assert not any(array.flags.writeable for array in read_only)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_scalar_parameter_can_be_laid_out(layout: str) -> None:
    made = handed_out(case(None, params=[table(shape=())]), layout)
    assert isinstance(made.params[0].value, np.ndarray)
    assert made.params[0].value.shape == ()


def test_an_element_gradient_in_half_precision_can_be_laid_out() -> None:
    gradient = elements(([0], [1]), [1.5])
    gradient.data = gradient.data.astype(np.float16)
    made = handed_out(case(gradient), "read-only")
    assert made.steps[0].gradients["w"].data.dtype == np.float16


def test_a_step_that_writes_into_a_read_only_gradient_raises() -> None:
    def double(self: Toy, run: ToyRun, step: Any) -> None:
        step.gradients["w"].values *= 2

    outcome = run(toy(before_step=double), case(rows([0])), "read-only")
    assert outcome.end is End.RAISED
    assert "read-only" in outcome.message
