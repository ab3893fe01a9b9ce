"""LazyAdam and Adam of MindSpore: what the constructors say (as mindspore 2.10.0 was seen to), the target, and the two routes."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from optim_runs import assert_within, expected, random_rows, ratio, rows
from scipy.sparse import coo_array

from refimpl.arithmetic import numpy_dtype
from refimpl.case import Param
from refimpl.dialects import dialect
from refimpl.errors import UsageError
from refimpl.optim import Adam, LazyAdam

RANGE = "For 'LazyAdam', the '{}' must be in range of (0.0, 1.0), but got {} with type 'float'."
POSITIVE = "For 'LazyAdam', the '{}' must be float and must > 0, but got '{}' with type 'float'."
NOT_NEGATIVE = "For 'LazyAdam', the '{}' must be float and must >= 0, but got '{}' with type 'float'."
TYPE = "For 'LazyAdam', the type of '{}' should be '{}', but got type '{}'."
LEGAL = "For 'LazyAdam', the '{}' must be a legal value, but got '{}'."
LR_TYPE = (
    "For 'Optimizer', the argument 'learning_rate' must be int, float, Tensor, Iterable or LearningRateSchedule, but got <class '{}'>."
)
DECAY_TYPE = "For 'Optimizer', the argument 'Weight_decay' must be int, float or Cell.but got <class '{}'>"

REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"beta1": 0.0}, ValueError, RANGE.format("beta1", 0.0)),
    ({"beta1": 1.0}, ValueError, RANGE.format("beta1", 1.0)),
    ({"beta2": 1.5}, ValueError, RANGE.format("beta2", 1.5)),
    ({"beta1": 1}, TypeError, TYPE.format("beta1", "float", "int")),
    ({"beta2": np.float32(0.9)}, TypeError, TYPE.format("beta2", "float", "float32")),
    ({"beta1": True}, TypeError, TYPE.format("beta1", "float", "bool")),
    ({"eps": 0.0}, ValueError, POSITIVE.format("eps", 0.0)),
    ({"eps": -1e-8}, ValueError, POSITIVE.format("eps", -1e-8)),
    ({"eps": 1}, TypeError, TYPE.format("eps", "float", "int")),
    ({"eps": float("nan")}, ValueError, LEGAL.format("eps", "nan")),
    ({"eps": float("inf")}, ValueError, LEGAL.format("eps", "inf")),
    ({"learning_rate": -1.0}, ValueError, NOT_NEGATIVE.format("learning rate", -1.0)),
    ({"learning_rate": -1}, ValueError, NOT_NEGATIVE.format("learning rate", -1.0)),
    ({"learning_rate": float("nan")}, ValueError, LEGAL.format("learning rate", "nan")),
    ({"learning_rate": None}, TypeError, LR_TYPE.format("NoneType")),
    ({"learning_rate": np.float32(0.1)}, TypeError, LR_TYPE.format("numpy.float32")),
    (
        {"learning_rate": np.ones((1, 1))},
        ValueError,
        "For 'Optimizer', if 'learning_rate' is Tensor type, then the dimension of it should be 0 or 1, but got 2.",
    ),
    ({"learning_rate": "x"}, ValueError, "could not convert string to float: np.str_('x')"),
    ({"weight_decay": -0.1}, ValueError, NOT_NEGATIVE.format("weight_decay", -0.1)),
    ({"weight_decay": float("nan")}, ValueError, LEGAL.format("weight_decay", "nan")),
    ({"weight_decay": 1}, TypeError, TYPE.format("weight_dacay", "float", "int")),
    ({"weight_decay": True}, TypeError, TYPE.format("weight_dacay", "float", "bool")),
    ({"weight_decay": np.float32(0.1)}, TypeError, DECAY_TYPE.format("numpy.float32")),
    ({"weight_decay": "x"}, TypeError, DECAY_TYPE.format("str")),
    ({"loss_scale": 0.0}, ValueError, POSITIVE.format("loss_scale", 0.0)),
    ({"loss_scale": 0}, ValueError, POSITIVE.format("loss_scale", 0.0)),
    ({"loss_scale": -1.0}, ValueError, POSITIVE.format("loss_scale", -1.0)),
    ({"loss_scale": "x"}, TypeError, TYPE.format("loss_scale", "float", "str")),
    ({"loss_scale": np.float32(2)}, TypeError, TYPE.format("loss_scale", "float", "float32")),
    ({"use_nesterov": 1}, TypeError, TYPE.format("use_nesterov", "bool", "int")),
    ({"use_nesterov": None}, TypeError, TYPE.format("use_nesterov", "bool", "NoneType")),
    ({"use_locking": 0}, TypeError, TYPE.format("use_locking", "bool", "int")),
    ({"beta1": 0.0, "beta2": 1}, TypeError, TYPE.format("beta2", "float", "int")),
    ({"beta1": 1, "loss_scale": 0.0, "learning_rate": -1.0}, ValueError, POSITIVE.format("loss_scale", 0.0)),
]
"""Every type and message was printed by mindspore 2.10.0 for these arguments (Tensors where there are arrays here)."""

ACCEPTED: list[dict[str, Any]] = [
    {"learning_rate": value} for value in (True, 0, np.float64(0.1), np.array(0.1), np.array([0.1, 0.2]), [0.1, -0.2], (1, 2), [])
] + [{"loss_scale": 2}, {"loss_scale": 0.5}, {"beta1": np.float64(0.5)}]


@pytest.mark.parametrize(
    "make", [LazyAdam, lambda *arguments, **options: Adam(*arguments, dialect="mindspore.Adam", **options)], ids=["LazyAdam", "Adam"]
)
@pytest.mark.parametrize(("bad", "kind", "message"), REFUSED, ids=str)
def test_constructor_refuses_in_the_words_of_the_real_one(make: Any, bad: dict[str, Any], kind: type[Exception], message: str) -> None:
    lazy = make is LazyAdam
    if not lazy and bad.get("weight_decay") in (1, True):  # an int is well with Adam
        make([np.ones(2, np.float32)], **bad)
        return
    with pytest.raises(kind) as caught:
        make([np.ones((2, 3), np.float32)], **bad)
    assert type(caught.value) is kind
    assert str(caught.value) == (message if lazy else message.replace("'LazyAdam'", "'Adam'"))


@pytest.mark.parametrize("good", ACCEPTED, ids=str)
def test_constructor_accepts_what_the_real_one_accepts(good: dict[str, Any]) -> None:
    LazyAdam([np.ones((2, 3), np.float32)], **good)


def test_messages_of_the_dialect_table_are_those_that_are_raised() -> None:
    for name, parameter in dialect("mindspore.LazyAdam").parameters.items():
        if parameter.interval is not None:
            setting: dict[str, Any] = {name: -0.5}
            with pytest.raises(ValueError) as caught:  # noqa: PT011  # the message is compared below
                LazyAdam([np.ones(2, np.float32)], **setting)
            assert str(caught.value) == parameter.message.format(**{"value": -0.5, "type": "float", "class": "LazyAdam"})


def test_signature_and_defaults_are_those_of_the_page() -> None:
    defaults = {key: parameter.default for key, parameter in inspect.signature(LazyAdam).parameters.items() if key != "params"}
    assert defaults == {
        "learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "use_locking": False, "use_nesterov": False,
        "weight_decay": 0.0, "loss_scale": 1.0, "moment_dtype": None,
    }  # fmt: skip


def test_adam_asks_for_a_dialect_that_it_has() -> None:
    w = np.ones(2, np.float32)
    assert [Adam([w]).dialect, Adam([w], dialect="mindspore.Adam").dialect] == ["torch.Adam", "mindspore.Adam"]
    assert isinstance(Adam([w], dialect="mindspore.Adam"), Adam)
    with pytest.raises(UsageError, match="no dialect"):
        Adam([w], dialect="keras.Adam")


def test_adam_of_mindspore_refuses_amsgrad_where_it_is_lazy() -> None:
    with pytest.raises(ValueError, match="there is no parameter named 'use_amsgrad'"):
        Adam([np.ones(2, np.float32)], use_amsgrad=True, use_lazy=True, dialect="mindspore.Adam")


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (1, TypeError, "For 'Optimizer', the property 'target' must be string, but got <class 'int'>"),
        ("x", ValueError, "For 'Optimizer', the property 'target' must be one of ['CPU', 'Ascend' ,'GPU'], but got x"),
        ("GPU", ValueError, "For 'Optimizer', the property 'target' cannot be set to 'GPU' or 'Ascend' in the 'CPU' environment."),
        ("Ascend", ValueError, "For 'Optimizer', the property 'target' cannot be set to 'GPU' or 'Ascend' in the 'CPU' environment."),
    ],
)
def test_target_is_refused_in_the_words_of_the_real_one(value: Any, kind: type[Exception], message: str) -> None:
    optimizer = LazyAdam([np.ones(2, np.float32)])
    with pytest.raises(kind) as caught:
        optimizer.target = value
    assert str(caught.value) == message
    assert (optimizer.target, optimizer.dialect) == ("CPU", "mindspore.LazyAdam.default-target")


def test_target_reads_cpu_but_only_setting_it_sums_duplicates() -> None:
    optimizer = LazyAdam([np.ones(2, np.float32)])
    assert (optimizer.target, optimizer.dialect) == ("CPU", "mindspore.LazyAdam.default-target")
    optimizer.target = "CPU"
    assert (optimizer.target, optimizer.dialect) == ("CPU", "mindspore.LazyAdam")


def test_adam_that_is_lazy_takes_the_routes_of_lazy_adam() -> None:
    optimizer = Adam([np.ones(2, np.float32)], dialect="mindspore.Adam", use_lazy=True)
    assert optimizer.dialect == "mindspore.LazyAdam.default-target"
    optimizer.target = "CPU"
    assert optimizer.dialect == "mindspore.LazyAdam"


CUBE = (3, 3, 3)


@pytest.mark.parametrize(
    ("target", "indices", "moved"),
    [
        ("CPU", [0, 1, 2], [0.999684, 0.999684, 0.999684]),
        ("CPU", [2, 2, 1], [1.0, 0.999684, 0.999653]),
        (None, [0, 1, 2], [0.999684, 0.999684, 0.999684]),
        (None, [2, 2, 1], [1.0, 0.999684, 0.999368]),
    ],
)
def test_numbers_of_mindspores_kernel_tests(target: str | None, indices: list[int], moved: list[float]) -> None:
    """Those of FusedSparseLazyAdam, to the six digits that are printed; left alone, row 2 makes row 1's move twice, 2 * 0.000316."""
    w = np.ones(CUBE, np.float32)
    gradient = rows(indices, np.ones(CUBE), CUBE)
    optimizer = LazyAdam([w])
    if target:
        optimizer.target = target
    state = optimizer.state_dict()
    for moment in ("exp_avg", "exp_avg_sq"):
        state["state"][0][moment][:] = 1
    optimizer.load_state_dict(state)
    optimizer.step([gradient])
    assert np.round(w.astype(np.float64), 6).tolist() == np.broadcast_to(np.array(moved)[:, None, None], CUBE).tolist()
    resumed = Param("param0", np.ones(CUBE, np.float32), 0, np.ones(CUBE, np.float32), np.ones(CUBE, np.float32))
    assert_within(optimizer, expected(optimizer.dialect, [resumed], [{"param0": gradient}]))


