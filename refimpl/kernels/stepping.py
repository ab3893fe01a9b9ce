"""One optimizer step of one parameter: check the arguments, lay them out for the kernel, and call it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dialects import Hyper, Picks
from ..dialects.stages import Amsgrad, Centralization, Merge, Touch, centralizes
from ..errors import UsageError
from ..gradients import Array, Gradient, RowGradient, is_element_gradient, laid_out, row_layout
from ._validation import check
from .formats import FORMATS, kernel_view
from .scalars import check_picks, scalars, without_gradient
from .planning import dense, listed, look_over, stored
from .working import Work, run

BLOCK = 4096
"""Elements of the zeros that rows without a gradient are given at a time."""


@dataclass(frozen=True, eq=False)
class _Target:
    """The arguments of a kernel apart from the gradient: the flat state, the scalars, and the flags that follow from the picks."""

    state: tuple[Array, Array, Array, Array | None]
    scalars: Array
    centralize: bool
    apart: bool


class Prepared(ABC):
    """A step that has been checked, and for which the scalars are computed and the memory is taken: `run` cannot fail."""

    @abstractmethod
    def run(self) -> None:
        """Write the step into the parameter and its moments."""


@dataclass(frozen=True, eq=False)
class _DenseStep(Prepared):
    """Every row once."""

    target: _Target
    values: Array
    width: int
    work: Work

    def run(self) -> None:
        target = self.target
        run(target.state, self.values, target.scalars, self.width, self.work, target.centralize)


@dataclass(frozen=True, eq=False)
class _Others:
    """The rows that no occurrence stores, where they are updated too. stored: the other rows, sorted; rows: how many the table has."""

    stored: Array
    rows: int
    zeros: Array
    scalars: Array

    @classmethod
    def of(cls, indices: Array, rows: int, width: int, target: _Target, dtype: np.dtype[Any]) -> _Others:
        block = max(BLOCK // max(width, 1), 1)
        return cls(np.sort(indices), rows, np.zeros((block, width), dtype), without_gradient(target.scalars))

    def run(self, target: _Target) -> None:
        width = self.zeros.shape[1]
        for rows in self._blocks():
            zeros = self.zeros[: len(rows)].reshape(-1)
            run(target.state, zeros, self.scalars, width, listed(rows, width))

    def _blocks(self) -> Iterator[Array]:
        """As many rows of the table at a time as there are zeros for."""
        for start in range(0, self.rows, len(self.zeros)):
            stop = min(start + len(self.zeros), self.rows)
            missing = np.ones(stop - start, bool)
            missing[self.stored[slice(*np.searchsorted(self.stored, (start, stop)))] - start] = False
            yield np.flatnonzero(missing) + start


@dataclass(frozen=True, eq=False)
class _SparseStep(Prepared):
    """The rows that are stored, and the others where they are touched too."""

    target: _Target
    values: Array
    width: int
    work: Work
    others: _Others | None

    def run(self) -> None:
        target = self.target
        run(target.state, self.values, target.scalars, self.width, self.work, target.centralize, target.apart)
        if self.others is not None:
            self.others.run(target)


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

    param, exp_avg, exp_avg_sq: C-contiguous, writeable (memory-mapped too), all float64, or each float32, float16 or bfloat16: then
    the arithmetic is in float32, and each array is rounded once, when it is written. max_exp_avg_sq: as exp_avg_sq where the picks
    have an amsgrad, None where they have none. gradient: a RowGradient, a dense array, or a scipy.sparse COO array of elements, of
    any float dtype; what is strided, read-only or of another float dtype is copied first.
    A sparse step allocates memory in proportion to what the gradient stores, never to the table.
    Raises UsageError or InvalidGradient, as `check` does, before anything is written.
    """
    prepare(param, exp_avg, exp_avg_sq, max_exp_avg_sq, gradient, hyper, picks, t, name).run()


def prepare(
    param: Array,
    exp_avg: Array,
    exp_avg_sq: Array,
    max_exp_avg_sq: Array | None,
    gradient: Gradient,
    hyper: Hyper,
    picks: Picks,
    t: int,
    name: str = "w",
    written: Sequence[Array] = (),
) -> Prepared:
    """What `step` does before it writes. A call that updates several parameters prepares all of them first, so that none is updated
    when another fails. written: the other arrays that are updated before `run`; a gradient that shares their memory is copied.
    """
    sparse = isinstance(gradient, RowGradient) or is_element_gradient(gradient)
    check_picks(picks, not sparse)
    if (max_exp_avg_sq is None) is not (picks.amsgrad is Amsgrad.OFF):
        raise UsageError(f"{name!r}: max_exp_avg_sq and amsgrad go together", "give the array where amsgrad is on, None where it is off")
    check(param, exp_avg, exp_avg_sq, gradient, name, max_exp_avg_sq)
    shape = param.shape
    target = _Target(
        state=(_flat(param), _flat(exp_avg), _flat(exp_avg_sq), None if max_exp_avg_sq is None else _flat(max_exp_avg_sq)),
        scalars=scalars(hyper, picks, t, FORMATS[param.dtype].arithmetic),
        centralize=picks.centralization is Centralization.ROW_MEAN and centralizes(shape),
        apart=picks.merge is Merge.OLD_STATE,
    )
    read_late = (param, *written)
    if not sparse:
        rows, width = row_layout(shape)
        return _DenseStep(target, _kept_apart(gradient, param, read_late), width, dense(rows, width, target.centralize))
    occurrences = laid_out(gradient, shape)
    rows, width = occurrences.layout
    indices = np.require(occurrences.indices, np.int64, ["C", "A", "W"])
    values = _kept_apart(occurrences.values, param, read_late)
    others = _Others.of(indices, rows, width, target, values.dtype) if picks.touch is Touch.ALL else None
    return _SparseStep(target, values, width, stored(indices, width, look_over(indices)), others)


def _flat(array: Array) -> Array:
    return kernel_view(np.asarray(array)).reshape(-1)


def _kept_apart(values: Array, param: Array, written: Sequence[Array]) -> Array:
    """The values as a kernel takes them, flat, where it can read them while these arrays are written.

    In the parameter's dtype; those of a half-precision parameter that have another one in that of the arithmetic: no digit is dropped.
    """
    values = np.asarray(values)
    dtype = param.dtype if values.dtype == param.dtype else FORMATS[param.dtype].arithmetic
    flat = np.require(values, dtype, ["C", "A", "W"]).reshape(-1)  # a read-only array would be compiled for once more
    return kernel_view(flat.copy() if any(np.may_share_memory(flat, other) for other in written) else flat)
