"""One optimizer step of one parameter: check the arguments, lay them out for the kernel, and call it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..dialects import Hyper, Picks
from ..dialects.stages import Amsgrad, Centralization, Decay, Merge, Objective, Touch, centralizes
from ..errors import UsageError
from ..gradients import Array, Gradient, RowGradient, check_gradient, is_element_gradient, laid_out
from .places import MOST, Place, address, placed
from .planning import dense, listed, look_over, stored
from .scalars import check_picks, scalars, without_gradient
from .working import Target, Values, Work, run

BLOCK = 4096
"""Elements of the zeros that rows without a gradient are given at a time."""

PLAIN = (np.dtype(np.int64), np.dtype(np.int32))
"""The dtypes of indices that need no check."""


class _Ways(NamedTuple):
    """What follows from the picks, apart from the scalars."""

    picks: Picks
    changed: bool
    centralize: bool
    apart: bool
    amsgrad: bool
    all_rows: bool


class Prepared(Protocol):
    """A step that has been checked, and for which the scalars are computed and the memory is taken: `run` cannot fail."""

    def run(self) -> None:
        """Write the step into the parameter and its moments."""


class _DenseStep(NamedTuple):
    """Every row once."""

    target: Target
    values: Values
    width: int
    work: Work

    def run(self) -> None:
        run(self.target, self.values, self.width, self.work)


@dataclass(frozen=True, eq=False)
class _Others:
    """The rows that no occurrence stores, where they are updated too. stored: the other rows, sorted; rows: how many the table has."""

    stored: Array
    rows: int
    zeros: Array
    target: Target

    @classmethod
    def of(cls, indices: Array, rows: int, width: int, target: Target, dtype: np.dtype[Any]) -> _Others:
        block = max(BLOCK // max(width, 1), 1)
        idle = Target(target.place, without_gradient(target.scalars), target.changed)
        return cls(np.sort(indices), rows, np.zeros((block, width), dtype), idle)

    def run(self) -> None:
        width = self.zeros.shape[1]
        for rows in self._blocks():
            zeros = Values.of(self.zeros[: len(rows)])
            run(self.target, zeros, width, listed(rows, width))

    def _blocks(self) -> Iterator[Array]:
        """As many rows of the table at a time as there are zeros for."""
        for start in range(0, self.rows, len(self.zeros)):
            stop = min(start + len(self.zeros), self.rows)
            missing = np.ones(stop - start, bool)
            missing[self.stored[slice(*np.searchsorted(self.stored, (start, stop)))] - start] = False
            yield np.flatnonzero(missing) + start


class _SparseStep(NamedTuple):
    """The rows that are stored, and the others where they are touched too."""

    target: Target
    values: Values
    width: int
    work: Work
    others: _Others | None

    def run(self) -> None:
        run(self.target, self.values, self.width, self.work)
        if self.others is not None:
            self.others.run()


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
    ways = _ways(picks, sparse)
    if (max_exp_avg_sq is None) is ways.amsgrad:
        raise UsageError(f"{name!r}: max_exp_avg_sq and amsgrad go together", "give the array where amsgrad is on, None where it is off")
    place = placed((param, exp_avg, exp_avg_sq, max_exp_avg_sq), name)
    centralize = ways.centralize and centralizes(place.shape)
    changed = ways.changed or hyper.loss_scale != 1
    target = Target(place, scalars(hyper, picks, t), changed, centralize, ways.apart)
    if not sparse:
        if not _fits(gradient, place.shape, place.dtype):
            check_gradient(gradient, place.shape, name)
        rows, width = place.layout
        return _DenseStep(target, _kept_apart(gradient, place, written), width, dense(rows, width, centralize))
    indices, stored_values, (rows, width) = _rows(gradient, place, name)
    seen = look_over(indices)
    if seen.low < 0 or seen.high >= rows:
        check_gradient(gradient, place.shape, name)
    values = _kept_apart(stored_values, place, written)
    others = _Others.of(indices, rows, width, target, values.array.dtype) if ways.all_rows else None
    return _SparseStep(target, values, width, stored(indices, width, seen), others)


_WAYS: dict[tuple[int, bool], _Ways] = {}
"""By the identity of picks, which `Dialect.resolve` gives again for the same settings: to compare them takes as long as a small step."""


def _ways(picks: Picks, sparse: bool) -> _Ways:
    """Raises UsageError, as `check_picks` does, for picks that no kernel computes."""
    known = _WAYS.get((id(picks), sparse))
    if known is not None and known.picks is picks:
        return known
    check_picks(picks, not sparse)
    ways = _Ways(
        picks=picks,
        changed=picks.objective is Objective.MAXIMIZE or picks.decay in (Decay.COUPLED_OCCURRENCE, Decay.COUPLED_MERGED),
        centralize=picks.centralization is Centralization.ROW_MEAN,
        apart=picks.merge is Merge.OLD_STATE,
        amsgrad=picks.amsgrad is not Amsgrad.OFF,
        all_rows=picks.touch is Touch.ALL,
    )
    if len(_WAYS) >= MOST:
        _WAYS.clear()
    _WAYS[id(picks), sparse] = ways
    return ways


def _fits(values: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether this is a plain array that needs no more checks, and that a kernel takes as it is."""
    if type(values) is not np.ndarray or values.dtype != dtype or values.shape != shape:
        return False
    flags = values.flags
    return flags.c_contiguous and flags.aligned


def _rows(gradient: Gradient, place: Place, name: str) -> tuple[Array, Array, tuple[int, int]]:
    """The indices in int64, not yet known to be in range, and the values of a gradient by rows or elements, and its layout."""
    if isinstance(gradient, RowGradient):
        indices, shape = gradient.indices, place.shape
        is_plain = type(indices) is np.ndarray and indices.ndim == 1 and indices.dtype in PLAIN and gradient.shape == shape
        if is_plain and shape and _fits(gradient.values, (len(indices), *shape[1:]), place.dtype):
            flags = indices.flags
            is_ready = indices.dtype == np.int64 and flags.c_contiguous and flags.aligned and flags.writeable
            return indices if is_ready else np.require(indices, np.int64, ["C", "A", "W"]), gradient.values, place.layout
    check_gradient(gradient, place.shape, name)
    occurrences = laid_out(gradient, place.shape)
    return np.require(occurrences.indices, np.int64, ["C", "A", "W"]), occurrences.values, occurrences.layout


def _kept_apart(values: Array, place: Place, written: Sequence[Array]) -> Values:
    """The values as a kernel takes them, where it can read them while the parameter and these arrays are written.

    In the parameter's dtype; those of a half-precision parameter that have another one in that of the arithmetic: no digit is dropped.
    """
    if values.__class__ is np.ndarray and values.dtype == place.dtype and values.flags.carray:
        flat = Values(values, place.formats[0], address(values), values.size)
    else:
        values = np.asarray(values)
        flat = Values.of(np.require(values, place.dtype if values.dtype == place.dtype else place.arithmetic, ["C", "A"]))
    start, array = flat.address, flat.array
    if place.overlaps(start, start + array.nbytes) or (written and any(np.may_share_memory(array, other) for other in written)):
        return Values.of(array.copy())
    return flat
