"""A case of one dialect, replayed under another: the gradients and settings of each call, and what the caller must do by hand.

A *preparation* rewrites a transfer (see `_adapters`); `run` passes it to the other dialect and evaluates it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arithmetic import Arithmetic, Float
from ..case import Case, Group, Param, Step
from ..dialects import Deviation, Dialect, Picks
from ..dialects.translate import Refused, Wanted, in_names_of
from ..gradients import Array
from ..reference import FIELDS, scheduled, trajectory
from ..reference.counters import counts
from ._limits import check_calls, check_forms

DOUBLE = Float("float64")


@dataclass(frozen=True)
class Target:
    """The dialect that is to reproduce, with the settings that it has whatever the case says.

    deviations: what it is supposed to pick instead, to see whether a stage matters.
    """

    dialect: Dialect
    settings: Mapping[str, Any]
    deviations: tuple[Deviation, ...] = ()

    @property
    def picks(self) -> Picks:
        """What it picks with these settings, its others at their defaults."""
        return self.dialect.resolve({**self.dialect.defaults(), **self.settings})[1]


@dataclass(frozen=True, eq=False)
class Call:
    """One call: a gradient (or None) and the settings of each parameter, and what to multiply it by beforehand (decay by hand).

    origin: the step of the case that it belongs to, from 1; t: what the counter of A says there, by parameter;
    before: the parameters as A has them before the call.
    """

    gradients: Mapping[str, Any]
    wanted: Mapping[str, Wanted]
    origin: int
    t: Mapping[str, int]
    shrink: Mapping[str, Any]
    before: Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Transfer:
    """The calls of a case, to be made to another dialect. own: each parameter gets an optimizer of its own."""

    case: Case
    a: Dialect
    params: tuple[Param, ...]
    calls: tuple[Call, ...]
    own: bool = False


Results = dict[tuple[str, str], Array]
"""(parameter, array) to (T, size): the state at the recorded steps of the case, every array flat."""


def transfer(case: Case, a: Dialect) -> Transfer:
    """A case as A means it, before anything is prepared."""
    resolved = [[Wanted(*a.resolve(hyper)) for hyper in hypers] for hypers in scheduled(case)]
    wanted = [{param.name: by_group[param.group] for param in case.params} for by_group in resolved]
    ticks = counts(case, [{name: meant.picks.counter for name, meant in by_name.items()} for by_name in wanted])
    start = {param.name: param.value.astype(np.float64) for param in case.params}
    shapes = {param.name: param.value.shape for param in case.params}
    after = ({name: np.array(states[name].p).reshape(shape) for name, shape in shapes.items()} for states in trajectory(case, DOUBLE, a))
    before = [start, *after]
    calls = tuple(Call(step.gradients, wanted[index], index + 1, ticks[index], {}, before[index]) for index, step in enumerate(case.steps))
    return Transfer(case, a, _in_own_groups(case.params), calls)


def _in_own_groups(params: tuple[Param, ...]) -> tuple[Param, ...]:
    return tuple(replace(param, group=index) for index, param in enumerate(params))


def run(transfer: Transfer, b: Target, arithmetic: Arithmetic = DOUBLE, read: Any = np.array) -> Results:
    """The states that B comes to; raises Refused where B, or its framework, does not take the calls."""
    names = [param.name for param in transfer.params]
    results: Results = {}
    with np.errstate(all="ignore"):
        for optimized in [[name] for name in names] if transfer.own else [names]:
            results.update(_run(transfer, optimized, b, arithmetic, read))
    return results


def _run(transfer: Transfer, names: list[str], b: Target, arithmetic: Arithmetic, read: Any) -> Results:
    """The states of the parameters of one optimizer, which stay as they are where it is never called."""
    made = calls_of(transfer, names, b)
    if made is None:
        path, calls = [_start(tuple(param for param in transfer.params if param.name in names))], list[Call]()
    else:
        case, calls = made
        path = _path(case, calls, b, arithmetic, read)
    at = [sum(call.origin <= step for call in calls) for step in transfer.case.record]
    return {(name, array): np.stack([path[k][name, array] for k in at]) for name in names for array in FIELDS}


def _start(params: tuple[Param, ...]) -> Results:
    arrays = {
        (param.name, array): (value, param.value.shape)
        for param in params
        for array, value in zip(FIELDS, (param.value, param.exp_avg, param.exp_avg_sq, param.max_exp_avg_sq))
    }
    return {key: (np.zeros(shape) if value is None else value).astype(np.float64).reshape(-1) for key, (value, shape) in arrays.items()}


def _path(case: Case, calls: list[Call], b: Target, arithmetic: Arithmetic, read: Any) -> list[Results]:
    """The state at the start and after each call; a decay by hand happens between the calls."""
    path = [_start(case.params)]
    first = calls[0].shrink
    params = tuple(replace(param, value=param.value * first[param.name]) if param.name in first else param for param in case.params)
    ahead = [*(call.shrink for call in calls[1:]), {}]
    for states, shrink in zip(trajectory(replace(case, params=params), arithmetic, b.dialect, b.deviations), ahead):
        path.append(
            {(name, array): read(getattr(state, field)).reshape(-1) for name, state in states.items() for array, field in FIELDS.items()}
        )
        for name in states.keys() & shrink.keys():
            state, factor = states[name], shrink[name]
            state.p = state.p * arithmetic.load(np.reshape(factor, state.p.shape))
    return path


def calls_of(transfer: Transfer, names: list[str], b: Target) -> tuple[Case, list[Call]] | None:
    """The case that one optimizer of B is given for these parameters, a group for each, and its calls; None where it is never called.

    A decay by hand is not in the case: it stands in the calls. Raises Refused.
    """
    calls = [call for call in transfer.calls if not transfer.own or call.gradients[names[0]] is not None]
    if not calls:
        return None
    gradients = [{name: call.gradients[name] for name in names} for call in calls]
    check_forms(b.dialect, gradients)
    settings = [tuple(_settings(transfer, call, name, b) for name in names) for call in calls]
    check_calls(b.dialect, gradients, settings)
    case = replace(
        transfer.case,
        dialect=b.dialect.name,
        params=_in_own_groups(tuple(param for param in transfer.params if param.name in names)),
        groups=tuple(map(Group, settings[0])),
        steps=tuple(map(Step, gradients, settings)),
        record=tuple(range(1, len(calls) + 1)),
    )
    return case, calls


def _settings(transfer: Transfer, call: Call, name: str, b: Target) -> dict[str, Any]:
    """What a parameter is to be updated with. Where it has no gradient, B need not have it: only what it resumes from depends on it."""
    try:
        return in_names_of(b.dialect, call.wanted[name], transfer.a, b.settings)
    except Refused:
        if call.gradients[name] is not None:
            raise
        return {**b.dialect.defaults(), **b.settings}
