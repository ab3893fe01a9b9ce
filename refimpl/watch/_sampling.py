"""Which rows and elements of a call are looked at: drawn without replacement, each of the call equally likely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..gradients import Array
from ._tensors import Rows, rows_of_gradient, take_values

LEAST = 4
"""Elements of every parameter that has a gradient, however few of the sample fall on it: its count and settings show in each of them."""

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


class Sampler:
    """Draws the samples. size: elements of a call, None for all; seed: the same samples in every run of the same program."""

    def __init__(self, size: int | None, seed: int) -> None:
        self.size = size
        self._random = np.random.default_rng(seed)

    def choose(self, population: int, n: int) -> Array:
        """n different numbers below `population`, each equally likely, increasing."""
        if n >= population:
            return np.arange(population)
        if 2 * n > population:
            return np.sort(self._random.choice(population, n, replace=False, shuffle=False))
        chosen = np.zeros(0, np.int64)  # as many draws as are missing, until none was drawn before: no number is preferred to another
        while len(chosen) < n:
            chosen = np.concatenate([chosen, self._random.integers(0, population, n - len(chosen))])
            chosen.sort()
            again = chosen[1:] == chosen[:-1]
            chosen = np.delete(chosen, np.flatnonzero(again)) if again.any() else chosen
        return chosen

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

    def _chosen(self, sizes: Array, widths: Array, is_fast: bool) -> list[Array]:
        """Per parameter, which of its units were drawn: among dense parameters together, and among sparse ones together."""
        size = self.size if is_fast or self.size is None else min(self.size, SLOW)
        chosen = [np.zeros(0, np.int64)] * len(sizes)
        for members in (np.flatnonzero(widths == 1), np.flatnonzero(widths > 1)):
            own = sizes[members]
            ends = np.cumsum(own)
            total = int(own.sum())
            n = total if size is None else max(1, size // int(widths[members].max(initial=1)))
            drawn = self.choose(total, n)
            parts = np.split(drawn, np.searchsorted(drawn, ends[:-1])) if len(members) else []
            for member, end, count, part in zip(members, ends, own, parts):
                chosen[member] = part - (end - count)
        return chosen

    def _more(self, chosen: Array, size: int) -> Array:
        """At least LEAST units of a parameter."""
        return chosen if len(chosen) >= min(LEAST, size) else np.union1d(chosen, self.choose(size, LEAST))

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


SLOW = 128
"""Elements of a call in float64, which only the proof can judge: it takes 0.1 ms for each."""
