"""One dialect's settings in another's names: what an update needs, as the parameters of the dialect that is to reproduce it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..errors import InvalidHyper
from . import Dialect, Hyper, Picks, differing_stages


class Refused(Exception):
    """The other dialect has no way to do this: kind says what it refuses (a form, a setting, a value ...), the text why."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True)
class Wanted:
    """What one parameter is to be updated with at one call: the numbers, and the picks that are left to the optimizer."""

    hyper: Hyper
    picks: Picks


def paired_switches(a: Dialect, b: Dialect) -> dict[str, str]:
    """Switches of B by name, to those of A that make the same picks."""
    return {
        theirs.name: ours.name
        for theirs in b.parameters.values()
        for ours in a.parameters.values()
        if theirs.when_true and theirs.when_true == ours.when_true
    }


def in_names_of(b: Dialect, wanted: Wanted, a: Dialect, flips: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of B that ask for this; raises Refused where B has no such setting, or does not accept the value."""
    return dict(_in_names_of(b, wanted, a, tuple(sorted(flips.items()))))


@lru_cache(maxsize=4096)  # most calls of a case want the same
def _in_names_of(b: Dialect, wanted: Wanted, a: Dialect, flipped: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    flips = dict(flipped)
    numbers = vars(wanted.hyper)
    given = {**b.defaults(), **flips}
    for name, parameter in b.parameters.items():
        if len(parameter.roles) > 1:
            given[name] = tuple(numbers[role] for role in parameter.roles)
        elif parameter.roles:
            given[name] = numbers[parameter.roles[0]]
    for name in paired_switches(a, b):
        if name not in flips:
            given[name] = _nearer(b, given, name, wanted.picks)
    _check_lacking(b, wanted, a, given)
    try:
        b.validate(given)
    except InvalidHyper as error:
        raise Refused("range", f"{b.name} refuses it: {error.message}") from None
    return given


def _nearer(b: Dialect, given: Mapping[str, Any], name: str, wanted: Picks) -> bool:
    """The position of a switch that differs in fewer stages; its default where that is the same."""
    default = bool(b.parameters[name].default)
    apart = {value: len(list(differing_stages(wanted, b.resolve({**given, name: value})[1]))) for value in (default, not default)}
    return min(apart, key=lambda value: apart[value])


IDLE = {"weight_decay": 0.0, "loss_scale": 1.0, "eps_root": 0.0}


def _check_lacking(b: Dialect, wanted: Wanted, a: Dialect, given: Mapping[str, Any]) -> None:
    roles = {role for one in b.parameters.values() for role in one.roles}
    for role, value in {**IDLE, **b.fixed}.items():
        if role not in roles and getattr(wanted.hyper, role) != value:
            raise Refused("setting", f"{b.name} has no {role}" + (f": it is {value:g} there" if role in b.fixed else ""))
    switches = {
        stage: (one.name, pick)
        for one in a.parameters.values()
        for stage, pick in one.when_true.items()
        if pick is not getattr(a.picks, stage)
    }
    for stage, want, _ in differing_stages(wanted.picks, b.resolve(given)[1]):
        name, pick = switches.get(stage, ("", None))
        if name and want is pick and not a.parameters[name].default:
            raise Refused("setting", f"{b.name} has no {name}")
