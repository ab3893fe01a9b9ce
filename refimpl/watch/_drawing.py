"""Samples of tensors of torch: dense ones are drawn by elements, sparse gradients by rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..gradients import Array
from ._sampling import Sampler
from ._tensors import Rows, rows_of_gradient, take_values

STILL = 32
"""Rows that a sparse gradient does not store, which are compared by bits."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """The sample of one parameter. rows: the updated ones first; gradient: (k, width), or None; occurrences: the row of the sample of each.

    updated: rows that the gradient stores; population: how many it stores in all; by_chance: how many were drawn with equal chances.
    """

    rows: Rows
    gradient: Array | None
    occurrences: Array
    updated: int
    population: int
    by_chance: int


class TensorSampler(Sampler):
    """Draws the samples of tensors."""

    def draw(self, tensors: Sequence[Any]) -> list[Drawn]:
        """The samples of parameters that have a gradient. Dense ones are drawn by elements, sparse ones by rows."""
        stored = [rows_of_gradient(tensor) if tensor.grad.is_sparse else None for tensor in tensors]
        sizes = np.array([tensor.numel() if rows is None else len(rows.distinct) for tensor, rows in zip(tensors, stored)], np.int64)
        widths = np.array([1 if rows is None else max(rows.width, 1) for rows in stored])
        chosen = self._chosen(sizes, widths, all(tensor.dtype.itemsize < 8 for tensor in tensors))
        return [
            self._dense(tensor, own) if rows is None else self._sparse(tensor, rows, own)
            for tensor, rows, own in zip(tensors, stored, chosen)
        ]

    def _dense(self, tensor: Any, chosen: Array) -> Drawn:
        places = self._more(chosen, tensor.numel())
        rows = Rows(places, 0)
        return Drawn(rows, take_values(tensor.grad, rows), np.arange(len(places)), len(places), tensor.numel(), len(chosen))

    def _sparse(self, tensor: Any, stored: Any, chosen: Array) -> Drawn:
        own = self._more(chosen, len(stored.distinct))
        updated = stored.distinct[own]
        gradient, occurrences = stored.of(own)
        still = np.unique(self._random.integers(0, max(stored.rows, 1), STILL)) if stored.rows else np.zeros(0, np.int64)
        still = still[~np.isin(still, stored.distinct, assume_unique=True)]
        rows = Rows(np.concatenate([updated, still]), stored.width)
        return Drawn(rows, gradient, occurrences, len(updated), len(stored.distinct), len(chosen))

    def rest(self, tensor: Any, n: int) -> Drawn:
        """A few elements of a parameter without a gradient."""
        places = self.choose(tensor.numel(), n)
        return Drawn(Rows(places, 0), None, np.zeros(0, np.int64), 0, 0, 0)
