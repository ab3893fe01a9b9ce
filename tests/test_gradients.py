"""Row gradients, their conversion from and to scipy.sparse, and the check against the shape of a parameter."""

from typing import Any

import numpy as np
import pytest
from ml_dtypes import bfloat16
from scipy.sparse import bsr_array, coo_array, csr_array, csr_matrix

from refimpl.errors import InvalidGradient
from refimpl.gradients import RowGradient, is_element_gradient, occurrences, row_layout

DUPLICATES = RowGradient(np.array([3, 0, 3]), np.array([[1.0, 2.0], [0.0, 5.0], [-1.0, 0.5]], np.float32), (5, 2))
SUMMED = [[0.0, 5.0], [0.0, 0.0], [0.0, 0.0], [0.0, 2.5], [0.0, 0.0]]


@pytest.mark.parametrize("form", ["to_coo", "to_bsr", "to_csr"])
def test_every_form_is_the_same_matrix(form: str) -> None:
    matrix = getattr(DUPLICATES, form)()
    assert matrix.shape == (5, 2)
    assert matrix.dtype == np.float32
    assert matrix.toarray().tolist() == SUMMED


def test_coo_keeps_every_stored_value_and_the_others_one_per_touched_element() -> None:
    assert DUPLICATES.to_coo().nnz == 6
    assert DUPLICATES.to_csr().nnz == 4  # rows 0 and 3, explicit zeros kept
    assert DUPLICATES.to_bsr().nnz == 4
    assert DUPLICATES.to_bsr().blocksize == (1, 2)


@pytest.mark.parametrize("form", ["to_coo", "to_bsr", "to_csr"])
def test_a_gradient_converted_there_and_back_touches_the_same_rows_with_the_same_sums(form: str) -> None:
    back = RowGradient.from_scipy(getattr(DUPLICATES, form)())
    assert back.shape == (5, 2)
    assert back.indices.tolist() == [0, 3]
    assert back.values.tolist() == [[0.0, 5.0], [0.0, 2.5]]
    assert back.values.dtype == np.float32


def test_the_blocks_of_a_bsr_stay_occurrences_repeated_and_in_order() -> None:
    blocks = np.array([[[1.0, 2.0]], [[3.0, 4.0]], [[5.0, 6.0]]])
    matrix = bsr_array((blocks, np.array([0, 0, 0]), np.array([0, 0, 2, 3])), shape=(3, 2))
    gradient = RowGradient.from_scipy(matrix)
    assert gradient.indices.tolist() == [1, 1, 2]
    assert gradient.values.tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


def test_a_bsr_of_other_blocks_is_gathered_by_rows() -> None:
    matrix = bsr_array((np.array([[[1.0, 2.0], [3.0, 4.0]]]), np.array([1]), np.array([0, 1])), shape=(2, 4))
    gradient = RowGradient.from_scipy(matrix)
    assert gradient.indices.tolist() == [0, 1]
    assert gradient.values.tolist() == [[0.0, 0.0, 1.0, 2.0], [0.0, 0.0, 3.0, 4.0]]


def test_an_explicit_zero_touches_its_row() -> None:
    csr = csr_array((np.array([0.0, 7.0]), np.array([1, 0]), np.array([0, 0, 1, 2])), shape=(3, 2))
    gradient = RowGradient.from_scipy(csr)
    assert gradient.indices.tolist() == [1, 2]
    assert gradient.values.tolist() == [[0.0, 0.0], [7.0, 0.0]]
    assert gradient.to_csr().indptr.tolist() == [0, 0, 2, 4]


def test_duplicate_entries_of_a_coo_are_summed() -> None:
    coo = coo_array((np.array([1.0, 2.0, 4.0]), (np.array([2, 2, 2]), np.array([0, 0, 1]))), shape=(3, 2))
    gradient = RowGradient.from_scipy(coo)
    assert gradient.indices.tolist() == [2]
    assert gradient.values.tolist() == [[3.0, 4.0]]


