"""A case of one dialect, replayed under another: the gradients and settings of each call, and what the caller must do by hand.

A *preparation* rewrites a transfer (see `preparations`); `run` hands it to the other dialect and evaluates it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..arithmetic import Arithmetic, Float
from ..case import Case, Group, Param, Step
from ..dialects import Deviation, Dialect, Picks
from ..dialects.translate import Refused, Wanted, in_names_of
from ..gradients import Array, gradient_form
from ..reference import FIELDS, scheduled, trajectory
from ..reference.counters import counts
from ._limits import check_gradients, check_settings

DOUBLE = Float("float64")


@dataclass(frozen=True)
class Target:
    """The dialect that is to reproduce, with the settings that it is given whatever the case says.

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

    origin: the step of the case that it belongs to, from 1; t: what the counter of A says there, by parameter.
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
    groups = {param.name: param.group for param in case.params}
    ticks = counts(case, [{name: one[group].picks.counter for name, group in groups.items()} for one in resolved])
    before = _parameters_before(case, a)
    calls = tuple(
        Call(step.gradients, {name: one[group] for name, group in groups.items()}, number, ticks[number - 1], {}, before[number - 1])
        for number, (step, one) in enumerate(zip(case.steps, resolved), start=1)
    )
    return Transfer(case, a, tuple(replace(param, group=index) for index, param in enumerate(case.params)), calls)


def _parameters_before(case: Case, a: Dialect) -> list[dict[str, Array]]:
    shapes = {param.name: param.value.shape for param in case.params}
    start = {param.name: param.value.astype(np.float64) for param in case.params}
    after = ({name: np.array(states[name].p).reshape(shape) for name, shape in shapes.items()} for states in trajectory(case, DOUBLE, a))
    return [start, *after]


def run(given: Transfer, b: Target, a: Arithmetic = DOUBLE, read: Any = np.array) -> Results:
    """The states that B comes to; raises Refused where B, or its framework, does not take the calls."""
    names = [[param.name] for param in given.params] if given.own else [[param.name for param in given.params]]
    found: Results = {}
    with np.errstate(all="ignore"):
        for some in names:
            found.update(_run(given, some, b, a, read))
    return found


def _run(given: Transfer, names: list[str], b: Target, a: Arithmetic, read: Any) -> Results:
    made = calls_of(given, names, b)
    if made is None:
        path, calls = [_start(tuple(param for param in given.params if param.name in names))], list[Call]()
    else:
        case, calls = made
        path = _path(case, calls, b, a, read)
    at = [sum(call.origin <= step for call in calls) for step in given.case.record]
    return {(name, array): np.stack([path[k][name, array] for k in at]) for name in names for array in FIELDS}


def _start(params: tuple[Param, ...]) -> dict[tuple[str, str], Array]:
    found = {}
    for param in params:
        for array, value in zip(FIELDS, (param.value, param.exp_avg, param.exp_avg_sq, param.max_exp_avg_sq)):
            found[param.name, array] = (np.zeros(param.value.shape) if value is None else value).astype(np.float64).reshape(-1)
    return found


def _path(case: Case, calls: list[Call], b: Target, a: Arithmetic, read: Any) -> list[dict[tuple[str, str], Array]]:
    """The state at the start and after each call; a decay by hand happens between the calls."""
    path = [_start(case.params)]
    first = calls[0].shrink
    params = tuple(replace(param, value=param.value * first[param.name]) if param.name in first else param for param in case.params)
    ahead = [*(call.shrink for call in calls[1:]), {}]
    for states, shrink in zip(trajectory(replace(case, params=params), a, b.dialect, b.deviations), ahead):
        path.append(
            {(name, array): read(getattr(state, field)).reshape(-1) for name, state in states.items() for array, field in FIELDS.items()}
        )
        for name in states.keys() & shrink.keys():
            state, factor = states[name], shrink[name]
            state.p = state.p * a.load(np.broadcast_to(factor, state.p.shape).copy())
    return path


def calls_of(given: Transfer, names: list[str], b: Target) -> tuple[Case, list[Call]] | None:
    """The case that one optimizer of B is given for these parameters, a group for each, and its calls; None where it is never called.

    A decay by hand is not in the case: it stands in the calls. Raises Refused.
    """
    params = tuple(replace(param, group=index) for index, param in enumerate(p for p in given.params if p.name in names))
    calls = [call for call in given.calls if not given.own or call.gradients[names[0]] is not None]
    if not calls:
        return None
    gradients = [{name: call.gradients[name] for name in names} for call in calls]
    check_forms(gradients, b.dialect)
    settings = [tuple(_settings(given, call, name, b) for name in names) for call in calls]
    check_settings(b.dialect, gradients, settings)
    check_gradients(b.dialect, gradients, settings)
    steps = tuple(Step(each, hypers) for each, hypers in zip(gradients, settings))
    groups = tuple(Group(hyper) for hyper in settings[0])
    record = tuple(range(1, len(steps) + 1))
    return replace(given.case, dialect=b.dialect.name, params=params, groups=groups, steps=steps, record=record), calls


def _settings(given: Transfer, call: Call, name: str, b: Target) -> dict[str, Any]:
    """What a parameter is to be updated with; of no account where it has no gradient."""
    if call.gradients[name] is None:
        return {**b.dialect.defaults(), **b.settings}
    return in_names_of(b.dialect, call.wanted[name], given.a, b.settings)


def check_forms(gradients: Iterable[Mapping[str, Any]], b: Dialect) -> None:
    """Refuse a gradient of a form that B refuses."""
    for given in gradients:
        for gradient in given.values():
            form = None if gradient is None else gradient_form(gradient)
            if form and form not in b.gradients:
                raise Refused("form", f"{b.name} refuses {FORM[form]}: {b.refusal(form)}")


FORM = {"rows": "gradients by rows", "elements": "gradients of single elements", "dense": "dense gradients"}
