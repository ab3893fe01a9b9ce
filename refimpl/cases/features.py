"""The features of each parameter of a case: what an implementation must get right for its numbers to be right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, pairwise
from typing import Any

import numpy as np

from ..arithmetic import FORMATS
from ..case import Case, Golden, Param, Step
from ..dialects import Hyper, Picks, dialect
from ..dialects.stages import Amsgrad, Centralization, Decay, Direction, Objective, Second, centralizes
from ..gradients import Array, gradient_form, laid_out
from ..reference import scheduled

COUPLED = (Decay.COUPLED_OCCURRENCE, Decay.COUPLED_MERGED, Decay.COUPLED_ALL)
DECOUPLED = (Decay.DECOUPLED_TOUCHED, Decay.DECOUPLED_ALL)
LARGE = 1e6
EARLY = 5  # steps in which every bias correction still differs from 1


def features(golden: Golden) -> dict[str, frozenset[str]]:
    """Parameter name to its features, in the words of coverage.yaml."""
    case = golden.case
    table = dialect(case.dialect)
    resolved = [[table.resolve(hyper) for hyper in of_groups] for of_groups in scheduled(case)]
    whole = {golden.layout} & {"strided", "fortran", "read-only"} | ({"groups"} if _groups_differ(case) else set())
    shapes = [param.value.shape for param in case.params]
    whole |= {"several"} if len(set(shapes)) < len(shapes) else set()
    every = {}
    for param in case.params:
        steps = [step.gradients.get(param.name) for step in case.steps]
        active = [t for t, gradient in enumerate(steps) if gradient is not None]
        used = [resolved[t][param.group] for t in active]
        own = {*whole, str(param.value.dtype), *_calls(steps), *_options(param, used), *_schedules(case, param, active)}
        own |= {name for t in active for name in _gradient(steps[t], param)}
        own |= {"resume"} if _resumes(param, used) else set()
        own |= {"eps-visible"} if _eps_is_visible(golden, param, resolved) else set()
        every[param.name] = frozenset(own)
    return every


def _groups_differ(case: Case) -> bool:
    used = {param.group for param in case.params}
    hypers = [case.groups[index].hyper for index in sorted(used)]
    return any(hyper != hypers[0] for hyper in hypers[1:])


def _calls(steps: list[Any]) -> Iterator[str]:
    given = [gradient is not None for gradient in steps]
    if any(given):
        first = given.index(True)
        if first:
            yield "late"
        if not all(given[first:]):
            yield "missing"


def _options(param: Param, used: list[tuple[Hyper, Picks]]) -> Iterator[str]:
    picks = [pick for _, pick in used]
    shape = param.value.shape
    tests = {
        "weight-decay": any(pick.decay in COUPLED for pick in picks),
        "decoupled-decay": any(pick.decay in DECOUPLED for pick in picks),
        "amsgrad": any(pick.amsgrad is not Amsgrad.OFF for pick in picks),
        "maximize": any(pick.objective is Objective.MAXIMIZE for pick in picks),
        "nesterov": any(pick.direction in (Direction.NESTEROV, Direction.NADAM) for pick in picks),
        "centralization": centralizes(shape) and any(pick.centralization is not Centralization.NONE for pick in picks),
        "loss-scale": any(hyper.loss_scale != 1 for hyper, _ in used),
    }
    return (name for name, holds in tests.items() if holds)


def _schedules(case: Case, param: Param, active: list[int]) -> Iterator[str]:
    """Settings whose value differs between two gradients of the parameter."""
    table = dialect(case.dialect)
    hypers = [dict(of_groups[param.group]) for of_groups in scheduled(case)]
    for before, after in pairwise(active):
        (old, was), (new, becomes) = table.resolve(hypers[before]), table.resolve(hypers[after])
        tests = {
            "schedule-lr": old.lr != new.lr,
            "schedule-betas": (old.beta1, old.beta2) != (new.beta1, new.beta2) and param.step + after < EARLY,
            "schedule-eps": old.eps != new.eps,
            "schedule-weight-decay": old.weight_decay != new.weight_decay,
            "schedule-maximize": was.objective is not becomes.objective,
            "schedule-decoupled": (was.decay in COUPLED and becomes.decay in DECOUPLED)
            or (was.decay in DECOUPLED and becomes.decay in COUPLED),
        }
        yield from (name for name, holds in tests.items() if holds)


def _gradient(gradient: Any, param: Param) -> Iterator[str]:
    form = gradient_form(gradient)
    yield form
    given = laid_out(gradient, param.value.shape)
    if form != "dense":
        if not len(given.indices):
            yield "empty"
        elif len(np.unique(given.indices)) < len(given.indices):
            yield "duplicates"
    values = np.abs(np.asarray(given.values, np.float64))
    format = FORMATS[str(param.value.dtype)]
    if ((values > 0) & (values < np.sqrt(format.tiny))).any():
        yield "tiny"
    if (np.isfinite(values) & (values >= LARGE)).any():
        yield "large"


def _resumes(param: Param, used: list[tuple[Hyper, Picks]]) -> bool:
    if param.exp_avg_sq is None or not param.step:
        return False
    keeps_maximum = any(pick.amsgrad is not Amsgrad.OFF for _, pick in used)
    return not keeps_maximum or (param.max_exp_avg_sq is not None and bool((param.max_exp_avg_sq > param.exp_avg_sq).any()))


def _eps_is_visible(golden: Golden, param: Param, resolved: list[list[tuple[Hyper, Picks]]]) -> bool:
    expected: Mapping[str, Any] = golden.expected.get(param.name, {})
    if "exp_avg_sq" not in expected:
        return False
    for at, step in enumerate(golden.case.record):
        eps = resolved[step - 1][param.group][0].eps
        v: Array = expected["exp_avg_sq"].value[at]
        moved: Array = expected["exp_avg"].value[at] != 0
        with np.errstate(invalid="ignore"):
            root = v if resolved[step - 1][param.group][1].second is Second.INFINITY else np.sqrt(v)
            if (np.isfinite(root) & moved & (eps >= root / 100) & (eps <= root * 100)).any():
                return True
    return False


def rank_features(case: Case) -> frozenset[str]:
    """What a case of several ranks exercises, in the words of coverage.yaml."""
    own = {"sum", "occurrences"} & {case.reduction}
    own |= {"several"} if len(case.params) > 1 else set()
    own |= {"resume"} if any(param.exp_avg is not None and param.step for param in case.params) else set()
    worlds = [len(step.ranks) for step in case.steps]
    own |= (
        {"another-number"}
        if any(step.reload and before != after for step, (before, after) in zip(case.steps[1:], pairwise(worlds)))
        else set()
    )
    own |= {name for number, name in ((2, "two"), (3, "three")) if number in worlds}
    return frozenset(own | {name for step in case.steps for param in case.params for name in _of_ranks(step, param)})


def _of_ranks(step: Step, param: Param) -> Iterator[str]:
    given = [gradient for gradients in step.ranks if (gradient := gradients.get(param.name)) is not None]
    rows = [np.asarray(laid_out(gradient, param.value.shape).indices) for gradient in given]
    if len(given) < len(step.ranks):
        yield "idle" if given else "nobody"
    if given and len(param.value) % len(step.ranks) and len(param.value) > 1:
        yield "indivisible"
    if not given or gradient_form(given[0]) == "dense":
        return
    tests = {
        "empty": any(not len(stored) for stored in rows),
        "all-empty": not any(map(len, rows)),
        "within": any(len(np.unique(stored)) < len(stored) for stored in rows),
        "across": any(np.isin(left, right).any() for left, right in combinations(rows, 2)),
        "uneven": len({len(stored) for stored in rows}) > 1,
    }
    yield from (name for name, holds in tests.items() if holds)