@pytest.mark.parametrize("form", ["to_coo", "to_bsr", "to_csr"])
def test_an_empty_gradient_stays_empty(form: str) -> None:
    empty = RowGradient(np.zeros(0, np.int64), np.zeros((0, 2)), (4, 2))
    back = RowGradient.from_scipy(getattr(empty, form)())
    assert back.indices.shape == (0,)
    assert back.values.shape == (0, 2)
    assert back.shape == (4, 2)


def test_more_than_two_dimensions_are_laid_out_as_rows() -> None:
    values = np.arange(12.0).reshape(2, 2, 3)
    gradient = RowGradient(np.array([4, 1]), values, (5, 2, 3))
    assert gradient.to_coo().shape == (5, 6)
    assert gradient.to_csr().toarray()[4].tolist() == [0, 1, 2, 3, 4, 5]
    seen = occurrences(gradient, (5, 2, 3), "w")
    assert seen.layout == (5, 6)
    assert seen.values.tolist() == values.reshape(2, 6).tolist()


LAYOUTS = {(): (1, 1), (4,): (4, 1), (4, 3): (4, 3), (4, 3, 2): (4, 6), (0, 3): (0, 3)}


@pytest.mark.parametrize("shape", LAYOUTS)
def test_a_parameter_of_any_shape_is_rows_and_columns(shape: tuple[int, ...]) -> None:
    assert row_layout(shape) == LAYOUTS[shape]


@pytest.mark.parametrize("shape", LAYOUTS)
def test_a_dense_gradient_stores_every_row_once(shape: tuple[int, ...]) -> None:
    seen = occurrences(np.ones(shape), shape, "w")
    assert seen.dense
    assert seen.layout == LAYOUTS[shape]
    assert seen.indices.tolist() == list(range(LAYOUTS[shape][0]))
    assert seen.values.shape == LAYOUTS[shape]


def test_a_row_gradient_is_not_copied() -> None:
    seen = occurrences(DUPLICATES, (5, 2), "w")
    assert seen.indices is DUPLICATES.indices
    assert np.shares_memory(seen.values, DUPLICATES.values)
    assert not seen.dense


def test_an_element_gradient_sees_each_element_as_a_row() -> None:
    coo = coo_array((np.array([1.0, 2.0, 3.0]), (np.array([0, 2, 0]), np.array([1, 0, 1]))), shape=(3, 2))
    seen = occurrences(coo, (3, 2), "w")
    assert seen.layout == (6, 1)
    assert seen.indices.tolist() == [1, 4, 1]
    assert seen.values.tolist() == [[1.0], [2.0], [3.0]]


def test_an_element_gradient_of_three_dimensions() -> None:
    coo = coo_array((np.array([1.0, 2.0]), (np.array([0, 1]), np.array([1, 0]), np.array([2, 3]))), shape=(2, 2, 4))
    assert occurrences(coo, (2, 2, 4), "w").indices.tolist() == [6, 11]


def test_an_empty_element_gradient_has_no_occurrences() -> None:
    assert len(occurrences(coo_array((3, 2)), (3, 2), "w").indices) == 0


@pytest.mark.parametrize("gradient", [np.zeros(3), np.zeros(3, bfloat16), DUPLICATES, None, 3.0])
def test_only_a_coo_array_is_an_element_gradient(gradient: Any) -> None:
    assert not is_element_gradient(gradient)
    assert is_element_gradient(coo_array((3, 2)))


MISFITS = {
    "a table of another shape": (RowGradient(np.array([0]), np.zeros((1, 2)), (4, 2)), (5, 2)),
    "values of another width": (RowGradient(np.array([0]), np.zeros((1, 3)), (5, 2)), (5, 2)),
    "fewer values than indices": (RowGradient(np.array([0, 1]), np.zeros((1, 2)), (5, 2)), (5, 2)),
    "dense": (np.zeros((2, 5)), (5, 2)),
    "elements": (coo_array((2, 5)), (5, 2)),
}


