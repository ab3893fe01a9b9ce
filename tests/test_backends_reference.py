from typing import Any

import numpy as np
import pytest
from backend_cases import case, elements, golden, rows, table

from refimpl.arithmetic import Float
from refimpl.backends.execute import execute
from refimpl.backends.outcome import End
from refimpl.backends.reference import factory
from refimpl.case import Case, Step
from refimpl.dialects import Deviation, deviations, dialect, dialects
from refimpl.errors import InvalidGradient, InvalidHyper, UsageError
from refimpl.reference import trajectory

MOMENTS: dict[str, Any] = {"exp_avg": np.full((4, 3), 0.25, np.float32), "exp_avg_sq": np.full((4, 3), 0.5, np.float32), "step": 7}

CASES = {
    "duplicates": case(rows([0, 2, 0]), rows([3]), rows([0])),
    "elements-after-rows": case(rows([0]), elements(([0, 0], [1, 1]), [1.0, 2.0]), rows([1, 1])),
    "missing-and-empty": case(rows([0]), None, rows([]), rows([1])),
    "resumed": case(rows([0, 1]), rows([1]), params=[table(**MOMENTS)]),
    "schedule": case(rows([0]), rows([0]), rows([0]), changes={2: [{"lr": 0.5}], 3: [{"betas": (0.5, 0.5)}]}),
    "two-groups": case(
        {"w": rows([0]), "b": None},
        {"w": rows([1]), "b": rows([0], shape=(2,))},
        params=[table(), table("b", (2,), group=1)],
        groups=({}, {"lr": 0.1, "maximize": True}),
    ),
}


def whole(made: Case, deviating: tuple[Deviation, ...] = ()) -> np.ndarray:
    """The parameter after each step, by the trajectory at one go."""
    states = trajectory(made, Float("float32"), dialect(made.dialect), deviating)
    return np.stack([np.array(state["w"].p).reshape(made.params[0].value.shape) for state in states])


@pytest.mark.parametrize("name", CASES)
def test_step_by_step_it_computes_what_the_trajectory_computes(name: str) -> None:
    outcome = execute(factory(), golden(CASES[name], "read-only"))
    assert (outcome.end, outcome.changed) == (End.STATES, ())
    np.testing.assert_array_equal(outcome.states["w"]["param"], whole(CASES[name]))


@pytest.mark.parametrize(
    "id", ["duplicates-averaged", "schedule-first-skipped", "schedule-late", "counter-per-row", "moments-dropped-on-load"]
)
@pytest.mark.parametrize("name", CASES)
def test_with_a_deviation_it_computes_what_the_deviating_trajectory_computes(id: str, name: str) -> None:
    outcome = execute(factory(deviations=id), golden(CASES[name]))
    np.testing.assert_array_equal(outcome.states["w"]["param"], whole(CASES[name], (deviations()[id],)))


def test_deviations_change_the_numbers_and_the_name() -> None:
    backend = factory(deviations="duplicates-averaged, eps-subtracted")
    right, wrong = (execute(candidate, golden(CASES["duplicates"])).states["w"]["param"] for candidate in (factory(), backend))
    assert not np.array_equal(right, wrong)
    assert backend.name == "reference with duplicates-averaged with eps-subtracted"


@pytest.mark.parametrize(
    "option",
    [
        {"mean": "lerp"},
        {"square": "weighted_once"},
        {"scale": "lr_first"},
        {"mean": "new_minus_scaled", "square": "lerp_from_new"},
        {"mean": "fused", "square": "fused", "tensor_scalars": "yes"},
        {"tensor_scalars": "yes"},
        {"reverse": "yes"},
        {"wide": "yes"},
    ],
)
def test_a_formulation_changes_the_rounding_and_no_more(option: dict[str, Any]) -> None:
    made = case(*[rows([0, 1, 0, 0, 2], seed=seed) for seed in range(20)], groups=({"lr": 1.0},))
    plain, other = (execute(factory(**options), golden(made)).states["w"] for options in ({}, option))
    assert any(not np.array_equal(plain[array], other[array]) for array in plain)
    np.testing.assert_allclose(other["param"], plain["param"], rtol=0, atol=20 * 1e-4)  # 20 steps of at most lr = 1, each off by far less


def test_every_dialect_is_claimed_in_its_own_dtypes() -> None:
    claimed = {name: claim.dtypes for name, claim in factory().dialects.items()}
    assert claimed == {name: table.dtypes for name, table in dialects("full").items()}


