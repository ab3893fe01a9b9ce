"""Gradients that must be refused with nothing changed, and odd ones that are right and must be computed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp

from refimpl import kernels
from refimpl.gradients import RowGradient
from refimpl.optim import Adam, LazyAdam, SparseAdam

from . import Entry
from .unchanged import unchanged

SHAPE = (6, 4)
ONES = np.ones((2, 4), np.float32)
FLAT = np.ones(3, np.float32)


def rows(indices: Any = (1, 3), values: Any = ONES, shape: Any = SHAPE, dtype: Any = np.int64) -> RowGradient:
    return RowGradient(np.asarray(indices, dtype), values, shape)


def broken(matrix: Any, **arrays: Any) -> Any:
    """A scipy.sparse array with some of its arrays replaced, past its own checks."""
    for name, value in arrays.items():
        matrix.__dict__[name] = value
    return matrix


def coo(data: Any = FLAT, row: Any = (0, 2, 5), column: Any = (1, 3, 0), shape: Any = SHAPE) -> Any:
    made = sp.coo_array((np.ones(3, np.float32), ([0, 2, 5], [1, 3, 0])), shape=SHAPE)
    return broken(made, data=data, coords=(np.asarray(row), np.asarray(column)), _shape=shape)


def csr(kind: Any = sp.csr_array, **arrays: Any) -> Any:
    return broken(kind(np.eye(6, 4, dtype=np.float32)), **arrays)


def bsr(**arrays: Any) -> Any:
    return broken(sp.bsr_array(np.eye(6, 4, dtype=np.float32), blocksize=(1, 4)), **arrays)


def ints(*numbers: int, dtype: Any = np.int32) -> Any:
    return np.array(numbers, dtype)


BY_ROW: dict[str, Callable[[], Any]] = {
    "row-negative": lambda: rows((1, -1)),
    "row-lowest": lambda: rows((1, np.iinfo(np.int64).min)),
    "row-one-too-far": lambda: rows((1, 6)),
    "row-huge": lambda: rows((1, 2**62)),
    "row-beyond-int64": lambda: rows((1, 2**63), dtype=np.uint64),
    "row-first-of-many": lambda: rows([6] + [0] * 9, np.ones((10, 4), np.float32)),
    "rows-float": lambda: rows((1.0, 3.0), dtype=np.float64),
    "rows-nan": lambda: rows((np.nan, 3.0), dtype=np.float64),
    "rows-bool": lambda: rows((True, False), dtype=bool),
    "rows-object": lambda: rows((1, 3), dtype=object),
    "rows-text": lambda: rows(("1", "3"), dtype=str),
    "rows-complex": lambda: rows((1, 3), dtype=complex),
    "rows-dates": lambda: rows((1, 3), dtype="datetime64[s]"),
    "rows-two-axes": lambda: rows(((1,), (3,))),
    "rows-scalar": lambda: rows(1, ONES[:1]),
    "rows-masked": lambda: RowGradient(np.ma.masked_array([1, 3], [False, True]), ONES, SHAPE),
    "rows-none": lambda: RowGradient(None, ONES, SHAPE),  # type: ignore[arg-type]  # the wrong type is the test
    "values-too-few": lambda: rows(values=ONES[:1]),
    "values-too-many": lambda: rows(values=np.ones((3, 4), np.float32)),
    "values-narrow": lambda: rows(values=ONES[:, :3]),
    "values-wide": lambda: rows(values=np.ones((2, 5), np.float32)),
    "values-flat": lambda: rows(values=ONES.reshape(-1)),
    "values-three-axes": lambda: rows(values=ONES[..., None]),
    "values-scalar": lambda: rows(values=np.float32(1)),
    "values-int": lambda: rows(values=ONES.astype(int)),
    "values-bool": lambda: rows(values=ONES.astype(bool)),
    "values-complex": lambda: rows(values=ONES.astype(complex)),
    "values-object": lambda: rows(values=ONES.astype(object)),
    "values-text": lambda: rows(values=ONES.astype(str)),
    "values-record": lambda: rows(values=np.zeros((2, 4), [("x", "f4")])),
    "values-masked": lambda: rows(values=np.ma.masked_array(ONES, ONES > 0)),
    "values-list": lambda: rows(values=ONES.tolist()),
    "values-none": lambda: rows(values=None),
    "values-sparse": lambda: rows(values=sp.csr_array(ONES)),
    "shape-of-another": lambda: rows(shape=(7, 4)),
    "shape-wider": lambda: rows(shape=(6, 5)),
    "shape-none": lambda: rows(shape=None),
    "shape-number": lambda: rows(shape=24),
    "shape-negative": lambda: rows(shape=(-6, 4)),
    "shape-more-axes": lambda: rows(shape=(6, 4, 1)),
    "csr-indptr-short": lambda: csr(indptr=ints(0, 1, 2)),
    "csr-indptr-long": lambda: csr(indptr=ints(0, 1, 2, 3, 4, 4, 4, 4)),
    "csr-indptr-falls": lambda: csr(indptr=ints(0, 9, 0, 3, 4, 4, 4)),
    "csr-indptr-ends-at-0": lambda: csr(indptr=ints(0, 200_000, 0, 0, 0, 0, 0)),
    "csr-indptr-negative": lambda: csr(indptr=ints(0, -5, 2, 3, 4, 4, 4)),
    "csr-indptr-starts-late": lambda: csr(indptr=ints(1, 1, 2, 3, 4, 4, 4)),
    "csr-indptr-beyond-data": lambda: csr(indptr=ints(0, 1, 2, 3, 4, 4, 400_000)),
    "csr-indptr-float": lambda: csr(indptr=np.linspace(0, 4, 7)),
    "csr-indptr-huge": lambda: csr(indptr=ints(0, 1, 2, 3, 4, 4, 2**62, dtype=np.int64)),
    "csr-indices-negative": lambda: csr(indices=ints(0, -1, 2, 3)),
    "csr-indices-too-far": lambda: csr(indices=ints(0, 1, 2, 4)),
    "csr-indices-short": lambda: csr(indices=ints(0)),
    "csr-indices-object": lambda: csr(indices=np.array([0, 1, 2, 3], object)),
    "csr-data-short": lambda: csr(data=np.ones(1, np.float32)),
    "csr-data-two-axes": lambda: csr(data=np.ones((2, 2), np.float32)),
    "csr-data-complex": lambda: csr(data=np.ones(4, complex)),
    "csr-data-none": lambda: csr(data=None),
    "csr-of-another-shape": lambda: sp.csr_array(np.eye(7, 4, dtype=np.float32)),
    "csr-shape-grown": lambda: csr(_shape=(6, 400)),
    "csc-indptr-beyond-data": lambda: csr(sp.csc_array, indptr=ints(0, 1, 2, 3, 9)),
    "csc-indices-too-far": lambda: csr(sp.csc_array, indices=ints(0, 1, 2, 6)),
    "bsr-indptr-beyond-data": lambda: bsr(indptr=ints(0, 1, 2, 3, 4, 4, 9)),
    "bsr-indices-too-far": lambda: bsr(indices=ints(0, 0, 0, 1)),
    "bsr-indices-negative": lambda: bsr(indices=ints(0, 0, 0, -1)),
    "bsr-data-two-axes": lambda: bsr(data=np.ones((4, 4), np.float32)),
    "bsr-blocks-of-another-width": lambda: bsr(data=np.ones((4, 1, 3), np.float32)),
    "bsr-blocks-empty": lambda: bsr(data=np.ones((4, 1, 0), np.float32)),
    "csr-int": lambda: sp.csr_array(np.eye(6, 4, dtype=int)),
    "dia": lambda: sp.dia_array(np.eye(6, 4, dtype=np.float32)),
    "lil": lambda: sp.lil_array(np.eye(6, 4, dtype=np.float32)),
    "dok": lambda: sp.dok_array(np.eye(6, 4, dtype=np.float32)),
}

BY_ELEMENT: dict[str, Callable[[], Any]] = {
    "coo-data-short": lambda: coo(data=np.ones(1, np.float32)),
    "coo-data-long": lambda: coo(data=np.ones(5, np.float32)),
    "coo-200000-coordinates": lambda: coo(np.ones(1, np.float32), np.zeros(200_000, int), np.zeros(200_000, int)),
    "coo-row-short": lambda: coo(row=(0,)),
    "coo-column-long": lambda: coo(column=(1, 3, 0, 2)),
    "coo-row-negative": lambda: coo(row=(0, -2, 5)),
    "coo-row-too-far": lambda: coo(row=(0, 6, 5)),
    "coo-column-too-far": lambda: coo(column=(1, 4, 0)),
    "coo-column-huge": lambda: coo(column=(1, 2**61, 0)),
    "coo-row-float": lambda: coo(row=(0.0, 2.0, 5.0)),
    "coo-row-object": lambda: coo(row=np.array([0, 2, 5], object)),
    "coo-row-two-axes": lambda: coo(row=[[0, 2, 5]]),
    "coo-one-coordinate": lambda: broken(coo(), coords=(np.array([0, 2, 5]),)),
    "coo-three-coordinates": lambda: broken(coo(), coords=(np.array([0, 2, 5]),) * 3),
    "coo-shape-of-another": lambda: coo(shape=(7, 4)),
    "coo-shape-grown": lambda: coo(shape=(600, 4)),
    "coo-data-complex": lambda: coo(data=FLAT.astype(complex)),
    "coo-data-int": lambda: coo(data=FLAT.astype(int)),
    "coo-data-bool": lambda: coo(data=FLAT.astype(bool)),
    "coo-data-object": lambda: coo(data=FLAT.astype(object)),
    "coo-data-two-axes": lambda: coo(data=FLAT[:, None]),
    "coo-data-none": lambda: coo(data=None),
    "coo-data-list": lambda: coo(data=[1.0, 1.0, 1.0]),
    "coo-data-masked": lambda: coo(data=np.ma.masked_array(FLAT, FLAT > 0)),
}


class Raises:
    """A foreign array whose conversion raises."""

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        raise RuntimeError("this lies on another device")


DENSE: dict[str, Callable[[], Any]] = {
    "dense-transposed": lambda: np.ones((4, 6), np.float32),
    "dense-flat": lambda: np.ones(24, np.float32),
    "dense-one-row": lambda: np.ones((1, 4), np.float32),
    "dense-scalar": lambda: 1.0,
    "dense-more-axes": lambda: np.ones((6, 4, 1), np.float32),
    "dense-empty": lambda: np.ones((0, 4), np.float32),
    "dense-int": lambda: np.ones(SHAPE, int),
    "dense-bool": lambda: np.ones(SHAPE, bool),
    "dense-complex": lambda: np.ones(SHAPE, complex),
    "dense-object": lambda: np.ones(SHAPE, object),
    "dense-text": lambda: np.full(SHAPE, "1"),
    "dense-masked": lambda: np.ma.masked_array(np.ones(SHAPE, np.float32), np.ones(SHAPE, bool)),
    "dense-record": lambda: np.zeros(SHAPE, [("x", "f4")]),
    "dense-ragged": lambda: [[1.0] * 4, [1.0]],
    "dense-device": Raises,
    "dense-string": lambda: "gradient",
    "dense-dict": dict,
    "dense-lock": threading.Lock,
    "dense-generator": lambda: (value for value in (1.0, 2.0)),
}

OPTIMIZERS: dict[str, Callable[[list[Any]], Any]] = {
    "SparseAdam": SparseAdam,
    "LazyAdam": LazyAdam,
    "Adam": Adam,
    "mindspore.Adam": partial(Adam, dialect="mindspore.Adam"),
}
REFUSED = {**BY_ROW, **BY_ELEMENT, **DENSE}


def entries() -> Iterator[Entry]:
    """Every bad gradient for every optimizer, after a good one for another table; then the right ones, on one optimizer."""
    for optimizer in OPTIMIZERS:
        for id, gradient in REFUSED.items():
            yield Entry(f"{id} for {optimizer}", "gradient", partial(_refused, optimizer, gradient))
    for id, (odd, plain) in ODD.items():
        yield Entry(f"odd but right: {id}", "gradient", partial(_computed, odd, plain))


GOOD: dict[str, Any] = {"SparseAdam": rows(), "LazyAdam": rows(), "Adam": np.ones(SHAPE, np.float32), "mindspore.Adam": rows()}


def _refused(name: str, gradient: Callable[[], Any]) -> None:
    tables = [np.ones(SHAPE, np.float32) for _ in range(3)]
    optimizer = OPTIMIZERS[name](tables)
    optimizer.step([GOOD[name], None, GOOD[name]])
    bad = gradient()
    with unchanged(optimizer) as raised:
        optimizer.step([GOOD[name], bad, None])
    assert raised.error is not None, "it was accepted"
    assert isinstance(raised.error, (ValueError, TypeError, RuntimeError, IndexError)), repr(raised.error)


def big_endian() -> Any:
    return rows(np.array([1, 3], ">i8"), ONES.astype(">f4"), dtype=">i8")


def read_only() -> Any:
    gradient = rows()
    gradient.indices.flags.writeable = gradient.values.flags.writeable = False
    return gradient


ODD: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "big-endian": (big_endian, rows),
    "read-only": (lambda: rows(values=np.broadcast_to(np.float32(1), (2, 4))), rows),
    "unsigned rows": (lambda: rows(dtype=np.uint64), rows),
    "one byte per row": (lambda: rows(dtype=np.int8), rows),
    "strided": (lambda: RowGradient(np.array([1, 9, 3, 9])[::2], np.ones((4, 8), np.float32)[::2, ::2], SHAPE), rows),
    "Fortran order": (lambda: rows(values=np.asfortranarray(ONES)), rows),
    "backwards": (lambda: RowGradient(np.array([3, 1])[::-1], ONES[::-1], SHAPE), rows),
    "float64 values": (lambda: rows(values=ONES.astype(float)), rows),
    "float16 values": (lambda: rows(values=ONES.astype(np.float16)), rows),
    "shape as a list": (lambda: rows(shape=[6, 4]), rows),
    "no rows": (lambda: rows((), np.ones((0, 4), np.float32)), lambda: rows((), np.ones((0, 4), np.float32))),
    "csr with room": (lambda: csr(data=np.ones(9, np.float32), indices=ints(0, 1, 2, 3, 7, 7, 7, 7, 7)), lambda: csr()),
    "csr with uint32": (lambda: csr(indices=ints(0, 1, 2, 3, dtype=np.uint32)), lambda: csr()),
    "matrix, not array": (lambda: csr(sp.csr_matrix), lambda: csr()),
}


def _computed(odd: Callable[[], Any], plain: Callable[[], Any]) -> None:
    tables = np.ones(SHAPE, np.float32), np.ones(SHAPE, np.float32)
    for table, gradient in zip(tables, (odd(), plain())):
        SparseAdam([table]).step([gradient])
    np.testing.assert_array_equal(tables[0], tables[1])


def memory_entries() -> Iterator[Entry]:
    """Memory that runs out while a call is prepared, at each allocation in turn."""
    for name in OPTIMIZERS:
        yield Entry(f"memory runs out in the second table of {name}", "gradient", partial(_out_of_memory, name))


def _out_of_memory(name: str) -> None:
    optimizer = OPTIMIZERS[name]([np.ones(SHAPE, np.float32) for _ in range(2)])
    optimizer.step([GOOD[name], None])
    prepare, calls = kernels.prepare, []

    def second_fails(*step: Any, **options: Any) -> Any:
        calls.append(step)
        if len(calls) == 2:
            raise MemoryError
        return prepare(*step, **options)

    kernels.prepare = second_fails
    try:
        with unchanged(optimizer) as raised:
            optimizer.step([GOOD[name], GOOD[name]])
    finally:
        kernels.prepare = prepare
    assert isinstance(raised.error, MemoryError), repr(raised.error)
