from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from backend_cases import case, elements, golden, rows, table

from refimpl.backends.execute import execute
from refimpl.backends.numba import factory
from refimpl.backends.outcome import End
from refimpl.backends.reference import factory as reference
from refimpl.case import Step, ratios
from refimpl.dialects import dialects
from refimpl.errors import InvalidGradient, InvalidHyper, Unsupported
from refimpl.kernels import computes
from refimpl.oracle import expectations

MOMENTS: dict[str, Any] = {"exp_avg": np.full((4, 3), 0.25, np.float32), "exp_avg_sq": np.full((4, 3), 0.5, np.float32), "step": 7}
LAZY = "mindspore.LazyAdam"
CASES = {
    "duplicates": case(rows([0, 2, 0]), rows([3]), rows([0])),
    "elements-after-rows": case(rows([0]), elements(([0, 0], [1, 1]), [1.0, 2.0]), rows([1, 1])),
    "missing-and-empty": case(rows([0]), None, rows([]), rows([1])),
    "missing-and-empty-per-call": case(rows([0]), None, rows([]), rows([1]), name=LAZY),
    "resumed": case(rows([0, 1]), rows([1]), params=[table(**MOMENTS)]),
    "schedule": case(rows([0]), rows([0]), rows([0]), changes={2: [{"lr": 0.5}], 3: [{"betas": (0.5, 0.5)}]}),
    "dense-and-rows": case(np.ones((4, 3), np.float32), rows([1, 1]), name=LAZY),
    "amsgrad": case(*[np.full((4, 3), x, np.float32) for x in (3, 1, 2)], groups=({"amsgrad": True},), name="torch.Adam"),
    "two-groups": case(
        {"w": rows([0]), "b": None},
        {"w": rows([1]), "b": rows([0], shape=(2,))},
        params=[table(), table("b", (2,), group=1)],
        groups=({}, {"lr": 0.1, "maximize": True}),
    ),
}


@pytest.mark.parametrize("layout", ["contiguous", "strided", "read-only", "fortran"])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.sampled(4)
def test_it_computes_what_the_reference_computes(name: str, layout: str) -> None:
    ours, theirs = (execute(backend, golden(CASES[name], layout)) for backend in (factory(), reference()))
    assert (ours.end, ours.changed) == (End.STATES, ())
    for param, arrays in theirs.states.items():
        for array, value in arrays.items():
            np.testing.assert_allclose(ours.states[param][array], value, rtol=3e-7, atol=1e-9)


WIDE = {"exp_avg": "float32", "exp_avg_sq": "float32"}
HALVES = {
    "float16": case(rows([0, 2, 0], dtype="float16"), rows([3], dtype="float16"), params=[table(dtype="float16")]),
    "wide-moments": case(rows([0, 2, 0], dtype="float16"), params=[table(dtype="float16", dtypes=WIDE)]),
    "wide-gradients": case(rows([0, 2, 0]), params=[table(dtype="float16", dtypes=WIDE)]),
    "narrow-gradients": case(rows([0, 2, 0], dtype="bfloat16"), params=[table()]),
    "master": case(*[rows([0, 2], dtype="bfloat16")] * 3, params=[table(dtype="bfloat16", dtypes={**WIDE, "master": "float32"})]),
}


@pytest.mark.parametrize("name", HALVES)
@pytest.mark.sampled(3)
def test_half_precision_is_within_the_bound_in_the_tightest_class(name: str) -> None:
    made = HALVES[name]
    run = factory().start(made)
    for step in made.steps:
        run.step(step)
    for array, expected in expectations(made)["w"].items():
        got = run.state()["w"][array]
        assert got.dtype == made.params[0].dtype_of(array)
        assert (
            ratios(
                got[None],
                replace(expected, value=expected.value[-1:], bound={"exact-ieee": expected.bound["exact-ieee"][-1:]}),
                "exact-ieee",
            ).max()
            <= 1
        )


@pytest.mark.parametrize(
    ("param", "message"),
    [
        (table(dtypes={"exp_avg": "float64"}), "compute in float64 or in float32, and 'w' has float32, float64"),
        (table(dtypes={"exp_avg_sq": "bfloat16"}), "v and its maximum in one format"),
    ],
)
def test_formats_that_the_kernels_do_not_compute_together_are_outside_the_claim(param: Any, message: str) -> None:
    gradient = np.ones((4, 3), np.float32)
    with pytest.raises(Unsupported, match=message):
        factory().start(case(gradient, params=[param], groups=({"amsgrad": True},), name="torch.Adam"))


def test_every_dialect_is_claimed_in_the_formats_that_it_has() -> None:
    claimed = {name: claim.dtypes for name, claim in factory().dialects.items()}
    assert claimed.keys() == {name for name, table in dialects().items() if computes(table.picks)}
    assert dialects().keys() - claimed.keys() == {"torch.NAdam", "torch.RAdam", "torch.Adamax"}
    assert claimed["torch.SparseAdam"] == ("float32", "float64", "float16", "bfloat16")
    assert claimed[LAZY] == ("float32",)


@pytest.mark.parametrize(
    ("gradients", "hyper", "error", "message"),
    [
        ({"w": rows([0]), "b": np.zeros((4, 3), np.float32)}, {}, InvalidGradient, "SparseAdam does not support dense gradients"),
        ({"w": rows([0]), "b": rows([4])}, {}, InvalidGradient, "gradient of 'b': indices\\[0\\] = 4"),
        ({"w": rows([0]), "b": rows([0], shape=(5, 3))}, {}, InvalidGradient, "for a table of shape"),
        ({"w": rows([0]), "u": rows([0])}, {}, InvalidGradient, "gradient of 'u': no such parameter"),
        ({"w": rows([0]), "b": rows([0])}, {"lr": 0.0}, InvalidHyper, "Invalid learning rate"),
    ],
)
def test_a_refused_step_leaves_everything_as_it_was_and_counts_for_nothing(
    gradients: dict[str, Any], hyper: dict[str, Any], error: type[BaseException], message: str
) -> None:
    good = Step({"w": rows([0]), "b": rows([0])}, ({},))
    run, other = (factory().start(case(*[good.gradients] * 2, params=[table(), table("b")])) for _ in range(2))
    run.step(good)
    with pytest.raises(error, match=message):
        run.step(Step(gradients, (hyper,)))
    run.step(good)
    other.step(good)
    other.step(good)
    for name, arrays in other.state().items():
        for array, value in arrays.items():
            np.testing.assert_array_equal(run.state()[name][array], value)


def test_a_hyper_parameter_that_the_dialect_refuses_is_refused_at_the_start() -> None:
    with pytest.raises(InvalidHyper, match="Invalid learning rate: -1"):
        factory().start(case(rows([0]), groups=({"lr": -1.0},)))
