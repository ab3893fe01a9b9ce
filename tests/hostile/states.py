"""Settings and state dicts that must be refused with nothing changed, and odd ones that are right and must be taken over."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from refimpl.errors import InvalidState
from refimpl.optim import LazyAdam

from . import Entry
from .gradients import GOOD, OPTIMIZERS, SHAPE
from .unchanged import unchanged

Optax = collections.namedtuple("Optax", "count mu nu")  # as a caller's untyped tuple is


class Variable:
    """A variable of Keras, by its path."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        return np.zeros(SHAPE, np.float32)


NO_NUMBERS: tuple[Any, ...] = (
    None, "0.1", "nan", math.nan, math.inf, -math.inf, 10**400, 1j, [], [0.1, 0.2], (0.1,), {}, np.zeros(2), np.array([], float), np.nan,
    np.array(np.inf), np.complex64(1), object(), True, b"1",
)  # fmt: skip
BETAS: tuple[Any, ...] = (
    (1.0, 0.999), (0.9, 1.0), (-0.1, 0.9), (0.9, 1.5), (0.9, math.nan), (0.9,), (0.9, 0.99, 0.999), 0.9, None, "ab", {0.1: 0.9},
    (None, 0.9), ("0.9", 0.9), (0.9, 10**400), (0.9, 1j), np.array([0.9, 0.99]),
)  # fmt: skip
NO_SWITCHES: tuple[Any, ...] = ("False", "True", "", None, 2, -1, 0.5, 1.0, [], np.array([True, False]), object())
OUT_OF_RANGE: dict[str, tuple[Any, ...]] = {
    "lr": (-0.1, -1e-300),
    "eps": (-1e-8,),
    "weight_decay": (-0.1,),
}
"""Refused in a state dict alone: a step can be computed with them, and the real optimizers do not look at a group's settings."""

TORCH = {"SparseAdam": ("lr", "eps"), "Adam": ("lr", "eps", "weight_decay")}
SWITCHES = {"SparseAdam": ("maximize",), "Adam": ("maximize", "amsgrad", "decoupled_weight_decay")}

COUNTS: tuple[Any, ...] = (
    -1, 2.7, -0.5, 10**400, 2**54, math.nan, math.inf, "3", None, 1j, True, [3], (3,), {}, np.array([1, 2]), np.array([]), np.float32(0.5),
    np.array(-2.0), np.datetime64("2020"), torch.tensor([1.0, 2.0]), torch.tensor(1.5), object(),
)  # fmt: skip
ARRAYS: dict[str, Callable[[], Any]] = {
    "of another shape": lambda: np.zeros((4, 6), np.float32),
    "flat": lambda: np.zeros(24, np.float32),
    "of no axes": lambda: np.float32(0),
    "complex": lambda: np.zeros(SHAPE, complex),
    "of integers": lambda: np.zeros(SHAPE, int),
    "of booleans": lambda: np.zeros(SHAPE, bool),
    "of objects": lambda: np.zeros(SHAPE, object),
    "of strings": lambda: np.full(SHAPE, "0"),
    "a record": lambda: np.zeros(SHAPE, [("x", "f4")]),
    "masked": lambda: np.ma.masked_array(np.zeros(SHAPE, np.float32), np.ones(SHAPE, bool)),
    "None": lambda: None,
    "ragged": lambda: [[0.0] * 4, [0.0]],
    "a dict": dict,
    "sparse": lambda: torch.zeros(SHAPE).to_sparse(),
    "with a gradient": lambda: torch.zeros(SHAPE, requires_grad=True),
    "beyond float32": lambda: np.full(SHAPE, 1e300),
}
NEGATIVE: dict[str, Callable[[], Any]] = {
    "negative": lambda: np.full(SHAPE, -1e-45, np.float32),
    "negative in its last element": lambda: np.append(np.zeros(23, np.float32), np.float32(-1)).reshape(SHAPE),
    "minus infinity": lambda: np.full(SHAPE, -np.inf, np.float32),
}

