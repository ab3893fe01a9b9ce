"""Merging: whether repeated rows are merged depends on their position: buffers, blocks, distances."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ...dialects import Dialect
from ...gradients import Array, is_element_gradient
from .._evidence import Judged
from .._hypothesis import Hypothesis
from ._inputs import Change, Occurrences, changing, dropping, occurrence_rows


def hypotheses(table: Dialect) -> Iterator[Hypothesis]:
    if "rows" not in table.gradients:
        return
    if "elements" in table.gradients:
        for id, words, change in IN_ONE_FORM:
            for form in ("rows", "elements"):
                about = f"in gradients by {form.removesuffix('s')}, {words}"
                yield Hypothesis(id, "merging", about, changing(change, _repeats, form), rank=1, pairs=False)
    for n in COUNTS:
        yield dropping("occurrences-after-N", OCCURRENCES_AFTER, n, _first(n), _longer(n))
        yield dropping("rows-after-N", ROWS_AFTER.format(order="in ascending order"), n, _first_rows(n), _more_rows(n))
        yield dropping("rows-after-N", ROWS_AFTER.format(order="as they come"), n, _first_in_order(n), _more_rows(n))
    for id, words, change in ROW_PARTS:
        yield Hypothesis(id, "merging", words, changing(change, _any), rank=3, pairs=False)
    for n in BLOCK_SIZES:
        yield dropping("row-tails", ROW_TAILS, n, _whole_blocks(n), _longer(0))
        yield dropping("row-tails", ROW_TAILS_OF_SEVERAL, n, _whole_blocks(n), _more_rows(n))
    for n in DISTANCES:
        yield dropping("distant-occurrences-lost", DISTANT, n, _near(n), _repeats)
        yield dropping("distant-occurrences-lost", BLOCKS.format(which="last"), n, _last_block(n), _repeats)
        yield dropping("distant-occurrences-lost", BLOCKS.format(which="first"), n, _first_block(n), _repeats)
    for n in MULTIPLICITIES:
        yield dropping("occurrences-after-N", OCCURRENCES_OF_ROW_AFTER, n, _first_of_row(n), _repeats)


ROW_TAILS = "the last rows of a gradient are dropped where their number is no multiple of {n}"
ROW_TAILS_OF_SEVERAL = "the last rows of a gradient are dropped where their number is larger than {n} and no multiple of it"
OCCURRENCES_AFTER = "the occurrences of a gradient after the first {n} are dropped"
OCCURRENCES_OF_ROW_AFTER = "the occurrences of a row after its first {n} are dropped"
ROWS_AFTER = "the rows of a gradient after the first {{n}}, {order}, are dropped"
DISTANT = "an occurrence of a row is lost where the one before it is {n} or more away"
DISTANT_PART = "of a row whose occurrences are {n} or more apart, the last part counts"
BLOCKS = "of a row that occurs in several blocks of {{n}}, the {which} block counts"


def read_off(judged: Judged, table: Dialect) -> Iterator[Hypothesis]:
    """Limits that are read off the rows of a failing case: what every wrong row exceeds, and no right one.

    From where occurrences are dropped, how many of a row count, and how near two of them must be.
    """
    last, most, farthest = _sides(), _sides(), _sides()
    for param in judged.golden.case.params:
        wrong = judged.touched[param.name]
        for step in judged.golden.case.steps:
            gradient = step.gradients.get(param.name)
            rows, by_element = occurrence_rows(gradient), is_element_gradient(gradient)
            if not 0 < len(rows) <= LONGEST:
                continue
            row_is_wrong: Array = np.any(
                wrong.reshape(-1 if by_element else len(wrong), 1 if by_element else wrong.size // len(wrong)), axis=1
            )
            for row in np.unique(rows):
                places = np.flatnonzero(rows == row)
                side = int(row_is_wrong[row])
                last[side].append(int(places[-1]))
                most[side].append(len(places))
                farthest[side].append(int(np.diff(places).max(initial=0)))
    for limits, offset, id, words, change in (
        (last, 0, "occurrences-after-N", OCCURRENCES_AFTER, _first),
        (most, -1, "occurrences-after-N", OCCURRENCES_OF_ROW_AFTER, _first_of_row),
        (farthest, 0, "distant-occurrences-lost", DISTANT, _near),
        (farthest, 0, "distant-occurrences-lost", DISTANT_PART, _last_part),
    ):
        right, wrongs = limits
        if wrongs and min(wrongs) > max(right, default=0) and min(wrongs) + offset > 0:
            n = min(wrongs) + offset
            yield dropping(id, words, n, change(n), _any)


def _sides() -> tuple[list[int], list[int]]:
    """Of the right rows, and of the wrong ones."""
    return [], []


def _any(rows: Array) -> bool:
    return True


LONGEST = 5000
BLOCK_SIZES = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

COUNTS = (
    16,
    20,
    32,
    50,
    64,
    100,
    128,
    200,
    255,
    256,
    300,
    500,
    512,
    1000,
    1024,
    1500,
    2000,
    2048,
    4096,
    8192,
    16_384,
    32_768,
    65_535,
    65_536,
)
DISTANCES = (2, 4, 8, 16, 32, 64, 100, 128, 256, 512, 1000, 1024)
MULTIPLICITIES = (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 16, 20, 24, 31, 32, 40, 48, 50, 63, 64)


def _more_rows(n: int) -> Callable[[Array], bool]:
    return lambda rows: len(rows) > n and len(np.unique(rows)) > n


def _keeping(choose: Callable[[Array], Array]) -> Change:
    """choose: from the distinct rows of a gradient, in ascending order, those that are left in it."""

    def change(rows: Array, values: Array) -> Occurrences:
        kept = np.isin(rows, choose(np.unique(rows)))
        return rows[kept], values[kept]

    return change


def _first_rows(n: int) -> Change:
    return _keeping(lambda rows: rows[:n])


def _whole_blocks(n: int) -> Change:
    return _keeping(lambda rows: rows[: len(rows) // n * n])


def _first_in_order(n: int) -> Change:
    def change(rows: Array, values: Array) -> Occurrences:
        distinct, first = np.unique(rows, return_index=True)
        kept = np.isin(rows, distinct[np.argsort(first)[:n]])
        return rows[kept], values[kept]

    return change


ROW_PARTS: tuple[tuple[str, str, Change], ...] = (
    ("last-row", "the last row of a gradient is dropped", _keeping(lambda rows: rows[:-1])),
    ("first-row", "the first row of a gradient is dropped", _keeping(lambda rows: rows[1:])),
    ("row-zero", "row 0 of a gradient is dropped", _keeping(lambda rows: rows[rows != 0])),
    ("odd-rows", "rows of odd number are dropped", _keeping(lambda rows: rows[rows % 2 == 0])),
    ("even-rows", "rows of even number are dropped", _keeping(lambda rows: rows[rows % 2 == 1])),
)
"""Rows of a gradient that are left out."""


def _last_of_row(rows: Array, values: Array) -> Occurrences:
    _, at = np.unique(rows[::-1], return_index=True)
    kept = np.sort(len(rows) - 1 - at)
    return rows[kept], values[kept]


def _mean_of_row(rows: Array, values: Array) -> Occurrences:
    _, slot, counts = np.unique(rows, return_inverse=True, return_counts=True)
    share = counts[slot.reshape(-1)].reshape(-1, *(1,) * (values.ndim - 1))
    return rows, values.astype(np.float64) / share


def _repeats(rows: Array) -> bool:
    return len(np.unique(rows)) < len(rows)


def _longer(n: int) -> Callable[[Array], bool]:
    return lambda rows: len(rows) > n


def _first(n: int) -> Change:
    return lambda rows, values: (rows[:n], values[:n])


def _ranks(rows: Array) -> Array:
    """0 for the first occurrence of a row, 1 for its second, and so on."""
    order = np.argsort(rows, kind="stable")
    _, counts = np.unique(rows, return_counts=True)
    ranks = np.empty(len(rows), np.int64)
    ranks[order] = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    return ranks


def _first_of_row(n: int) -> Change:
    def change(rows: Array, values: Array) -> Occurrences:
        kept = _ranks(rows) < n
        return rows[kept], values[kept]

    return change


def _near(n: int) -> Change:
    def change(rows: Array, values: Array) -> Occurrences:
        order = np.argsort(rows, kind="stable")
        lost = np.zeros(len(rows), bool)
        same = rows[order][1:] == rows[order][:-1]
        lost[order[1:]] = same & (np.diff(order) >= n)
        return rows[~lost], values[~lost]

    return change


def _last_part(n: int) -> Change:
    """Of the runs of occurrences of a row that are nearer than n to the one before, the last."""

    def change(rows: Array, values: Array) -> Occurrences:
        order = np.argsort(rows, kind="stable")
        starts = np.r_[True, (np.diff(order) >= n) | (rows[order][1:] != rows[order][:-1])]
        run = np.cumsum(starts) - 1
        last_run = np.zeros(rows.max() + 1, np.int64)
        np.maximum.at(last_run, rows[order], run)
        kept = np.zeros(len(rows), bool)
        kept[order] = run == last_run[rows[order]]
        return rows[kept], values[kept]

    return change


def _last_block(n: int) -> Change:
    def change(rows: Array, values: Array) -> Occurrences:
        block = np.arange(len(rows)) // n
        last = np.zeros(rows.max() + 1, np.int64)
        np.maximum.at(last, rows, block)
        kept = block == last[rows]
        return rows[kept], values[kept]

    return change


def _first_block(n: int) -> Change:
    def change(rows: Array, values: Array) -> Occurrences:
        block = np.arange(len(rows)) // n
        first = np.full(rows.max() + 1, len(rows), np.int64)
        np.minimum.at(first, rows, block)
        kept = block == first[rows]
        return rows[kept], values[kept]

    return change


IN_ONE_FORM: tuple[tuple[str, str, Change], ...] = (
    ("duplicates-last-wins", "only the last occurrence counts", _last_of_row),
    ("duplicates-first-wins", "only the first occurrence counts", _first_of_row(1)),
    ("duplicates-averaged", "repeated occurrences are averaged", _mean_of_row),
)
"""What may become of repeated occurrences in gradients of one form, while those of the other are summed."""
