"""Gradients of several ranks: what the reference makes of them, and that every way to reduce them stays inside the bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refimpl.arithmetic import CLASSES, Float
from refimpl.case import REDUCTIONS, Case, Group, Param, Step, ratios
from refimpl.dialects import Deviation, deviations, dialect
from refimpl.dialects.stages import Reduction
from refimpl.errors import InvalidGradient
from refimpl.gradients import RowGradient, gathered
from refimpl.oracle import expectations
from refimpl.oracle.bound_usage import admissible_forms, computations, margins
from refimpl.oracle.tightness import usage
from refimpl.reference import ONE, trajectory
from refimpl.reference._ranks import NAMED
from refimpl.reference.forms import Averaging

SPARSE, DENSE = "torch.SparseAdam", "torch.Adam"


def rows(indices: Sequence[int], values: Sequence[float] = (), width: int = 2, table: int = 5) -> RowGradient:
    column = np.array(values or [1.0] * len(indices), np.float32)[:, None]
    return RowGradient(np.array(indices, np.int64), column * np.ones((1, width), np.float32), (table, width))


def case(name: str, calls: Sequence[Sequence[Any]], reduction: str = "mean", shape: tuple[int, ...] = (5, 2)) -> Case:
    """A case of one parameter w. calls: per call the gradient of each rank."""
    steps = tuple(Step.of_ranks([{"w": gradient} for gradient in call]) for call in calls)
    start = Param("w", np.linspace(0.5, 1.5, int(np.prod(shape)), dtype=np.float32).reshape(shape))
    hyper = {**dialect(name).defaults(), "lr": 0.01}
    record = tuple(range(1, len(steps) + 1))
    return Case(f"{name}/ranks/made", "made", name, (start,), (Group(hyper),), steps, record, reduction=reduction)


def first_moment(made: Case, deviating: tuple[Deviation, ...] = ()) -> np.ndarray:
    """m / (1 - b1) after the first step: the reduced gradient."""
    states = next(trajectory(made, Float("float64"), dialect(made.dialect), deviating))
    return np.asarray(states["w"].m[:, 0]) / (1 - 0.9)


def test_ddp_sums_within_a_rank_and_averages_over_ranks() -> None:
    made = case(SPARSE, [[rows([1, 1, 2]), rows([1, 3])]])
    assert np.allclose(first_moment(made), [0, 1.5, 0.5, 0.5, 0])  # measured: torch 2.13.0, DDP over gloo


@pytest.mark.parametrize(
    ("reduction", "row_1", "row_2"), [("mean", 1.0, 1 / 3), ("sum", 3.0, 1.0), ("occurrences", 1.0, 1.0)], ids=list(REDUCTIONS)
)
def test_an_idle_rank_is_counted_by_the_mean_alone(reduction: str, row_1: float, row_2: float) -> None:
    made = case(SPARSE, [[rows([1, 1, 2]), rows([1, 3]), None]], reduction)
    assert np.allclose(first_moment(made)[1:3], [row_1, row_2])


def test_of_dense_gradients_the_occurrences_are_the_ranks_that_give_one() -> None:
    ones = np.ones((5, 2), np.float32)
    calls = [[ones, 2 * ones, None]]
    assert np.allclose(first_moment(case(DENSE, calls)), 1.0)
    assert np.allclose(first_moment(case(DENSE, calls, "occurrences")), 1.5)


MISTAKES: dict[str, list[float]] = {
    "ranks-summed": [0, 3, 1, 1, 0],
    "ranks-averaged": [0, 1, 1 / 3, 1 / 3, 0],
    "ranks-averaged-twice": [0, 1 / 3, 1 / 9, 1 / 9, 0],
    "ranks-averaged-by-occurrences": [0, 1, 1, 1, 0],
    "ranks-averaged-by-holders": [0, 1.5, 1, 1, 0],
    "ranks-idle-not-counted": [0, 1.5, 0.5, 0.5, 0],
    "ranks-world-of-first-step": [0, 1, 1 / 3, 1 / 3, 0],
    "ranks-averaged-in-first-parameter": [0, 1, 1 / 3, 1 / 3, 0],
    "ranks-first-alone": [0, 2, 1, 0, 0],
    "ranks-last-wins": [0, 1 / 3, 1 / 3, 1 / 3, 0],
}


@pytest.mark.parametrize("id", list(MISTAKES))
def test_each_mistake_reduces_as_it_says(id: str) -> None:
    made = case(SPARSE, [[rows([1, 1, 2]), rows([1, 3]), None]])
    assert np.allclose(first_moment(made, (deviations()[id],)), MISTAKES[id])


def test_every_alternative_but_the_right_ones_is_a_mistake_of_the_table() -> None:
    picked = {deviation.picks["reduction"] for deviation in deviations().values() if "reduction" in deviation.picks}
    assert picked == set(Reduction) - {Reduction.AS_GIVEN}
    assert NAMED.keys() == REDUCTIONS.keys()
    assert {id for id, deviation in deviations().items() if "reduction" in deviation.picks} == MISTAKES.keys()


def test_the_world_of_the_first_step_is_that_of_the_case() -> None:
    made = case(SPARSE, [[rows([1]), rows([1])], [rows([1]), rows([1]), rows([1]), rows([1])]])
    *_, last = trajectory(made, Float("float64"), dialect(SPARSE), (deviations()["ranks-world-of-first-step"],))
    assert np.allclose(last["w"].m[1, 0], 0.9 * 0.1 + 0.1 * 2)


def test_only_the_first_parameter_is_averaged_by_the_mistake_of_that_name() -> None:
    gradients = [{"a": rows([1]), "b": rows([1])}, {"a": rows([1]), "b": rows([1])}]
    params = tuple(Param(name, np.ones((5, 2), np.float32)) for name in "ab")
    made = replace(case(SPARSE, [[rows([1])]]), params=params, steps=(Step.of_ranks(gradients),))
    states = next(trajectory(made, Float("float64"), dialect(SPARSE), (deviations()["ranks-averaged-in-first-parameter"],)))
    assert np.allclose([states["a"].m[1, 0], states["b"].m[1, 0]], [0.1, 0.2])


def test_a_first_rank_without_a_dense_gradient_leaves_zeros_where_it_stands_alone() -> None:
    made = case(DENSE, [[None, np.ones((5, 2), np.float32)]])
    assert np.array_equal(first_moment(made, (deviations()["ranks-first-alone"],)), np.zeros(5))


def test_what_ranks_bring_together_follows_rank_after_rank() -> None:
    from scipy.sparse import coo_array

    together = gathered([{"w": rows([1, 1])}, {"w": None}, {"w": rows([3])}])["w"]
    assert isinstance(together, RowGradient)
    assert together.indices.tolist() == [1, 1, 3]
    ones: Any = coo_array((np.ones(1, np.float32), ([0], [1])), shape=(5, 2))
    elements: Any = gathered([{"w": ones}, {"w": ones}])["w"]
    assert (elements.data.tolist(), elements.coords[1].tolist()) == ([1, 1], [1, 1])
    dense: Any = gathered([{"w": np.ones((2, 2))}, {"w": np.ones((2, 2))}])["w"]
    assert np.array_equal(dense, np.full((2, 2), 2.0))
    assert gathered([{"w": None}, {"w": None}]) == {"w": None}


@pytest.mark.parametrize(
    "other",
    [np.ones((5, 2), np.float32), rows([1], width=3), rows([1], table=6), RowGradient(np.array([1]), np.ones((1, 2)), (5, 2))],
    ids=["form", "width", "table", "dtype"],
)
def test_gradients_that_do_not_fit_together_are_refused(other: Any) -> None:
    with pytest.raises(InvalidGradient, match="'w' differ between ranks"):
        Step.of_ranks([{"w": rows([1])}, {"w": other}])


NUMBERS = st.floats(-1e3, 1e3, width=32).filter(lambda x: x == 0 or abs(x) > 1e-6)


@st.composite
def made_cases(draw: st.DrawFn) -> Case:
    """One to four ranks, idle and empty ones among them, of gradients by rows or dense ones; some rank has one at every step."""
    name = draw(st.sampled_from([SPARSE, DENSE]))
    world = draw(st.integers(1, 4))

    def gradient(idle: bool) -> Any:
        if idle:
            return None
        if name == DENSE:
            return np.array(draw(st.lists(NUMBERS, min_size=6, max_size=6)), np.float32).reshape(3, 2)
        stored = draw(st.lists(st.tuples(st.integers(0, 2), NUMBERS), max_size=6))
        return rows([row for row, _ in stored], [value for _, value in stored], table=3)

    calls = []
    for _ in range(draw(st.integers(1, 3))):
        idle = draw(st.lists(st.booleans(), min_size=world, max_size=world).filter(lambda flags: not all(flags)))
        calls.append([gradient(is_idle) for is_idle in idle])
    return case(name, calls, draw(st.sampled_from(list(REDUCTIONS))), (3, 2))


@settings(max_examples=10, deadline=None)
@given(made_cases(), st.integers(0, 2**32 - 1))
def test_every_admissible_computation_stays_inside_the_bound(made: Case, seed: int) -> None:
    for margin in margins(made, list(computations(made, np.random.default_rng(seed)))):
        assert margin.ratio <= 1, margin


@settings(max_examples=4, deadline=None)
@given(made_cases(), st.sampled_from(CLASSES), st.integers(0, 2**32 - 1))
def test_an_adversary_that_pushes_every_rounding_stays_inside_the_bound(made: Case, numerics_class: str, seed: int) -> None:
    worst = usage(made, expectations(made), numerics_class, np.random.default_rng(seed))
    assert max(worst.values(), default=0) <= 1, worst


def test_a_mean_over_three_ranks_has_every_form_of_it_and_one_rank_less() -> None:
    made = case(DENSE, [[np.ones((5, 2), np.float32)] * 3])
    assert {forms.averaging for forms in admissible_forms(made)} == {(form,) for form in Averaging if form is not Averaging.RUNNING}
    plain = replace(made, steps=(Step({"w": np.ones((5, 2), np.float32)}),))
    assert {forms.averaging for forms in admissible_forms(plain)} == {ONE.averaging}


@settings(max_examples=20, deadline=None)
@given(made_cases(), st.randoms(use_true_random=False))
def test_a_reduction_in_float32_by_any_tree_of_sums_stays_inside_the_bound(made: Case, random: Any) -> None:
    """Written apart from the reference: partial sums in any order, a division or a product with 1/W at any level."""
    made = replace(made, reduction="mean", steps=made.steps[:1], record=(1,))
    step, world = made.steps[0], np.float32(len(made.steps[0].ranks))
    parts: dict[int, list[np.ndarray]] = {}
    for gradients in step.ranks:
        gradient = gradients["w"]
        if gradient is not None:
            pairs = zip(gradient.indices, gradient.values) if isinstance(gradient, RowGradient) else enumerate(gradient)
            for row, value in pairs:
                parts.setdefault(int(row), []).append(value)
    way = random.choice(["divide first", "multiply first", "divide last", "multiply last"])

    def scale(g: np.ndarray) -> np.ndarray:
        return np.asarray(g / world if way.startswith("divide") else g * (np.float32(1) / world))

    m = np.zeros((3, 2), np.float32)
    for row, values in parts.items():
        left = [scale(value) for value in values] if "first" in way else list(values)
        while len(left) > 1:
            random.shuffle(left)
            left.append(left.pop() + left.pop())
        m[row] = (left[0] if "first" in way else scale(left[0])) * np.float32(1 - 0.9)
    expected = expectations(made)["w"]["exp_avg"]
    assert ratios(m[None], expected, "exact-ieee").max() <= 1


@pytest.mark.parametrize("world", [1, 2, 3])
def test_one_batch_gives_the_same_sum_on_any_number_of_ranks(world: int) -> None:
    batch = [([1, 3], [0.5, -2.0]), ([1, 0], [1.25, 3.0]), ([3, 3], [0.125, 1.0])]
    shares = [batch[rank::world] for rank in range(world)]
    call = [rows([row for stored, _ in share for row in stored], [x for _, values in share for x in values]) for share in shares]
    assert np.allclose(first_moment(case(SPARSE, [call], "sum")), [3.0, 1.75, 0, -0.875, 0])