SHAPE = (6, 4)


@pytest.mark.parametrize("target", ["CPU", None])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"use_nesterov": True, "beta1": 0.7},
        {"weight_decay": 0.1},
        {"loss_scale": 128.0, "weight_decay": 0.1},
        {"learning_rate": 0.5, "eps": 1e-3, "beta2": 0.9},
        {"use_locking": True},
    ],
    ids=str,
)
def test_lazy_adam_is_within_the_bound_on_both_routes_and_targets(target: str | None, options: dict[str, Any]) -> None:
    source = np.random.default_rng(3)
    a, b = (source.normal(size=SHAPE).astype(np.float32) for _ in range(2))
    params = [Param("a", a.copy()), Param("b", b.copy())]
    optimizer = LazyAdam([("a", a), ("b", b)], **options)
    if target:
        optimizer.target = target
    steps: list[dict[str, Any]] = [
        {"a": random_rows(source, SHAPE, 9), "b": source.normal(size=SHAPE).astype(np.float32)},
        {"a": random_rows(source, SHAPE, 2), "b": None},
        {"a": None, "b": random_rows(source, SHAPE, 5)},
        {"a": rows([], np.zeros((0, 4)), SHAPE), "b": source.normal(size=SHAPE).astype(np.float32)},
        {"a": random_rows(source, SHAPE, 6), "b": random_rows(source, SHAPE, 6)},
    ]
    for step in steps:
        assert optimizer(list(step.values())) is True
    assert optimizer.global_step == 5
    assert_within(optimizer, expected(optimizer.dialect, params, steps, options))


