"""Wrong: how the occurrences of a row are combined, and rows that share a slot."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .dialects import APART, DENSIFIED, LAZY, SPARSE
from .hooks import FORMATS, Hooks, base, keeps_occurrences, merged, moves_rows, rounded, sums
from .implementation import Call, Implementation
from .table import NO_CAUSE, Answer, Row, named, placed, within, wrong

MERGING = (SPARSE, LAZY, DENSIFIED)
BY_ROWS = (SPARSE, LAZY, APART, DENSIFIED)
REPEATED = ("duplicates/*", "elements/*", "touched/*", "sizes/multiplicities-*", "sizes/occurrences-*", "sizes/far-apart")


def neighbours(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
    runs = np.add.reduceat(g, starts, axis=0)
    last = len(starts) - 1 - np.unique(rows[starts][::-1], return_index=True)[1]
    return rows[starts][last], runs[last]


def first_two(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return sums(*_kept(rows, g, rank(rows) < 2))


def rank(rows: np.ndarray) -> np.ndarray:
    """How many occurrences of the same row come before each."""
    order = np.argsort(rows, kind="stable")
    starts = np.searchsorted(rows[order], rows[order])
    ranks = np.empty(len(rows), np.int64)
    ranks[order] = np.arange(len(rows)) - starts
    return ranks


def _kept(rows: np.ndarray, g: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rows[mask], g[mask]


def first(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distinct, at = np.unique(rows, return_index=True)
    return distinct, g[at]


def last(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distinct, at = np.unique(rows[::-1], return_index=True)
    return distinct, g[::-1][at]


def mean(rows: np.ndarray, g: np.ndarray, power: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    distinct, total = sums(rows, g)
    number = np.unique(rows, return_counts=True)[1].astype(g.dtype) ** g.dtype.type(power)
    return distinct, total / number[:, None]


def largest(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    distinct = np.unique(rows)
    return distinct, np.stack([max(g[rows == row], key=lambda values: np.abs(values).sum()) for row in distinct])


def hashed(slots: int) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    def merge(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distinct, total = sums(rows, g)
        keys, shared = sums(distinct % slots, total)
        return distinct, shared[np.searchsorted(keys, distinct % slots)]

    return merge


def overwritten_slots(slots: int) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Of the rows that collide only the last one is found again, with the sum of all."""

    def merge(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distinct, total = hashed(slots)(rows, g)
        kept = np.sort(len(distinct) - 1 - np.unique((distinct % slots)[::-1], return_index=True)[1])
        return distinct[kept], total[kept]

    return merge


def in_blocks(size: int) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Each block of occurrences is merged; a row in several blocks keeps the sum of the last."""

    def merge(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        last_sums: dict[int, np.ndarray] = {}
        for start in range(0, len(rows), size):
            last_sums.update(zip(*sums(rows[start : start + size], g[start : start + size])))
        distinct = np.array(sorted(last_sums))
        return distinct, np.stack([last_sums[row] for row in distinct])

    return merge


def sums_in(format: str, singles: bool) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """singles: whether rows that occur once are rounded too."""

    def merge(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distinct, slot = np.unique(rows, return_inverse=True)
        total = np.zeros((len(distinct), g.shape[1]), FORMATS[format])
        with np.errstate(all="ignore"):
            np.add.at(total, slot.reshape(-1), g.astype(FORMATS[format]))
        untouched = (np.bincount(slot.reshape(-1))[:, None] == 1) & (not singles)
        return distinct, np.where(untouched, sums(rows, g)[1], total.astype(g.dtype))

    return merge


def rounded_sums(format: str) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    def merge(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distinct, total = sums(rows, g)
        return distinct, rounded(total, format)

    return merge


def apart_from(distance: int) -> Hooks:
    """An occurrence is lost where the one before it, of the same row, is at least `distance` places away."""

    def kept(rows: np.ndarray) -> np.ndarray:
        before: dict[int, int] = {}
        near = []
        for k, row in enumerate(rows.tolist()):
            near.append(k - before.get(row, k) < distance)
            before[row] = k
        return np.array(near, bool)

    return keeps_occurrences(kept)


def within_windows(size: int) -> Hooks:
    """An occurrence is lost whose row stood in an earlier window of occurrences."""

    def kept(rows: np.ndarray) -> np.ndarray:
        first_at: dict[int, int] = {}
        return np.array([first_at.setdefault(row, k // size) == k // size for k, row in enumerate(rows.tolist())], bool)

    return keeps_occurrences(kept)


def in_sequence(run: Implementation, call: Call, rows: np.ndarray, g: np.ndarray) -> None:
    ranks = rank(rows)
    for k in range(ranks.max(initial=-1) + 1):
        run.move(call, rows[ranks == k], g[ranks == k])


def replaces_apply(move: Callable[..., Any]) -> Hooks:
    """How the prepared occurrences of a sparse gradient move the rows."""

    def apply(run: Implementation, call: Call, rows: np.ndarray, values: np.ndarray) -> Any:
        if call.form == "dense":
            return base.apply(run, call, rows, values)
        return move(run, call, rows, run.prepare(call, values, call.table("param")[rows]))

    return {"apply": apply}


def squares_apart(run: Implementation, call: Call, rows: np.ndarray, g: np.ndarray) -> None:
    distinct, total = sums(rows, g)
    squares = sums(rows, g * g)[1]
    run.__dict__["second_moment"] = lambda call, v, _: base.average(run, call, v, squares, call.s.beta2)
    try:
        run.move(call, distinct, total)
    finally:
        del run.__dict__["second_moment"]


def merges_anyway(run: Implementation, call: Call, rows: np.ndarray, g: np.ndarray) -> None:
    run.move(call, *sums(rows, g))


def collide(slots: int) -> Answer:
    return within("modulo", slots)


def until_zero(run: Implementation, call: Call, gradient: Any) -> tuple[np.ndarray, np.ndarray]:
    rows, values = base.occurrences(run, call, gradient)
    zero = [] if call.form == "dense" else np.flatnonzero((values == 0).all(axis=1)).tolist()
    end = zero[0] if zero else len(rows)
    return rows[:end], values[:end]


def moves_where(kept: Callable[[np.ndarray], np.ndarray]) -> Hooks:
    """Only rows whose sums satisfy a condition are updated."""

    def merge(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distinct, total = sums(rows, g)
        return _kept(distinct, total, kept(total))

    return merged(merge)


row = partial(wrong, dialects=MERGING, cases=REPEATED)
SUM_DIALECTS = (SPARSE, LAZY)

# fmt: off
ROWS: tuple[Row, ...] = (
    row("neighbours-only", "only neighbouring occurrences are summed", "input taken for sorted", named("duplicates-adjacent-only"), merged(neighbours)),
    row("first-two-only", "a third occurrence of a row is lost", "pairwise merge", placed(r"of a row after its first 2\b").or_none(), merged(first_two)),
    row("first-wins", "the first occurrence of a row counts", "scatter", named("duplicates-first-wins"), merged(first)),
    row("last-wins", "the last occurrence of a row counts", "several lookups", named("duplicates-last-wins", "last-gradient-counts"), merged(last)),
    row("averaged", "occurrences are averaged", "DGL sparse_optim.py", named("duplicates-averaged"), merged(mean)),
    row("divided-by-root", "sums are divided by the root of the multiplicity", "normalised sums", NO_CAUSE, merged(partial(mean, power=0.5))),
    row("largest-wins", "the largest occurrence of a row counts", "max pooling", NO_CAUSE, merged(largest)),
    row("in-sequence", "Adam is applied once per occurrence", "Paddle PR 7045", named("duplicates-in-sequence"),
        replaces_apply(in_sequence), dialects=SUM_DIALECTS),
    row("from-old-state", "each occurrence starts from the old state", "mindspore LazyAdam", named("duplicates-from-old-state"),
        replaces_apply(base.move_apart), dialects=SUM_DIALECTS),
    row("squares-apart", "v takes the sum of the squares", "keras 3", named("duplicates-squared-apart"),
        replaces_apply(squares_apart), dialects=SUM_DIALECTS),
    row("summed-where-apart", "occurrences are summed where each starts from the old state", "mindspore LazyAdam on CPU",
        named("duplicates-summed"), replaces_apply(merges_anyway), dialects=(APART,)),
    *(row(f"occurrences-to-{n}", f"occurrences after number {n} are dropped", "fixed buffer", within("occurrences of a gradient after", n),
          keeps_occurrences(lambda rows, n=n: slice(n)), dialects=BY_ROWS, cases=("duplicates/*", "sizes/occurrences-*", "sizes/multiplicities-*")) for n in (32, 100, 512)),
    *(row(f"distant-{n}-lost", f"an occurrence is lost where the one before it stands {n} or more places away", "warp-level merge",
          within("one before it is", n), apart_from(n), dialects=BY_ROWS, cases=("sizes/far-apart", "duplicates/*")) for n in (32, 33, 1000)),
    row("windows-of-16", "an occurrence is lost whose row stood in an earlier window of 16", "tiles",
        placed(r"blocks of 16, the first block"), within_windows(16)),
    row("blocks-of-64", "occurrences are merged in blocks of 64, of which the last wins", "tiles",
        placed(r"blocks of 64, the last block"), merged(in_blocks(64))),
    row("multiplicity-to-8", "at most 8 occurrences of a row count", "unrolled merge",
        placed(r"of a row after its first 8\b"), keeps_occurrences(lambda rows: rank(rows) < 8), cases=("sizes/multiplicities-*", "duplicates/*")),
    *(row(f"hash-of-{slots}", f"rows whose numbers agree modulo {slots} share a sum", "hash merge",
          collide(slots), merged(hashed(slots)), cases=("large/colliding-rows", "rows/*")) for slots in (32, 1024, 65536)),
    row("hash-loses-rows", "of rows whose numbers agree modulo 4096 one moves, with the sum of all", "hash merge",
        within("modulo", 4096), merged(overwritten_slots(4096)), cases=("large/colliding-rows", "rows/*")),
    *(row(f"sums-in-{format}", f"duplicates are summed in {format}", "narrow accumulator", named(f"sums-in-{format}"),
          merged(sums_in(format, singles=True))) for format in ("float16", "bfloat16")),
    row("sums-in-float32", "duplicates are summed in float32 under float64 tensors", "narrow accumulator", named("sums-in-float32"),
        merged(sums_in("float32", singles=True)), dialects=(SPARSE,), cases=("duplicates/*-float64", "elements/*-float64", "pairs/*-float64")),
    *(row(f"repeated-sums-in-{format}", f"duplicates are summed in {format}, what occurs once is left", "atomics", named(f"sums-in-{format}"),
          merged(sums_in(format, singles=False))) for format in ("float16", "bfloat16")),
    row("merged-in-float16", "merged gradients are kept in float16", "narrow buffer", named("gradients-in-float16", "sums-in-float16"),
        merged(rounded_sums("float16"))),
    row("zero-rows-skipped", "rows whose sums are zero are skipped", "densify and test for zero", named("zero-rows-skipped"),
        moves_where(lambda total: (total != 0).any(axis=1)), dialects=SUM_DIALECTS, cases=("touched/*", "duplicates/*")),
    row("zero-sum-rows-skipped", "rows whose elements add up to zero are skipped", "tfa PR 2525",
        named("rows-of-sum-zero-skipped"), moves_where(lambda total: total.sum(axis=1) != 0), dialects=SUM_DIALECTS, cases=("touched/*", "duplicates/*")),
    row("one-zero-skips", "rows with a zero in their first column are skipped", "test of one column",
        placed("first column.*zero|zero.*first column").or_none(), moves_where(lambda total: total[:, 0] != 0), dialects=SUM_DIALECTS, cases=("touched/*", "duplicates/*")),
    row("zero-ends-it", "occurrences after a row of zeros are dropped", "sentinel", NO_CAUSE, {"occurrences": until_zero}, dialects=SUM_DIALECTS, cases=("touched/*", "duplicates/*")),
    row("row-zero-is-padding", "row 0 is never updated", "padding_idx", placed(r"\brow 0\b"),
        moves_rows(lambda rows: rows != 0), dialects=SUM_DIALECTS, cases=("touched/*", "rows/*", "sizes/rows-*")),
    row("elements-last-wins", "of repeated elements the last counts; rows are summed", "two routes",
        named("duplicates-last-wins", "last-gradient-counts"),
        {"merge": lambda run, call, rows, g: last(rows, g) if call.form == "elements" and len(rows) else base.merge(run, call, rows, g)},
        dialects=(SPARSE,), cases=("elements/*", "sizes/elements-*", "pairs/*elements*")),
)
# fmt: on
