"""Plots of |error|/bound as geometry for a small SVG template: a bar per step or element, on a logarithmic axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..common.text import counted, ratio
from ..judging.verdict import Profile

LOWEST, NO_NUMBER = -2, 1
"""Decade at which a bar starts, so that less cannot be seen; decades above the rest for what is not a number that is expected."""

LABELS = 6
"""Labels on an axis, at most about this many."""


@dataclass(frozen=True)
class Plot:
    """A drawing. inside and outside: paths of the bars that keep the bound and that do not; ticks: (place, text) on each axis."""

    width, height = 340, 140
    left, right, top, bottom = 38, 336, 8, 106  # the box of the bars, in the units of the drawing; labels stand outside it
    about: str
    inside: str
    outside: str
    bar: float
    bound: float
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    x_title: str


def over_steps(profile: Profile) -> Plot:
    """The largest |error|/bound of each recorded step."""
    return _plot(profile, profile.by_step, [str(step) for step in profile.steps], "step")


def over_elements(profile: Profile) -> Plot:
    """The largest |error|/bound of each element over the steps; in a table the labels are rows."""
    noun = "row" if len(profile.shape) > 1 else "element"
    width = math.prod(profile.shape[1:])
    starts = range(0, math.prod(profile.shape), profile.per)
    rows = [start // width for start in starts]
    labels = [str(row) if at == 0 or row != rows[at - 1] else "" for at, row in enumerate(rows)]
    title = noun if profile.per == 1 else f"{noun}; each bar is the largest of {counted(profile.per, 'element')}"
    return _plot(profile, profile.by_element, labels, title)


def _plot(profile: Profile, values: Sequence[float], labels: Sequence[str], title: str) -> Plot:
    finite = [value for value in values if 0 < value < math.inf]
    top = max(1, math.ceil(math.log10(max(finite, default=1.0))))
    highest = top + NO_NUMBER if any(math.isinf(value) for value in values) else top
    slot = (Plot.right - Plot.left) / len(values)

    def y(decade: float) -> float:
        return round(Plot.bottom - (Plot.bottom - Plot.top) * (decade - LOWEST) / (highest - LOWEST), 1)

    def bars(wanted: bool) -> str:
        return "".join(
            f"M{Plot.left + (at + 0.5) * slot:.1f} {Plot.bottom}V{y(math.log10(value) if value < math.inf else highest)}"
            for at, value in enumerate(values)
            if (value > 1) is wanted and value > 10**LOWEST
        )

    shown = [(at, text) for at, text in enumerate(labels) if text]
    room = (Plot.right - Plot.left) // (6 + 7 * max(len(text) for _, text in shown))  # labels beside each other, 7 units a letter
    every = -(-(top - LOWEST) // LABELS)
    decades = [(y(decade), _decade(decade)) for decade in range(0, top + 1, every)] + ([(y(LOWEST), _decade(LOWEST))] if every < 3 else [])
    not_a_number = [(y(highest), "∞")] if highest > top else []
    size = f"{sum(value > 1 for value in values)} of {len(values)} outside, most {ratio(max(values))}"
    return Plot(
        about=f"|error| / bound of {profile.array} of {profile.param!r} by {title.partition(';')[0]}: {size}",
        inside=bars(False),
        outside=bars(True),
        bar=round(min(14.0, slot * 0.75), 2),
        bound=y(0),
        x_ticks=tuple((round(Plot.left + (at + 0.5) * slot, 1), text) for at, text in shown[:: -(-len(shown) // min(2 * LABELS, room))]),
        y_ticks=(*decades, *not_a_number),
        x_title=title,
    )


def _decade(decade: int) -> str:
    return f"{10.0**decade:g}" if -2 <= decade <= 2 else f"1e{decade}"
