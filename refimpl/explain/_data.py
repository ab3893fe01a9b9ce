"""What an explanation says, as data: for the terminal, for `--json`, for the guide, and for a program that reads the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

from ..common.json import document
from ..gradients import row_layout

FORMAT = 1
"""The version of the layout of `--json`."""


@dataclass(frozen=True)
class Value:
    """A number as the tensor's dtype computes it, and exactly, with what a correct implementation may be off by, per class.

    computed, exact: decimal digits, `computed` those that its dtype needs to be read back; nearest: the double nearest to the exact
    value; allowed: the kinds that are admissible where some formulation leaves the range of the dtype.
    """

    computed: str
    exact: str
    nearest: float
    bound: Mapping[str, float]
    allowed: str = ""


@dataclass(frozen=True)
class Line:
    """A named number: what it is, its formula ("" for an input), the formula with its numbers, and its value."""

    name: str
    about: str
    formula: str
    numbers: str
    value: Value

    @property
    def base(self) -> str:
        """The name without the place of an occurrence: `m` of m[2]."""
        return self.name.partition("[")[0]


def index_of(shape: tuple[int, ...], flat: int) -> tuple[int, ...]:
    """The index of an element in its parameter. flat: its place in the parameter laid out flat."""
    return tuple(map(int, np.unravel_index(flat, shape)))


@dataclass(frozen=True)
class Explanation:
    """The update of one element at one step.

    col: its place in the row laid out flat; t: what the powers of the betas read; touched: which rows are updated and why, in
    sentences; given: the names that the lines start from; lines: the stages in the order of computation; state: what the vectors hold
    after the step, array name to value; refused: why there is no update, where the dialect refuses the case.
    """

    case: str
    about: str
    dialect: str
    deviations: tuple[str, ...]
    param: str
    dtype: str
    shape: tuple[int, ...]
    step: int
    steps: int
    row: int
    col: int
    t: int | None = None
    clock: str = ""
    touched: tuple[str, ...] = ()
    given: tuple[Line, ...] = ()
    lines: tuple[Line, ...] = ()
    state: Mapping[str, Value] = field(default_factory=dict)
    refused: str = ""

    @property
    def flat(self) -> int:
        """The place of the element in its parameter laid out flat."""
        return self.row * row_layout(self.shape)[1] + self.col

    @property
    def index(self) -> tuple[int, ...]:
        """The index of the element in its parameter."""
        return index_of(self.shape, self.flat)


def to_json(*explanations: Explanation) -> str:
    """One explanation, or two that stand side by side, as strict JSON."""
    return document(FORMAT, {"explanations": [asdict(explanation) for explanation in explanations]})
