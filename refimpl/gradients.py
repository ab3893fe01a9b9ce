"""Gradients by row: which rows a gradient stores, and its conversion from and to scipy.sparse.

*Touched* means stored. A row whose stored values are all zero is touched (its moments decay and it moves); a row that is
not stored is not. A row may be stored several times: these are its *occurrences*.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np

from .common.arrays import (
    Array,
    check_coordinates,
    check_range,
    checked_compressed,
    coordinates,
    dtype_name,
    floats,
    row_numbers,
    same_shape,
)
from .errors import InvalidGradient

if TYPE_CHECKING:
    from scipy.sparse import bsr_array, coo_array, csr_array

__all__ = [
    "Array", "Gradient", "Gradients", "Occurrences", "Ranks", "RowGradient", "check_gradient", "check_range", "dtype_name", "gathered",
    "gradient_form", "is_element_gradient", "laid_out", "occurrences", "of_ranks", "row_layout", "values_of",
]  # fmt: skip

COMPRESSED = ("bsr", "csr", "csc")
"""The formats of scipy.sparse that have an indptr."""


@dataclass(frozen=True, eq=False)
class RowGradient:
    """The gradient of a table, given for some of its rows: `gradient[indices[k]] += values[k]`.

    indices: (n,) integers, unsorted and repeated as they come; values: (n, *shape[1:]); shape: the shape of the parameter.
    """

    indices: Array
    values: Array
    shape: tuple[int, ...]

    @classmethod
    def from_scipy(cls, matrix: Any, shape: tuple[int, ...] | None = None, name: str = "w") -> RowGradient:
        """The touched rows of a two-dimensional scipy.sparse array or matrix: each row that stores an entry, explicit zeros included.

        BSR with blocks of (1, D): the natural form of an embedding gradient. A block is an occurrence; repeated and unsorted blocks
            stay so. Touched: a row with a block.
        CSR, CSC, COO, BSR with other blocks: the entries of a row are gathered into one occurrence, repeated ones summed, and
            columns without an entry are zero. Touched: a row with an entry (in BSR, every row of a block).

        shape: that of the parameter, where it has more axes than two; by default that of the matrix; name: as messages call it.
        Raises InvalidGradient, as `check_gradient` does, for anything that is not such a matrix or does not fit the shape, and for a
        matrix whose arrays contradict each other.
        """
        if getattr(matrix, "format", None) not in (*COMPRESSED, "coo") or len(matrix.shape) != 2:
            raise InvalidGradient(
                f"gradient of {name!r}: a {type(matrix).__name__} of shape {getattr(matrix, 'shape', ())}",
                "gradient-shape",
                "give a two-dimensional scipy.sparse array or matrix in BSR, CSR, CSC or COO format",
            )
        width = matrix.shape[1]
        shape = tuple(matrix.shape) if shape is None else tuple(shape)
        if row_layout(shape) != tuple(matrix.shape):
            raise InvalidGradient(
                f"gradient of {name!r}: a matrix of shape {tuple(matrix.shape)}", "gradient-shape", f"the parameter has shape {shape}"
            )
        matrix = _checked(matrix, name)
        if matrix.format == "bsr" and matrix.blocksize == (1, width):
            rows, values = np.repeat(np.arange(shape[0]), np.diff(matrix.indptr)), matrix.data
        else:
            coo = matrix.tocoo()
            rows, slot = np.unique(coo.row, return_inverse=True)
            values = np.zeros((len(rows), width), coo.data.dtype)
            np.add.at(values, (slot.reshape(-1), coo.col), coo.data)
        return cls(rows, values.reshape(len(rows), *shape[1:]), shape)

    @classmethod
    def from_lookup(cls, selection: Any, output_gradient: Array) -> RowGradient:
        """The gradient of a table for `output = selection @ table`, which is selection.T @ output_gradient, by rows.

        selection: scipy.sparse (batch, rows), a 1 per word that is looked up (several in a row: their sum; other numbers: weights);
        output_gradient: (batch, width). Touched: a row of the table that selection stores an entry for, explicit zeros included;
        each entry is an occurrence.
        """
        batch, rows = selection.shape
        if output_gradient.ndim != 2 or len(output_gradient) != batch:
            raise InvalidGradient(
                f"an output gradient of shape {output_gradient.shape} for a selection of shape {(batch, rows)}",
                "gradient-shape",
                f"it must be ({batch}, width)",
            )
        coo = _checked(selection, "selection").tocoo()
        values = output_gradient[coo.row] * coo.data[:, None].astype(output_gradient.dtype)
        return cls(coo.col, values, (rows, output_gradient.shape[1]))

    def to_coo(self) -> coo_array:
        """The same gradient as a scipy.sparse COO array of shape (rows, width); every stored value is kept, zeros too."""
        from scipy.sparse import coo_array

        width = math.prod(self.shape[1:])
        row = np.repeat(self.indices, width)
        column = np.tile(np.arange(width), len(self.indices))
        return coo_array((self.values.reshape(-1), (row, column)), shape=(self.shape[0], width))

    def to_bsr(self) -> bsr_array:
        """The same gradient as a BSR array with blocks of (1, width): one block per touched row, duplicates summed."""
        from scipy.sparse import bsr_array

        rows, slot = np.unique(self.indices, return_inverse=True)
        width = math.prod(self.shape[1:])
        summed = np.zeros((len(rows), width), self.values.dtype)
        np.add.at(summed, slot.reshape(-1), self.values.reshape(len(self.indices), width))
        indptr = np.searchsorted(rows, np.arange(self.shape[0] + 1))
        blocks = summed[:, None, :]
        return bsr_array((blocks, np.zeros(len(rows), np.int64), indptr), shape=(self.shape[0], width))

    def to_csr(self) -> csr_array:
        """The same gradient as a CSR array of shape (rows, width), duplicates summed, stored zeros kept."""
        return self.to_bsr().tocsr()


Gradient: TypeAlias = Any
"""A RowGradient, a dense array, or a scipy.sparse COO array for single elements (scipy is imported only where one is made)."""


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where the occurrences of a gradient come from, if from several ranks, or from several micro-batches, which are numbered alike.

    of: (n,), the rank of each occurrence, from 0; world: how many ranks there are; giving: those that have a gradient, an empty one too;
    first_world: how many ranks there were at the first step; is_first: whether the parameter is the first one; rule: how they become one,
    by the case; are_batches: whether these are micro-batches.
    """

    of: Array
    world: int
    giving: tuple[int, ...]
    first_world: int
    is_first: bool
    rule: str
    are_batches: bool = False