FOREIGN: dict[str, tuple[Any, str]] = {
    "a list of arrays": ([np.zeros(SHAPE)] * 3, "list"),
    "variables of Keras": ([Variable("adam/iteration"), Variable("adam/w_momentum"), Variable("adam/w_velocity")], "Keras"),
    "Keras by name": ({"iteration": 3, "w_momentum": 0, "w_velocity": 0}, "Keras"),
    "TensorFlow 1": ({"w/Adam": 0, "w/Adam_1": 0, "beta1_power": 0.9}, "TensorFlow 1"),
    "MindSpore's parameters": ({"moment1.w": 0, "moment2.w": 0, "global_step": 3, "beta1_power": 0.7}, "mindspore.nn"),
    "Paddle": ({"w_moment1_0": 0, "w_moment2_0": 0, "w_beta1_pow_acc_0": 0.7}, "paddle.optimizer"),
    "optax": (Optax(3, [np.zeros(SHAPE)], [np.zeros(SHAPE)]), "optax"),
    "optax in a chain": ((Optax(3, [np.zeros(SHAPE)], [np.zeros(SHAPE)]), ()), "optax"),
    "powers instead of counts": (
        {"state": {0: {"exp_avg": 0, "exp_avg_sq": 0, "beta1_pow": 0.9}}, "param_groups": [{"params": [0, 1]}, {"params": [2]}]},
        "powers of the betas",
    ),
    "nothing": (None, "NoneType"),
    "a number": (3, "int"),
    "a string": ("state", "str"),
    "empty": ({}, "dict"),
    "without groups": ({"state": {}}, "dict"),
    "without a state": ({"param_groups": []}, "dict"),
    "a checkpoint of a model": ({"embedding.weight": np.zeros(SHAPE)}, "embedding.weight"),
}  # fmt: skip


def entries() -> Iterator[Entry]:
    yield from _settings()
    yield from _counts()
    yield from _state_dicts()
    yield from _right()


def _settings() -> Iterator[Entry]:
    """In the second group of a torch optimizer, between two steps, and out of a state dict."""
    for name in TORCH:
        cases = [(setting, value) for setting in TORCH[name] for value in NO_NUMBERS]
        cases += [("betas", value) for value in BETAS if not (isinstance(value, np.ndarray))]
        cases += [(setting, value) for setting in SWITCHES[name] for value in NO_SWITCHES if not _counts_as_switch(value)]
        for k, (setting, value) in enumerate(cases):
            yield Entry(f"{name}: group[{setting!r}] = {_shown(value)} ({k})", "setting", partial(_step_refused, name, setting, value))
        for setting in (*TORCH[name], "betas", *SWITCHES[name]):
            yield Entry(f"{name}: del group[{setting!r}]", "setting", partial(_step_refused, name, setting, DELETED))
        for setting in TORCH[name]:
            for value in OUT_OF_RANGE[setting]:
                yield Entry(
                    f"{name}: a state dict with {setting} = {value!r}", "state", partial(_load_refused, name, _with(setting, value))
                )
        for k, value in enumerate(BETAS):
            yield Entry(
                f"{name}: a state dict with betas = {_shown(value)} ({k})", "state", partial(_load_refused, name, _with("betas", value))
            )
    for k, value in enumerate(NO_NUMBERS):
        yield Entry(
            f"LazyAdam: a state dict with eps = {_shown(value)} ({k})", "state", partial(_load_refused, "LazyAdam", _with("eps", value))
        )
    for loss_scale in (0.0, -0.0, math.nan, math.inf, "1", None):
        change = _with("loss_scale", loss_scale)
        yield Entry(f"LazyAdam: a state dict with loss_scale = {loss_scale!r}", "state", partial(_load_refused, "LazyAdam", change))
    for rate in (math.nan, math.inf, [0.1, math.nan], [0.1, "x"], None, "0.1"):
        yield Entry(f"LazyAdam: a state dict with lr = {rate!r}", "state", partial(_load_refused, "LazyAdam", _with("lr", rate)))
    for count in (-1, -5, 2.5, math.nan, "3", None, 10**400, np.array([1, 2])):
        yield Entry(f"LazyAdam: global_step = {_shown(count)}", "setting", partial(_global_step_refused, count))
    for number, schedule in enumerate((lambda step: math.nan, lambda step: "x", lambda step: None, lambda step: 1 / 0)):
        yield Entry(f"LazyAdam: a schedule that gives no number ({number})", "setting", partial(_schedule_refused, schedule))


