"""From the gradients of several ranks, or micro-batches, to one: which occurrences count, and what their sum is divided by.

    g <- (g_1 + ... + g_W) / W      (the mean over W ranks; a rank without a gradient adds nothing, and is counted)
    g <- g_1 + ... + g_K            (K micro-batches, whose gradients accumulate; or their mean, as that over the ranks)

Each rank may divide before the sum, or the sum is divided; duplicates are added up within a rank first, or when all occurrences are
gathered. Read: torch 2.13.0, torch/csrc/distributed/c10d/reducer.cpp (each rank multiplies a dense gradient by 1/W, or divides a sparse
one by W; then they are summed); torch/csrc/autograd/functions/accumulate_grad.h (each backward adds its gradient to what is there). A mean
over micro-batches may also run along with them, mean <- mean + (g_k - mean)/k: optax 0.2.5, MultiSteps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..arithmetic import Arithmetic, Number
from ..dialects import Picks
from ..dialects.stages import Accumulation, Merge, Reduction
from ..gradients import Array, Occurrences, Ranks
from . import _mistakes
from ._merged import count_per_row, unique_rows
from .forms import Averaging, Forms

NAMED = {"mean": Reduction.MEAN, "sum": Reduction.SUM, "occurrences": Reduction.MEAN_OF_OCCURRENCES}
"""What a case asks for of its ranks, to the alternative that does it."""

ACCUMULATED = {"mean": Accumulation.MEAN, "sum": Accumulation.SUM}
"""What a case asks for of its micro-batches, to the alternative that does it."""


def reduced(a: Arithmetic, given: Occurrences, picks: Picks, forms: Forms) -> tuple[Occurrences, Number]:
    """A gradient, and its values as a tensor; of several ranks, the one that they give together.

    Each of its rows occurs once, unless the merge stage sees the occurrences apart: then those of all ranks follow one another.
    """
    if given.ranks is None:
        return given, a.load(given.values)
    kept, divisors = _rule(given.ranks, picks)(given, given.ranks)
    rows, slot = _rows(kept, apart=picks.merge is not Merge.SUM)
    of_rows = []
    for divisor in divisors:
        of_row = np.ones((len(rows), 1))
        of_row[slot, 0] = divisor
        of_rows.append(of_row)
    total = np.zeros((len(rows), given.layout[1]))
    with np.errstate(all="ignore"):
        np.add.at(total, slot, kept.values.astype(np.float64))
        for of_row in of_rows:
            total /= of_row
    ranks = kept.ranks.of if kept.ranks else np.zeros(0, np.int64)
    g = _Sum(a, a.load(kept.values), ranks, slot, len(rows), tuple(of_rows), given.ranks.world)
    runs = given.ranks.are_batches and bool(divisors)
    ways = [form for form in forms.averaging if runs or form is not Averaging.RUNNING] or [Averaging.DIVIDED]
    return Occurrences(rows, total, given.layout, given.dense), a.join([AVERAGE[form](g) for form in ways])


def _rule(ranks: Ranks, picks: Picks) -> Rule:
    if ranks.are_batches:
        return ACCUMULATE[
            ACCUMULATED[ranks.rule] if picks.accumulation in (Accumulation.AS_GIVEN, Accumulation.APART) else picks.accumulation
        ]
    return REDUCE[NAMED[ranks.rule] if picks.reduction is Reduction.AS_GIVEN else picks.reduction]


def _rows(kept: Occurrences, apart: bool) -> tuple[Array, Array]:
    """The rows of the result, and of each occurrence the position of its row among them."""
    if kept.dense:
        return np.arange(kept.layout[0]), kept.indices
    return (kept.indices, np.arange(len(kept.indices))) if apart else unique_rows(kept.indices)


@dataclass(frozen=True, eq=False)
class _Sum:
    """A sum of occurrences, and what it is divided by.

    ranks, slot: (n,), of each its rank and its row; divisors: (rows, 1), in turn; world: how many ranks there are.
    """

    a: Arithmetic
    g: Number
    ranks: Array
    slot: Array
    rows: int
    divisors: tuple[Array, ...]
    world: int

    def whole(self) -> Number:
        return self.a.sum_rows(self.g, self.slot, self.rows)

    def divided(self, g: Number, slot: Array | None = None) -> Number:
        for divisor in self._needed():
            g = g / self._number(divisor if slot is None else divisor[slot])
        return g

    def multiplied(self, g: Number, slot: Array | None = None) -> Number:
        for divisor in self._needed():
            g = g * self._inverse(divisor if slot is None else divisor[slot])
        return g

    def of_each(self, scale: Callable[[Number, Array], Number]) -> Number:
        """The sum of the occurrences, each scaled."""
        return self.a.sum_rows(scale(self.g, self.slot), self.slot, self.rows)

    def of_ranks(self, scale: Callable[[Number, Array], Number]) -> Number:
        """The sum over the ranks, of each the sum of its own occurrences, scaled."""
        pairs, at = unique_rows(self.ranks * self.rows + self.slot)
        rows = pairs % max(self.rows, 1)
        return self.a.sum_rows(scale(self.a.sum_rows(self.g, at, len(pairs)), rows), rows, self.rows)

    def running(self) -> Number:
        """The mean over the ranks as it runs along with them: each takes in the sum of its own occurrences, none where it has none."""
        mean: Number = None
        for rank in range(self.world):
            own = np.flatnonzero(self.ranks == rank)
            part = self.a.sum_rows(self.g[own], self.slot[own], self.rows)
            mean = part if rank == 0 else self.a.lerp(mean, part, self.a.meet(self.a.scalar(1.0) / self.a.scalar(rank + 1.0)))
        return mean

    def _needed(self) -> list[Array]:
        return [divisor for divisor in self.divisors if (divisor != 1).any()]

    def _number(self, divisor: Array) -> Number:
        if len(np.unique(divisor)) == 1:
            return self.a.meet(self.a.scalar(float(divisor.flat[0])))
        return self.a.load(divisor)

    def _inverse(self, divisor: Array) -> Number:
        if len(np.unique(divisor)) == 1:
            return self.a.meet(self.a.scalar(1.0) / self.a.scalar(float(divisor.flat[0])))
        return self.a.load(np.ones_like(divisor)) / self.a.load(divisor)


AVERAGE: dict[Averaging, Callable[[_Sum], Number]] = {
    Averaging.DIVIDED: lambda g: g.divided(g.whole()),
    Averaging.MULTIPLIED: lambda g: g.multiplied(g.whole()),
    Averaging.EACH_DIVIDED: lambda g: g.of_each(g.divided),
    Averaging.EACH_MULTIPLIED: lambda g: g.of_each(g.multiplied),
    Averaging.RANKS_DIVIDED: lambda g: g.of_ranks(g.divided),
    Averaging.RANKS_MULTIPLIED: lambda g: g.of_ranks(g.multiplied),
    Averaging.RUNNING: lambda g: g.running(),
}

Kept = tuple[Occurrences, tuple["float | Array", ...]]
"""The occurrences that a reduction takes, and what it divides their sum by, in turn: a number, or one per occurrence."""

Rule = Callable[[Occurrences, Ranks], Kept]

REDUCE: dict[Reduction, Rule] = {
    Reduction.MEAN: lambda given, ranks: (given, (float(ranks.world),)),
    Reduction.SUM: lambda given, ranks: (given, ()),
    Reduction.MEAN_OF_OCCURRENCES: lambda given, ranks: (given, (count_per_row(given.indices),)),
    **_mistakes.REDUCE,
}

ACCUMULATE: dict[Accumulation, Rule] = {
    Accumulation.SUM: REDUCE[Reduction.SUM],
    Accumulation.MEAN: REDUCE[Reduction.MEAN],
    **_mistakes.ACCUMULATE,
}
