"""Which case, by its id or made from numbers on the command line, and which of its elements."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arithmetic import numpy_dtype
from ..case import Case, Golden, Group, Param, Step
from ..cases import SUITES, drafts
from ..dialects import Dialect, dialect
from ..errors import InvalidGradient, UsageError, did_you_mean
from ..gradients import Array, RowGradient, occurrences, row_layout
from ..vectors.places import here

DEFAULT = "torch.SparseAdam/duplicates/pair"
"""What is explained where nothing is asked for: a row that occurs twice."""


def find(id: str, vectors: Path | None) -> Golden:
    """The case of this id: out of the vectors where they have it, else as `gen` would make it, without expectations.

    vectors: a directory that must have it; None: ./vectors where that is there, else those that refimpl brings.
    Raises UsageError for an id that is nowhere.
    """
    name, *rest = id.split("/")
    if len(rest) != 2:
        raise UsageError(f"{id!r} is not the id of a case", f"an id is DIALECT/THEME/SLUG, such as {DEFAULT}; `refimpl gen --list` has all")
    directory = vectors or here()
    golden = _stored(id, name, directory) if vectors or (directory / "MANIFEST.yaml").is_file() else None
    if vectors and not golden:
        raise UsageError(f"{directory} holds no case {id!r}", "without --vectors it is generated, if refimpl has a case of that id")
    return golden or _drafted(id, name, rest[0])


def _stored(id: str, name: str, directory: Path) -> Golden | None:
    from ..vectors import read_manifest, read_vectors

    if name not in read_manifest(directory).dialects:
        return None
    vectors = read_vectors(directory, [name], ["".join(f"[{char}]" if char in "*?[" else char for char in id)])
    if vectors.unreadable:
        raise UsageError(f"{id} cannot be read: {vectors.unreadable[0][1]}", "install what is missing")
    return next(iter(vectors), None)


def _drafted(id: str, name: str, theme: str) -> Golden:
    from ..vectors import roundtrip

    table = dialect(name)
    for golden in drafts(table, theme) if theme in SUITES["full"] else ():
        if golden.case.id == id:
            return roundtrip(golden)
    known = (golden.case.id for theme in SUITES["full"] for golden in drafts(table, theme))
    raise UsageError(f"no case {id!r}", did_you_mean(id, known) or "`refimpl gen --list` prints every id")


WORDS = ("none", "empty")
"""What a --grad may be instead of numbers: no gradient at all, or one that does not store this row."""


@dataclass(frozen=True)
class Numbers:
    """A gradient per step ("0.5"; "0.5,0.25" for two occurrences; "none"; "empty"), the settings, and the state before.

    settings: NAME=VALUE in the dialect's own names; m, v: None where the moment starts from zero; t: the steps that were made.
    """

    grads: Sequence[str]
    dialect: str = "torch.Adam"
    dtype: str = "float32"
    lr: float | None = None
    settings: Sequence[str] = ()
    p: float = 1.0
    m: float | None = None
    v: float | None = None
    t: int = 0


def case_of(numbers: Numbers) -> Case:
    """The numbers as a case of one parameter with one element; raises UsageError or InvalidHyper for what does not fit."""
    table, dtype = dialect(numbers.dialect), numbers.dtype
    if dtype not in table.dtypes:
        raise UsageError(f"--dtype {dtype}: {table.name} does not take it", f"choose from {', '.join(table.dtypes)}")
    if not numbers.grads:
        raise UsageError("numbers without a gradient", "add --grad, once per step")
    hyper = table.defaults()
    if numbers.lr is not None:
        hyper |= {name: numbers.lr for name, setting in table.parameters.items() if setting.roles == ("lr",)}
    hyper |= dict(_setting(text, table) for text in numbers.settings)
    table.validate(hyper)
    resumed = numbers.m is not None or numbers.v is not None or numbers.t > 0
    m, v = (_column([moment or 0.0], dtype) if resumed else None for moment in (numbers.m, numbers.v))
    param = Param("w", _column([numbers.p], dtype), exp_avg=m, exp_avg_sq=v, step=numbers.t)
    steps = tuple(Step({"w": _gradient(text, dtype, table)}, ({},)) for text in numbers.grads)
    record = tuple(range(1, len(steps) + 1))
    return Case(f"{table.name}/numbers/given", "Numbers from the command line.", table.name, (param,), (Group(hyper),), steps, record)


def _setting(text: str, table: Dialect) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or name not in table.parameters:
        raise UsageError(f"--set {text}: not NAME=VALUE with a parameter of {table.name}", f"it has {', '.join(table.parameters)}")
    return name, tuple(map(_value, value.split(","))) if "," in value else _value(value)


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:
        raise UsageError(f"--set: {text!r} is not a number, true or false") from None


def _column(values: Sequence[float], dtype: str) -> Array:
    with np.errstate(over="ignore"):
        return np.reshape(values, (-1, 1)).astype(numpy_dtype(dtype))


def _gradient(text: str, dtype: str, table: Dialect) -> Any:
    if text == "none":
        return None
    values = [] if text == "empty" else [_number(word) for word in text.split(",")]
    column = _column(values, dtype)
    if len(values) == 1 and table.gradients[0] == "dense":
        return column
    if "rows" not in table.gradients:
        raise UsageError(f"--grad {text}: {table.name} takes dense gradients only", "give one number per step, or another --dialect")
    return RowGradient(np.zeros(len(values), np.int64), column, (1, 1))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        hint = f"give a number, numbers with commas (occurrences of the row), or {' or '.join(WORDS)}"
        raise UsageError(f"--grad: {text!r} is not a number", hint) from None


@dataclass(frozen=True)
class Place:
    """One element at one step: the parameter's name, the step (from 1), the row, and the column of the row laid out flat."""

    param: str
    step: int
    row: int
    col: int