@dataclass(frozen=True, eq=False)
class Occurrences:
    """A gradient of any form as occurrences of rows of the parameter in the layout (rows, width).

    For an element gradient the layout is (size, 1): each element is a row of its own.
    indices: (n,); values: (n, width); layout: (rows, width); dense: every row is stored exactly once, in order (once by each rank that
    has a gradient, where there are ranks).
    """

    indices: Array
    values: Array
    layout: tuple[int, int]
    dense: bool
    ranks: Ranks | None = None

    def at(self, positions: Array) -> Occurrences:
        """Some of the occurrences."""
        ranks = None if self.ranks is None else replace(self.ranks, of=self.ranks.of[positions])
        return replace(self, indices=self.indices[positions], values=self.values[positions], ranks=ranks)


def is_element_gradient(gradient: Any) -> TypeGuard[Any]:
    """Whether this is a scipy.sparse COO array, recognised by its attributes, so that scipy need not be imported."""
    if isinstance(gradient, np.ndarray):  # the attribute `data` of a bfloat16 array raises
        return False
    return (hasattr(gradient, "coords") or hasattr(gradient, "col")) and hasattr(gradient, "data")


def gradient_form(gradient: object) -> str:
    """The form of a gradient, by its name in the dialect tables: rows, elements or dense."""
    if isinstance(gradient, RowGradient):
        return "rows"
    return "elements" if is_element_gradient(gradient) else "dense"


def row_layout(shape: tuple[int, ...]) -> tuple[int, int]:
    """A parameter of any shape as (rows, width): a scalar is one row of one element, a vector is rows of width 1."""
    return (shape[0], math.prod(shape[1:])) if shape else (1, 1)


def values_of(gradient: Gradient) -> Any:
    """The values that a gradient of any form stores, without their positions."""
    if isinstance(gradient, RowGradient):
        return gradient.values
    return gradient.data if is_element_gradient(gradient) else gradient


def occurrences(gradient: Gradient, shape: tuple[int, ...], name: str) -> Occurrences:
    """Check a gradient against the shape of its parameter, as `check_gradient` does, and lay it out by rows."""
    check_gradient(gradient, shape, name)
    return laid_out(gradient, shape)


def laid_out(gradient: Gradient, shape: tuple[int, ...]) -> Occurrences:
    """A checked gradient by rows; views instead of copies where possible."""
    rows, width = row_layout(shape)
    if isinstance(gradient, RowGradient):
        indices = np.asarray(gradient.indices)
        return Occurrences(indices, np.asarray(gradient.values).reshape(len(indices), width), (rows, width), False)
    if is_element_gradient(gradient):
        places = tuple(np.asarray(along, np.int64) for along in coordinates(gradient))  # NumPy casts no uint64 by itself
        flat = np.ravel_multi_index(places, shape) if len(gradient.data) else np.zeros(0, np.int64)
        return Occurrences(flat, np.asarray(gradient.data).reshape(-1, 1), (math.prod(shape), 1), False)
    return Occurrences(np.arange(rows), np.asarray(gradient).reshape(rows, width), (rows, width), True)


