"""The report of a watch as a page for a browser: the verdict, the plot over the calls, the numbers, and every call that is wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from ..common import text
from ..common.html import environment, page
from ._report import plotted

if TYPE_CHECKING:
    from ._report import WatchReport

TONE = {0: "good", 1: "bad", 3: "fair"}
"""The tone of the verdict, by exit code."""

TITLES = {0: "right in what was judged", 1: "wrong", 3: "not judged, or not on every rank"}

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 180, 46, 150
LOWEST, HIGHEST = -3, 6
"""The decades of |error|/bound that the plot has: what is larger stands at its upper edge."""


@dataclass(frozen=True)
class Curve:
    """The plot in the units of its drawing: points "x,y ...", the height of the bound, and the labels of the axes."""

    points: str
    wrong: tuple[tuple[float, float], ...]
    bound: float
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def to_html(report: WatchReport) -> str:
    body = (
        environment(__package__)
        .get_template("watch.html.j2")
        .render(
            report=report,
            session=report.session,
            tone=TONE[report.exit_code],
            curve=curve(report),
            chances=list(report.chances()),
            text=text,
            size=(WIDTH, HEIGHT, LEFT, BOTTOM),
        )
    )
    return page(f"{report.session.subject}: {TITLES[report.exit_code]}", Markup(body))


def curve(report: WatchReport) -> Curve | None:
    """|error|/bound of the judged calls on a logarithmic axis; None where nothing was judged."""
    calls = plotted(report.judged)
    if not calls:
        return None
    first, last = calls[0][0], calls[-1][0]

    def x(call: int) -> float:
        return round(LEFT + (WIDTH - LEFT - 8) * (call - first) / max(last - first, 1), 1)

    def y(ratio: float) -> float:
        decade = LOWEST if not ratio > 0 else HIGHEST if ratio == math.inf else min(max(math.log10(ratio), LOWEST), HIGHEST)
        return round(BOTTOM - (BOTTOM - 8) * (decade - LOWEST) / (HIGHEST - LOWEST), 1)

    ticks = sorted({first, (first + last) // 2, last})
    return Curve(
        points=" ".join(f"{x(call)},{y(ratio)}" for call, ratio in calls),
        wrong=tuple((x(call), y(ratio)) for call, ratio in calls if not ratio <= 1),
        bound=y(1.0),
        x_ticks=tuple((x(call), f"{call:,}") for call in ticks),
        y_ticks=tuple((y(10.0**decade), f"1e{decade}" if decade else "1") for decade in range(LOWEST, HIGHEST + 1, 3)),
    )
