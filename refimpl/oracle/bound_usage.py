"""How near admissible computations come to the bound, case by case. Every bound of refimpl relies on this property.

A margin is the largest |computed - exact| / bound, with the expectation and the bound as vectors store them; above 1 the bound
has been left, and refimpl is wrong. An element that is not finite is inside where its kind is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..arithmetic import CLASSES, CPU_CLASS, Float
from ..arithmetic.perturbed import Perturbed
from ..arithmetic.wide import Wide
from ..case import ARRAYS, MASTER, Case, Expected, ratios
from ..dialects import dialect
from ..dialects.stages import Eps, Touch
from ..gradients import Array, is_element_gradient, occurrences, row_layout
from ..reference import ALL, ONE, ByFormat, Forms, System, each, scheduled
from ..reference.forms import APART, Averaging, Move
from ..reference.scalars import SCHEDULED
from .expectations import expectations, recorded


@dataclass(frozen=True)
class Computation:
    """One admissible way to compute a case, and the class that admits it."""

    name: str
    numerics_class: str
    arithmetic: System
    forms: Forms


@dataclass(frozen=True)
class Margin:
    """The largest |error| / bound of one array in one computation, where it was found, and how many elements were updated.

    param, step (from 1) and index are those of the largest ratio; "", 0 and () where the case has no such array.
    """

    case: str
    computation: str
    numerics_class: str
    array: str
    ratio: float
    param: str
    step: int
    index: tuple[int, ...]
    element_steps: int


def computations(case: Case, rng: np.random.Generator, per_class: int = 2) -> Iterator[Computation]:
    """Every kind of computation that is admissible for a case, with formulations drawn at random."""
    forms = list(admissible_forms(case))

    def drawn() -> Forms:
        return forms[rng.integers(len(forms))]

    for tensor_scalars, numerics_class in ((False, CLASSES[0]), (True, CPU_CLASS)):
        for reverse in (False, True):
            options: dict[str, Any] = {"tensor_scalars": tensor_scalars, "reverse": reverse}
            name = ", ".join(["float", *(option.replace("_", " ") for option, chosen in options.items() if chosen)])
            yield Computation(name, numerics_class, ByFormat(partial(Float, **options)), drawn())
            yield Computation(f"double inside, {name}", numerics_class, ByFormat(partial(Wide, **options)), drawn())
    for numerics_class in CLASSES:
        for k in range(per_class):
            mixed = k % 4 == 3  # a mixture of all forms, element by element, costs as much as all of them
            perturbed = ByFormat(partial(Perturbed, numerics_class=numerics_class, rng=rng, lanes=lanes(case)))
            yield Computation("perturbed", numerics_class, perturbed, ALL if mixed else drawn())


def admissible_forms(case: Case) -> Iterator[Forms]:
    """Every combination of forms that the betas of a case admit."""
    table = dialect(case.dialect)
    resolved = [table.resolve(hyper) for groups in scheduled(case) for hyper in groups]
    beta1, beta2 = (max(getattr(hyper, name) for hyper, _ in resolved) for name in ("beta1", "beta2"))
    apart = any(picks.direction in SCHEDULED and picks.eps is Eps.PAPER for _, picks in resolved)
    narrowed = any(param.dtype_of(MASTER) != case.computed_in(param.name) for param in case.params)
    moves = [Move.WHOLE, *(APART if apart else ()), *([Move.NARROWED] if narrowed else ())]
    averagings = (
        tuple(form for form in Averaging if case.has_batches or (case.has_ranks and form is not Averaging.RUNNING)) or ONE.averaging
    )
    return each(beta1, beta2, moves=tuple(moves), averagings=averagings)


def lanes(case: Case) -> int:
    """How many samples of each scalar a case can hold: one per column, if all of its parameters have the same number of columns."""
    by_elements = any(is_element_gradient(gradient) for step in case.steps for gradient in step.gradients.values())
    widths = {row_layout(param.value.shape)[1] for param in case.params}
    return widths.pop() if len(widths) == 1 and not by_elements else 1


def margins(case: Case, some: Sequence[Computation]) -> list[Margin]:
    """The margin of each array in each computation of a case, over all of its parameters."""
    expected = expectations(case)
    updates = _updates(case)
    table = dialect(case.dialect)
    worst_margins = []
    for computation in some:
        with np.errstate(all="ignore"):
            run = recorded(case, computation.arithmetic, table, (), computation.forms)
        for array in ARRAYS:
            worst = Margin(case.id, computation.name, computation.numerics_class, array, 0.0, "", 0, (), updates)
            for name, arrays in expected.items():
                if array in arrays:
                    worst = max(worst, _margin(worst, case, name, run[name, array], arrays[array]), key=lambda margin: margin.ratio)
            worst_margins.append(worst)
    return worst_margins


def _margin(blank: Margin, case: Case, name: str, got: Array, expected: Expected) -> Margin:
    ratio = ratios(got, expected, blank.numerics_class)
    if not ratio.size:
        return blank
    at = tuple(int(i) for i in np.unravel_index(np.argmax(ratio), ratio.shape))
    return Margin(
        blank.case,
        blank.computation,
        blank.numerics_class,
        blank.array,
        float(ratio[at]),
        name,
        case.record[at[0]],
        at[1:],
        blank.element_steps,
    )


def _updates(case: Case) -> int:
    """How many elements the recorded steps update, all parameters together."""
    table, total = dialect(case.dialect), 0
    groups = {param.name: param.group for param in case.params}
    shapes: Mapping[str, tuple[int, ...]] = {param.name: param.value.shape for param in case.params}
    for number, (step, hypers) in enumerate(zip(case.steps, scheduled(case)), start=1):
        for name, gradient in step.gradients.items():
            if gradient is not None and number in case.record:
                stored = occurrences(gradient, shapes[name], name)
                all_rows = stored.dense or table.resolve(hypers[groups[name]])[1].touch is Touch.ALL
                rows = stored.layout[0] if all_rows else len(np.unique(stored.indices))
                total += rows * stored.layout[1]
    return total
