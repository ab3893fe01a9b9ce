"""Intermediate results that are changed on purpose: formats, of plain numbers and of bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refimpl.arithmetic import Bound, Float
from refimpl.arithmetic._interface import FORMATS
from refimpl.arithmetic.roundings import tensor_rounding
from refimpl.judging._altered import Altered, to_format

NUMBERS = np.array([[0.1, -1.0 / 3.0, 1e-9, 70000.0, 0.0, np.inf, np.nan]])


@pytest.mark.parametrize("name", ["float16", "float32"])
def test_a_number_in_a_format_is_the_one_that_numpy_rounds_to(name: str) -> None:
    with np.errstate(over="ignore"):
        expected = NUMBERS.astype(name).astype(np.float64)
    assert np.array_equal(to_format(NUMBERS, name), expected, equal_nan=True)


def test_bfloat16_keeps_eight_bits_to_nearest_or_cut_off() -> None:
    x = np.array([1 + 2**-8 + 2**-9, 257.0, -257.0])
    assert to_format(x, "bfloat16").tolist() == [1 + 2**-7, 256.0, -256.0]
    assert to_format(x, "bfloat16", "cut off").tolist() == [1.0, 256.0, -256.0]


def test_a_bound_is_exact_where_both_ends_round_alike_and_an_ulp_wide_where_they_do_not() -> None:
    x = np.array([[1 + 2**-10, 1 + 2**-9 + 2**-8]])  # far from a boundary of bfloat16, and next to one
    e = np.full((4, 1, 2), 1e-4)
    e[:, 0, 1] = 2**-8
    rounded = to_format(Bound(x, e, tensor_rounding(FORMATS["float32"])), "bfloat16")
    assert rounded.x.tolist() == [[1.0, 1 + 2**-7]]
    assert (rounded.e[:, 0, 0] == 0).all()
    assert (rounded.e[:, 0, 1] >= 2**-8).all()


def test_only_roots_of_tensors_and_named_results_are_changed() -> None:
    def negated_m(name: str, number: Any, before: Any = None) -> Any:
        return -number if name == "m" else number

    a: Any = Altered(Float("float64"), negated_m, lambda root: root + 1)
    assert a.sqrt(np.float64(4.0)) == 2.0
    assert a.sqrt(np.array([[4.0]])).tolist() == [[3.0]]
    assert a.alter("m", 2.0) == -2.0
    assert a.alter("v", 2.0) == 2.0
    assert a.maximum(1.0, 2.0) == 2.0
