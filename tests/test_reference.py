"""The reference against plain NumPy twins, and the properties that follow from its definition."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from refimpl.arithmetic import Bounded, Float
from refimpl.arithmetic.balls import Ball, midpoint, radius
from refimpl.case import Case, Group, Param, Step
from refimpl.cases.build import CaseBuilder
from refimpl.cases.random_cases import Size, random_case
from refimpl.dialects import dialect, dialects
from refimpl.errors import HarnessError, InvalidGradient
from refimpl.gradients import RowGradient
from refimpl.reference import ALL, each, scheduled, trajectory
from refimpl.reference.forms import CHANGE, MEAN, SHRINK, SQUARE, Mean, Scale, Shrink, Square, Unscaling, admissible
from refimpl.reference.gradient import UNSCALE

NAMES = list(dialects())
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def start(case: Case) -> Arrays:
    param = case.params[0]
    p = param.value.astype(np.float64)
    m = np.zeros_like(p) if param.exp_avg is None else param.exp_avg.astype(np.float64)
    v = np.zeros_like(p) if param.exp_avg_sq is None else param.exp_avg_sq.astype(np.float64)
    return p, m, v


def stored(gradient: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Duplicates summed into a dense array, and which elements are stored."""
    total, touched = np.zeros(shape), np.zeros(shape, bool)
    if isinstance(gradient, RowGradient):
        np.add.at(total, gradient.indices, gradient.values.astype(np.float64))
        touched[gradient.indices] = True
    elif isinstance(gradient, np.ndarray):
        total, touched = gradient.astype(np.float64), np.ones(shape, bool)
    else:
        np.add.at(total, gradient.coords, gradient.data.astype(np.float64))
        touched[gradient.coords] = True
    return total, touched


def sparse_adam(case: Case) -> Iterator[Arrays]:
    p, m, v = start(case)
    for t, (step, (h,)) in enumerate(zip(case.steps, scheduled(case)), start=case.params[0].step + 1):
        b1, b2 = h["betas"]
        g, touched = stored(step.gradients["w"], p.shape)
        g = -g if h["maximize"] else g
        m = np.where(touched, b1 * m + (1 - b1) * g, m)
        v = np.where(touched, b2 * v + (1 - b2) * g**2, v)
        step_size = h["lr"] * np.sqrt(1 - b2**t) / (1 - b1**t)
        p = np.where(touched, p - step_size * m / (np.sqrt(v) + h["eps"]), p)
        yield p, m, v


def decayed(p: np.ndarray, g: np.ndarray, h: Any, always: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """p and g after the decay: p shrunk where it is decoupled, g enlarged where it is coupled."""
    if always or h.get("decoupled_weight_decay"):
        return p - h["lr"] * h["weight_decay"] * p, g
    return p, g + h["weight_decay"] * p


def nadam(case: Case) -> Iterator[Arrays]:
    p, m, v = start(case)
    hypers = [h for (h,) in scheduled(case)]

    def mu(h: Any, t: int) -> float:
        return float(h["betas"][0] * (1 - 0.5 * 0.96 ** (t * h["momentum_decay"])))

    product = float(np.prod([mu(hypers[0], k) for k in range(1, case.params[0].step + 1)]))
    for t, (step, h) in enumerate(zip(case.steps, hypers), start=case.params[0].step + 1):
        b1, b2 = h["betas"]
        p, g = decayed(p, step.gradients["w"].astype(np.float64) * (-1 if h["maximize"] else 1), h)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        product *= mu(h, t)
        look_ahead = mu(h, t + 1) * m / (1 - product * mu(h, t + 1)) + (1 - mu(h, t)) * g / (1 - product)
        p = p - h["lr"] * look_ahead / (np.sqrt(v / (1 - b2**t)) + h["eps"])
        yield p, m, v


def radam(case: Case) -> Iterator[Arrays]:
    p, m, v = start(case)
    for t, (step, (h,)) in enumerate(zip(case.steps, scheduled(case)), start=case.params[0].step + 1):
        b1, b2 = h["betas"]
        p, g = decayed(p, step.gradients["w"].astype(np.float64) * (-1 if h["maximize"] else 1), h)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1**t)
        rho_inf = 2 / (1 - b2) - 1
        rho = rho_inf - 2 * t * b2**t / (1 - b2**t)
        if rho > 5:
            r = np.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
            p = p - h["lr"] * m_hat * r * np.sqrt(1 - b2**t) / (np.sqrt(v) + h["eps"])
        else:
            p = p - h["lr"] * m_hat
        yield p, m, v