def place(
    case: Case, param: str | None = None, step: int | None = None, row: int | None = None, col: int | tuple[int, ...] | None = None
) -> Place:
    """The element that is asked for. What is left open is where most happens: the latest step and first row with the most occurrences.

    Raises UsageError for what the case does not have.
    """
    chosen = parameter(case, param)
    if step is not None and not 1 <= step <= len(case.steps):
        raise UsageError(f"--step {step}: {case.id} has {len(case.steps)} steps", f"choose from 1 to {len(case.steps)}")
    rows, width = row_layout(chosen.value.shape)
    col = _flat(col, chosen) if isinstance(col, tuple) else col
    for option, number, below in (("--row", row, rows), ("--col", col, width)):
        if number is not None and not 0 <= number < below:
            raise UsageError(f"{option} {number}: {chosen.name!r} has shape {chosen.value.shape}", f"choose from 0 to {below - 1}")
    first, last = (0, rows) if row is None else (row, row + 1)
    steps = range(1, len(case.steps) + 1) if step is None else [step]
    times = {number: _times(case, chosen, number)[first * width : last * width] for number in steps}
    busiest = max(times, key=lambda number: (times[number].max(initial=0), number), default=0)
    flat = first * width + int(np.argmax(times[busiest])) if busiest and times[busiest].size else 0
    best_row, best_col = divmod(flat, width) if width else (0, 0)
    return Place(chosen.name, busiest, best_row if row is None else row, best_col if col is None else col)


def parameter(case: Case, name: str | None) -> Param:
    """The parameter of this name, or the first one that ever has a gradient; raises UsageError where there is no such parameter."""
    params = {param.name: param for param in case.params}
    if name is None:
        updated = (
            param for param in case.params if param.value.size and any(step.gradients.get(param.name) is not None for step in case.steps)
        )
        return next(updated, case.params[0])
    if name not in params:
        raise UsageError(f"--param {name}: {case.id} has no such parameter", f"choose from {', '.join(params)}")
    return params[name]


def _flat(col: tuple[int, ...], param: Param) -> int:
    """The place in the row laid out flat of a place with an index for each of its dimensions."""
    try:
        return col[0] if len(col) == 1 else int(np.ravel_multi_index(col, param.value.shape[1:]))
    except ValueError:
        message = f"--col {','.join(map(str, col))}: {param.name!r} has shape {param.value.shape}"
        raise UsageError(message, "give its place in the row, one index or all of them") from None


def _times(case: Case, param: Param, step: int) -> Array:
    """How often each element of a parameter is stored by its gradient at a step, flat."""
    gradient = case.steps[step - 1].gradients.get(param.name)
    if gradient is not None:
        with suppress(InvalidGradient):  # a gradient that does not fit stores nothing
            stored = occurrences(gradient, param.value.shape, param.name)
            return np.repeat(np.bincount(stored.indices, minlength=stored.layout[0]), stored.layout[1])
    return np.zeros(param.value.size, np.int64)
