"""Arrays out of few numbers: a shift changes them, and rows differ from each other."""

from __future__ import annotations

import numpy as np
import pytest

from refimpl.cases._patterns import PERIOD, patterned, patterned_by_row, scattered, spread
from refimpl.cases.build import Source


@pytest.mark.parametrize("shift", [*(2**k for k in range(18)), 96, 192, 384, 640, 1000])
def test_a_shift_by_a_block_changes_every_part(shift: int) -> None:
    numbers = patterned(Source("p"), (shift + 1000,))
    assert (numbers[shift:] != numbers[:1000]).mean() > 0.99


def test_rows_and_columns_are_distinguishable() -> None:
    table = patterned(Source("p"), (20, 30))
    assert len(np.unique(table, axis=0)) == 20
    assert len(np.unique(table, axis=1).T) == 30
    assert len(np.unique(table)) <= PERIOD


def test_a_row_has_the_same_numbers_wherever_it_stands() -> None:
    first, second = (patterned_by_row(Source("p"), np.array(rows), 4) for rows in ([7, 300, 7], [300, 5, 7]))
    assert (first[0] == first[2]).all()
    assert (first[1] == second[0]).all()
    assert (first[0] == second[2]).all()
    assert (first[0] != first[1]).any()


@pytest.mark.parametrize("numbers", [scattered, spread])
@pytest.mark.parametrize(("n", "among"), [(1, 3), (8, 10), (257, 259), (1025, 1027), (66_529, 66_531)])
def test_row_numbers_are_different_and_unsorted(numbers: object, n: int, among: int) -> None:
    assert callable(numbers)
    rows = numbers(n, among, 2)
    assert len(np.unique(rows)) == n
    assert rows.min() >= 0
    assert rows.max() < among
    assert n < 3 or (np.diff(rows) < 0).any()
