"""The kernel clears nothing that the proof would not pass, and clears what PyTorch-like arithmetic computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refimpl.arithmetic import CLASSES, FORMATS, Bounded, Float, numpy_dtype
from refimpl.case import ARRAYS, Case, Group, Param, Step, ratios
from refimpl.dialects import dialect
from refimpl.gradients import Array
from refimpl.oracle import expectations
from refimpl.reference import FIELDS, ByFormat, trajectory
from refimpl.watch._judge import judge_call
from refimpl.watch._kernel import MARGIN, ratios_of
from refimpl.watch._least import DIALECTS, MET, plan_of
from refimpl.watch._step import Sample, Watched, case_of

SETTINGS: dict[str, list[dict[str, Any]]] = {
    "torch.Adam": [{}, {"weight_decay": 0.1}, {"amsgrad": True, "maximize": True}, {"decoupled_weight_decay": True, "weight_decay": 0.3}],
    "torch.AdamW": [{}, {"lr": 0.5, "betas": (0.5, 0.75)}, {"amsgrad": True, "lr": 0.0}],
    "torch.NAdam": [{}, {"weight_decay": 0.1, "decoupled_weight_decay": True}, {"betas": (0.0, 0.9)}],
    "torch.RAdam": [{}, {"betas": (0.3, 0.6)}],
    "torch.Adamax": [{}, {"eps": 0.0}],
    "torch.SparseAdam": [{}, {"betas": (0.9, 0.99), "eps": 1e-3}],
    "optax.adam": [{}, {"b1": 0.5, "eps": 1e-3}, {"eps_root": 1e-8}, {"nesterov": True}],
    "optax.adamw": [{}, {"weight_decay": 0.3, "learning_rate": 0.5}],
    "keras.Adam": [{}, {"weight_decay": 0.1}, {"amsgrad": True}],
    "keras.AdamW": [{}, {"beta_1": 0.5, "beta_2": 0.75, "amsgrad": True}],
}
assert SETTINGS.keys() == set(DIALECTS)

FACTORS = (0.0, 0.3, 0.49, 0.5, 0.7, 0.99, 0.999, 1.0, 1.001, 1.05, 2.0)
SIZES = (0.0, 1.0, 1e-3, 1e-8, 1e-22, 1e-30, 1e8, 1e18, 1e30)


@st.composite
def calls(draw: st.DrawFn) -> tuple[Case, np.random.Generator]:
    """A step from a state of any size, in any format: half of the elements of one size each, some zero, others at random."""
    name = draw(st.sampled_from(list(DIALECTS)))
    dtype = draw(st.sampled_from(["float32", "float32", "bfloat16", "float16"]))
    hyper = {**dialect(name).defaults(), **draw(st.sampled_from(SETTINGS[name]))}
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = 24

    def values(scale: float) -> Array:
        with np.errstate(over="ignore", under="ignore"):
            made = (random.normal(size=n) * random.choice(SIZES if scale else SIZES[:4], n)).astype(numpy_dtype(dtype))
        finite: Array = np.where(np.isfinite(made.astype(np.float64)), made, made.dtype.type(1))
        return finite

    size = draw(st.sampled_from([0.0, 1.0]))
    first = draw(st.booleans())
    moments: dict[str, Any] = {}
    if not first:
        moments = {"exp_avg": values(size), "exp_avg_sq": np.abs(values(size)), "step": draw(st.integers(1, 10_000))}
        if hyper.get("amsgrad"):
            moments["max_exp_avg_sq"] = np.abs(values(size))
    param = Param("w", values(size), **moments)
    case = Case(f"{name}/watch/a", "", name, (param,), (Group(hyper),), (Step({"w": _gradient(name, values(size), n)}),), (1,))
    return case, random


def _gradient(name: str, values: Array, n: int) -> Any:
    from refimpl import RowGradient

    return RowGradient(np.arange(n), values, (n,)) if name == "torch.SparseAdam" else values


def watched_of(case: Case, after: dict[str, Array]) -> Watched:
    param = case.params[0]
    before = {array: getattr(param, "value" if array == "param" else array) for array in ARRAYS}
    gradient = case.steps[0].gradients["w"]
    values: Any = getattr(gradient, "values", gradient)
    n = len(param.value)
    return Watched(
        number=1,
        dialect=case.dialect,
        settings=tuple(group.hyper for group in case.groups),
        samples=(
            Sample(
                "w", 0, {array: kept[:, None] for array, kept in before.items() if kept is not None},
                {array: kept[:, None] for array, kept in after.items()}, values[:, None], np.arange(n), np.arange(n), n, n, n,
                (param.step, param.step + 1), dense=case.dialect != "torch.SparseAdam",
            ),
        ),
    )  # fmt: skip


def computed(case: Case) -> dict[str, Array]:
    """The step in the format of the case, as a learner would write it."""
    (states,) = trajectory(case, ByFormat(Float), dialect(case.dialect))
    kept = ARRAYS if case.groups[0].hyper.get("amsgrad") else ARRAYS[:3]
    return {array: np.array(getattr(states["w"], FIELDS[array])).reshape(case.params[0].value.shape) for array in kept}


@given(calls(), st.sampled_from(CLASSES[2:]))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_the_kernel_clears_the_proof_passes(call: tuple[Case, np.random.Generator], required: str) -> None:
    case, random = call
    expected = expectations(case)["w"]
    after = {}
    for array, exact in expected.items():  # numbers on both sides of the bound, and far less than it beyond
        bound = exact.bound[required][0].astype(np.float64)
        factor = random.choice([0.0, 0.3, 0.49, 0.5, 0.7, 0.99, 0.999, 1.0, 1.001, 1.05, 2.0], len(bound)) * random.choice(
            [-1, 1], len(bound)
        )
        with np.errstate(all="ignore"):
            after[array] = np.nan_to_num((exact.value[0] + factor * bound).astype(case.params[0].value.dtype))
    watched = watched_of(case, after)
    outside = np.zeros(len(case.params[0].value), bool)
    for array, got in after.items():
        outside |= ratios(got[None], expected[array], required)[0] > 1
    from refimpl.watch._judge import _cleared

    by_row = _cleared(watched, watched.samples[0], required)
    assert by_row is None or not (outside & (by_row.max(axis=0) <= MARGIN)).any()


@given(calls())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_step_computed_in_its_own_format_is_right(call: tuple[Case, np.random.Generator]) -> None:
    case, _ = call
    judgement = judge_call(watched_of(case, computed(case)), "tensor-faithful", control=True)
    assert not judgement.failed
    assert judgement.cleared + judgement.proven == judgement.elements == 24


@pytest.mark.parametrize("name", DIALECTS)
def test_an_ordinary_step_is_cleared_without_the_proof(name: str) -> None:
    random = np.random.default_rng(5)
    p, m, v, g = (np.float32(1e-2) * random.normal(size=512).astype(np.float32) for _ in range(4))
    for count, moments in ((0, {}), (40, {"exp_avg": m, "exp_avg_sq": np.abs(v)})):
        param = Param("w", p, step=count, **moments)
        case = Case(
            f"{name}/watch/a", "", name, (param,), (Group(dialect(name).defaults()),), (Step({"w": _gradient(name, g, 512)}),), (1,)
        )
        judgement = judge_call(watched_of(case, computed(case)), "tensor-faithful")
        assert (judgement.cleared, judgement.failed) == (512, False)


def twin(p: Array, m: Array, v: Array, g: Array, new: list[Array], s: dict[str, Any], r: float, low: float) -> Array:
    """AdamW's ratios as whole-array NumPy: the kernel's operations in the kernel's order, for a state without zeros."""

    def scale(x: Array, e: Any, name: str) -> tuple[Array, Array]:
        y, d, w = s[name]
        return x * y, np.abs(x) * d + abs(y) * e + w * (r * np.abs(x * y) + low)

    def divide(x: Array, e: Any, y: Any, d: Any, w: float = 1.0) -> tuple[Array, Array]:
        z = x / y
        return z, (np.abs(z) * d + e) / np.abs(y) + w * (r * np.abs(z) + low)

    def add(x: Array, e: Any, y: Any, d: Any) -> tuple[Array, Array]:
        return x + y, e + d + r * np.abs(x + y)

    p, m, v, g = (array.astype(np.float64) for array in (p, m, v, g))
    shrunk = scale(p, 0.0, "one_minus_decay")
    m_x, m_d = add(*scale(m, 0.0, "beta1"), *scale(g, 0.0, "one_minus_beta1"))
    v_x, v_d = add(*scale(v, 0.0, "beta2"), *scale(g * g, r * g * g + low, "one_minus_beta2"))
    moved = divide(*scale(m_x, m_d, "lr"), *s["correction1"])
    root = np.sqrt(v_x)
    divisor = add(*divide(root, v_d / (2 * root) + r * root, *s["root2"]), *s["eps"][:2])
    change = divide(*moved, *divisor)
    p_x, p_d = add(*shrunk, -change[0], change[1])
    return np.array([np.abs(got - x) / e for got, (x, e) in zip(new, ((p_x, p_d), (m_x, m_d), (v_x, v_d)))])