@pytest.mark.parametrize("wide", ["yes", "no"])
@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_states_are_in_the_dtype_of_the_parameter(dtype: str, wide: str) -> None:
    pytest.importorskip("ml_dtypes")
    outcome = execute(factory(wide=wide), golden(case(rows([0], dtype=dtype), params=[table(dtype=dtype)])))
    assert {str(array.dtype) for array in outcome.states["w"].values()} == {dtype}


@pytest.mark.parametrize("shape", [(), (0, 1), (5,), (2, 3, 4)])
def test_parameters_of_every_shape_are_updated(shape: tuple[int, ...]) -> None:
    made = case(np.ones(shape, np.float32), params=[table(shape=shape)], name="torch.Adam")
    outcome = execute(factory(), golden(made))
    np.testing.assert_allclose(outcome.states["w"]["param"][0], made.params[0].value - np.float32(0.001), rtol=1e-6)


def test_before_the_first_step_the_state_is_what_was_given() -> None:
    state = factory().start(CASES["resumed"]).state()["w"]
    np.testing.assert_array_equal(state["param"], CASES["resumed"].params[0].value)
    np.testing.assert_array_equal(state["exp_avg_sq"], MOMENTS["exp_avg_sq"])


def test_the_gradients_that_are_given_count_not_those_of_the_case() -> None:
    run = factory().start(case(rows([0])))
    run.step(Step({"w": rows([3])}, ({},)))
    moved = (run.state()["w"]["exp_avg"] != 0).any(axis=1)
    assert moved.tolist() == [False, False, False, True]


def test_a_hyper_parameter_that_the_dialect_refuses_is_refused_at_the_start() -> None:
    with pytest.raises(InvalidHyper, match="Invalid learning rate: -1"):
        factory().start(case(rows([0]), groups=({}, {"lr": -1.0})))


GOOD, BAD = rows([0]), rows([4])


@pytest.mark.parametrize(
    ("gradients", "hyper", "error", "message"),
    [
        (
            {"w": np.zeros((4, 3), np.float32)},
            {},
            InvalidGradient,
            "SparseAdam does not support dense gradients, please consider Adam instead",
        ),
        ({"w": BAD}, {}, InvalidGradient, "indices\\[0\\] = 4 is outside the table of 4 rows"),
        ({"w": GOOD, "b": BAD}, {}, InvalidGradient, "gradient of 'b': indices"),
        ({"w": GOOD, "b": rows([0], shape=(5, 3))}, {}, InvalidGradient, "for a table of shape"),
        ({"w": GOOD, "u": GOOD}, {}, InvalidGradient, "gradient of 'u': no such parameter"),
        ({"w": GOOD}, {"lr": 0.0}, InvalidHyper, "Invalid learning rate"),
    ],
)
def test_a_refused_step_leaves_everything_as_it_was(
    gradients: dict[str, Any], hyper: dict[str, Any], error: type[BaseException], message: str
) -> None:
    params = [table(), table("b")]
    good = Step({"w": GOOD, "b": GOOD}, ({},))
    run, other = (factory().start(case(*[good.gradients] * 2, params=params)) for _ in range(2))
    run.step(good)
    before = run.state()
    with pytest.raises(error, match=message):
        run.step(Step(gradients, (hyper,)))
    assert_equal(run.state(), before)
    run.step(good)
    other.step(good)
    other.step(good)
    assert_equal(run.state(), other.state())


def assert_equal(a: Any, b: Any) -> None:
    for name, arrays in a.items():
        for array, value in arrays.items():
            np.testing.assert_array_equal(value, b[name][array])


def test_an_expected_error_is_a_refusal() -> None:
    outcome = execute(factory(), golden(case(rows([0]), BAD, error="index-out-of-range")))
    assert (outcome.end, outcome.changed) == (End.RAISED, ())
    assert outcome.message.startswith("InvalidGradient: gradient of 'w': indices[0] = 4")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"deviations": "nothing"}, "no deviation 'nothing'"),
        ({"scale": "upside_down"}, "option scale: no form 'upside_down'.*\n.*folded"),
        ({"reverse": "perhaps"}, "option reverse: 'perhaps' is neither yes nor no"),
    ],
)
def test_an_unknown_option_is_refused_with_the_choices(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        factory(**options)
