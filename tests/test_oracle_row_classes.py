"""Row classes: one row of each class gives what every row of it gives, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refimpl.case import Case, Param
from refimpl.cases._patterns import patterned, patterned_by_row, scattered
from refimpl.cases.build import CaseBuilder, Source
from refimpl.dialects import deviations, dialect
from refimpl.gradients import RowGradient
from refimpl.oracle import catches_of_reduced, expectations, reduced
from refimpl.oracle._catches import catches

ROWS = 2000


def by_rows(dialect_name: str, width: int = 1, resumed: bool = False) -> Case:
    source = Source("row-classes")
    shape = (ROWS, width)
    gradients: list[dict[str, Any]] = []
    for call, n in enumerate((1990, 3)):
        rows = scattered(n, ROWS, call)
        rows = np.concatenate([rows, rows[rows % 2 == 0]])
        gradients.append({"w": RowGradient(rows, patterned_by_row(source, rows, width, after=call), shape)})
    start = patterned(source, shape)
    moments: dict[str, Any] = (
        {"exp_avg": patterned(source, shape), "exp_avg_sq": patterned(source, shape) ** 2, "step": 3} if resumed else {}
    )
    builder = CaseBuilder(dialect(dialect_name), "t")
    return builder.golden("c", "a case.", [Param("w", start, **moments)], gradients, builder.hyper(eps=1e-3)).case


def dense(shape: tuple[int, ...], **hyper: Any) -> Case:
    source = Source("dense-classes")
    builder = CaseBuilder(dialect("mindspore.Adam"), "t")
    gradients = [{"w": patterned(source, shape, after=call)} for call in range(2)]
    return builder.golden("c", "a case.", [Param("w", patterned(source, shape))], gradients, builder.hyper(**hyper)).case


def elements() -> Case:
    from scipy.sparse import coo_array

    source = Source("element-classes")
    shape = (50, 20)
    builder = CaseBuilder(dialect("torch.SparseAdam"), "t")
    gradients = []
    for call in range(2):
        flat = scattered(900, 1000, call)
        coords: Any = np.unravel_index(flat, shape)
        gradients.append({"w": coo_array((patterned_by_row(source, flat).reshape(-1), coords), shape=shape)})
    return builder.golden("c", "a case.", [Param("w", patterned(source, (1000,)).reshape(shape))], gradients).case


CASES = {
    "rows": lambda: by_rows("torch.SparseAdam"),
    "rows, resumed": lambda: by_rows("mindspore.LazyAdam", 2, resumed=True),
    "rows from the old state": lambda: by_rows("mindspore.LazyAdam.default-target"),
    "every row moves": lambda: by_rows("mindspore.Adam"),
    "dense": lambda: dense((9, 131)),
    "dense and centralized": lambda: dense((600, 16), grad_centralization=True),
    "elements": elements,
}


@pytest.mark.parametrize("kind", CASES)
def test_expanded_expectations_are_those_of_the_whole_case(kind: str) -> None:
    case = CASES[kind]()
    few = reduced(case)
    assert not few.whole
    assert sum(param.value.size for param in few.case.params) < 0.8 * sum(param.value.size for param in case.params)
    whole, expanded = expectations(case), few.expand(expectations(few.case))
    for name, arrays in whole.items():
        assert arrays.keys() == expanded[name].keys()
        for array, expected in arrays.items():
            np.testing.assert_array_equal(expanded[name][array].value, expected.value)
            for numerics_class, bound in expected.bound.items():
                np.testing.assert_array_equal(expanded[name][array].bound[numerics_class], bound)


@pytest.mark.parametrize("kind", ["rows", "dense", "elements"])
def test_the_same_deviations_are_caught(kind: str) -> None:
    case = CASES[kind]()
    few = reduced(case)
    some = [deviations()[id] for id in CAUGHT]
    assert catches_of_reduced(few, expectations(few.case), some) == tuple(
        id for id in catches(case, expectations(case), some) if id != "duplicates-adjacent-only"
    )


CAUGHT = ("duplicates-averaged", "duplicates-adjacent-only", "counter-per-row", "sparse-as-dense", "no-bias-correction", "eps-dropped")


def test_rows_of_different_start_history_or_order_are_kept_apart() -> None:
    shape = (ROWS, 1)
    start = np.zeros(shape, np.float32)
    start[5] = -0.0
    indices = np.array([1, 2, 3, 1, 2, 4])
    values = np.array([[1], [1], [1], [2], [2], [1]], np.float32)
    values_swapped = np.array([[2], [1], [1], [1], [2], [1]], np.float32)
    builder = CaseBuilder(dialect("torch.SparseAdam"), "t")
    gradients = [{"w": RowGradient(indices, stored, shape)} for stored in (values, values_swapped)]
    few = reduced(builder.golden("c", "a case.", [Param("w", start)], gradients).case)
    labels = few.classes["w"]
    assert labels[1] != labels[2]  # the same numbers in another order at the second call
    assert labels[3] == labels[4]
    assert labels[5] != labels[6]  # -0 is not 0
    assert labels[6] == labels[7] == labels[ROWS - 1]


def test_a_small_case_and_one_without_likeness_stay_whole() -> None:
    builder = CaseBuilder(dialect("torch.SparseAdam"), "t")
    small = builder.plain("small", "a case.")
    assert reduced(small.case).case.params[0] is small.case.params[0]
    unlike = CaseBuilder(dialect("torch.Adam"), "t").plain("unlike", "a case.", shape=(600, 2), steps=1)
    assert reduced(unlike.case).whole