def test_the_kernel_agrees_with_its_twin() -> None:
    random = np.random.default_rng(7)
    p, m, g = (random.normal(size=5000).astype(np.float32) for _ in range(3))
    v = np.square(random.normal(size=5000).astype(np.float32))
    hyper, picks = dialect("torch.AdamW").resolve(dialect("torch.AdamW").defaults())
    plan = plan_of("torch.AdamW", hyper, picks, 77, "float32", "tensor-faithful")
    assert plan is not None
    new = [p * np.float32(0.999), m * np.float32(0.9), v]
    ratios = ratios_of(plan, [p, m, v], g, new, np.zeros((4, 2)))
    expected = twin(p, m, v, g, new, dict(zip(MET, map(tuple, plan.scalars))), plan.rounding, plan.smallest)
    np.testing.assert_allclose(ratios[:3], expected, rtol=1e-9)


def test_scalars_are_granted_less_than_the_proof_grants_them() -> None:
    from refimpl.reference.scalars import scalars

    for name in DIALECTS:
        hyper, picks = dialect(name).resolve(dialect(name).defaults())
        for t in (1, 3, 6, 50, 10_000):
            for k, numerics_class in ((2, CLASSES[2]), (3, CLASSES[3])):
                proven = scalars(Bounded("float32"), hyper, picks, t)
                plan = plan_of(name, hyper, picks, t, "float32", numerics_class)
                assert plan is not None
                for place, met in enumerate(MET):
                    if plan.scalars[place, 2]:
                        assert plan.scalars[place, 1] <= getattr(proven, met).e[k, 0, 0]


