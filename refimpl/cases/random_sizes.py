"""Random cases of every size: a mixture of kinds, each of which lets one thing grow while the others stay small.

A fault that hides behind a size (a counter of 16 bits, a block of 32 columns, a table of more than 65536 rows) shows only in a case of that
size; all sizes at once would cost too much to judge. What meets in a case besides is drawn as in `random_cases`: groups, schedules, resumes,
options, gradients that are missing, empty or late.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..case import LAYOUTS, Case, Golden, Group, Param, Step
from ..dialects import dialect
from ..dialects.stages import Counter
from ..gradients import RowGradient
from .build import CaseBuilder
from .coverage import requirements, table
from .random_cases import GRADIENTS, SCHEDULED, STEPS_BEFORE, Draw, change, emptied, groups, maximum, resumed
from .random_features import featured

Shape = tuple[int, ...]

ORDINARY = ((0, 0), (-1, 1), (-3, 2))
EXTREME = ((-20, 10), (-45, 38), (-170, 160))
"""Ranges of powers of ten; in the second, squares leave the range of a format, and what is admissible there costs much to compute."""

WIDTHS = (
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    9,
    15,
    16,
    17,
    31,
    32,
    33,
    63,
    64,
    65,
    96,
    100,
    127,
    128,
    129,
    200,
    255,
    256,
    257,
    300,
    384,
    512,
    768,
    1000,
    1024,
)
TALL = (1025, 4097, 16385, 32769, 65535, 65536, 65537, 66000, 100_000, 131_073)
"""Widths of rows, and numbers of rows, at and beside which blocks, vector units and counters of 8 and 16 bits end."""


@dataclass(frozen=True)
class Plan:
    """How large a case is. shapes: of its parameters; steps; occurrences: of a sparse gradient, by default up to twice the rows;

    rows: those that sparse gradients store, by default any; often: of one row, at most; decades: magnitudes; plain: no resume, group or schedule.
    """

    shapes: tuple[Shape, ...]
    steps: int
    occurrences: int | None = None
    often: int = 0
    decades: Sequence[tuple[int, int]] = ORDINARY
    plain: bool = False


def _upto(rng: np.random.Generator, most: int) -> int:
    """A number from 1 to `most`, small ones more often."""
    return round(math.exp(rng.uniform(0, math.log(most))))


def _small(rng: np.random.Generator) -> Plan:
    shapes = tuple((_upto(rng, 40), _upto(rng, 40)) for _ in range(rng.integers(1, 4)))
    return Plan(shapes, int(rng.integers(1, 6)))


def _extreme(rng: np.random.Generator) -> Plan:
    return Plan(((_upto(rng, 6), _upto(rng, 5)),), int(rng.integers(1, 4)), decades=EXTREME)


def _wide(rng: np.random.Generator) -> Plan:
    """Parameters of many widths: a width that is treated apart is one of hundreds."""
    widths = [int(rng.choice(WIDTHS)) if rng.random() < 0.8 else int(rng.integers(1, 130)) for _ in range(6)]
    return Plan(tuple((int(rng.integers(1, 4)), width) for width in widths), int(rng.integers(1, 3)))


def _long(rng: np.random.Generator) -> Plan:
    return Plan(((int(rng.integers(1, 4)), int(rng.integers(1, 4))),), int(rng.choice([30, 130, 310, 310])))


def _often(rng: np.random.Generator) -> Plan:
    shapes = tuple((int(rng.integers(1, 6)), _upto(rng, 12)) for _ in range(3))
    return Plan(shapes, int(rng.integers(1, 3)), occurrences=int(rng.integers(1, 20)), often=90)


def _tall(rng: np.random.Generator) -> Plan:
    shape = int(rng.choice(TALL)), int(rng.integers(1, 4))
    return Plan((shape,), int(rng.integers(1, 3)), occurrences=_upto(rng, 3000), plain=bool(rng.random() < 0.5))


def _crowded(rng: np.random.Generator) -> Plan:
    return Plan(((_upto(rng, 9000), 1),), 1, occurrences=int(rng.integers(20_000, 70_000)), plain=bool(rng.random() < 0.5))


def _broad(rng: np.random.Generator) -> Plan:
    rows = int(rng.integers(200, 4000))
    return Plan(((rows, int(rng.integers(9, 40))),), int(rng.integers(1, 3)), occurrences=rows)


def _tensors(rng: np.random.Generator) -> Plan:
    return Plan(tuple((int(rng.integers(1, 5)), int(rng.integers(1, 4))) for _ in range(rng.integers(4, 40))), int(rng.integers(1, 4)))


def _shapes(rng: np.random.Generator) -> Plan:
    side = int(rng.integers(1, 6))
    choices: tuple[Shape, ...] = ((_upto(rng, 300),), (side, side), (side, side, side), (side, 1), (1, side), (2, 3, 1, 2), (0, side), ())
    return Plan(tuple(choices[k] for k in rng.integers(len(choices), size=3)), int(rng.integers(1, 4)))


KINDS: Mapping[str, tuple[float, Callable[[np.random.Generator], Plan]]] = {
    "small": (0.24, _small),
    "extreme": (0.03, _extreme),
    "wide": (0.17, _wide),
    "long": (0.07, _long),
    "often": (0.12, _often),
    "tall": (0.12, _tall),
    "crowded": (0.05, _crowded),
    "broad": (0.08, _broad),
    "tensors": (0.06, _tensors),
    "shapes": (0.06, _shapes),
}
"""Kind, which is the theme of its cases, to how often it is drawn, and how large its cases are."""

LATE = 0.1
"""How often a parameter has its first gradient only in the last step."""


def sized_case(rng: np.random.Generator, name: str, slug: str, dtypes: Collection[str], features: Collection[str] = ()) -> Golden:
    """A random case of a dialect without expectations: `NAME/KIND/SLUG`, in one of these dtypes.

    features: of those that few implementations have (`features.CLAIMED_BY_NAME`), what it may need.
    """
    kinds = list(KINDS)
    kind = kinds[rng.choice(len(kinds), p=[KINDS[each][0] for each in kinds])]
    plan = KINDS[kind][1](rng)
    builder = CaseBuilder(dialect(name), kind)
    dtype = _dtype(rng, [dtype for dtype in builder.dialect.dtypes if dtype in dtypes], sum(map(math.prod, plan.shapes)))
    plan = replace(plan, shapes=tuple(shape for shape in plan.shapes if _is_taken(builder, shape)) or ((3, 2),))
    draws = [Draw(rng, dtype, plan.decades) for _ in plan.shapes]
    hypers = groups(draws[0], builder)[: 1 if plan.plain or len(plan.shapes) == 1 else None]
    params = _params(rng, builder, plan, draws, hypers)
    steps = _steps(rng, builder, plan, params, draws, hypers)
    layout = str(rng.choice(LAYOUTS)) if rng.random() < 0.15 else LAYOUTS[0]
    case = Case(
        id=f"{name}/{kind}/{slug}",
        about=f"A random case ({kind}).",
        dialect=name,
        params=params,
        groups=tuple(map(Group, hypers)),
        steps=steps,
        record=tuple(range(1, plan.steps + 1)),
    )
    resumes = any(param.exp_avg is not None for param in params)
    return Golden(featured(rng, case, features, dtypes), {}, "step" if resumes and plan.steps == 1 else "trajectory", layout)


def _dtype(rng: np.random.Generator, dtypes: Sequence[str], elements: int) -> str:
    """One of the dtypes; float64, whose truth costs the most, less often, and seldom for many elements."""
    share = 0.3 if elements < MANY else 0.08
    weights = np.array([share if dtype == "float64" else 1.0 for dtype in dtypes])
    return str(rng.choice(dtypes, p=weights / weights.sum()))


MANY = 2000
"""Elements from which on float64 is seldom."""


def _is_taken(builder: CaseBuilder, shape: Shape) -> bool:
    """Whether a parameter of a dialect may have a shape: a gradient by rows or elements needs rows."""
    return len(shape) > 0 or builder.dialect.gradients == ("dense",)


def _params(
    rng: np.random.Generator, builder: CaseBuilder, plan: Plan, draws: Sequence[Draw], hypers: Sequence[Mapping[str, Any]]
) -> tuple[Param, ...]:
    resumes = not plan.plain and rng.random() < 0.4
    shared = int(rng.choice(STEPS_BEFORE))
    params = []
    for number, (shape, draw) in enumerate(zip(plan.shapes, draws)):
        group = number if number < len(hypers) else int(rng.integers(len(hypers)))  # no group is without a parameter
        start = resumed(draw, shape) if resumes else Param("", draw.numbers(shape))
        amsgrad = hypers[group].get(str(builder.switch("amsgrad")))
        own = int(rng.choice(STEPS_BEFORE)) if builder.dialect.picks.counter is Counter.PARAMETER else shared
        params.append(
            replace(
                start,
                name=f"w{number}",
                group=group,
                step=own if resumes else 0,
                max_exp_avg_sq=maximum(draw, start) if resumes and amsgrad else None,
            )
        )
    return tuple(params)


def _steps(
    rng: np.random.Generator,
    builder: CaseBuilder,
    plan: Plan,
    params: Sequence[Param],
    draws: Sequence[Draw],
    hypers: Sequence[Mapping[str, Any]],
) -> tuple[Step, ...]:
    scheduled = _scheduled(builder) if not plan.plain else []
    forms = [_form(rng, builder, param.value.shape) for param in params]
    late = [rng.random() < LATE for _ in params]
    steps = []
    for call in range(plan.steps):
        gradients = {
            param.name: None if waits and call < plan.steps - 1 else _gradient(draw, form, param.value.shape, plan)
            for param, draw, form, waits in zip(params, draws, forms, late)
        }
        steps.append(Step(gradients, tuple(change(draws[0], builder, scheduled) if call else {} for _ in hypers)))
    return tuple(steps)


def _scheduled(builder: CaseBuilder) -> list[str]:
    """The settings that a schedule of the dialect may change."""
    name = builder.dialect.name
    if name not in table()["dialects"]:
        return [setting for setting in ("lr",) if builder.has(setting)]
    return [setting for setting in SCHEDULED if f"schedule-{setting.replace('_', '-')}" in requirements(name).features]


def _form(rng: np.random.Generator, builder: CaseBuilder, shape: Shape) -> str:
    """The form of the gradients of a parameter, mostly the dialect's main one."""
    forms = builder.dialect.gradients
    return str(forms[0] if rng.random() < 0.6 else rng.choice(forms)) if math.prod(shape) else forms[0]


