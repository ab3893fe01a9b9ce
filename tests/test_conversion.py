"""refimpl.convert: round trips, what is refused, and training that goes on after it, in the real torch and on the reference."""

import doctest
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refimpl
from refimpl import conversion
from refimpl.arithmetic import Float, numpy_dtype
from refimpl.case import Case, Group, Param, Step, ratios
from refimpl.conversion import exponent_of
from refimpl.dialects import dialect, dialects
from refimpl.dialects.layouts import Layout
from refimpl.errors import InvalidState, UsageError
from refimpl.oracle import expectations
from refimpl.reference import trajectory

UNCOUNTED = "mindspore.AdamWeightDecay"
"""It corrects nothing, and counts nothing."""

BETAS = (0.9, 0.999)


def family(second: str) -> list[str]:
    return [name for name, table in dialects("full").items() if table.state and table.picks.second.name == second and name != UNCOUNTED]


def state_of(t: int, shape: tuple[int, ...] = (3, 2), **counts: Any) -> dict[str, Any]:
    """The state of one parameter after t steps, as torch.Adam has it or, with counts, torch's others."""
    rng = np.random.default_rng(t)
    return {
        "exp_avg": rng.normal(size=shape).astype(np.float32),
        "exp_avg_sq": rng.uniform(size=shape).astype(np.float32),
        "step": t,
        **counts,
    }


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_moments_in_half_precision_keep_their_dtype_and_their_bits(dtype: str) -> None:
    state = state_of(3)
    halves = {name: state[name].astype(numpy_dtype(dtype)) for name in ("exp_avg", "exp_avg_sq")}
    there = refimpl.convert({"w": {**state, **halves}}, "torch.Adam", "mindspore.Adam")
    back = refimpl.convert(there, "mindspore.Adam", "torch.Adam")["w"]
    for name, moment in halves.items():
        assert (back[name].dtype, back[name].tobytes()) == (moment.dtype, moment.tobytes())


def test_the_example_of_the_docstring_is_right() -> None:
    assert doctest.testmod(conversion).failed == 0
    assert refimpl.convert is conversion.convert


@pytest.mark.parametrize("second", ["SQUARES", "INFINITY"])
@settings(deadline=None, max_examples=15)
@given(data=st.data(), t=st.integers(0, 4000), betas=st.tuples(st.floats(0.1, 0.99), st.floats(0.99, 0.9999)))
def test_a_state_converted_there_and_back_is_the_same(second: str, data: Any, t: int, betas: tuple[float, float]) -> None:
    names = family(second)
    a, b = data.draw(st.sampled_from(names)), data.draw(st.sampled_from(names))
    start = "torch.Adam" if second == "SQUARES" else "torch.Adamax"
    first = {"exp_inf" if second == "INFINITY" and name == "exp_avg_sq" else name: value for name, value in state_of(t).items()}
    hyper: dict[str, Any] = {"betas": betas}
    in_a = conversion.convert({"w": first, "u": first}, start, a, hyper=hyper)
    apart: dict[str, Any] = {name: value for role, value in zip(("beta1", "beta2"), betas) for name in names_of(a, role)}
    own = apart or hyper
    again = conversion.convert(conversion.convert(in_a, a, b, hyper=own), b, a, hyper=own)
    for name, entry in in_a.items():
        assert again[name].keys() == entry.keys()
        for key, value in entry.items():
            np.testing.assert_allclose(again[name][key], value, rtol=0 if key in layout(a).arrays.values() else 1e-12, atol=0)


def layout(name: str) -> Layout:
    table = dialect(name).state
    assert table
    return table


def names_of(name: str, role: str) -> list[str]:
    return [parameter.name for parameter in dialect(name).parameters.values() if parameter.roles == (role,)]


@pytest.mark.parametrize("beta", [0.5, 0.9, 0.99, 0.999, 0.9999])
@pytest.mark.parametrize("n", [1, 2, 7, 100, 3000, 30_000, 80_000])
def test_the_exponent_of_a_power_is_found_however_the_power_was_rounded(beta: float, n: int) -> None:
    if beta**n > 1e-37:
        assert exponent_of(beta**n, beta) == n
        assert exponent_of(float(np.float32(beta**n)), beta) == n
        assert exponent_of(float(np.float32(beta) ** np.float32(n)), beta) in (n, None)  # a power in float32 may be too far off
        assert exponent_of(float(np.multiply.accumulate(np.full(n, beta, np.float32))[-1]), beta) == n
    assert exponent_of(1.0, beta) == 0


