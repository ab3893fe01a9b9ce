"""Places: where a hypothesis holds, read off the elements that it changes."""

from __future__ import annotations

import numpy as np
import pytest

from refimpl.judging._places import Seen, place_of


def seen(wrong: list[bool], **coordinates: list[int]) -> Seen:
    """Elements with some coordinates; all elements are the same in the others."""
    same = np.zeros(len(wrong), np.int64)
    names = ("column", "width", "row", "element", "size", "tensor", "group", "rank", "rows in the gradient", "by rows")
    arrays = {name.replace("_", " "): np.array(values) for name, values in coordinates.items()}
    return Seen({name: arrays.get(name, same) for name in names}, np.array(wrong))


def test_a_fault_in_the_columns_from_n_on_is_located() -> None:
    place = place_of([seen([False, False, True, True], column=[0, 63, 64, 70], width=[71] * 4)])
    assert place is not None
    assert (place.id, place.words) == ("columns-after-N", "columns from 64 on")


def test_the_number_is_a_range_where_the_cases_leave_it_open() -> None:
    place = place_of([seen([False, True], rank=[10, 40], rows_in_the_gradient=[41, 41])])
    assert place is not None
    assert (place.id, place.words) == ("rows-after-N", "rows after the first 11 to 40 of a gradient")


def test_a_case_that_contradicts_a_place_rules_it_out() -> None:
    first_case = seen([False, True], tensor=[15, 16])
    assert place_of([first_case]) is not None
    assert place_of([first_case, seen([False], tensor=[40])]) is None


def test_parameters_with_gradients_by_rows_come_before_their_number() -> None:
    place = place_of([seen([True, False], tensor=[1, 0], by_rows=[1, 0]), seen([True], tensor=[0], by_rows=[1])])
    assert place is not None
    assert (place.id, place.words) == ("rows-alone", "parameters with gradients by rows")


@pytest.mark.parametrize("block", [4, 16, 128])
def test_a_fault_in_the_columns_behind_the_last_whole_block_is_located(block: int) -> None:
    widths = [block - 1, block, block + 1, 2 * block + 3]
    cases = [
        seen([column >= width - width % block for column in range(width)], column=list(range(width)), width=[width] * width)
        for width in widths
    ]
    place = place_of(cases)
    assert place is not None
    assert (place.id, place.words) == ("column-tails", f"the last columns, where the width is no multiple of {block}")


def test_a_fault_in_row_zero_is_located() -> None:
    place = place_of([seen([True, True, False, False], row=[0, 0, 1, 2], rank=[0, 0, 1, 2])])
    assert place is not None
    assert place.id in ("row-zero", "first-row")
    place = place_of([seen([True, False], row=[0, 1], rank=[0, 1]), seen([False], row=[5], rank=[0])])
    assert place is not None
    assert place.id == "row-zero"


def test_no_place_is_named_where_everything_is_wrong_or_no_place_fits() -> None:
    assert place_of([seen([True, True], column=[0, 1])]) is None
    assert place_of([seen([True, False, True, False], element=[0, 1, 2, 3], size=[4] * 4)]) is None