def adamax(case: Case) -> Iterator[Arrays]:
    p, m, u = start(case)
    for t, (step, (h,)) in enumerate(zip(case.steps, scheduled(case)), start=case.params[0].step + 1):
        b1, b2 = h["betas"]
        p, g = decayed(p, step.gradients["w"].astype(np.float64) * (-1 if h["maximize"] else 1), h)
        m = b1 * m + (1 - b1) * g
        u = np.maximum(b2 * u, np.abs(g) + h["eps"])
        p = p - h["lr"] / (1 - b1**t) * m / u
        yield p, m, u


def adam(case: Case) -> Iterator[Arrays]:
    p, m, v = start(case)
    largest = np.zeros_like(v)
    for t, (step, (h,)) in enumerate(zip(case.steps, scheduled(case)), start=case.params[0].step + 1):
        b1, b2 = h["betas"]
        g = step.gradients["w"].astype(np.float64) * (-1 if h["maximize"] else 1)
        p, g = decayed(p, g, h, always=case.dialect == "torch.AdamW")
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        largest = np.maximum(largest, v)
        used = largest if h["amsgrad"] else v
        p = p - h["lr"] * (m / (1 - b1**t)) / (np.sqrt(used / (1 - b2**t)) + h["eps"])
        yield p, m, v


