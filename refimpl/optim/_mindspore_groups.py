"""The parameters of a mindspore.nn optimizer: a list of them, or groups with settings of their own and an order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dialects import Parameter
from ._rates import Rate, learning_rate, weight_decay
from ._tables import Table

KEYS = ["params", "lr", "weight_decay", "order_params", "grad_centralization"]
UNDECAYED = ("beta", "gamma")
"""Ungrouped parameters with one of these in their name are not decayed."""


@dataclass(eq=False)
class Group:
    """Tables that share their settings. by_name: whether a table with a word of UNDECAYED in its name is not decayed."""

    tables: list[Table]
    lr: Rate
    decay: Rate
    centralization: bool = False
    by_name: bool = False

    def decays(self, table: Table) -> bool:
        return not (self.by_name and any(word in table.name for word in UNDECAYED))


@dataclass(frozen=True)
class Defaults:
    """The constructor's settings, which a group takes where it has none, and what is needed to check a group's own."""

    lr: Rate
    weight_decay: Any
    parameters: Mapping[str, Parameter]
    class_name: str

    def rate(self, value: Any) -> Rate:
        return learning_rate(value, self.parameters["learning_rate"], self.class_name)

    def decay(self, value: Any) -> Rate:
        return weight_decay(value, self.parameters["weight_decay"], self.class_name)


def listed(params: Any, what: str = "parameters") -> list[Any]:
    """The elements of an argument that has to be an iterable and not empty."""
    if params is None:
        raise ValueError(f"For 'Optimizer', the argument {what} can not be None.")
    if not isinstance(params, Iterable):
        raise TypeError(f"For 'Optimizer', the argument {what} must be Iterable type, but got {type(params)}.")
    elements = list(params) if not isinstance(params, np.ndarray) else [None]  # the rows of an array are not parameters
    if not elements:
        raise ValueError(f"For 'Optimizer', the argument {what} must not be empty.")
    return elements


def is_parameter(value: Any) -> bool:
    """Whether this is an array or a (name, array) pair."""
    named = isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str)
    return isinstance(value[1] if named else value, np.ndarray)


def check_elements(params: Sequence[Any]) -> None:
    if not all(map(is_parameter, params)) and not all(isinstance(element, dict) for element in params):
        raise TypeError(
            "For 'Optimizer', all elements of the argument 'parameters' must be 'Parameter' or 'dict', please check the 'parameters'."
        )


def table_of(param: Any, position: int) -> Table:
    """A table for an array, called param0 and so on by its position, or for a (name, array) pair."""
    return Table(*param) if isinstance(param, tuple) else Table(f"param{position}", param)


def ungrouped(params: Sequence[Any], defaults: Defaults) -> Group:
    """All parameters in one group. The name of a parameter decides whether it is decayed."""
    tables = [table_of(param, k) for k, param in enumerate(params)]
    for k, table in enumerate(tables):
        if any(table.name == other.name or table.param is other.param for other in tables[:k]):
            raise ValueError(
                f"The parameter {table.name!r}, its name '{table.name}' already exists. Please set a unique name for the parameter."
            )
    return Group(tables, defaults.lr, defaults.decay(defaults.weight_decay), by_name=True)


def grouped(param_groups: Sequence[Mapping[str, Any]], defaults: Defaults) -> tuple[list[Group], list[Table]]:
    """The groups, and their tables in the order of "order_params" or else of the groups."""
    _check_groups(param_groups)
    _check_entries(param_groups, defaults)
    groups: list[Group] = []
    tables: list[Table] = []
    order: list[Any] = []
    for param_group in param_groups:
        if "order_params" in param_group:
            order = list(param_group["order_params"])
            continue
        lr = defaults.rate(param_group["lr"]) if "lr" in param_group else defaults.lr
        decay = defaults.decay(param_group.get("weight_decay", defaults.weight_decay))
        centralization = param_group.get("grad_centralization", False)
        if not isinstance(centralization, bool):
            raise TypeError(f"For 'Optimizer', the 'gradients_centralization' must be bool type, but got {type(centralization)}.")
        members = []
        for param in param_group["params"]:
            table = table_of(param, len(tables))
            if any(table.name == other.name or table.param is other.param for other in tables):
                raise RuntimeError(
                    f"For 'Optimizer', the {table.name} parameter already exists, it does not support repeated setting. "
                    f"Please check whether the optimizer parameter has been set multiple times."
                )
            members.append(table)
            tables.append(table)
        groups.append(Group(members, lr, decay, centralization))
    return groups, _ordered(tables, order) if order else tables


def _check_groups(param_groups: Sequence[Mapping[str, Any]]) -> None:
    for group in param_groups:
        unknown = [key for key in group if key not in KEYS]
        if unknown:
            raise KeyError(f"For 'Optimizer', the key in group params must be one of in {KEYS}, but got {unknown}.")
        if "order_params" in group:
            if len(group) > 1:
                raise ValueError(
                    f"For 'Optimizer', the order params dict in group parameters should only include the 'order_params' key, "
                    f"but got {group.keys()}."
                )
            if not isinstance(group["order_params"], Iterable):
                raise TypeError(
                    f"For 'Optimizer', the value of 'order_params' in group parameters should be Iterable type, "
                    f"but got {type(group['order_params'])}."
                )
            continue
        for index, param in enumerate(listed(group["params"], "group `params`")):
            if not is_parameter(param):
                raise TypeError(
                    f"For 'Optimizer', the element in group parameters must be Parameter type, but got {type(param)} at index {index}."
                )


def _check_entries(param_groups: Sequence[Mapping[str, Any]], defaults: Defaults) -> None:
    """Learning rates that list their values must list equally many."""
    rates = [defaults.lr, *(defaults.rate(group["lr"]) for group in param_groups if "lr" in group)]
    if len({rate.entries for rate in rates if rate.entries}) > 1:
        raise ValueError(
            "For 'Optimizer', the Tensor type dynamic learning rate in group must be the same size as the argument 'learning_rate'."
        )


def _ordered(tables: Sequence[Table], order: Sequence[Any]) -> list[Table]:
    if len(order) != len(tables):
        raise ValueError(
            f"For 'Optimizer',the length of order parameters must be the same as the length of group parameters, "
            f"but got order parameters' length {len(order)}, group parameters' length {len(tables)}."
        )
    ordered = []
    for param in order:
        array = param[1] if isinstance(param, tuple) else param
        same = [table for table in tables if table.param is array]
        if not same:
            name = param[0] if isinstance(param, tuple) else type(param).__name__
            raise ValueError(f"'order_params' has {name!r}, which is in no group")
        ordered.extend(same)
    return ordered
