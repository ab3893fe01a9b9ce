"""Which rows and elements of a call are looked at: drawn without replacement, each of the call equally likely."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..gradients import Array

LEAST = 4
"""Elements of every parameter that has a gradient, however few of the sample fall on it: its count and settings show in each of them."""


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

    def elements(self, sizes: Sequence[int], is_fast: bool) -> list[tuple[Array, int]]:
        """Of dense parameters of these sizes, the elements that are drawn, and how many of them by chance."""
        chosen = self._chosen(np.array(sizes, np.int64), np.ones(len(sizes), np.int64), is_fast)
        return [(self._more(own, size), len(own)) for own, size in zip(chosen, sizes)]

    def _more(self, chosen: Array, size: int) -> Array:
        """At least LEAST units of a parameter."""
        return chosen if len(chosen) >= min(LEAST, size) else np.union1d(chosen, self.choose(size, LEAST))


SLOW = 128
"""Elements of a call in float64, which only the proof can judge: it takes 0.1 ms for each."""