@pytest.mark.parametrize("target", [None, "CPU"])
def test_lazy_adam_in_half_precision_is_within_the_bound_with_wider_moments_and_gradients(target: str | None) -> None:
    source = np.random.default_rng(3)
    w = source.normal(size=SHAPE).astype(numpy_dtype("bfloat16"))
    start = Param("w", w.copy(), dtypes={"exp_avg": "float32", "exp_avg_sq": "float32"})
    options: dict[str, Any] = {"learning_rate": 0.1, "weight_decay": 0.1, "loss_scale": 128.0}
    optimizer = LazyAdam([("w", w)], moment_dtype=np.float32, **options)
    if target:
        optimizer.target = target
    steps = [{"w": random_rows(source, SHAPE, 9)} for _ in range(3)]
    for step in steps:
        optimizer.step(step)
    assert_within(optimizer, expected(optimizer.dialect, [start], steps, options))


@pytest.mark.parametrize("options", [{}, {"use_amsgrad": True}, {"weight_decay": 1, "use_nesterov": True}], ids=str)
def test_adam_of_mindspore_is_within_the_bound_and_moves_untouched_rows(options: dict[str, Any]) -> None:
    source = np.random.default_rng(4)
    w = source.normal(size=SHAPE).astype(np.float32)
    start = w.copy()
    optimizer = Adam([w], learning_rate=0.1, dialect="mindspore.Adam", **options)
    dense = source.normal(size=SHAPE).astype(np.float32)
    steps: list[dict[str, Any]] = [
        {"param0": dense},
        {"param0": random_rows(source, SHAPE, 4)},
        {"param0": rows([0], np.ones((1, 4)), SHAPE)},
    ]
    for step in steps:
        optimizer.step(step)
    expectation = expected("mindspore.Adam", [Param("param0", start)], steps, {"learning_rate": 0.1, **options})
    assert_within(optimizer, expectation)


def test_the_two_targets_differ_on_duplicates() -> None:
    source = np.random.default_rng(5)
    start = source.normal(size=SHAPE).astype(np.float32)
    w = start.copy()
    steps = [{"param0": random_rows(source, SHAPE, 12)} for _ in range(2)]
    optimizer = LazyAdam([w], learning_rate=0.1)
    for step in steps:
        optimizer.step(step)
    summed = expected("mindspore.LazyAdam", [Param("param0", start)], steps, {"learning_rate": 0.1})
    assert ratio(w, summed["param0"]["param"], "tensor-approx") > 1000


def test_single_elements_are_refused() -> None:
    w = np.ones((2, 3), np.float32)
    with pytest.raises(TypeError, match="single elements cannot be given"):
        LazyAdam([w]).step([coo_array(np.ones((2, 3)))])
