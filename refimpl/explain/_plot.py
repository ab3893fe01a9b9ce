"""p, m, v and the step size over the steps of a case, for the explained element and for one of an untouched row."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
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
from ..reference import FIELDS, State, trajectory
from ..reference.inputs import at_start
from ._api import Counterpart
from ._data import Explanation, index_of
from ._selection import parameter
from ._text import title

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
"""What a figure can be written as."""

STEP_SIZE = "step size: lr sqrt(1 - b2^t) / (1 - b1^t), where a row is touched"
PANELS = {"param": "p, from where it started", "exp_avg": "m: first moment", "exp_avg_sq": "v: second moment", "size": STEP_SIZE}

LINES: tuple[tuple[str, Any], ...] = (("#0b6e99", "-"), ("#c2410c", (0, (5, 1.6))), ("#6b7280", (0, (1.4, 1.2))))
"""A colour and a dash for each curve, so that nothing is shown by colour alone."""

MARKED = 60
"""Steps up to which each has its mark."""

History = Mapping[str, Array]
"""A parameter over the steps of a case, the start first: its arrays by name, each of shape (steps + 1, elements).

`size` is the step size with both corrections, nan where an element is not updated.
"""


class _Sizes(Float):
    """Floats that note every update: of which state, of which of its rows, and with which step size."""

    def __init__(self, dtype: str) -> None:
        super().__init__(dtype)
        self.updates: list[tuple[State, Array, float]] = []

    def on_event(self, event: str, values: Mapping[str, Any]) -> None:
        if event == "begins":
            self._state, self._size = values["state"], float(values["s"].hat_step)
        elif event == "advanced":
            self.updates.append((self._state, values["rows"], self._size))


def history(case: Case, param: str, deviations: tuple[Deviation, ...] = ()) -> History:
    """Run a case that nothing refuses to its end, and keep one parameter."""
    start = at_start(parameter(case, param), ALWAYS_KEPT)
    kept = {array: [_flat(values)] for array, values in start.items()}
    sizes = [np.full(start["param"].size, np.nan)]
    a = _Sizes(case.dtype)
    for states in trajectory(case, a, dialect(case.dialect), deviations):
        state = states[param]
        for array, values in kept.items():
            values.append(_flat(getattr(state, FIELDS[array])))
        size = np.full(state.p.shape, np.nan)
        for updated, rows, size_of_rows in a.updates:
            if updated is state:
                size[rows] = size_of_rows
        a.updates.clear()
        sizes.append(_flat(size))
    return {name: np.stack(steps) for name, steps in {**kept, "size": sizes}.items()}


def touched(steps: History) -> Array:
    """At which steps each element was updated."""
    return ~np.isnan(steps["size"])


def _flat(array: Array) -> Array:
    return np.array(array, np.float64).reshape(-1)


def untouched(steps: History, at: int, width: int) -> int | None:
    """The element of another row, in the same column, that is touched least often; None where every row always is."""
    is_touched = touched(steps)[1:, at % width :: width]
    times = is_touched.sum(axis=0)
    row = int(times.argmin())
    return None if is_touched[:, row].all() or row == at // width else row * width + at % width


def draw(path: Path, explanation: Explanation, case: Case, other: Counterpart | None = None) -> None:
    """Write the figure; raises UsageError for a suffix that is none of SUFFIXES, and where matplotlib is missing."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"--plot {path}: not the name of a figure", f"end it in {', '.join(SUFFIXES)}")
    try:
        import matplotlib
    except ImportError:
        raise UsageError("--plot needs matplotlib, which is not installed", "pip install 'refimpl[plots]'") from None
    out = io.BytesIO()
    heading = f"{explanation.case}: {explanation.param!r}, {explanation.dtype}"
    with matplotlib.rc_context({"svg.hashsalt": "refimpl", "svg.fonttype": "none", "axes.spines.top": False, "axes.spines.right": False}):
        figure = _figure(list(_curves(explanation, case, other)), heading)
        figure.savefig(out, format=suffix[1:], dpi=130, metadata={"Date": None} if suffix == ".svg" else None)
    write_bytes(path, out.getvalue())


Curve = tuple[str, History]
"""A label, and the history of one element: arrays of shape (steps + 1,)."""


def _curves(explanation: Explanation, case: Case, other: Counterpart | None) -> Iterator[Curve]:
    """The explained element, the same one under another dialect or a deviation, and one of an untouched row."""

    def curve(steps: History, flat: int, name: str) -> Curve:
        label = position(index_of(explanation.shape, flat)) + (f", {name}" if other else "")
        return label, {array: values[:, flat] for array, values in steps.items()}

    mine = history(case, explanation.param)
    yield curve(mine, explanation.flat, explanation.dialect)
    if other and not other.explanation.refused:
        yield curve(history(other.case, explanation.param, other.deviating), explanation.flat, title(other.explanation))
    rarest = untouched(mine, explanation.flat, row_layout(explanation.shape)[1])
    if rarest is not None:
        yield curve(mine, rarest, explanation.dialect)


def _figure(curves: Sequence[Curve], heading: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 9), layout="constrained")
    panels = figure.subplots(len(PANELS), 1, sharex=True)
    for panel, (name, about) in zip(panels, PANELS.items()):
        for curve, (color, dash) in zip(curves, LINES):
            _line(panel, curve, name, color, dash)
        panel.set_title(about, loc="left", fontsize=10)
        panel.grid(color="#dddddd", linewidth=0.6)
    panels[0].legend(loc="best", frameon=False, fontsize=9)
    panels[-1].set_xlabel("step; filled where the row is touched, hollow where it is not")
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    figure.suptitle(heading, x=0.01, ha="left", fontsize=11)
    return figure


def _line(panel: Axes, curve: Curve, name: str, color: str, dash: Any) -> None:
    label, steps = curve
    values, numbers, is_touched = steps[name], np.arange(len(steps[name])), touched(steps)
    if name == "param":
        values = values - values[0]
    panel.plot(numbers, values, color=color, linestyle=dash, linewidth=1.6, label=label)
    if len(values) <= MARKED:
        for which, face in ((is_touched, color), (~is_touched, "white")):
            panel.plot(numbers[which], values[which], "o", markersize=4.5, markeredgecolor=color, markerfacecolor=face, linestyle="none")
