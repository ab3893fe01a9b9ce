"""What a case asks of a backend, as named features that a claim may list."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..case import Case
from ..dialects import Parameter, dialects
from ..gradients import gradient_form


def _has_form(form: str) -> Callable[[Case], bool]:
    def needed(case: Case) -> bool:
        given = (gradient for step in case.steps for gradient in step.gradients.values() if gradient is not None)
        return any(gradient_form(gradient) == form for gradient in given)

    return needed


def _hypers(case: Case) -> Iterator[tuple[Parameter, object]]:
    """Every value that a hyper-parameter takes in the course of a case; names that the dialect does not have are left out."""
    if case.dialect not in dialects("full"):
        return
    known = dialects("full")[case.dialect].parameters
    changes = (change for step in case.steps for change in step.hyper)
    for given in (*(group.hyper for group in case.groups), *changes):
        yield from ((known[name], value) for name, value in given.items() if name in known)


def _switches(stage: str) -> Callable[[Case], bool]:
    return lambda case: any(stage in parameter.when_true and bool(value) for parameter, value in _hypers(case))


def _sets(role: str, idle: float) -> Callable[[Case], bool]:
    return lambda case: any(role in parameter.roles and value != idle for parameter, value in _hypers(case))


FEATURES: dict[str, Callable[[Case], bool]] = {
    "rows": _has_form("rows"),
    "elements": _has_form("elements"),
    "dense": _has_form("dense"),
    "groups": lambda case: len(case.groups) > 1,
    "schedule": lambda case: any(change for step in case.steps for change in step.hyper),
    "resume": lambda case: any(param.exp_avg is not None or param.step > 0 for param in case.params),
    "maximize": _switches("objective"),
    "amsgrad": _switches("amsgrad"),
    "nesterov": _switches("direction"),
    "centralization": _switches("centralization"),
    "decoupled_weight_decay": _switches("decay"),
    "weight_decay": _sets("weight_decay", 0),
    "loss_scale": _sets("loss_scale", 1),
}
"""Feature to whether a case needs it.

rows, elements, dense: a gradient of this form; groups: more than one group; schedule: a hyper-parameter that changes between
steps; resume: a start from moments or a step count; the others: the switch is on, or the number is not idle, somewhere.
"""


def needed_features(case: Case) -> tuple[str, ...]:
    """The features that a case needs, in the order of the table."""
    return tuple(name for name, needs in FEATURES.items() if needs(case))


def dtypes_of(case: Case) -> tuple[str, ...]:
    """The dtypes of the parameters of a case and of their moments, each once."""
    return tuple(dict.fromkeys(dtype for param in case.params for dtype in (str(param.value.dtype), *param.dtypes.values())))