@pytest.mark.parametrize("name", MISFITS)
def test_a_gradient_that_does_not_fit_is_refused_by_name(name: str) -> None:
    gradient, shape = MISFITS[name]
    with pytest.raises(InvalidGradient, match=r"gradient of 'table'") as caught:
        occurrences(gradient, shape, "table")
    assert caught.value.kind == "gradient-shape"
    assert str(shape) in caught.value.hint


@pytest.mark.parametrize("row", [5, -1, 2**40])
def test_a_row_number_outside_the_table_is_refused_with_its_place(row: int) -> None:
    gradient = RowGradient(np.array([4, row]), np.zeros((2, 2)), (5, 2))
    with pytest.raises(InvalidGradient, match=rf"indices\[1\] = {row} is outside the table of 5 rows") as caught:
        occurrences(gradient, (5, 2), "w")
    assert caught.value.kind == "index-out-of-range"
    assert caught.value.hint == "row numbers run from 0 to 4"


@pytest.mark.parametrize(("row", "column"), [(-1, 0), (0, -1)])
def test_an_element_outside_the_table_is_refused(row: int, column: int) -> None:
    coo = coo_array((np.array([1.0]), (np.array([0]), np.array([0]))), shape=(3, 2))
    coo.coords = (np.array([row]), np.array([column]))  # scipy checks at construction only
    with pytest.raises(InvalidGradient, match="outside the table"):
        occurrences(coo, (3, 2), "w")


def test_the_gradient_of_a_lookup_is_the_transposed_selection_times_the_output_gradient() -> None:
    selection = csr_array((np.array([1.0, 1.0, 0.0, 2.0]), np.array([3, 1, 0, 3]), np.array([0, 1, 3, 4])), shape=(3, 5))
    output_gradient = np.arange(6, dtype=np.float32).reshape(3, 2)
    gradient = RowGradient.from_lookup(selection, output_gradient)
    assert gradient.to_csr().toarray().tolist() == (selection.T @ output_gradient).tolist()
    assert gradient.indices.tolist() == [3, 1, 0, 3]  # row 0 is touched: its entry is stored, though zero
    assert gradient.values.dtype == np.float32


def test_an_output_gradient_of_another_batch_is_refused() -> None:
    with pytest.raises(InvalidGradient, match="it must be \\(2, width\\)"):
        RowGradient.from_lookup(csr_array(np.eye(2)), np.ones((3, 4)))


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr"])
@pytest.mark.parametrize("kind", [csr_array, csr_matrix])
def test_arrays_and_matrices_of_every_format_touch_the_rows_that_store_something(form: str, kind: Any) -> None:
    gradient = RowGradient.from_scipy(kind([[0.0, 0.0], [1.0, 2.0], [0.0, 3.0]]).asformat(form))
    touched = {int(row): value.tolist() for row, value in zip(gradient.indices, gradient.values) if value.any()}
    assert touched == {1: [1.0, 2.0], 2: [0.0, 3.0]}


def test_a_matrix_is_taken_for_a_parameter_of_more_axes() -> None:
    gradient = RowGradient.from_scipy(csr_array([[0.0] * 4, [1.0, 2.0, 3.0, 4.0]]), shape=(2, 2, 2))
    assert gradient.shape == (2, 2, 2)
    assert gradient.values.tolist() == [[[1.0, 2.0], [3.0, 4.0]]]


@pytest.mark.parametrize(
    ("matrix", "shape"),
    [(np.eye(2), None), (csr_array(np.eye(2)).todia(), None), (coo_array(np.ones(3)), None), (csr_array(np.eye(2)), (2, 3))],
)
def test_what_is_no_matrix_of_the_shape_is_refused(matrix: Any, shape: Any) -> None:
    with pytest.raises(InvalidGradient) as raised:
        RowGradient.from_scipy(matrix, shape)
    assert raised.value.kind == "gradient-shape"