def test_duplicates_are_granted_less_than_the_proof_grants_them() -> None:
    random = np.random.default_rng(3)
    rows = np.array([0, 1, 0, 2, 0, 1])
    values = random.normal(size=(6, 3)).astype(np.float32)
    a = Bounded("float32")
    proven = a.sum_rows(a.load(values), rows, 3)
    from refimpl.watch._judge import _merged

    before = {"param": np.zeros((3, 3), np.float32)}
    sample = Sample("w", 0, before, before, values, rows, np.arange(3), 3, 3, 3, (0, 1), dense=False)
    total, error = _merged(sample, FORMATS["float32"].u)
    np.testing.assert_allclose(total.reshape(3, 3), proven.x, rtol=1e-15)
    assert (error.reshape(3, 3) <= proven.e[2]).all()
    assert error.reshape(3, 3)[2].max() == 0


def test_case_has_the_rows_that_were_chosen() -> None:
    before = {"param": np.arange(8, dtype=np.float32).reshape(4, 2)}
    ones = np.ones((3, 2), np.float32)
    sample = Sample("w", 0, before, before, ones, np.array([0, 2, 0]), np.array([5, 7, 9, 11]), 3, 3, 3, (0, 1), dense=False)
    watched = Watched(1, "torch.SparseAdam", (dialect("torch.SparseAdam").defaults(),), (sample,))
    case, states = case_of(watched, {"w": np.array([0, 3])}, "torch.SparseAdam/watch/a", "")
    assert case.params[0].value.tolist() == [[0, 1], [6, 7]]
    gradient = case.steps[0].gradients["w"]
    assert gradient is not None
    assert gradient.indices.tolist() == [0, 0]
    assert states["w"]["param"].shape == (1, 2, 2)


@pytest.mark.parametrize("width", [1, 3, 64])
def test_of_each_row_the_largest_ratio_is_returned_and_a_nan_stays(width: int) -> None:
    random = np.random.default_rng(11)
    rows = 5000 // width
    p, m, g = (random.normal(size=rows * width).astype(np.float32) for _ in range(3))
    g[width + 1 if width > 1 else 1] = np.nan
    hyper, picks = dialect("torch.Adam").resolve(dialect("torch.Adam").defaults())
    plan = plan_of("torch.Adam", hyper, picks, 5, "float32", "tensor-faithful")
    assert plan is not None
    arrays = [p, m, m * m], g, [p, m, m * m], np.zeros((4, 2))
    each = ratios_of(plan, *arrays)
    assert np.isnan(each[1]).sum() == 1
    np.testing.assert_array_equal(ratios_of(plan, *arrays, width=width), each.reshape(4, rows, width).max(axis=2))
