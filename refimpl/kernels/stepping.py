"""One optimizer step of one parameter: validated, laid out for the kernel, and handed to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..dialects import Hyper, Picks
from ..dialects.stages import Amsgrad, Centralization, Merge, Touch
from ..errors import UsageError
from ..gradients import Array, Gradient, RowGradient, is_element_gradient, laid_out, row_layout
from .merging import NONE, group
from .scalars import check_picks, scalars, without_gradient
from .updating import update_rows
from .validation import check

BLOCK = 4096
"""Elements of a dense parameter that the kernel takes as a row, and of the zeros that rows without a gradient are given."""

NO_INDICES = np.zeros(0, np.int64)


@dataclass(frozen=True)
class _Target:
    """Where a step goes and what it is made of: the flat state, the scalars, and what the kernel must know of the picks."""

    state: tuple[Array, Array, Array, Array | None]
    scalars: Array
    centralize: bool
    apart: bool

    def part(self, start: int, stop: int) -> tuple[Array, Array, Array, Array | None]:
        p, m, v, v_max = self.state
        return p[start:stop], m[start:stop], v[start:stop], None if v_max is None else v_max[start:stop]


def step(
    param: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    max_exp_avg_sq: Array | None,
    gradient: Gradient,
    hyper: Hyper,
    picks: Picks,
    t: int,
    name: str = "w",
) -> None:
    """Step t (from 1) of one parameter, in place, with the hyper-parameters and picks that `Dialect.resolve` gives.

    param, exp_avg, exp_avg_sq: C-contiguous, writeable (memory-mapped too), all float32 or all float64; max_exp_avg_sq: the
    same where the picks have an amsgrad, None where they have none. gradient: a RowGradient, a dense array, or a
    scipy.sparse COO array of elements; what is strided, read-only or of another float dtype is copied first.
    Beside that, a sparse step allocates in proportion to what the gradient stores, and to the table never.
    Raises UsageError or InvalidGradient, as `check` does, before anything is written.
    """
    sparse = isinstance(gradient, RowGradient) or is_element_gradient(gradient)
    check_picks(picks, not sparse)
    if (max_exp_avg_sq is None) is not (picks.amsgrad is Amsgrad.OFF):
        raise UsageError(f"{name!r}: max_exp_avg_sq and amsgrad go together", "give the array where amsgrad is on, None where it is off")
    check(param, exp_avg, exp_avg_sq, gradient, name, max_exp_avg_sq)
    shape = param.shape
    target = _Target(
        state=(_flat(param), _flat(exp_avg), _flat(exp_avg_sq), None if max_exp_avg_sq is None else _flat(max_exp_avg_sq)),
        scalars=scalars(hyper, picks, t, param.dtype),
        centralize=picks.centralization is Centralization.ROW_MEAN and len(shape) >= 2 and shape[1] % 16 == 0,
        apart=picks.merge is Merge.OLD_STATE,
    )
    if sparse:
        _sparse_step(target, gradient, shape, picks)
    else:
        _dense_step(target, _kept_apart(gradient, param), row_layout(shape))


def _flat(array: Array) -> Array:
    return np.asarray(array).reshape(-1)


def _kept_apart(values: Array, param: Array) -> Array:
    """The values in the parameter's dtype, flat, where the kernel can read them while it writes the parameter."""
    flat = np.require(values, param.dtype, ["C", "A", "W"]).reshape(-1)  # a read-only array would be compiled for once more
    return flat.copy() if np.may_share_memory(flat, param) else flat


def _dense_step(target: _Target, values: Array, layout: tuple[int, int]) -> None:
    """Every row once. Rows only matter where they are centralized; otherwise they are cut as it suits the kernel."""
    size = len(values)
    width = layout[1] if target.centralize else BLOCK
    whole = size // width if width else 0
    update_rows(target.state, values, NO_INDICES, NONE, NONE, target.scalars, width, whole, target.centralize)
    rest = size - whole * width
    if rest:
        update_rows(target.part(size - rest, size), values[size - rest :], NO_INDICES, NONE, NONE, target.scalars, rest, 1)


def _sparse_step(target: _Target, gradient: Gradient, shape: tuple[int, ...], picks: Picks) -> None:
    given = laid_out(gradient, shape)
    rows, width = given.layout
    indices = np.require(given.indices, np.int64, ["C", "A", "W"])
    values = _kept_apart(given.values, target.state[0])
    groups = group(indices)
    chained = (groups.first, groups.following)
    update_rows(target.state, values, indices, *chained, target.scalars, width, groups.rows, target.centralize, target.apart)
    if picks.touch is Touch.ALL:
        without = without_gradient(target.scalars)
        for others in _others(indices, rows, max(BLOCK // max(width, 1), 1)):
            zeros = np.zeros(len(others) * width, values.dtype)
            update_rows(target.state, zeros, others, NONE, NONE, without, width, len(others))


def _others(indices: Array, rows: int, block: int) -> Iterator[Array]:
    """The rows that no occurrence stores, `block` rows of the table at a time."""
    stored = np.sort(indices)
    for start in range(0, rows, block):
        stop = min(start + block, rows)
        missing = np.ones(stop - start, bool)
        missing[stored[slice(*np.searchsorted(stored, (start, stop)))] - start] = False
        yield np.flatnonzero(missing) + start
