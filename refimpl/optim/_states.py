"""The exchange of states: the layout of torch.optim's `state_dict`, written from tables and read back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.arrays import Array, is_float
from ..errors import InvalidState
from ._foreign import recognised
from ._tables import Moments, Table

ARRAYS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

LAST_STEP = 2**53
"""The largest count that differs from the next one in double."""

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
"""Settings that not every optimizer has, with the value at which they change nothing."""


@dataclass(frozen=True)
class Loaded:
    """The content of a state dict: the settings of each group, and the step count and the moments of each table that has a state."""

    groups: list[dict[str, Any]]
    states: list[tuple[Table, int, Moments]]


def pack(
    groups: Sequence[tuple[dict[str, Any], list[Table]]],
    tables: Sequence[Table],
    step_of: Callable[[Table], Any],
    array: Callable[[Any], Any] | None,
) -> dict[str, Any]:
    """A copy of everything, with parameters numbered in their order; `array` converts each array."""
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
    """Read a state dict for groups of these setting names and tables; changes nothing.

    Raises InvalidState for anything in it that is not what a state of these tables can hold.
    """
    saved = _groups_of(state_dict)
    if len(saved) != len(groups):
        raise InvalidState("loaded state dict has a different number of parameter groups", f"it has {len(saved)}, here are {len(groups)}")
    by_id: dict[Any, Table] = {}
    for number, (group, (own, members)) in enumerate(zip(saved, groups)):
        ids = _ids(group, number)
        if len(ids) != len(members):
            hint = f"group {number} has {len(ids)} parameters, here it has {len(members)}"
            raise InvalidState("loaded state dict contains a parameter group that doesn't match the size of optimizer's group", hint)
        for name, idle in IDLE.items():
            if name not in own and not _is_idle(group.get(name, idle), idle):
                raise InvalidState(f"loaded state dict has {name} = {group[name]!r}, which this optimizer does not have")
        for key, table in zip(ids, members):
            if by_id.setdefault(key, table) is not table:
                raise InvalidState(f"loaded state dict has parameter {key!r} in two places of its groups")
    states = []
    for key, state in _mapping(state_dict["state"], "'state'").items():
        if key not in by_id:
            raise InvalidState(f"loaded state dict has a state for parameter {key!r}, which is in none of its groups")
        states.append((by_id[key], *_state(state, by_id[key])))
    settings = [{name: deepcopy(value) for name, value in group.items() if name != "params"} for group in saved]
    return Loaded(settings, states)


def _groups_of(state_dict: Any) -> Sequence[Mapping[str, Any]]:
    if not (isinstance(state_dict, Mapping) and {"state", "param_groups"} <= state_dict.keys()):
        about, hint = recognised(state_dict)
        raise InvalidState(f"this is not a state dict as torch.optim lays it out, but {about}", hint)
    groups = state_dict["param_groups"]
    if not isinstance(groups, (list, tuple)):
        raise InvalidState(f"'param_groups' is a {type(groups).__name__}", "give a list of groups")
    return [_mapping(group, f"group {number}") for number, group in enumerate(groups)]


def _mapping(value: Any, label: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise InvalidState(f"{label} of the loaded state dict is a {type(value).__name__}", "give a dict")
    return value


def _ids(group: Mapping[str, Any], number: int) -> list[Any]:
    ids = group.get("params")
    if not isinstance(ids, (list, tuple)) or not all(isinstance(key, (int, str)) for key in ids):
        raise InvalidState(f"group {number} of the loaded state dict has no list of parameter numbers under 'params'")
    return list(ids)


def _is_idle(value: Any, idle: Any) -> bool:
    try:
        return bool(value == idle)
    except (ValueError, RuntimeError):  # an array of several elements
        return False


def _state(state: Any, table: Table) -> tuple[int, Moments]:
    """The count and the moments of one parameter."""
    label = f"state of {table.name!r}"
    state = _mapping(state, label)
    missing = [name for name in ("step", *ARRAYS[:2]) if name not in state]
    unknown = [name for name in state if name not in ("step", *ARRAYS)]
    if missing:
        about, hint = recognised(state)
        raise InvalidState(f"{label} has no {' and no '.join(missing)}: it is {about}", hint)
    if unknown:
        raise InvalidState(f"{label} has {', '.join(map(repr, unknown))}, which this optimizer does not keep", "leave it out")
    exp_avg, exp_avg_sq = (_copied(state[name], f"{name} of {table.name!r}", table) for name in ARRAYS[:2])
    largest = _copied(state[ARRAYS[2]], f"{ARRAYS[2]} of {table.name!r}", table) if ARRAYS[2] in state else None
    for name, squares in zip(ARRAYS[1:], (exp_avg_sq, largest)):
        if squares is not None and (squares < 0).any():
            at = tuple(int(k) for k in np.argwhere(squares < 0)[0])
            raise InvalidState(f"{name}{list(at)} of {table.name!r} is {squares[at]}", "an average of squares is not negative")
    return count(state["step"], f"step of {table.name!r}"), Moments(exp_avg, exp_avg_sq, largest)


def count(value: Any, label: str) -> int:
    """A count of steps: an integer from 0 on, in any type of number, given as such or as an array of one element."""
    try:
        plain = value.item() if hasattr(value, "item") else value
        steps = int(plain) if isinstance(plain, (int, float)) and not isinstance(plain, bool) else -1
        integral = steps == plain and 0 <= steps <= LAST_STEP
    except (ValueError, RuntimeError, OverflowError):  # an array of several elements, nan or inf
        integral = False
    if not integral:
        shown = repr(value)
        raise InvalidState(f"{label} = {shown if len(shown) <= 60 else shown[:57] + '...'}", f"a count is an integer from 0 to {LAST_STEP}")
    return steps


def _copied(value: Any, label: str, table: Table) -> Array:
    try:
        array = np.asarray(value.float() if str(getattr(value, "dtype", "")) == "torch.bfloat16" else value)  # NumPy reads no other tensor
    except (TypeError, ValueError, RuntimeError) as error:  # a tensor of another framework may raise any of these
        raise InvalidState(f"{label} is a {type(value).__name__} that NumPy cannot read: {error}", "give a NumPy array") from None
    if isinstance(value, np.ma.MaskedArray) or not is_float(array.dtype):
        raise InvalidState(f"{label} is a {type(value).__name__} of dtype {array.dtype}", "give real floating-point numbers")
    if array.shape != table.param.shape:
        raise InvalidState(f"loaded state dict has {label} of shape {array.shape}, and the parameter's shape is {table.param.shape}")
    with np.errstate(over="ignore", invalid="ignore"):
        copied = array.astype(table.kept_in, order="C", copy=True)
        if (np.isinf(copied) & np.isfinite(array)).any():
            raise InvalidState(f"{label} has numbers beyond the range of {table.kept_in}, the dtype of the moments")
    return copied
