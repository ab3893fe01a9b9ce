"""What a framework takes of the calls that a dialect describes: settings of a group or a step, calls and parameters without a gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..dialects import Dialect
from ..dialects.translate import Refused
from ..reference.counters import is_empty
from ._words import words

KINDS = {
    "form": "because {b} refuses this form of gradient",
    "none": "because {b} refuses a parameter without a gradient",
    "idle": "because {b} refuses a call without a gradient",
    "empty": "because {b} does not take empty gradients",
    "setting": "because {b} lacks a setting",
    "group": "because one {b} cannot hold settings per group",
    "fixed": "because {b} has no way to change a setting between calls",
    "range": "because {b} rejects a value",
}
"""Why B cannot reproduce a case: the end of a sentence that begins with how many."""


@dataclass(frozen=True)
class Limits:
    """What a framework takes; the keys of limits.yaml."""

    per_group: frozenset[str]
    per_step: frozenset[str]
    one_schedule: bool = False
    none: str = ""
    idle: str = ""
    empty: str = ""
    decayed_rows: str = ""


@cache
def limits(dialect: Dialect) -> Limits:
    """The limits of a dialect's framework."""
    table = words("limits")
    row = dict(table.get(dialect.name) or table.get(dialect.framework) or _unlimited(dialect))
    return Limits(frozenset(row.pop("per_group")), frozenset(row.pop("per_step")), **row)


def _unlimited(dialect: Dialect) -> dict[str, list[str]]:
    """The limits of a framework that the table does not have: every parameter per group and per step, as the vectors set them."""
    names = [name for parameter in dialect.parameters.values() for name in (parameter.roles or (parameter.name,))]
    return {"per_group": names, "per_step": names}


def check_gradients(b: Dialect, gradients: Sequence[Mapping[str, Any]], settings: Sequence[Sequence[Mapping[str, Any]]]) -> None:
    """Refuse what B does not take: a parameter or a call without a gradient, an empty one, one by rows beside a decay."""
    limit = limits(b)
    decay = next((name for name, one in b.parameters.items() if "weight_decay" in one.roles), "")
    for given, made in zip(gradients, settings):
        if limit.idle and all(one is None for one in given.values()):
            raise Refused("idle", f"{b.name} {limit.idle}")
        for gradient, hyper in zip(given.values(), made):
            if limit.none and gradient is None:
                raise Refused("none", f"{b.name} {limit.none}")
            if limit.empty and gradient is not None and is_empty(gradient):
                raise Refused("empty", f"{b.name} {limit.empty}")
            if limit.decayed_rows and hasattr(gradient, "indices") and hyper.get(decay):
                raise Refused("setting", f"{b.name} {limit.decayed_rows}")


def check_settings(b: Dialect, gradients: Sequence[Mapping[str, Any]], settings: Sequence[Sequence[Mapping[str, Any]]]) -> None:
    """Refuse settings (per call, per parameter) that one optimizer of B cannot have of a group, or does not change between calls.

    What is set for a parameter without a gradient is of no account.
    """
    limit = limits(b)
    used = [
        [(index, hyper) for index, (gradient, hyper) in enumerate(zip(given.values(), made)) if gradient is not None]
        for given, made in zip(gradients, settings)
    ]
    first: dict[int, Mapping[str, Any]] = {}
    for call in used:
        first = dict(call) | first
    for name, parameter in b.parameters.items():
        roles = parameter.roles or (name,)
        differs = any(hyper[name] != call[0][1][name] for call in used for _, hyper in call)
        changes = any(hyper[name] != first[index][name] for call in used for index, hyper in call)
        if differs and not limit.per_group.issuperset(roles):
            raise Refused("group", f"one {b.name} has one {name} for all of its parameters")
        if changes and not limit.per_step.issuperset(roles):
            raise Refused("fixed", f"{b.name} provides for no change of {name} between calls")
        if differs and changes and limit.one_schedule:
            raise Refused("group", f"{b.name} has one schedule of {name}, of which that of a group is a fixed multiple")
