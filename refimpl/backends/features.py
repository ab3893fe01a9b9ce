"""What a case needs from a backend, as named features that a claim may list."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..case import COMPENSATION, MASTER, Case
from ..dialects import Parameter, dialects
from ..gradients import gradient_form
from ..reference import scheduled


def _has_form(form: str) -> Callable[[Case], bool]:
    def needed(case: Case) -> bool:
        gradients = (gradient for step in case.steps for gradient in step.gradients.values() if gradient is not None)
        return any(gradient_form(gradient) == form for gradient in gradients)

    return needed


def _hypers(case: Case) -> Iterator[tuple[Parameter, object]]:
    """Every value that a hyper-parameter has during a case; names that the dialect lacks are left out."""
    if case.dialect not in dialects("full"):
        return
    known = dialects("full")[case.dialect].parameters
    changes = (change for step in case.steps for change in step.hyper)
    for hyper in (*(group.hyper for group in case.groups), *changes):
        yield from ((known[name], value) for name, value in hyper.items() if name in known)


def _switches(stage: str) -> Callable[[Case], bool]:
    return lambda case: any(stage in parameter.when_true and bool(value) for parameter, value in _hypers(case))


def _sets(role: str, idle: float) -> Callable[[Case], bool]:
    return lambda case: any(role in parameter.roles and value != idle for parameter, value in _hypers(case))


def _decays_without_switch(case: Case) -> bool:
    """Whether a weight decay is what the dialect has without a switch: a claim may be of the decoupled decay alone."""
    if case.dialect not in dialects("full"):
        return False
    parameters = dialects("full")[case.dialect].parameters
    decays = [name for name, parameter in parameters.items() if "weight_decay" in parameter.roles]
    switches = [name for name, parameter in parameters.items() if "decay" in parameter.when_true]
    return any(
        any(hyper.get(name, 0) != 0 for name in decays) and not any(hyper.get(name) for name in switches)
        for hypers in scheduled(case)
        for hyper in hypers
    )


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
    "weight_decay": _decays_without_switch,
    "loss_scale": _sets("loss_scale", 1),
    "grad_scale": lambda case: any(step.grad_scale != 1.0 for step in case.steps),
    "found_inf": lambda case: any(step.found_inf for step in case.steps),
    "reload": lambda case: any(step.reload for step in case.steps),
    "ranks": lambda case: case.has_ranks,
    "rank_sum": lambda case: case.has_ranks and case.reduction == "sum",
    "rank_occurrences": lambda case: case.has_ranks and case.reduction == "occurrences",
    "micro_batches": lambda case: case.has_batches,
    "micro_batch_mean": lambda case: case.has_batches and case.accumulation == "mean",
    "mixed": lambda case: any(len(case.formats(param)) > 1 for param in case.params),
    "mixed_params": lambda case: len({str(param.value.dtype) for param in case.params}) > 1,
    "compensation": lambda case: any(COMPENSATION in param.dtypes for param in case.params),
    "master": lambda case: any(MASTER in param.dtypes for param in case.params),
}
"""Feature to whether a case needs it.

rows, elements, dense: a gradient of this form; groups: more than one group; schedule: a hyper-parameter that changes between
steps; resume: a start from moments or a step count; weight_decay: one that no switch has made decoupled; grad_scale, found_inf,
reload, ranks: a step that has these (see Step); rank_sum, rank_occurrences: the gradients of ranks are summed, or averaged over
their occurrences, and not over the ranks; micro_batches: a step has several gradients of one parameter, which accumulate;
micro_batch_mean: they are averaged, and not summed; mixed: arrays of one parameter in different dtypes; mixed_params: parameters in
different dtypes; compensation: a number beside each of the parameter, such that their sum is trained; master: a copy of a parameter
in a wider dtype; the others: the switch is on, or the number is not idle, somewhere.
"""


def needed_features(case: Case) -> tuple[str, ...]:
    """The features that a case needs, in the order of the table."""
    return tuple(name for name, needs in FEATURES.items() if needs(case))


RANKS = ("ranks", "rank_sum", "rank_occurrences")
"""Features of implementations that run on several ranks."""

BATCHES = ("micro_batches", "micro_batch_mean")
"""Features of implementations that take several gradients of one parameter before a step."""

CLAIMED_BY_NAME = (
    "float16",
    "bfloat16",
    "mixed",
    "mixed_params",
    "compensation",
    "master",
    "grad_scale",
    "found_inf",
    "reload",
    *RANKS,
    *BATCHES,
)
"""Formats and features that few implementations have: cases that need one are only for those who claim it, or ask for the cases."""


def dtypes_of(case: Case) -> tuple[str, ...]:
    """The dtypes of the parameters of a case and of their moments, each once."""
    return tuple(dict.fromkeys(dtype for param in case.params for dtype in (str(param.value.dtype), *param.dtypes.values())))
