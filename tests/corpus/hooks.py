"""Hooks that many rows share: other settings, rows and elements that are left out, arrays that are rounded to a narrower format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np

from .dialects import Settings
from .implementation import STATE, Arrays, Call, Implementation, Slot

base = Implementation
"""The right implementation, which hooks call: `base.merge(run, call, rows, g)` is the right merge."""

Hooks = Mapping[str, Callable[..., Any]]
FORMATS = {"float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16), "float32": np.dtype(np.float32)}


def with_settings(changed: Callable[[Implementation, Slot, Settings], Mapping[str, Any]]) -> Hooks:
    """changed: which settings of a parameter are other than those of its group."""

    def settings(run: Implementation, slot: Slot) -> Settings:
        right = base.settings(run, slot)
        return replace(right, **changed(run, slot, right))

    return {"settings": settings}


def rounded(x: Any, format: str) -> Any:
    """x rounded to a format, in its own dtype again; a scalar comes back as a float."""
    with np.errstate(all="ignore"):
        if isinstance(x, np.ndarray):
            return x.astype(FORMATS[format]).astype(x.dtype)
        return float(np.asarray(x, np.float64).astype(FORMATS[format]))


def stores(kept: Callable[..., Any]) -> Hooks:
    """Only some elements are written. kept: a mask over (rows, width) of those that are, from the call and the row numbers."""

    def store(run: Implementation, call: Call, rows: np.ndarray, new: Arrays) -> None:
        mask = np.broadcast_to(kept(call, rows), new["param"].shape)
        old = {array: call.table(array)[rows] for array in STATE}
        base.store(run, call, rows, {array: np.where(mask, new[array], old[array]) for array in STATE})

    return {"store": store}


def stores_arrays(*written: str) -> Hooks:
    """Only these arrays are written."""

    def store(run: Implementation, call: Call, rows: np.ndarray, new: Arrays) -> None:
        for array in written:
            call.table(array)[rows] = new[array]

    return {"store": store}


def rounds_arrays(format: str, *arrays: str) -> Hooks:
    """These arrays are kept in a narrower format."""

    def slot(run: Implementation, place: int, param: Any) -> Slot:
        made = base.slot(run, place, param)
        made.arrays.update({array: rounded(made.arrays[array], format) for array in arrays})
        return made

    def store(run: Implementation, call: Call, rows: np.ndarray, new: Arrays) -> None:
        base.store(run, call, rows, {**new, **{array: rounded(new[array], format) for array in arrays}})

    return {"slot": slot, "store": store}


def keeps_occurrences(kept: Callable[..., Any]) -> Hooks:
    """Only some occurrences of a sparse gradient are taken in. kept: an index of those that are, from the row numbers."""

    def occurrences(run: Implementation, call: Call, gradient: Any) -> tuple[np.ndarray, np.ndarray]:
        rows, values = base.occurrences(run, call, gradient)
        if call.form == "dense":
            return rows, values
        taken = kept(rows)
        return rows[taken], values[taken]

    return {"occurrences": occurrences}


def moves_rows(kept: Callable[..., Any]) -> Hooks:
    """Only some of the distinct rows that a sparse gradient stores are updated. kept: an index of those that are."""

    def touch(run: Implementation, call: Call, rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        taken = slice(None) if call.form == "dense" else kept(rows)
        return base.touch(run, call, rows[taken], g[taken])

    return {"touch": touch}


def counts(changed: Callable[..., Any]) -> Hooks:
    """The bias corrections take another step number. changed: from the right one."""
    return {"count": lambda run, slot, gradient: changed(run, slot, base.count(run, slot, gradient))}


def merged(pick: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> Hooks:
    """A merge of its own, from row numbers and values of a sparse gradient."""

    def merge(run: Implementation, call: Call, rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return base.merge(run, call, rows, g) if call.form == "dense" or not len(rows) else pick(rows, g)

    return {"merge": merge}


def sums(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows and their sums, in the dtype of g."""
    distinct, slot = np.unique(rows, return_inverse=True)
    total = np.zeros((len(distinct), *g.shape[1:]), g.dtype)
    np.add.at(total, slot.reshape(-1), g)
    return distinct, total
