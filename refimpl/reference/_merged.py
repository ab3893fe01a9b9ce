"""What merging gives: a gradient per row, and helpers over rows that occur several times."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from ..arithmetic import Number
from ..gradients import Array


@dataclass(frozen=True)
class Merged:
    """What the update takes in: a gradient per row, and its square where that is not the square of the gradient.

    stored: how many of the rows, which come first, the gradient stores; by default all.
    """

    rows: Array
    g: Number
    square: Number | None = None
    stored: int = sys.maxsize

    def at(self, positions: Array) -> Merged:
        return Merged(self.rows[positions], self.g[positions], None if self.square is None else self.square[positions])


def unique_rows(rows: Array) -> tuple[Array, Array]:
    """The different rows in ascending order, and of each occurrence the position of its row among them."""
    if (rows[1:] > rows[:-1]).all():  # most gradients are distinct and sorted: there is nothing to sort
        return rows, np.arange(len(rows))
    unique, slot = np.unique(rows, return_inverse=True)
    return unique, slot.reshape(-1)  # NumPy 2.0.0 alone shapes the inverse like its input


def count_per_row(rows: Array) -> Array:
    """Of each occurrence, how many its row has."""
    return np.bincount(unique_rows(rows)[1])[unique_rows(rows)[1]] if len(rows) else np.zeros(0, np.int64)


def occurrence_rounds(rows: Array) -> list[Array]:
    """Positions of the first occurrence of each row, then of the second, and so on: each round holds a row at most once."""
    order = np.argsort(rows, kind="stable")
    _, counts = np.unique(rows, return_counts=True)
    rank = np.empty(len(rows), np.int64)
    rank[order] = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return [np.flatnonzero(rank == k) for k in range(counts.max(initial=0))]
