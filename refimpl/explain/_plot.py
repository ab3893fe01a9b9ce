"""p, m, v and the step size over the steps of a case, for the explained element and for one of an untouched row."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arithmetic import Float
from ..case import ALWAYS_KEPT, Case
from ..common.cli import write_bytes
from ..common.text import position
from ..dialects import Deviation, dialect
from ..errors import UsageError
from ..gradients import Array, row_layout
from ..reference import FIELDS, trajectory
from ._api import Counterpart
from ._data import Explanation, index_of
from ._side_by_side import title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
"""What a figure can be written as."""

STEP_SIZE = "step size: lr sqrt(1 - b2^t) / (1 - b1^t), where a row is touched"
PANELS = {"param": "p, from where it started", "exp_avg": "m: first moment", "exp_avg_sq": "v: second moment", "size": STEP_SIZE}

LINES: tuple[tuple[str, Any], ...] = (("#0b6e99", "-"), ("#c2410c", (0, (5, 1.6))), ("#6b7280", (0, (1.4, 1.2))))
"""A colour and a dash for each curve, so that nothing is told by colour alone."""


@dataclass(frozen=True, eq=False)
class History:
    """A parameter over the steps of a case, in its dtype: of shape (steps + 1, elements), the start first.

    arrays: param, exp_avg and exp_avg_sq; and size, the step size with both corrections, nan where an element is not updated.
    """

    arrays: Mapping[str, Array]

    @property
    def touched(self) -> Array:
        """At which steps each element was updated."""
        return ~np.isnan(self.arrays["size"])


class _Sizes(Float):
    """Floats that note which rows of each state a step updates, and with which step size."""

    def __init__(self, dtype: str) -> None:
        super().__init__(dtype)
        self.told: dict[int, list[tuple[Array, float]]] = {}
        self._now: tuple[int, float] = (0, np.nan)

    def on_event(self, event: str, values: Mapping[str, Any]) -> None:
        if event == "begins":
            self._now = id(values["state"]), float(values["s"].hat_step)
        elif event == "advanced":
            state, size = self._now
            self.told.setdefault(state, []).append((values["rows"], size))


def history(case: Case, param: str, deviations: tuple[Deviation, ...] = ()) -> History:
    """Run a case that nothing refuses to its end, and keep one parameter."""
    one = next(one for one in case.params if one.name == param)
    start = {"param": one.value, "exp_avg": one.exp_avg, "exp_avg_sq": one.exp_avg_sq, "size": np.full(one.value.shape, np.nan)}
    kept = {name: [np.zeros(one.value.size) if given is None else _flat(given)] for name, given in start.items()}
    a = _Sizes(case.dtype)
    for states in trajectory(case, a, dialect(case.dialect), deviations):
        state = states[param]
        for array in ALWAYS_KEPT:
            kept[array].append(_flat(getattr(state, FIELDS[array])))
        size = np.full(state.p.shape, np.nan)
        for rows, of_rows in a.told.pop(id(state), []):
            size[rows] = of_rows
        kept["size"].append(_flat(size))
    return History({name: np.stack(steps) for name, steps in kept.items()})


def _flat(array: Array) -> Array:
    return np.array(array, np.float64).reshape(-1)


def untouched(found: History, at: int, width: int) -> int | None:
    """The element of another row, in the same column, that is touched least often; None where every row always is."""
    column = np.arange(at % width, found.touched.shape[1], width)
    times = found.touched[1:, column].sum(axis=0)
    least = int(times.argmin())
    return None if times[least] == len(found.touched) - 1 or column[least] == at else int(column[least])


def draw(path: Path, one: Explanation, case: Case, other: Counterpart | None = None) -> None:
    """Write the figure; raises UsageError for a suffix that is none of SUFFIXES, and where matplotlib is missing."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"--plot {path}: not the name of a figure", f"end it in {', '.join(SUFFIXES)}")
    try:
        import matplotlib
    except ImportError:
        raise UsageError("--plot needs matplotlib, which is not installed", "pip install 'refimpl[plots]'") from None
    out = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "refimpl", "svg.fonttype": "none", "axes.spines.top": False, "axes.spines.right": False}):
        figure = _figure(list(_curves(one, case, other)), f"{one.case}: {one.param!r}, {one.dtype}")
        figure.savefig(out, format=suffix[1:], dpi=130, metadata={"Date": None} if suffix == ".svg" else None)
    write_bytes(path, out.getvalue())


@dataclass(frozen=True, eq=False)
class _Curve:
    """One element over the steps."""

    label: str
    values: Mapping[str, Array]
    touched: Array


def _curves(one: Explanation, case: Case, other: Counterpart | None) -> Iterator[_Curve]:
    """The explained element, the same one under another dialect or a deviation, and one of an untouched row."""
    width = row_layout(one.shape)[1]
    at = one.flat
    mine = history(case, one.param)
    yield _curve(mine, at, f"{_name(one.shape, at)}" + (f", {one.dialect}" if other else ""))
    if other and not other.explanation.refused:
        yield _curve(history(other.case, one.param, other.deviating), at, f"{_name(one.shape, at)}, {title(other.explanation)}")
    untouched_at = untouched(mine, at, width)
    if untouched_at is not None:
        yield _curve(mine, untouched_at, _name(one.shape, untouched_at) + (f", {one.dialect}" if other else ""))


def _curve(found: History, at: int, label: str) -> _Curve:
    return _Curve(label, {name: values[:, at] for name, values in found.arrays.items()}, found.touched[:, at])


def _figure(curves: Sequence[_Curve], heading: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 9), layout="constrained")
    panels = figure.subplots(len(PANELS), 1, sharex=True)
    for panel, (name, about) in zip(panels, PANELS.items()):
        for curve, (color, dash) in zip(curves, LINES):
            values = curve.values[name]
            _line(panel, values - values[0] if name == "param" else values, curve, color, dash)
        panel.set_title(about, loc="left", fontsize=10)
        panel.grid(color="#dddddd", linewidth=0.6)
    panels[0].legend(loc="best", frameon=False, fontsize=9)
    panels[-1].set_xlabel("step; filled where the row is touched, hollow where it is not")
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    figure.suptitle(heading, x=0.01, ha="left", fontsize=11)
    return figure


MARKED = 60
"""Steps up to which each has its mark."""


def _line(panel: Axes, values: Array, curve: _Curve, color: str, dash: Any) -> None:
    steps, touched = np.arange(len(values)), curve.touched
    panel.plot(steps, values, color=color, linestyle=dash, linewidth=1.6, label=curve.label)
    if len(values) <= MARKED:
        for which, face in ((touched, color), (~touched, "white")):
            panel.plot(steps[which], values[which], "o", markersize=4.5, markeredgecolor=color, markerfacecolor=face, linestyle="none")


def _name(shape: tuple[int, ...], element: int) -> str:
    return position(index_of(shape, element))
