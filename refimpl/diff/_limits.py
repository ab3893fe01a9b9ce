"""What a framework takes of the calls that a dialect describes: forms of gradient, settings of a group or a step, missing gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..dialects import Dialect
from ..dialects.translate import Refused
from ..dialects.usage import Limits
from ..gradients import gradient_form
from ..reference.counters import is_empty

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

FORMS = {"rows": "gradients by rows", "elements": "gradients of single elements", "dense": "dense gradients"}

Gradients = Sequence[Mapping[str, Any]]
"""Per call: parameter name to gradient or None."""

Settings = Sequence[Sequence[Mapping[str, Any]]]
"""Per call and parameter: the settings in the dialect's own names."""


def limits(dialect: Dialect) -> Limits:
    """The limits of a dialect; where its table has none, every parameter can be set everywhere, as the vectors do."""
    names = frozenset(name for parameter in dialect.parameters.values() for name in (parameter.roles or (parameter.name,)))
    return dialect.usage.limits or Limits(per_group=names, per_step=names)


def check_forms(b: Dialect, gradients: Gradients) -> None:
    """Refuse a gradient of a form that B refuses."""
    for gradient in (gradient for call in gradients for gradient in call.values() if gradient is not None):
        form = gradient_form(gradient)
        if form not in b.gradients:
            raise Refused("form", f"{b.name} refuses {FORMS[form]}: {b.refusal(form)}")


def check_calls(b: Dialect, gradients: Gradients, settings: Settings) -> None:
    """Refuse settings and gradients that the framework of B does not take."""
    _check_settings(b, gradients, settings)
    _check_gradients(b, gradients, settings)


def _check_gradients(b: Dialect, gradients: Gradients, settings: Settings) -> None:
    """Refuse a parameter or a call without a gradient, an empty gradient, and one by rows beside a decay."""
    limit = limits(b)
    decay = next((name for name, parameter in b.parameters.items() if "weight_decay" in parameter.roles), "")
    for call, hypers in zip(gradients, settings):
        if limit.idle and all(gradient is None for gradient in call.values()):
            raise Refused("idle", f"{b.name} {limit.idle}")
        for gradient, hyper in zip(call.values(), hypers):
            if limit.none and gradient is None:
                raise Refused("none", f"{b.name} {limit.none}")
            if limit.empty and gradient is not None and is_empty(gradient):
                raise Refused("empty", f"{b.name} {limit.empty}")
            if limit.decayed_rows and hasattr(gradient, "indices") and hyper.get(decay):
                raise Refused("setting", f"{b.name} {limit.decayed_rows}")


def _check_settings(b: Dialect, gradients: Gradients, settings: Settings) -> None:
    """Refuse settings that one optimizer of B cannot have of a group, or does not change between calls.

    What is set for a parameter without a gradient is of no account.
    """
    limit = limits(b)
    used = [
        {index: hyper for index, (gradient, hyper) in enumerate(zip(call.values(), hypers)) if gradient is not None}
        for call, hypers in zip(gradients, settings)
    ]
    first: dict[int, Mapping[str, Any]] = {}
    for by_index in used:
        first = by_index | first
    for name, parameter in b.parameters.items():
        roles = parameter.roles or (name,)
        differs = any(hyper[name] != next(iter(by_index.values()))[name] for by_index in used for hyper in by_index.values())
        changes = any(hyper[name] != first[index][name] for by_index in used for index, hyper in by_index.items())
        if differs and not limit.per_group.issuperset(roles):
            raise Refused("group", f"one {b.name} has one {name} for all of its parameters")
        if changes and not limit.per_step.issuperset(roles):
            raise Refused("fixed", f"{b.name} provides for no change of {name} between calls")
        if differs and changes and limit.one_schedule:
            raise Refused("group", f"{b.name} has one schedule of {name}, of which that of a group is a fixed multiple")
