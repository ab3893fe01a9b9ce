"""Parameters of a MindSpore optimizer: lists, names, groups and their order, and the words in which they are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optim_runs import assert_within, expected, rows

from refimpl.case import Param
from refimpl.optim import LazyAdam

W, V = np.ones((2, 3), np.float32), np.ones((2, 3), np.float32)
KINDS_REFUSED = "For 'Optimizer', all elements of the argument 'parameters' must be 'Parameter' or 'dict', please check the 'parameters'."
REPEATED = (
    "For 'Optimizer', the w parameter already exists, it does not support repeated setting. Please check whether the optimizer parameter "
    "has been set multiple times."
)

REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "none": (None, ValueError, "For 'Optimizer', the argument parameters can not be None."),
    "number": (5, TypeError, "For 'Optimizer', the argument parameters must be Iterable type, but got <class 'int'>."),
    "empty": ([], ValueError, "For 'Optimizer', the argument parameters must not be empty."),
    "one array": (W, TypeError, KINDS_REFUSED),
    "text": ("abc", TypeError, KINDS_REFUSED),
    "mapping": ({"params": [W]}, TypeError, KINDS_REFUSED),
    "mixed": ([W, {"params": [V]}], TypeError, KINDS_REFUSED),
    "empty group": ([{"params": []}], ValueError, "For 'Optimizer', the argument group `params` must not be empty."),
    "group of text": (
        [{"params": ["a"]}],
        TypeError,
        "For 'Optimizer', the element in group parameters must be Parameter type, but got <class 'str'> at index 0.",
    ),
    "no params": ([{"lr": 0.1}], KeyError, "'params'"),
    "unknown key": (
        [{"params": [W], "foo": 1}],
        KeyError,
        "\"For 'Optimizer', the key in group params must be one of in ['params', 'lr', 'weight_decay', 'order_params', "
        "'grad_centralization'], but got ['foo'].\"",
    ),
    "repeated": ([{"params": [("w", W)]}, {"params": [("w", W)]}], RuntimeError, REPEATED),
    "repeated name": ([{"params": [("w", W)]}, {"params": [("w", V)]}], RuntimeError, REPEATED),
    "negative rate": (
        [{"params": [W], "lr": -1.0}],
        ValueError,
        "For 'LazyAdam', the 'learning rate' must be float and must >= 0, but got '-1.0' with type 'float'.",
    ),
    "negative decay": (
        [{"params": [W], "weight_decay": -1.0}],
        ValueError,
        "For 'LazyAdam', the 'weight_decay' must be float and must >= 0, but got '-1.0' with type 'float'.",
    ),
    "decay in words": (
        [{"params": [W], "weight_decay": "x"}],
        TypeError,
        "For 'Optimizer', the argument 'Weight_decay' must be int, float or Cell.but got <class 'str'>",
    ),
    "centralization 1": (
        [{"params": [W], "grad_centralization": 1}],
        TypeError,
        "For 'Optimizer', the 'gradients_centralization' must be bool type, but got <class 'int'>.",
    ),
    "order and more": (
        [{"params": [W]}, {"order_params": [W], "lr": 0.1}],
        ValueError,
        "For 'Optimizer', the order params dict in group parameters should only include the 'order_params' key, "
        "but got dict_keys(['order_params', 'lr']).",
    ),
    "order of a number": (
        [{"params": [W]}, {"order_params": 1}],
        TypeError,
        "For 'Optimizer', the value of 'order_params' in group parameters should be Iterable type, but got <class 'int'>.",
    ),
    "order too short": (
        [{"params": [W, V]}, {"order_params": [W]}],
        ValueError,
        "For 'Optimizer',the length of order parameters must be the same as the length of group parameters, "
        "but got order parameters' length 1, group parameters' length 2.",
    ),
    "rates of unequal length": (
        [{"params": [W], "lr": [0.1, 0.2]}, {"params": [V], "lr": np.array([0.1])}],
        ValueError,
        "For 'Optimizer', the Tensor type dynamic learning rate in group must be the same size as the argument 'learning_rate'.",
    ),
}
"""Printed by mindspore 2.10.0 for Parameters where there are arrays here."""


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_the_words_of_the_real_one(case: str) -> None:
    params, kind, message = REFUSED[case]
    with pytest.raises(kind) as caught:
        LazyAdam(params)
    assert type(caught.value) is kind
    assert str(caught.value) == message


def test_a_parameter_given_twice_and_an_order_with_another_parameter_are_refused() -> None:
    for params, message in (
        ([W, W], "already exists. Please set a unique name"),
        ([("a", W), ("a", V)], "its name 'a' already exists"),
        ([{"params": [("w", W)]}, {"order_params": [("z", V)]}], "'z', which is in no group"),
    ):
        with pytest.raises(ValueError, match=message):
            LazyAdam(params)


@pytest.mark.parametrize(
    "params",
    [[W, ("v", V)], (W, V), (table for table in [W]), [{"params": (W,)}, {"order_params": []}], ({"params": [W]},)],
    ids=["mixed", "tuple", "generator", "order", "groups"],
)
def test_accepted_as_by_the_real_one(params: Any) -> None:
    assert all(parameter is W or parameter is V for parameter in LazyAdam(params).parameters)


def test_unnamed_parameters_are_called_by_their_place() -> None:
    assert LazyAdam([W, ("v", V)]).names == ["param0", "v"]


DECAYED = {"gamma": False, "beta": False, "layer.gamma_1": False, "alphabeta": False, "Beta": True, "weight": True}


def test_ungrouped_parameters_are_decayed_by_their_name_and_grouped_ones_in_any_case() -> None:
    gradient = np.zeros((2, 3), np.float32)  # what moves a parameter is its decay
    for grouped in (False, True):
        arrays = {name: np.ones((2, 3), np.float32) for name in DECAYED}
        pairs: Any = list(arrays.items())
        optimizer = LazyAdam([{"params": pairs}] if grouped else pairs, weight_decay=0.1)
        optimizer.step([gradient] * len(arrays))
        assert {name: bool((array != 1).all()) for name, array in arrays.items()} == (dict.fromkeys(DECAYED, True) if grouped else DECAYED)


def test_names_that_are_not_decayed_keep_their_place() -> None:
    a, beta, b = (np.ones((2, 3), np.float32) for _ in range(3))
    optimizer = LazyAdam([("a", a), ("beta", beta), ("b", b)])
    assert optimizer.names == ["a", "beta", "b"]
    optimizer.step([None, np.ones((2, 3), np.float32), None])
    assert [bool((table != 1).any()) for table in (a, beta, b)] == [False, True, False]


def test_groups_have_settings_of_their_own_and_order_params_orders_the_gradients() -> None:
    source = np.random.default_rng(6)
    shape = (4, 16)
    a, b, c = (source.normal(size=shape).astype(np.float32) for _ in range(3))
    params = [Param("a", a.copy(), 0), Param("b", b.copy(), 0), Param("c", c.copy(), 1)]
    groups = [
        {"params": [("a", a), ("b", b)], "lr": 0.1, "weight_decay": 1, "grad_centralization": True},
        {"params": [("c", c)]},
        {"order_params": [c, a, b]},
    ]
    optimizer = LazyAdam(groups, learning_rate=0.01, weight_decay=0.2)
    optimizer.target = "CPU"
    assert optimizer.names == ["c", "a", "b"]
    sparse = rows([3, 1, 3], source.normal(size=(3, 16)), shape)
    gradients = {"a": source.normal(size=shape).astype(np.float32), "b": sparse, "c": sparse}
    for _ in range(3):
        optimizer.step([gradients[name] for name in optimizer.names])
    hypers = ({"learning_rate": 0.1, "weight_decay": 1.0, "grad_centralization": True}, {"learning_rate": 0.01, "weight_decay": 0.2})
    expectation = expected("mindspore.LazyAdam", params, [gradients] * 3, *hypers)
    assert_within(optimizer, expectation)