def check_gradient(gradient: Gradient, shape: tuple[int, ...], name: str) -> None:
    """Raise InvalidGradient for a gradient that does not fit its parameter, or whose arrays contradict each other.

    Its kind is `gradient-shape`, `gradient-dtype` or `index-out-of-range`. Every index of a gradient that passes is in range.
    """
    _CHECKS[gradient_form(gradient)](gradient, shape, name)


def _check_rows(gradient: RowGradient, shape: tuple[int, ...], name: str) -> None:
    label = f"gradient of {name!r}"
    indices = row_numbers(gradient.indices, f"{label}: indices")
    if not isinstance(gradient.values, np.ndarray):
        raise InvalidGradient(f"{label}: values are a {type(gradient.values).__name__}", "gradient-dtype", "give a NumPy array")
    values = floats(gradient.values, f"{label}: values")
    expected = (len(indices), *shape[1:])
    if not same_shape(gradient.shape, shape) or values.shape != expected:
        raise InvalidGradient(
            f"{label}: values of shape {values.shape} for a table of shape {gradient.shape!r}",
            "gradient-shape",
            f"the parameter has shape {shape}, so values must have shape {expected}",
        )
    check_range(indices, row_layout(shape)[0], name)


def _check_elements(gradient: Any, shape: tuple[int, ...], name: str) -> None:
    check_coordinates(gradient, shape, name)
    floats(gradient.data, f"gradient of {name!r}: data")


def _check_dense(gradient: Any, shape: tuple[int, ...], name: str) -> None:
    values = floats(gradient, f"gradient of {name!r}: values")
    if values.shape != shape:
        raise InvalidGradient(
            f"gradient of {name!r}: dense gradient of shape {values.shape}", "gradient-shape", f"the parameter has shape {shape}"
        )


_CHECKS: Mapping[str, Callable[[Any, tuple[int, ...], str], None]] = {
    "rows": _check_rows,
    "elements": _check_elements,
    "dense": _check_dense,
}


def _checked(matrix: Any, name: str) -> Any:
    """A two-dimensional scipy.sparse matrix whose arrays fit each other; one without an indptr is left as it is."""
    if matrix.format == "coo":
        check_coordinates(matrix, tuple(matrix.shape), name)
    return checked_compressed(matrix, name) if matrix.format in COMPRESSED else matrix


Gradients = Mapping[str, Gradient | None]


def gathered(ranks: Sequence[Gradients], among: str = "ranks") -> dict[str, Gradient | None]:
    """What several ranks bring together, by parameter: the occurrences of all, rank after rank; of dense gradients their sum.

    A parameter without a gradient on every rank has none. Raises InvalidGradient, of the kind `ranks-differ`, where the forms, shapes or
    dtypes of one parameter's gradients differ. among: what the message calls the ranks.
    """
    names = dict.fromkeys(name for gradients in ranks for name in gradients)
    return {name: _gathered(name, [given for gradients in ranks if (given := gradients.get(name)) is not None], among) for name in names}


def _gathered(name: str, parts: Sequence[Gradient], among: str) -> Gradient | None:
    if not parts:
        return None
    kinds = {f"{gradient_form(part)} of shape {tuple(part.shape)} in {values_of(part).dtype}": None for part in parts}
    if len(kinds) > 1:
        raise InvalidGradient(f"gradients of {name!r} differ between {among}: {', '.join(kinds)}", "ranks-differ", "give one form in all")
    return _TOGETHER[gradient_form(parts[0])](parts)


def _rows_together(parts: Sequence[RowGradient]) -> RowGradient:
    return RowGradient(np.concatenate([part.indices for part in parts]), np.concatenate([part.values for part in parts]), parts[0].shape)


def _elements_together(parts: Sequence[Any]) -> Any:
    together = type(parts[0])(parts[0].shape)  # filled by hand: the constructor refuses half precision
    together.data = np.concatenate([part.data for part in parts])
    together.coords = tuple(np.concatenate(along) for along in zip(*(coordinates(part) for part in parts)))
    return together


def _dense_together(parts: Sequence[Any]) -> Any:
    total = np.array(parts[0])
    with np.errstate(all="ignore"):
        for part in parts[1:]:
            total = total + part
    return total


_TOGETHER: Mapping[str, Callable[[Any], Gradient]] = {
    "rows": _rows_together,
    "elements": _elements_together,
    "dense": _dense_together,
}


def of_ranks(parts: Mapping[int, Gradient], shape: tuple[int, ...], name: str, ranks: Ranks) -> Occurrences:
    """The gradients of a parameter from several ranks, laid out by rows. parts: rank to its gradient; ranks: without `of`."""
    laid = {rank: occurrences(gradient, shape, name) for rank, gradient in parts.items()}
    first = next(iter(laid.values()))
    of = np.repeat(list(laid), [len(part.indices) for part in laid.values()])
    indices, values = (np.concatenate([getattr(part, field) for part in laid.values()]) for field in ("indices", "values"))
    return Occurrences(indices, values, first.layout, first.dense, replace(ranks, of=of))