def _gradient(draw: Draw, form: str, shape: Shape, plan: Plan) -> Any:
    """A gradient, or none, or an empty one."""
    chance = draw.rng.random()
    if chance < 0.1 and not plan.plain:
        return None
    if form == "elements" and plan.occurrences is None and len(shape) == 2:
        gradient = GRADIENTS[form](draw, shape)
    else:
        gradient = _SIZED[form](draw, shape, plan)
    return emptied(gradient) if 0.1 <= chance < 0.16 and form != "dense" and not plan.plain else gradient


def _rows(draw: Draw, shape: Shape, plan: Plan) -> RowGradient:
    """Rows in any order, the last one among them where there are many; one row as often as the plan says, at any distance."""
    rng, rows = draw.rng, shape[0]
    count = (plan.occurrences if plan.occurrences is not None else int(rng.integers(1, 2 * rows + 1))) if rows else 0
    indices = rng.integers(0, max(rows, 1), count)
    if rows > 1000 and count:
        indices[rng.integers(count)] = rows - 1
    if plan.often and rows:
        indices = rng.permutation(np.concatenate([indices, np.full(_upto(rng, plan.often), rng.integers(rows))]))
    indices = np.sort(indices) if rng.random() < 0.2 else indices
    return RowGradient(indices.astype(np.int64), draw.numbers((len(indices), *shape[1:])), shape)


def _elements(draw: Draw, shape: Shape, plan: Plan) -> Any:
    from scipy.sparse import coo_array

    size = math.prod(shape)
    count = min(plan.occurrences or max(1, size // 2), 1 << 17) if size else 0
    coords: Any = tuple(draw.rng.integers(0, max(side, 1), count) for side in shape)
    gradient = coo_array((np.zeros(count, np.float32), coords), shape=shape)
    gradient.data = draw.numbers((count,))  # set afterwards: scipy refuses half precision, the reference does not
    return gradient


_SIZED: Mapping[str, Callable[[Draw, Shape, Plan], Any]] = {
    "rows": _rows,
    "elements": _elements,
    "dense": lambda draw, shape, plan: draw.numbers(shape),
}