def mindspore_gradient(h: Any, gradient: Any, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and their gradients, one per occurrence: decayed, unscaled, centralized."""
    is_dense = isinstance(gradient, np.ndarray)
    rows = np.arange(len(p)) if is_dense else gradient.indices
    values = (gradient if is_dense else gradient.values).astype(np.float64)
    g = (values + h["weight_decay"] * h["loss_scale"] * p[rows]) / h["loss_scale"]
    if h["grad_centralization"] and p.shape[1] % 16 == 0:
        g = g - g.mean(axis=1, keepdims=True)
    return rows, g


def mindspore(case: Case, as_dense: bool = False, from_old_state: bool = False) -> Iterator[Arrays]:
    p, m, v = start(case)
    largest = np.zeros_like(v)
    for t, (step, (h,)) in enumerate(zip(case.steps, scheduled(case)), start=case.params[0].step + 1):
        b1, b2 = h["beta1"], h["beta2"]
        step_size = h["learning_rate"] * np.sqrt(1 - b2**t) / (1 - b1**t)
        rows, g = mindspore_gradient(h, step.gradients["w"], p)
        if not from_old_state:
            total = np.zeros_like(p)
            np.add.at(total, rows, g)
            rows = np.arange(len(p)) if as_dense else np.unique(rows)
            g = total[rows]
        old_m, old_v = m.copy(), v.copy()
        for k, row in enumerate(rows):
            m[row] = b1 * old_m[row] + (1 - b1) * g[k]
            v[row] = b2 * old_v[row] + (1 - b2) * g[k] ** 2
            largest[row] = np.maximum(largest[row], v[row])
            used = largest[row] if h.get("use_amsgrad") else v[row]
            d = b1 * m[row] + (1 - b1) * g[k] if h["use_nesterov"] else m[row]
            p[row] = p[row] - step_size * d / (np.sqrt(used) + h["eps"])
        yield p.copy(), m.copy(), v.copy()


TWINS: dict[str, Callable[[Case], Iterator[Arrays]]] = {
    "torch.SparseAdam": sparse_adam,
    "torch.Adam": adam,
    "torch.AdamW": adam,
    "torch.NAdam": nadam,
    "torch.RAdam": radam,
    "torch.Adamax": adamax,
    "mindspore.LazyAdam": mindspore,
    "mindspore.LazyAdam.default-target": lambda case: mindspore(
        case, from_old_state=not isinstance(case.steps[0].gradients["w"], np.ndarray)
    ),
    "mindspore.Adam": lambda case: mindspore(case, as_dense=True),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.sampled(6)
def test_a_plain_numpy_twin_in_double_lies_within_the_bound_of_double(name: str, seed: int) -> None:
    case = random_case(np.random.default_rng([7, seed]), name, Size(6, 16, 4), "float32")
    states = trajectory(case, Bounded("float64"), dialect(name), (), ALL)
    compared = 0
    for twin, state in zip(TWINS[name](case), states, strict=True):
        for got, bound in zip(twin, (state["w"].p, state["w"].m, state["w"].v)):
            bounded = np.isfinite(bound.e[0]) & np.isfinite(bound.x)
            compared += int(bounded.sum())
            assert (np.abs(got.reshape(bound.shape) - bound.x) <= 2 * bound.e[0])[bounded].all()
    assert compared > 0.9 * 3 * 4 * 6 * 16


@pytest.mark.parametrize("name", NAMES)
def test_all_formulations_of_a_dialect_are_the_same_real_number(name: str) -> None:
    for seed in range(8):
        case = random_case(np.random.default_rng([11, seed]), name, Size(3, 16, 3))
        states = [state["w"].p for state in trajectory(case, Ball(), dialect(name), (), ALL)]  # raises where they differ
        assert len(states) == 3


WRONG: list[tuple[str, Any, Any, Any]] = [
    ("a square that is not squared", SQUARE, Square.WEIGHTED_ONCE, lambda a, v, g, b, rest: v * b + g * rest),
    ("a lerp from the wrong end", MEAN, Mean.LERP, lambda a, old, new, b, rest: a.lerp(new, old, rest)),
    (
        "an eps that is scaled",
        CHANGE[dialect("torch.SparseAdam").picks.eps],
        Scale.LATE,
        lambda a, d, v, s: d / (a.sqrt(v) + s.eps_over_root2) * s.hat_step,
    ),
]


@pytest.mark.parametrize(("formulas", "form", "wrong"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_wrong_formulation_is_caught(formulas: Any, form: Any, wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(formulas, form, wrong)
    with pytest.raises(HarnessError, match="two formulations are not the same real number"):
        list(trajectory(shared_case("torch.SparseAdam", sparse=True), Ball(), dialect("torch.SparseAdam"), (), ALL))


def shared_case(name: str, sparse: bool) -> Case:
    """The same numbers for every dialect: duplicates, untouched rows, a resumed state, small gradients relative to eps."""
    rng = np.random.default_rng(3)
    shape = (4, 2)
    indices, values = np.array([2, 0, 2]), rng.normal(size=(3, 2)).astype(np.float32) * 1e-3
    gradient = RowGradient(indices, values, shape) if sparse else rng.normal(size=shape).astype(np.float32) * 1e-3
    m, v = rng.normal(size=shape).astype(np.float32) * 1e-3, rng.random(shape).astype(np.float32) * 1e-6
    param = Param("w", rng.normal(size=shape).astype(np.float32), exp_avg=m, exp_avg_sq=v, step=3)
    hyper = CaseBuilder(dialect(name), "x").hyper(lr=0.1, eps=1e-4)
    return Case(f"{name}/x/y", "", name, (param,), (Group(hyper),), (Step({"w": gradient}),) * 3, (1, 2, 3))


PAIRS = [
    ("torch.SparseAdam", "mindspore.LazyAdam", True, False),
    ("torch.SparseAdam", "mindspore.LazyAdam.default-target", True, True),
    ("mindspore.LazyAdam", "mindspore.LazyAdam.default-target", True, True),
    ("mindspore.LazyAdam", "mindspore.Adam", True, True),
    ("mindspore.LazyAdam", "mindspore.Adam", False, False),
    ("torch.Adam", "mindspore.Adam", False, True),
    ("torch.Adam", "mindspore.LazyAdam.default-target", False, True),
]


@pytest.mark.parametrize(("first", "second", "sparse", "differ"), PAIRS)
def test_two_dialects_separate_where_they_differ_and_nowhere_else(first: str, second: str, sparse: bool, differ: bool) -> None:
    ends = []
    for name in (first, second):
        *_, last = trajectory(shared_case(name, sparse), Ball(), dialect(name), (), ALL)
        ends.append(last["w"].p)
    apart = np.abs(midpoint(ends[0] - ends[1])) > radius(ends[0] - ends[1])
    assert apart.any() == differ


def test_each_names_one_form_per_table_and_every_combination_once() -> None:
    every = list(each(0.5, 0.5))
    assert len(set(every)) == len(every) == len(Mean) * len(Square) * len(Scale) * len(Unscaling) * len(Shrink)
    assert all(len(forms) == 1 for choice in every for forms in vars(choice).values())


@pytest.mark.parametrize(("beta1", "beta2", "means", "squares"), [(0.5, 0.5, 5, 6), (0.9, 0.5, 3, 6), (0.5, 0.999, 3, 4), (1.0, 1.0, 3, 4)])
def test_averages_from_the_new_value_are_admissible_for_small_betas_only(beta1: float, beta2: float, means: int, squares: int) -> None:
    every = list(each(beta1, beta2))
    assert len({choice.mean for choice in every}) == means
    assert len({choice.square for choice in every}) == squares
    assert len(admissible(tuple(Square), beta2)) == squares


def test_every_form_has_a_formula() -> None:
    assert set(MEAN) == set(Mean)
    assert set(SQUARE) == set(Square)
    assert set(SHRINK) == set(Shrink) - {Shrink.WITH_CHANGE}  # which the update takes in, as it does the forms of Move
    assert all(set(formulas) == set(Unscaling) for formulas in UNSCALE.values())
    assert all(formulas and set(formulas) <= set(Scale) for formulas in CHANGE.values())


def plain(shape: tuple[int, ...], gradients: list[Any], groups: int = 1, changes: Any = None) -> Case:
    hyper = dialect("torch.SparseAdam").defaults()
    steps = tuple(Step({"w": gradient}, (changes or {}).get(t, ())) for t, gradient in enumerate(gradients, start=1))
    return Case("a/b/c", "", "torch.SparseAdam", (Param("w", np.ones(shape, np.float32)),), (Group(hyper),) * groups, steps, ())


@pytest.mark.parametrize("shape", [(3,), (3, 2), (3, 2, 2)])
def test_only_stored_rows_move_in_a_parameter_of_any_shape(shape: tuple[int, ...]) -> None:
    gradient = RowGradient(np.array([2]), np.ones((1, *shape[1:]), np.float32), shape)
    (state,) = trajectory(plain(shape, [gradient]), Float("float32"), dialect("torch.SparseAdam"))
    assert state["w"].p.shape == (3, int(np.prod(shape[1:], dtype=int)))
    assert (state["w"].p[:2] == 1).all()
    assert (state["w"].p[2] < 1).all()


def test_the_arrays_of_a_case_are_not_changed() -> None:
    gradient = RowGradient(np.array([1, 1]), np.ones((2, 2), np.float32), (3, 2))
    case = plain((3, 2), [gradient, gradient])
    for arithmetic in (Float("float32"), Bounded("float32"), Ball()):
        list(trajectory(case, arithmetic, dialect("torch.SparseAdam"), (), ALL if not isinstance(arithmetic, Float) else next(each())))
    assert (case.params[0].value == 1).all()
    assert (gradient.values == 1).all()
    assert gradient.indices.tolist() == [1, 1]


def test_a_parameter_without_a_gradient_stays_unchanged() -> None:
    states = list(trajectory(plain((2, 2), [None, None]), Float("float32"), dialect("torch.SparseAdam")))
    assert len(states) == 2
    assert (states[-1]["w"].p == 1).all()


def test_a_schedule_changes_what_follows_and_keeps_the_rest() -> None:
    case = plain((2, 2), [None] * 4, changes={2: ({"lr": 0.5},), 4: ({"eps": 1.0},)})
    known = [of_groups[0] for of_groups in scheduled(case)]
    assert [hyper["lr"] for hyper in known] == [0.001, 0.5, 0.5, 0.5]
    assert [hyper["eps"] for hyper in known] == [1e-8, 1e-8, 1e-8, 1.0]
    assert case.groups[0].hyper["lr"] == 0.001


def test_rows_and_elements_of_one_parameter_agree_on_the_same_numbers() -> None:
    values = np.array([[0.5, -2.0]], np.float32)
    rows = RowGradient(np.array([1]), values, (3, 2))
    elements = rows.to_coo()
    mixed, plain_rows = plain((3, 2), [rows, elements]), plain((3, 2), [rows, rows])
    (*_, mixed_state), (*_, rows_state) = (trajectory(case, Float("float32"), dialect("torch.SparseAdam")) for case in (mixed, plain_rows))
    assert mixed_state["w"].p.ravel().tolist() == rows_state["w"].p.ravel().tolist()


def test_a_row_outside_the_table_stops_the_trajectory_at_its_step() -> None:
    good, bad = (RowGradient(np.array([row]), np.ones((1, 2), np.float32), (3, 2)) for row in (1, 3))
    states = trajectory(plain((3, 2), [good, bad]), Float("float32"), dialect("torch.SparseAdam"))
    next(states)
    with pytest.raises(InvalidGradient, match="outside the table of 3 rows"):
        next(states)


def test_beta_powers_advance_step_by_step() -> None:
    gradient = RowGradient(np.array([0]), np.ones((1, 1), np.float32), (1, 1))
    case = plain((1, 1), [gradient] * 5)
    ends = [float(state["w"].p[0, 0]) for state in trajectory(case, Float("float64"), dialect("torch.SparseAdam"))]
    lengths = [a - b for a, b in pairwise([1.0, *ends])]
    assert lengths == pytest.approx([0.001] * 5, rel=1e-6)  # constant gradients: bias correction makes every step as long as lr