def _shown(value: Any) -> str:
    return "an object" if type(value) is object else repr(value)[:30]


def _counts_as_switch(value: Any) -> bool:
    return isinstance(value, int) and value in (0, 1)


DELETED = object()


def _ready(name: str) -> Any:
    tables = [np.ones(SHAPE, np.float32) for _ in range(3)]
    groups = [{"params": tables[:2]}, {"params": tables[2:]}]
    optimizer = OPTIMIZERS[name](groups)
    optimizer.step([GOOD[name], None, GOOD[name]])
    return optimizer


def _step_refused(name: str, setting: str, value: Any) -> None:
    optimizer = _ready(name)
    group = optimizer.param_groups[1]
    if value is DELETED:
        del group[setting]
    else:
        group[setting] = value
    with unchanged(optimizer) as raised:
        optimizer.step([GOOD[name]] * 3)
    assert isinstance(raised.error, ValueError), repr(raised.error)
    assert setting in str(raised.error), str(raised.error)


def _global_step_refused(count: Any) -> None:
    optimizer = _ready("LazyAdam")
    optimizer.global_step = count
    with unchanged(optimizer) as raised:
        optimizer.step([GOOD["LazyAdam"]] * 3)
    assert isinstance(raised.error, ValueError), repr(raised.error)


def _schedule_refused(rate: Any) -> None:
    optimizer = LazyAdam([np.ones(SHAPE, np.float32)], learning_rate=rate)
    with unchanged(optimizer) as raised:
        optimizer.step([GOOD["LazyAdam"]])
    assert raised.error is not None, "it was accepted"


