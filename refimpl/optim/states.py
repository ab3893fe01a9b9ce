"""The exchange of states: the layout of torch.optim's `state_dict`, written from tables and read back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..gradients import Array
from .tables import Moments, Table

ARRAYS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

IDLE: dict[str, Any] = {
    "weight_decay": 0,
    "maximize": False,
    "amsgrad": False,
    "decoupled_weight_decay": False,
    "use_nesterov": False,
    "use_amsgrad": False,
    "loss_scale": 1,
    "grad_centralization": False,
}
"""Settings that one optimizer has and another has not, with the value at which they change nothing."""


@dataclass(frozen=True)
class Loaded:
    """What a state dict says: the settings of each group, and per table that it knows, the step count and the moments."""

    groups: list[dict[str, Any]]
    states: list[tuple[Table, int, Moments]]


def pack(
    groups: Sequence[tuple[dict[str, Any], list[Table]]],
    tables: Sequence[Table],
    step_of: Callable[[Table], Any],
    array: Callable[[Any], Any] | None,
) -> dict[str, Any]:
    """A copy of everything, with parameters numbered in their order; `array` turns each array into something else."""
    turn = array or (lambda values: values)
    ids: dict[int, int] = {}
    for number, table in enumerate(tables):
        ids.setdefault(id(table), number)
    state = {}
    for table in tables:
        if table.started:
            moments = table.moments()
            kept = {name: getattr(moments, name) for name in ARRAYS}
            step = step_of(table)
            state[ids[id(table)]] = {
                "step": turn(step) if isinstance(step, np.ndarray) else step,
                **{name: turn(values.copy()) for name, values in kept.items() if values is not None},
            }
    param_groups = [{**deepcopy(settings), "params": [ids[id(table)] for table in members]} for settings, members in groups]
    return {"state": state, "param_groups": param_groups}


def load(state_dict: Mapping[str, Any], groups: Sequence[tuple[Collection[str], list[Table]]]) -> Loaded:
    """Read a state dict for groups of these setting names and tables; changes nothing."""
    saved = state_dict["param_groups"]
    if len(saved) != len(groups):
        raise ValueError("loaded state dict has a different number of parameter groups")
    if any(len(group["params"]) != len(members) for group, (_, members) in zip(saved, groups)):
        raise ValueError("loaded state dict contains a parameter group that doesn't match the size of optimizer's group")
    by_id: dict[Any, Table] = {}
    for group, (own, members) in zip(saved, groups):
        for name, idle in IDLE.items():
            if name not in own and group.get(name, idle) != idle:
                raise ValueError(f"loaded state dict has {name} = {group[name]!r}, which this optimizer does not have")
        by_id.update(zip(group["params"], members))
    states = []
    for key, state in state_dict["state"].items():
        if key not in by_id:
            raise ValueError(f"loaded state dict has a state for parameter {key!r}, which is in none of its groups")
        states.append((by_id[key], int(state["step"]), _moments(state, by_id[key])))
    settings = [{name: deepcopy(value) for name, value in group.items() if name != "params"} for group in saved]
    return Loaded(settings, states)


def _moments(state: Mapping[str, Any], table: Table) -> Moments:
    most = _copied(state, "max_exp_avg_sq", table) if "max_exp_avg_sq" in state else None
    return Moments(_copied(state, "exp_avg", table), _copied(state, "exp_avg_sq", table), most)


def _copied(state: Mapping[str, Any], name: str, table: Table) -> Array:
    array = np.asarray(state[name])
    if array.shape != table.param.shape:
        raise ValueError(f"loaded state dict has {name} of shape {array.shape} for {table.name!r}, whose shape is {table.param.shape}")
    return array.astype(table.param.dtype, order="C", copy=True)