def test_what_is_no_power_has_no_exponent() -> None:
    assert exponent_of(0.85, 0.9) is None
    assert exponent_of(float(np.float32(0.9**5 * (1 + 1e-5))), 0.9) is None
    assert exponent_of(0.5, 1.0) is None
    assert exponent_of(-0.9, 0.9) is None


def powers(t: int, first: bool) -> tuple[float, float]:
    """What is left of the powers of BETAS that a framework multiplies in float32: from 1, or from the betas themselves."""
    left = []
    for beta in map(np.float32, BETAS):
        power = beta if first else np.float32(1)
        for _ in range(t):
            power = np.float32(power * beta)
        left.append(float(power))
    return left[0], left[1]


def mindspore_like(m: Any, v: Any, t: int) -> dict[str, Any]:
    one, two = powers(t, first=False)
    return {"moment1": m, "moment2": v, "beta1_power": np.array([one], np.float32), "beta2_power": np.array([two], np.float32)}


def paddle_like(m: Any, v: Any, t: int) -> dict[str, Any]:
    one, two = powers(t, first=True)
    return {"moment1_0": m, "moment2_0": v, "beta1_pow_acc_0": np.array([one], np.float32), "beta2_pow_acc_0": np.array([two], np.float32)}


STATES: dict[str, Callable[[Any, Any, int], dict[str, Any]]] = {
    "torch.SparseAdam": lambda m, v, t: {"exp_avg": m, "exp_avg_sq": v, "step": t},
    "keras.Adam": lambda m, v, t: {"momentums": m, "velocities": v, "iterations": np.array(t)},
    "keras.legacy.Adam": lambda m, v, t: {"m": m, "v": v, "iterations": t},
    "optax.adam": lambda m, v, t: {"mu": m, "nu": v, "count": np.array(t, np.int32)},
    "mindspore.LazyAdam": mindspore_like,
    "mindspore.Adam": mindspore_like,
    "paddle.Adam": paddle_like,
    "mxnet.Adam": lambda m, v, t: {"mean": m, "var": v, "index_update_count": t},
    "onnx.Adam": lambda m, v, t: {"V": m, "H": v, "T": t},
    "dgl.SparseAdam": lambda m, v, t: {"state_mem": m, "state_power": v, "state_step": np.full(len(m), t, np.int32)},
}
"""States as the frameworks keep them, written down here apart from the tables."""


@pytest.mark.parametrize("a", STATES)
@pytest.mark.parametrize("t", [0, 1, 5, 1200])
def test_what_a_framework_keeps_is_understood_and_written_as_it_keeps_it(a: str, t: int) -> None:
    m, v = state_of(t)["exp_avg"], state_of(t)["exp_avg_sq"]
    own = STATES[a](m, v, t)
    (entry,) = conversion.convert({"w": own}, a, "torch.Adam").values()
    assert entry.keys() == {"exp_avg", "exp_avg_sq", "step"}
    assert (entry["step"], type(entry["step"])) == (t, int)
    np.testing.assert_array_equal(entry["exp_avg"], m)
    np.testing.assert_array_equal(entry["exp_avg_sq"], v)
    (back,) = conversion.convert({"w": entry}, "torch.Adam", a).values()
    for name, value in own.items():
        np.testing.assert_allclose(back[name], value, rtol=1e-4, atol=1e-38)  # 1200 roundings of a product in float32


def case_of(name: str, params: tuple[Param, ...], steps: tuple[Any, ...]) -> Case:
    groups = (Group(dialect(name).defaults()),)
    return Case(f"{name}/conversion/run", "", name, params, groups, tuple(Step({"w": g}) for g in steps), tuple(range(1, len(steps) + 1)))