def _with(setting: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    def change(state_dict: dict[str, Any]) -> None:
        state_dict["param_groups"][1][setting] = value

    return change


def _counts() -> Iterator[Entry]:
    for name in ("SparseAdam", "mindspore.Adam"):
        for k, count in enumerate(COUNTS):
            yield Entry(
                f"{name}: a state dict with step = {_shown(count)} ({k})", "state", partial(_load_refused, name, _entry("step", count))
            )


def _entry(key: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    def change(state_dict: dict[str, Any]) -> None:
        state_dict["state"][max(state_dict["state"])][key] = value

    return change


def _state_dicts() -> Iterator[Entry]:
    for array in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"):
        for about, value in {**ARRAYS, **({} if array == "exp_avg" else NEGATIVE)}.items():
            yield Entry(f"a state dict with {array} {about}", "state", partial(_load_refused, "Adam", _entry(array, value())))
    for about, change in STRUCTURES.items():
        for name in ("SparseAdam", "LazyAdam"):
            yield Entry(f"{name}: a state dict {about}", "state", partial(_load_refused, name, change))
    for about, (state, word) in FOREIGN.items():
        for name in ("Adam", "LazyAdam"):
            yield Entry(f"{name}: {about}", "state", partial(_foreign_refused, name, state, word))


STRUCTURES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "without a group": lambda d: d["param_groups"].pop(),
    "with a group too many": lambda d: d["param_groups"].append({"params": []}),
    "whose groups are a dict": lambda d: d.update(param_groups={0: d["param_groups"][0]}),
    "whose groups are None": lambda d: d.update(param_groups=None),
    "whose group is a list": lambda d: d["param_groups"].__setitem__(1, [2]),
    "whose group has no params": lambda d: d["param_groups"][1].pop("params"),
    "whose group has a number of params": lambda d: d["param_groups"][1].update(params=1),
    "whose params are strings of one": lambda d: d["param_groups"][1].update(params="2"),
    "whose params are unhashable": lambda d: d["param_groups"][1].update(params=[[2]]),
    "whose params repeat": lambda d: d["param_groups"][0].update(params=[0, 0]),
    "whose params lie in two groups": lambda d: d["param_groups"][1].update(params=[0]),
    "whose group is short": lambda d: d["param_groups"][0].update(params=[0]),
    "whose state is a list": lambda d: d.update(state=[d["state"]]),
    "whose state is None": lambda d: d.update(state=None),
    "with a state of nobody": lambda d: d["state"].update({17: d["state"][0]}),
    "with a state that is a list": lambda d: d["state"].update({2: [1, 2, 3]}),
    "with a state that is None": lambda d: d["state"].update({2: None}),
    "without a count": lambda d: d["state"][2].pop("step"),
    "without the first moment": lambda d: d["state"][2].pop("exp_avg"),
    "without the second moment": lambda d: d["state"][2].pop("exp_avg_sq"),
    "with a moment too many": lambda d: d["state"][2].update(momentum_buffer=np.zeros(SHAPE)),
    "with one count per row": lambda d: d["state"][2].update(step=np.ones(SHAPE[0])),
    "with an empty state": lambda d: d["state"].update({2: {}}),
    "without lr and betas": lambda d: [d["param_groups"][1].pop(key) for key in ("lr", "betas")] and d["param_groups"][1].update(eps=None),
}


def _load_refused(name: str, change: Callable[[dict[str, Any]], Any]) -> None:
    optimizer, source = _ready(name), _ready(name)
    state_dict = source.state_dict()
    change(state_dict)
    with unchanged(optimizer) as raised:
        optimizer.load_state_dict(state_dict)
    assert raised.error is not None, "it was taken over"
    assert isinstance(raised.error, (ValueError, TypeError)), repr(raised.error)


def _foreign_refused(name: str, state: Any, word: str) -> None:
    optimizer = _ready(name)
    with unchanged(optimizer) as raised:
        optimizer.load_state_dict(state)
    assert isinstance(raised.error, InvalidState), repr(raised.error)
    assert word in raised.error.message, raised.error.message
    assert "exp_avg" in raised.error.hint, raised.error.hint


RIGHT: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a count in float32": _entry("step", np.float32(3)),
    "a count in an array of one": _entry("step", np.array([3])),
    "a count in a tensor": _entry("step", torch.tensor(3.0)),
    "a count of 0": _entry("step", 0),
    "moments in float64": _entry("exp_avg", np.full(SHAPE, 0.5)),
    "moments in float16": _entry("exp_avg", np.full(SHAPE, 0.5, np.float16)),
    "moments in a tensor": _entry("exp_avg_sq", torch.full(SHAPE, 0.5)),
    "moments in a bfloat16 tensor": _entry("exp_avg_sq", torch.full(SHAPE, 0.5, dtype=torch.bfloat16)),
    "moments in Fortran order": _entry("exp_avg", np.asfortranarray(np.full(SHAPE, 0.5, np.float32))),
    "a moment that is nan": _entry("exp_avg", np.full(SHAPE, np.nan, np.float32)),
    "a moment that is infinite": _entry("exp_avg_sq", np.full(SHAPE, np.inf, np.float32)),
    "a minus zero in v": _entry("exp_avg_sq", np.full(SHAPE, -0.0, np.float32)),
    "lr in an array": _with("lr", np.float32(0.25)),
    "betas as a list": _with("betas", [0.5, 0.75]),
    "lr = 0": _with("lr", 0.0),
    "beta1 = 0": _with("betas", (0.0, 0.5)),
}


def _right() -> Iterator[Entry]:
    for about, change in RIGHT.items():
        yield Entry(f"odd but right: {about}", "state", partial(_loads, change))


def _loads(change: Callable[[dict[str, Any]], Any]) -> None:
    optimizer, source = _ready("SparseAdam"), _ready("SparseAdam")
    state_dict = source.state_dict()
    change(state_dict)
    optimizer.load_state_dict(state_dict)
    optimizer.step([GOOD["SparseAdam"]] * 3)
