"""The cells that `bench.py` measures: tables, and the gradients for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

KINDS = {
    "distinct": "sorted, distinct",
    "repeated": "unsorted, 1/4 repeated",
    "zipf": "Zipf, 60 % repeated",
    "dense": "",
}
"""The kind of a gradient, and how labels call it."""


@dataclass(frozen=True)
class Cell:
    """A table, and the rows that a gradient stores. tuned: whether the kernels were made faster with this cell in view."""

    rows: int
    width: int
    touched: int
    kind: str = "distinct"
    dtype: str = "float32"
    indices: str = "int64"
    tuned: bool = True

    @property
    def label(self) -> str:
        unusual = ", ".join(word for word, usual in ((self.dtype, "float32"), (self.indices, "int64")) if word != usual)
        if self.kind == "dense":
            return f"dense {self.rows * self.width:.3g}" + (f", {unusual}" if unusual else "")
        label = f"{short(self.rows)}x{self.width}, {short(self.touched)} {KINDS[self.kind]}"
        return label + (f", {unusual}" if unusual else "")


def short(number: int) -> str:
    """3e4, or the digits where that says less."""
    text = f"{number:.0e}".replace("e+0", "e").replace("e+", "e")
    return text if float(text) == number and number >= 1000 else str(number)


def _both(*sizes: tuple[int, int, int], **others: Any) -> tuple[Cell, ...]:
    return tuple(Cell(*size, kind, **others) for size in sizes for kind in ("distinct", "repeated"))


CELLS = (
    *_both((1_000_000, 64, 100_000), (1_000_000, 64, 5_000), (100_000, 128, 50_000), (5_000_000, 16, 200_000)),
    *_both((1_000_000, 64, 1_500), (100_000, 128, 500)),
    Cell(12_800_000, 1, 0, "dense"),
    *_both((1_000_000, 24, 30_000), (1_000_000, 100, 30_000), (300_000, 300, 30_000), tuned=False),
    *_both((1_000_000, 64, 30_000), indices="int32", tuned=False),
    *_both((1_000_000, 64, 30_000), dtype="float64", tuned=False),
    *_both((1_000_000, 64, 30_000), dtype="float16", tuned=False),
    Cell(1_000_000, 64, 30_000, "zipf", tuned=False),
    Cell(5_000_000, 1, 200_000, "repeated", tuned=False),
)
QUICK = (Cell(20_000, 64, 5_000), Cell(20_000, 64, 5_000, "repeated"), Cell(200_000, 1, 0, "dense"))
TINY = Cell(100_000, 64, 16)
"""A step of which next to nothing is left but the call."""

GROWTH = {"small": Cell(100_000, 16, 50_000), "middle": Cell(2_000_000, 16, 50_000), "large": Cell(50_000_000, 16, 50_000)}
"""The same number of touched rows, where p, m and v take 19 MB, which many caches hold, 0.4 GB, which none does, and 10 GB."""


def drawn(cell: Cell, rng: np.random.Generator) -> Any:
    """Row numbers as a cell asks for them."""
    if cell.kind == "distinct":
        indices = np.sort(rng.choice(cell.rows, cell.touched, replace=False))
    elif cell.kind == "zipf":
        indices = zipf(cell, rng)
    else:
        distinct = rng.choice(cell.rows, cell.touched - cell.touched // 4, replace=False)
        indices = np.concatenate([distinct, rng.choice(distinct, cell.touched // 4)])
        rng.shuffle(indices)
    return indices.astype(cell.indices)


def zipf(cell: Cell, rng: np.random.Generator) -> Any:
    """Row r as often as 1/(r + 1)^s, with the exponent for which about 60 % of the occurrences are of a row that came before."""
    low, high = 0.5, 2.0
    uniform = rng.random(cell.touched)
    for _ in range(20):
        exponent = (low + high) / 2
        shares = np.cumsum(np.arange(1, cell.rows + 1, dtype=np.float64) ** -exponent)
        indices = np.searchsorted(shares / shares[-1], uniform)
        low, high = (exponent, high) if 1 - len(np.unique(indices)) / cell.touched < 0.6 else (low, exponent)
    return indices


def state(cell: Cell, rng: np.random.Generator) -> list[Any]:
    """p, m and v. All of it is written, so that no measured run allocates pages."""
    if cell.dtype == "float64":
        return [rng.random((cell.rows, cell.width)) for _ in range(3)]
    arrays = [np.empty((cell.rows, cell.width), np.float32) for _ in range(3)]
    for array in arrays:
        rng.random(out=array, dtype=np.float32)
    return [array.astype(cell.dtype, copy=False) for array in arrays]
