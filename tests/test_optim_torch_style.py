"""SparseAdam and Adam against the real torch.optim: what the constructors say, and what groups and counters do."""

from __future__ import annotations

import inspect
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from optim_runs import assert_within, expected, random_rows, rows
from scipy.sparse import bsr_array, coo_array, csr_array

from refimpl import RowGradient
from refimpl.arithmetic import numpy_dtype
from refimpl.case import Param
from refimpl.errors import InvalidGradient
from refimpl.optim import Adam, AdamW, SparseAdam

PAIRS = {
    "SparseAdam": (SparseAdam, torch.optim.SparseAdam),
    "Adam": (Adam, torch.optim.Adam),
    "AdamW": (AdamW, torch.optim.AdamW),
}


def said(make: Any, params: Any, **options: Any) -> tuple[str, str] | None:
    """The kind and the words of what a constructor raises, in the words of arrays."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            make(params, **options)
        except Exception as error:
            return type(error).__name__, str(error).replace("torch.FloatTensor", "numpy.ndarray").replace("torch.Tensor", "numpy.ndarray")
    return None


BAD = [
    {"lr": -1.0}, {"lr": 0.0}, {"lr": 0}, {"lr": float("nan")}, {"eps": 0.0}, {"eps": -1e-8}, {"eps": float("nan")},
    {"betas": (-0.1, 0.999)},
    {"betas": (1.0, 0.999)}, {"betas": (0.9, 1.0)}, {"betas": (0.9, -0.5)}, {"betas": (1, 2)}, {"betas": (0.9,)}, {"betas": 0.9},
    {"betas": (0.9, float("nan"))}, {"lr": -1.0, "eps": -1.0, "betas": (2.0, 2.0)}, {"eps": -1.0, "betas": (2.0, 2.0)},
    {"unknown": 1},
    {"lr": 0.1, "eps": 1e-3, "betas": (0.0, 0.0)}, {"lr": float("inf")}, {"maximize": True},
]  # fmt: skip
BAD_ADAM = [
    {"weight_decay": -0.1}, {"weight_decay": float("nan")}, {"betas": (0, 0.999)}, {"betas": (0.9, 0)}, {"fused": True, "foreach": True},
    {"fused": True, "differentiable": True}, {"betas": (2.0, 0.9), "weight_decay": -1.0}, {"amsgrad": True}, {"weight_decay": 1},
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "bad"),
    [(name, bad) for name in PAIRS for bad in BAD] + [(name, bad) for name in ("Adam", "AdamW") for bad in BAD_ADAM],
    ids=str,
)
def test_constructor_says_what_the_real_one_says(name: str, bad: dict[str, Any]) -> None:
    ours, real = PAIRS[name]
    answer = said(real, [torch.ones(2, 3)], **bad)
    if "unknown" in bad:  # the word for the class is Python's own
        assert answer is not None
        assert (said(ours, [np.ones((2, 3), np.float32)], **bad) or ("",))[0] == answer[0]
    else:
        assert said(ours, [np.ones((2, 3), np.float32)], **bad) == answer


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("bad", [{"lr": "x"}, {"lr": None}, {"eps": None}, {"betas": ("a", "b")}], ids=str)
def test_constructor_refuses_what_is_no_number_as_the_real_one_does(name: str, bad: dict[str, Any]) -> None:
    ours, real = PAIRS[name]
    answer = said(real, [torch.ones(2)], **bad)
    assert answer is not None
    assert (said(ours, [np.ones(2, np.float32)], **bad) or ("",))[0] == answer[0] == "TypeError"


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("lr", [[0.1, 0.2], [0.1], [[0.1]], -0.5, 0.25], ids=str)
def test_learning_rate_that_is_an_array_must_have_one_element(name: str, lr: Any) -> None:
    ours, real = PAIRS[name]
    answer = said(real, [torch.ones(2)], lr=torch.tensor(lr))
    assert said(ours, [np.ones(2, np.float32)], lr=np.array(lr)) == answer


def test_foreach_refuses_settings_that_are_arrays_as_the_real_one_does() -> None:
    for ours, real in (
        ({"lr": np.array(0.1)}, {"lr": torch.tensor(0.1)}),
        ({"betas": (np.array(0.9), np.array(0.99))}, {"betas": (torch.tensor(0.9), torch.tensor(0.99))}),
    ):
        answer = said(torch.optim.Adam, [torch.ones(2)], foreach=True, **real)
        assert answer is not None
        assert said(Adam, [np.ones(2, np.float32)], foreach=True, **ours) == answer


PARAMS: dict[str, Any] = {
    "none": lambda w: None,
    "number": lambda w: 5,
    "empty": lambda w: [],
    "one array": lambda w: w,
    "number in a list": lambda w: [5],
    "text in a list": lambda w: ["a"],
    "mapping": lambda w: {1: 2},
    "group without params": lambda w: [{}],
    "group of a number": lambda w: [{"params": 5}],
    "group of one array": lambda w: [{"params": w}],
    "group and number": lambda w: [{"params": w}, 3],
    "group of a set": lambda w: [{"params": {1}}],
    "empty group": lambda w: [{"params": []}],
    "some names": lambda w: [("a", w), w[:1]],
    "names in one group": lambda w: [{"params": [("a", w)]}, {"params": [w[:1]]}],
    "names in the other group": lambda w: [{"params": [w[:1]]}, {"params": [("a", w)]}],
    "pairs": lambda w: [("a", w)],
    "the same twice": lambda w: [w, w],
    "the same in two groups": lambda w: [{"params": [w]}, {"params": [w]}],
    "generator": lambda w: (table for table in [w]),
    "group with wrong values": lambda w: [{"params": [w], "lr": -1.0, "eps": -1.0}],
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("case", PARAMS)
def test_parameters_are_accepted_and_refused_as_by_the_real_one(name: str, case: str) -> None:
    ours, real = PAIRS[name]
    assert said(ours, PARAMS[case](np.ones((2, 3), np.float32))) == said(real, PARAMS[case](torch.ones(2, 3)))


def test_a_parameter_given_twice_is_warned_of() -> None:
    w = np.ones(2, np.float32)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        SparseAdam([w, w])


def test_sparse_and_complex_parameters_are_refused_as_by_the_real_one() -> None:
    w, c = torch.ones(2, 3), torch.ones(2, 3, dtype=torch.complex64)
    real = torch.optim.SparseAdam
    assert said(SparseAdam, [w.numpy(), c.numpy()]) == said(real, [w, c])
    assert said(SparseAdam, [{"params": [w.numpy()]}, {"params": [csr_array(w.numpy())]}]) == said(
        real, [{"params": [w]}, {"params": [w.to_sparse()]}]
    )


@pytest.mark.parametrize("name", PAIRS)
def test_signature_and_defaults_are_those_of_the_real_one(name: str) -> None:
    ours = type(PAIRS[name][0]([np.ones(1, np.float32)]))
    real = inspect.signature(PAIRS[name][1]).parameters
    mine = {key: value for key, value in inspect.signature(ours).parameters.items() if key not in ("dialect", "moment_dtype")}
    assert [(key, parameter.default, parameter.kind) for key, parameter in mine.items()] == [
        (key, parameter.default, parameter.kind) for key, parameter in real.items()
    ]


def test_dense_gradient_is_refused_in_the_words_of_the_real_one() -> None:
    w = torch.nn.Parameter(torch.ones(2, 3))
    w.grad = torch.ones(2, 3)
    with pytest.raises(RuntimeError) as real:
        torch.optim.SparseAdam([w]).step()
    with pytest.raises(RuntimeError) as ours:
        SparseAdam([np.ones((2, 3), np.float32)]).step([np.ones((2, 3), np.float32)])
    assert str(ours.value) == str(real.value)


@pytest.mark.parametrize("gradient", [rows([1], [[1, 1, 1]], (2, 3)), csr_array(np.ones((2, 3))), coo_array(np.ones((2, 3)))])
def test_sparse_gradient_is_refused_by_adam_in_the_words_of_the_real_one(gradient: Any) -> None:
    w = torch.nn.Parameter(torch.ones(2, 3))
    w.grad = torch.ones(2, 3).to_sparse()
    with pytest.raises(RuntimeError) as real:
        torch.optim.Adam([w]).step()
    with pytest.raises(RuntimeError) as ours:
        Adam([np.ones((2, 3), np.float32)]).step([gradient])
    assert str(ours.value) == str(real.value)


def test_differentiable_is_refused_since_arrays_record_nothing() -> None:
    with pytest.raises(ValueError, match="NumPy arrays record no operations"):
        Adam([np.ones(1, np.float32)], differentiable=True)


SHAPE = (6, 4)
HALVES = {name: numpy_dtype(name) for name in ("float16", "bfloat16")}


def table(source: np.random.Generator) -> np.ndarray:
    return source.normal(size=SHAPE).astype(np.float32)


def test_sparse_adam_is_within_the_bound_with_groups_maximize_and_a_changing_rate() -> None:
    source = np.random.default_rng(1)
    a, b = table(source), table(source)
    params = [Param("a", a.copy()), Param("b", b.copy(), 1)]
    steps = [{"a": random_rows(source, SHAPE, 7), "b": random_rows(source, SHAPE, 3)} for _ in range(4)]
    optimizer = SparseAdam(
        [{"params": [("a", a)], "lr": 0.1}, {"params": [("b", b)], "betas": (0.5, 0.9), "maximize": True}], lr=0.05, eps=1e-6
    )
    changes: list[tuple[dict[str, Any], ...]] = []
    for k, step in enumerate(steps):
        optimizer.param_groups[0]["lr"] = 0.1 / (k + 1)
        changes.append(({"lr": 0.1 / (k + 1)}, {}))
        optimizer.step(step)
    groups = ({"lr": 0.1, "eps": 1e-6}, {"lr": 0.05, "eps": 1e-6, "betas": (0.5, 0.9), "maximize": True})
    assert_within(optimizer, expected("torch.SparseAdam", params, steps, *groups, changes=changes))


@pytest.mark.parametrize(
    "options",
    [{}, {"amsgrad": True}, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled_weight_decay": True}, {"maximize": True}],
    ids=str,
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adam_is_within_the_bound_with_its_options(options: dict[str, Any], dtype: str) -> None:
    source = np.random.default_rng(2)
    w = source.normal(size=(5, 3)).astype(dtype)
    start = w.copy()
    steps = [{"param0": source.normal(size=(5, 3)).astype(dtype) / (k + 1)} for k in range(5)]
    optimizer = Adam([w], lr=0.1, **options)
    for step in steps:
        optimizer.step(list(step.values()))
    assert_within(optimizer, expected("torch.Adam", [Param("param0", start)], steps, {"lr": 0.1, **options}))
    assert ("max_exp_avg_sq" in optimizer.state_dict()["state"][0]) == ("amsgrad" in options)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("moment_dtype", [None, "float32"])
def test_half_precision_is_within_the_bound_with_moments_of_its_own_dtype_and_wider_ones(dtype: str, moment_dtype: str | None) -> None:
    source = np.random.default_rng(5)
    half = HALVES[dtype]
    sparse, dense = (source.normal(size=SHAPE).astype(half) for _ in range(2))
    kept = {} if moment_dtype is None else {"exp_avg": moment_dtype, "exp_avg_sq": moment_dtype}
    starts = [Param("param0", array.copy(), dtypes=kept) for array in (sparse, dense)]
    by_rows = [random_rows(source, SHAPE, 7) for _ in range(4)]
    steps = [{"param0": replace(gradient, values=gradient.values.astype(half))} for gradient in by_rows]
    dense_steps = [{"param0": source.normal(size=SHAPE).astype(half)} for _ in range(4)]
    settings: dict[str, Any] = {"lr": 0.1, "eps": 1e-3}
    for make, name, array, start, gradients in (
        (SparseAdam, "torch.SparseAdam", sparse, starts[0], steps),
        (AdamW, "torch.AdamW", dense, starts[1], dense_steps),
    ):
        optimizer: Any = make([array], **settings, moment_dtype=moment_dtype)
        for step in gradients:
            optimizer.step(step)
        assert_within(optimizer, expected(name, [start], gradients, settings), "exact-ieee")
        saved = optimizer.state_dict()["state"][0]
        assert {saved[moment].dtype.name for moment in ("exp_avg", "exp_avg_sq")} == {moment_dtype or dtype}


def test_a_group_may_have_a_dtype_of_moments_of_its_own() -> None:
    a, b = np.ones(3, np.float16), np.ones(3, np.float16)
    optimizer = Adam([{"params": [a], "moment_dtype": np.float32}, {"params": [b]}])
    optimizer.step([np.ones(3, np.float16)] * 2)
    assert [state["exp_avg"].dtype.name for state in optimizer.state_dict()["state"].values()] == ["float32", "float16"]
    assert all("moment_dtype" not in group for group in optimizer.param_groups)
    with pytest.raises(ValueError, match="Invalid moment_dtype value: 'float64'"):
        optimizer.add_param_group({"params": [np.ones(3, np.float32)], "moment_dtype": "float64"})
    assert len(optimizer.parameters) == 2


def real_step(name: str, param: torch.Tensor, gradient: torch.Tensor) -> str:
    """What the real optimizer makes of a gradient that its parameter lets through: the dtype of its moments, or a refusal."""
    real = torch.nn.Parameter(param)
    real.grad_dtype = None  # otherwise the assignment is refused already
    real.grad = gradient
    optimizer = getattr(torch.optim, name)([real])
    try:
        optimizer.step()
    except RuntimeError as error:
        return type(error).__name__
    return str(optimizer.state[real]["exp_avg"].dtype)


@pytest.mark.parametrize("given", [torch.float32, torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_a_half_precision_parameter_takes_gradients_of_the_dtypes_that_the_real_one_takes(given: torch.dtype) -> None:
    numpy_given = numpy_dtype(str(given).removeprefix("torch."))
    dense = real_step("Adam", torch.ones(4, 3, dtype=torch.float16), torch.ones(4, 3, dtype=given))
    values = np.ones((4, 3), numpy_given)
    optimizer = Adam([np.ones((4, 3), np.float16)])
    if dense == "RuntimeError":
        with pytest.raises(RuntimeError, match=f"expected dtype float16 for the gradient of 'param0' but got dtype {numpy_given}"):
            optimizer.step([values])
        assert optimizer.state_dict()["state"] == {}
        Adam([np.ones((4, 3), np.float16)], moment_dtype="float32").step([values])
    else:
        optimizer.step([values])
        assert f"torch.{optimizer.state_dict()['state'][0]['exp_avg'].dtype}" == dense
    rows = torch.sparse_coo_tensor(torch.tensor([[1]]), torch.ones(1, 3, dtype=given), (4, 3), check_invariants=True)
    sparse = SparseAdam([np.ones((4, 3), np.float16)])
    sparse.step([RowGradient(np.array([1]), values[:1], (4, 3))])
    kept = f"torch.{sparse.state_dict()['state'][0]['exp_avg'].dtype}"
    assert kept == real_step("SparseAdam", torch.ones(4, 3, dtype=torch.float16), rows) == "torch.float16"


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.3, "amsgrad": True}, {"weight_decay": 0.0}, {"maximize": True}], ids=str)
def test_adamw_is_within_the_bound_with_its_options(options: dict[str, Any]) -> None:
    source = np.random.default_rng(3)
    w = source.normal(size=(5, 3)).astype(np.float32)
    start = w.copy()
    steps = [{"param0": source.normal(size=(5, 3)).astype(np.float32) / (k + 1)} for k in range(5)]
    optimizer = AdamW([w], lr=0.1, **options)
    for step in steps:
        optimizer.step(list(step.values()))
    assert_within(optimizer, expected("torch.AdamW", [Param("param0", start)], steps, {"lr": 0.1, **options}))


def test_a_state_cannot_take_the_decoupled_decay_from_adamw() -> None:
    state = Adam([np.ones(2, np.float32)], weight_decay=0.1).state_dict()
    optimizer = AdamW([np.ones(2, np.float32)])
    optimizer.load_state_dict(state)
    assert isinstance(optimizer, Adam)
    assert (optimizer.param_groups[0]["weight_decay"], optimizer.param_groups[0]["decoupled_weight_decay"]) == (0.1, True)


def test_scipy_gradients_touch_what_they_store() -> None:
    dense = np.zeros(SHAPE, np.float32)
    dense[1, 2], dense[4, 0] = 3.0, -2.0
    stored = np.array([[1, 4], [2, 0]])
    outcomes = {}
    for name, gradient in {
        "elements": coo_array((dense[tuple(stored)], stored), SHAPE),
        "csr": csr_array(dense),
        "bsr": bsr_array((dense[[4, 1]][:, None, :], np.zeros(2, int), np.array([0, 0, 1, 1, 1, 2, 2])), SHAPE),
    }.items():
        w = np.ones(SHAPE, np.float32)
        optimizer = SparseAdam([w])
        optimizer.load_state_dict(
            {
                "state": {0: {"step": 3, "exp_avg": np.ones(SHAPE), "exp_avg_sq": np.ones(SHAPE)}},
                "param_groups": optimizer.state_dict()["param_groups"],
            }
        )
        optimizer.step([gradient])
        outcomes[name] = np.argwhere(w != 1).tolist()
    whole_rows = [[row, column] for row in (1, 4) for column in range(4)]
    assert outcomes == {"elements": stored.T.tolist(), "csr": whole_rows, "bsr": whole_rows}


def test_explicit_zeros_are_touched() -> None:
    w = np.ones((3, 2), np.float32)
    optimizer = SparseAdam([w])
    optimizer.step([rows([0], [[1, 1]], (3, 2))])
    before = w.copy()
    optimizer.step([rows([0, 1], [[0, 0], [0, 0]], (3, 2))])
    assert (w[0] < before[0]).all()  # by what is left of the momentum
    assert (w[1:] == 1).all()
    assert optimizer.state_dict()["state"][0]["exp_avg"][0, 0] == np.float32(0.1) * np.float32(0.9)


def test_a_parameter_without_gradient_keeps_no_state_and_an_empty_one_is_counted() -> None:
    a, b, c = (np.ones((3, 2), np.float32) for _ in range(3))
    optimizer = SparseAdam([a, b, c])
    nothing = rows([], np.zeros((0, 2)), (3, 2))
    optimizer.step([rows([1], [[1, 1]], (3, 2)), nothing, None])
    optimizer.step({"param0": rows([1], [[1, 1]], (3, 2))})
    state = optimizer.state_dict()["state"]
    assert {key: entry["step"] for key, entry in state.items()} == {0: 2, 1: 1}
    assert (b == 1).all()
    assert not state[1]["exp_avg"].any()


@pytest.mark.parametrize("row", [3, -1])
def test_row_number_out_of_range_is_refused(row: int) -> None:
    w = np.ones((3, 2), np.float32)
    with pytest.raises(InvalidGradient, match="outside the table"):
        SparseAdam([w]).step([rows([row], [[1, 1]], (3, 2))])


def test_a_group_added_later_counts_its_own_steps_and_keeps_its_own_settings() -> None:
    a, b = np.ones((3, 2), np.float32), np.ones((3, 2), np.float32)
    optimizer = SparseAdam([a])
    gradient = rows([1], [[1, 1]], (3, 2))
    optimizer.step([gradient])
    group = {"params": b, "lr": 0.5}
    optimizer.add_param_group(group)
    assert group == {"params": b, "lr": 0.5}
    optimizer.step([gradient, gradient])
    assert [entry["step"] for entry in optimizer.state_dict()["state"].values()] == [2, 1]
    alone = np.ones((3, 2), np.float32)
    SparseAdam([alone], lr=0.5).step([gradient])
    np.testing.assert_array_equal(b, alone)