def gradients(count: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(5)
    return tuple(rng.normal(size=(3, 2)).astype(np.float32) for _ in range(count))


BEFORE, AFTER = 6, 5


def trained(name: str) -> Param:
    """A parameter after BEFORE steps of a dialect, with its moments in float32, on the reference."""
    case = case_of(name, (Param("w", np.linspace(-1, 1, 6, dtype=np.float32).reshape(3, 2)),), gradients(BEFORE))
    *_, last = trajectory(case, Float("float32"), dialect(name))
    state = last["w"]
    p, m, v = (np.array(x, np.float32).reshape(3, 2) for x in (state.p, state.m, state.v))
    return Param("w", p, exp_avg=m, exp_avg_sq=v, step=BEFORE)


def adamax_state(m: Any, u: Any, t: int) -> dict[str, Any]:
    return {"m": m, "u": u, "iterations": t}


TO_TORCH = [
    *((a, b) for a in STATES if "dense" in dialect(a).gradients for b in ("torch.Adam", "torch.AdamW", "torch.NAdam", "torch.RAdam")),
    ("keras.Adamax", "torch.Adamax"),
]


@pytest.mark.parametrize(("a", "b"), TO_TORCH)
def test_torch_goes_on_from_what_is_converted_as_its_reference_does(a: str, b: str) -> None:
    torch = pytest.importorskip("torch")
    start = trained(a)
    own = (STATES | {"keras.Adamax": adamax_state})[a](start.exp_avg, start.exp_avg_sq, start.step)
    (entry,) = conversion.convert({"w": own}, a, b).values()
    param = torch.nn.Parameter(torch.tensor(start.value))
    optimizer = getattr(torch.optim, dialect(b).class_name)([param])
    loaded = {key: torch.tensor(value, dtype=torch.float32) for key, value in entry.items()}
    optimizer.load_state_dict({"state": {0: loaded}, "param_groups": optimizer.state_dict()["param_groups"]})
    after = gradients(BEFORE + AFTER)[BEFORE:]
    got = []
    for gradient in after:
        param.grad = torch.tensor(gradient)
        optimizer.step()
        got.append(param.detach().numpy().copy())
    expected = expectations(case_of(b, (start,), after))["w"]["param"]
    assert ratios(np.stack(got), expected, "tensor-faithful").max() <= 1
    fresh = expectations(case_of(b, (Param("w", start.value),), after))["w"]["param"]
    assert ratios(np.stack(got), fresh, "tensor-faithful").max() > 10  # what the state is worth


@pytest.mark.parametrize("b", ["keras.Adam", "optax.adam", "mindspore.Adam", "paddle.Adam", "onnx.Adam", "mxnet.Adam", "torch.RAdam"])
def test_other_frameworks_go_on_from_what_torch_has_trained(b: str) -> None:
    """On the reference: the state of the real torch, through B's own layout, which this file reads without the tables."""
    torch = pytest.importorskip("torch")
    param = torch.nn.Parameter(torch.linspace(-1, 1, 6).reshape(3, 2))
    optimizer = torch.optim.Adam([param])
    for gradient in gradients(BEFORE):
        param.grad = torch.tensor(gradient)
        optimizer.step()
    (entry,) = conversion.convert({"w": optimizer.state[param]}, "torch.Adam", b).values()
    told = STATES.get(b, STATES["torch.SparseAdam"])(entry_m(entry), entry_v(entry), BEFORE)
    for name, value in told.items():
        np.testing.assert_allclose(entry[name], value, rtol=1e-6)
    resumed = Param("w", param.detach().numpy().copy(), exp_avg=entry_m(entry), exp_avg_sq=entry_v(entry), step=BEFORE)
    alike = trained("torch.Adam")  # the reference after the same steps
    after = gradients(BEFORE + AFTER)[BEFORE:]
    *_, last = trajectory(case_of(b, (resumed,), after), Float("float32"), dialect(b))
    expected = expectations(case_of(b, (alike,), after))["w"]["param"]
    np.testing.assert_allclose(np.array(last["w"].p).reshape(3, 2), expected.value[-1], rtol=1e-5)


def entry_m(entry: dict[str, Any]) -> Any:
    return next(iter(entry.values()))


def entry_v(entry: dict[str, Any]) -> Any:
    return list(entry.values())[1]


def test_nothing_of_the_caller_changes_or_is_shared() -> None:
    state = {"w": state_of(3)}
    kept = {key: np.array(value) for key, value in state["w"].items()}
    converted = conversion.convert(state, "torch.Adam", "keras.Adam")
    for value in converted["w"].values():
        if isinstance(value, np.ndarray):
            value += 1
    for key, value in kept.items():
        np.testing.assert_array_equal(state["w"][key], value)


def refusal(state: Any, a: str, b: str, **options: Any) -> str:
    with pytest.raises(InvalidState) as raised:
        conversion.convert(state, a, b, **options)
    assert raised.value.hint
    return str(raised.value)


def test_rows_that_have_counted_differently_have_no_one_count() -> None:
    rows = {"w": {"state_mem": np.zeros((3, 2)), "state_power": np.zeros((3, 2)), "state_step": [4, 7, 4]}}
    message = refusal(rows, "dgl.SparseAdam", "torch.SparseAdam")
    assert "4 to 7 steps" in message
    assert "stay with dgl.SparseAdam" in message
    rows["w"]["state_step"] = [4, 4, 4]
    assert conversion.convert(rows, "dgl.SparseAdam", "torch.SparseAdam")["w"]["step"] == 4


def test_parameters_with_different_counts_need_an_optimizer_each() -> None:
    state = {"w": state_of(3), "u": state_of(4)}
    assert "make one keras.Adam per count" in refusal(state, "torch.Adam", "keras.Adam")
    assert "u" in conversion.convert(state, "torch.Adam", "paddle.Adam")
    shared = {name: STATES["keras.Adam"](np.zeros(2), np.zeros(2), t) for name, t in (("w", 3), ("u", 4))}
    assert "convert the state of each optimizer apart" in refusal(shared, "keras.Adam", "torch.Adam")


def test_a_parameter_without_a_gradient_has_no_state_on_either_side() -> None:
    assert conversion.convert({"w": state_of(3), "u": {}}, "torch.Adam", "paddle.Adam")["u"] == {}
    assert "0 for u" in refusal({"w": state_of(3), "u": {}}, "torch.Adam", "keras.Adam")


def test_powers_after_a_change_of_the_betas_give_no_count_but_may_be_copied() -> None:
    after = {"w": {"moment1": np.zeros(2), "moment2": np.zeros(2), "beta1_power": 0.9 * 0.8, "beta2_power": 0.999**2}}
    message = refusal(after, "mindspore.Adam", "torch.Adam")
    assert "beta1^t = 0.72" in message
    assert "pass count=" in message
    assert conversion.convert(after, "mindspore.Adam", "torch.Adam", count=2)["w"]["step"] == 2
    assert conversion.convert(after, "mindspore.Adam", "mindspore.LazyAdam")["w"]["beta1_power"] == 0.9 * 0.8


def test_powers_that_contradict_each_other_give_no_count() -> None:
    state = {"w": {"moment1": np.zeros(2), "moment2": np.zeros(2), "beta1_power": 0.9**2, "beta2_power": 0.999**3}}
    assert "no number of steps gives" in refusal(state, "mindspore.Adam", "torch.Adam")


def test_where_one_power_is_zero_the_count_comes_from_the_other() -> None:
    state = {"w": mindspore_like(np.zeros(2), np.zeros(2), 1200)}
    assert state["w"]["beta1_power"] < 1e-37
    assert conversion.convert(state, "mindspore.Adam", "torch.Adam")["w"]["step"] == 1200
    state["w"]["beta2_power"] = 0.0
    assert "powers vanish" in refusal(state, "mindspore.Adam", "torch.Adam")


def test_a_power_that_began_at_beta_is_one_ahead_of_one_that_began_at_1() -> None:
    same = {"moment1": np.zeros(2), "moment2": np.zeros(2)}
    paddle = conversion.convert({"w": {**same, "beta1_power": 0.9**4, "beta2_power": 0.999**4}}, "mindspore.Adam", "paddle.Adam")["w"]
    assert paddle["beta1_pow_acc_0"] == pytest.approx(0.9**5, rel=1e-15)
    before_any = {"w": {"moment1_0": np.zeros(2), "moment2_0": np.zeros(2), "beta1_pow_acc_0": 1.0, "beta2_pow_acc_0": 1.0}}
    assert "no number of steps gives" in refusal(before_any, "paddle.Adam", "torch.Adam")


def test_the_steps_of_an_optimizer_without_a_count_are_an_argument() -> None:
    state = {"w": {"moments1": np.zeros(2), "moments2": np.zeros(2)}}
    assert "does not count its steps" in refusal(state, UNCOUNTED, "torch.AdamW")
    assert conversion.convert(state, UNCOUNTED, "torch.AdamW", count=9)["w"]["step"] == 9
    assert conversion.convert({"w": state_of(3)}, "torch.AdamW", UNCOUNTED)["w"].keys() == {"moments1", "moments2"}


def test_the_product_of_momenta_is_that_of_torch() -> None:
    torch = pytest.importorskip("torch")
    param = torch.nn.Parameter(torch.ones(3, 2))
    optimizer = torch.optim.NAdam([param])
    for gradient in gradients(BEFORE):
        param.grad = torch.tensor(gradient)
        optimizer.step()
    made = conversion.convert({"w": state_of(BEFORE)}, "torch.Adam", "torch.NAdam")["w"]
    assert made["mu_product"] == pytest.approx(float(optimizer.state[param]["mu_product"]), rel=1e-6)
    paddle = conversion.convert({"w": optimizer.state[param]}, "torch.NAdam", "paddle.NAdam")["w"]
    np.testing.assert_array_equal(paddle["mu_product_0"], np.full((3, 2), float(optimizer.state[param]["mu_product"])))  # bit by bit
    np.testing.assert_allclose(paddle["momentum_decay_pow_0"], np.full((3, 2), 0.96**BEFORE))
    paddle["beta2_pow_0"][0, 0] = 1
    assert "beta2_pow_0 holds different counts" in refusal({"w": paddle}, "paddle.NAdam", "torch.NAdam")


def test_the_maximum_of_amsgrad_is_carried_over_where_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"w": state_of(3, max_exp_avg_sq=np.ones((3, 2)))}
    assert "velocity_hats" in conversion.convert(state, "torch.Adam", "keras.Adam")["w"]
    assert "no place for the maximum" in refusal(state, "torch.Adam", "mxnet.Adam")
    hat = next(pick for pick in type(dialect("torch.Adam").picks.amsgrad) if pick.name == "MAX_V_HAT")
    monkeypatch.setattr(
        conversion,
        "_amsgrad",
        lambda table: hat if table.name == "keras.Adam" else dialect("torch.Adam").parameters["amsgrad"].when_true["amsgrad"],
    )
    assert "keeps the maximum of v, keras.Adam the maximum of v_hat" in refusal(state, "torch.Adam", "keras.Adam")


