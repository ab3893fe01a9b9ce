"""Which case, and which of its elements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from ..case import Case, Golden, Param
from ..cases import SUITES, drafts
from ..dialects import dialect
from ..errors import InvalidGradient, UsageError, did_you_mean
from ..gradients import Array, check_gradient, laid_out, row_layout
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
    if vectors or (directory / "MANIFEST.yaml").is_file():
        found = _stored(id, directory)
        if found:
            return found
        if vectors:
            raise UsageError(f"{directory} holds no case {id!r}", "without --vectors it is made afresh, if refimpl knows it")
    return _drafted(id, name, rest[0])


def _stored(id: str, directory: Path) -> Golden | None:
    from ..vectors import read_manifest, read_vectors

    name = id.split("/")[0]
    if name not in read_manifest(directory).dialects:
        return None
    found = read_vectors(directory, [name], ["".join(f"[{char}]" if char in "*?[" else char for char in id)])
    if found.unreadable:
        raise UsageError(f"{id} cannot be read: {found.unreadable[0][1]}", "install what is missing")
    return found[0] if len(found) else None


def _drafted(id: str, name: str, theme: str) -> Golden:
    from ..vectors import roundtrip

    table = dialect(name)
    known = drafts(table, theme) if theme in SUITES["full"] else []
    draft = next((golden for golden in known if golden.case.id == id), None)
    if draft is None:
        _unknown(id, (golden.case.id for theme in SUITES["full"] for golden in drafts(table, theme)))
    return roundtrip(draft)


def _unknown(id: str, known: Iterable[str]) -> NoReturn:
    raise UsageError(f"no case {id!r}", did_you_mean(id, known) or "`refimpl gen --list` prints every id")


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
    one = _param(case, param)
    if step is not None and not 1 <= step <= len(case.steps):
        raise UsageError(f"--step {step}: {case.id} has {len(case.steps)} steps", f"choose from 1 to {len(case.steps)}")
    rows, width = row_layout(one.value.shape)
    _check("--row", row, rows, one)
    col = _flat(col, one) if isinstance(col, tuple) else col
    _check("--col", col, width, one)
    best: tuple[int, int] | None = None
    chosen = (len(case.steps) if step is None else step, 0)
    for number in range(1, len(case.steps) + 1) if step is None else [step]:
        times = _times(case, one, number)
        if row is not None:
            times = times[row * width : (row + 1) * width]
        most = int(times.max(initial=0))
        if most and (best is None or most >= best[0]):
            best = most, number
            chosen = number, int(np.argmax(times)) + (row or 0) * width
    found_row, found_col = divmod(chosen[1], width) if width else (0, 0)
    return Place(one.name, chosen[0], found_row if row is None else row, found_col if col is None else col)


def _param(case: Case, name: str | None) -> Param:
    known = {one.name: one for one in case.params}
    if name is None:
        gets = [one for one in case.params if one.value.size and any(step.gradients.get(one.name) is not None for step in case.steps)]
        return (gets or list(case.params))[0]
    if name not in known:
        raise UsageError(f"--param {name}: {case.id} has no such parameter", f"choose from {', '.join(known)}")
    return known[name]


def _check(option: str, given: int | None, below: int, param: Param) -> None:
    if given is not None and not 0 <= given < below:
        raise UsageError(f"{option} {given}: {param.name!r} has shape {param.value.shape}", f"choose from 0 to {below - 1}")


def _flat(col: tuple[int, ...], param: Param) -> int:
    """The place in the row laid out flat of a place with an index for each of its dimensions."""
    inside = param.value.shape[1:]
    if len(col) == 1:
        return col[0]
    if len(col) != len(inside) or not all(0 <= i < n for i, n in zip(col, inside)):
        text = ",".join(map(str, col))
        raise UsageError(
            f"--col {text}: {param.name!r} has shape {param.value.shape}", "give its place in the row, one index or all of them"
        )
    return int(np.ravel_multi_index(col, inside))


def _times(case: Case, param: Param, step: int) -> Array:
    """How often each element of a parameter is stored by its gradient at a step, flat."""
    gradient = case.steps[step - 1].gradients.get(param.name)
    if gradient is None or not _fits(gradient, param):
        return np.zeros(param.value.size, np.int64)
    given = laid_out(gradient, param.value.shape)
    return np.repeat(np.bincount(given.indices, minlength=given.layout[0]), given.layout[1])


def _fits(gradient: object, param: Param) -> bool:
    try:
        check_gradient(gradient, param.value.shape, param.name)
    except InvalidGradient:
        return False
    return True
