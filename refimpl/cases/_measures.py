"""How large the things of a case are: each measure gives the sizes that occur in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from ..case import Case, Param
from ..gradients import Array, gradient_form, laid_out

SMALL = 16  # elements of a tensor that is small beside a large one
FARTHEST_COLLISION = 20  # powers of two that are tried


def _gradients(case: Case, form: str) -> Iterator[tuple[Param, Array]]:
    """Per gradient of a form that is not dense: its parameter and the row (or element) numbers that it stores."""
    for step in case.steps:
        for param in case.params:
            gradient = step.gradients.get(param.name)
            if gradient is not None and gradient_form(gradient) == form:
                yield param, np.asarray(laid_out(gradient, param.value.shape).indices)


def _distinct(form: str) -> Callable[[Case], set[int]]:
    return lambda case: {len(np.unique(indices)) for _, indices in _gradients(case, form)}


def _dense(case: Case) -> set[int]:
    return {param.value.size for param, _ in _gradients(case, "dense")}


def _dense_in_a_list(case: Case) -> set[int]:
    return _dense(case) if len(case.params) > 2 and case.params[0].value.size <= SMALL and case.params[-1].value.size <= SMALL else set()


def _widths(form: str) -> Callable[[Case], set[int]]:
    return lambda case: {math.prod(param.value.shape[1:]) for param, _ in _gradients(case, form) if param.value.ndim}


def _row_numbers(case: Case) -> set[int]:
    return {int(indices.max(initial=0)) for _, indices in _gradients(case, "rows")}


def _places(case: Case) -> set[int]:
    return {int(indices.max(initial=0)) * math.prod(param.value.shape[1:]) for param, indices in _gradients(case, "rows")}


def _occurrences(case: Case) -> set[int]:
    return {len(indices) for _, indices in _gradients(case, "rows")}


def _multiplicities(case: Case) -> set[int]:
    return {int(n) for _, indices in _gradients(case, "rows") for n in np.unique(np.unique(indices, return_counts=True)[1])}


def _distances(case: Case) -> set[int]:
    """How far apart two occurrences in a row of one row stand, where the row has no other."""
    found: set[int] = set()
    for _, indices in _gradients(case, "rows"):
        order = np.argsort(indices, kind="stable")
        counts = np.unique(indices, return_counts=True)[1]
        starts = np.cumsum(counts) - counts
        pairs = starts[counts == 2]
        found |= {int(n) for n in np.unique(order[pairs + 1] - order[pairs])} if len(pairs) else set()
    return found


def _collisions(case: Case) -> set[int]:
    """The powers k for which two rows of one gradient are equal modulo 2^k and differ modulo 2^(k+1)."""
    found: set[int] = set()
    for _, indices in _gradients(case, "rows"):
        rows = np.unique(indices)
        for k in range(FARTHEST_COLLISION):
            found |= {k} if len(np.unique(rows % 2**k)) < len(np.unique(rows % 2 ** (k + 1))) else set()
    return found


def _steps_before(case: Case) -> set[int]:
    return {param.step for param in case.params if param.exp_avg is not None}


MEASURES: dict[str, Callable[[Case], set[int]]] = {
    "distinct rows in one gradient": _distinct("rows"),
    "distinct elements in one gradient": _distinct("elements"),
    "dense elements in one gradient": _dense,
    "dense elements in a list beside small tensors": _dense_in_a_list,
    "width of a row of a gradient by rows": _widths("rows"),
    "width of a row of a dense gradient": _widths("dense"),
    "tensors": lambda case: {len(case.params)},
    "row number": _row_numbers,
    "place of an element in its table": _places,
    "occurrences in one gradient": _occurrences,
    "multiplicity of a row": _multiplicities,
    "distance between occurrences of a row": _distances,
    "rows that collide modulo 2^k": _collisions,
    "steps before a resume": _steps_before,
}
"""Name in coverage.yaml to the sizes that a case has."""