def test_other_moments_are_refused() -> None:
    assert "start torch.Adamax anew" in refusal({"w": state_of(3)}, "torch.Adam", "torch.Adamax")
    assert "mean square" in refusal({}, "torch.Adam", "fbgemm.PARTIAL_ROWWISE_ADAM")


def test_names_that_are_not_known_are_refused_with_those_that_are() -> None:
    assert "torch.Adam keeps exp_avg, exp_avg_sq, max_exp_avg_sq, step" in refusal({"w": {"m": 1}}, "torch.Adam", "keras.Adam")
    assert "keeps no moment" in refusal({"w": {**state_of(3), "moment": 1}}, "torch.Adam", "keras.Adam")
    assert "holds 2 values" in refusal({"w": {**state_of(3), "step": [1, 2]}}, "torch.Adam", "keras.Adam")
    with pytest.raises(UsageError, match=r"neither torch\.Adam nor keras\.Adam has beta"):
        conversion.convert({}, "torch.Adam", "keras.Adam", hyper={"beta": 0.5})


def test_settings_may_be_given_in_the_names_of_either_side() -> None:
    state = {"w": state_of(3)}
    for hyper in ({"betas": (0.5, 0.75)}, {"beta1": 0.5, "beta2": 0.75}):
        assert conversion.convert(state, "torch.Adam", "mindspore.Adam", hyper=hyper)["w"]["beta2_power"] == 0.75**3


def test_a_setting_that_counts_rows_is_refused_where_the_layout_has_one_count() -> None:
    state = {"w": {"momentum1": np.zeros(2), "momentum2": np.zeros(2), "iter": 3}}
    with pytest.raises(InvalidState, match="counts the steps of each row"):
        conversion.convert(state, "fbgemm.ADAM", "torch.SparseAdam", hyper={"use_rowwise_bias_correction": True})


def test_a_layout_with_unknown_words_is_refused() -> None:
    with pytest.raises(UsageError, match="no beta3"):
        Layout.parse({"exp_avg": "m", "exp_avg_sq": "v", "counts": {"power": "beta3^t"}, "per": "parameter"}, "toy.Adam")
