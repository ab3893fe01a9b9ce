"""Figures as SVG inside a page: its text is text, and its colours are the page's, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.figure import Figure

from ..gradients import Array

SERIES = ("#110000", "#220000", "#330000", "#440000", "#550000")
COLORS = {
    **{"#010101": "currentColor", "#020202": "var(--quiet)", "#030303": "var(--line)", "#040404": "var(--ground)"},
    **{color: f"var(--series-{k})" for k, color in enumerate(SERIES, start=1)},
}
"""Colours that stand for others: each becomes a variable of the page's style."""

DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.4, 1.2)), (0, (6, 1.5, 1.5, 1.5)), (0, (2.5, 1)))
"""A line style for each series, so that nothing is shown by colour alone."""

WIDTH = 4.9  # inches; narrow, with 9 point text, so that a phone shows it without shrinking it

RULE = {"color": "#020202", "linewidth": 0.9}
"""How a line looks that crosses a panel."""

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "refimpl",
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.edgecolor": "#020202",
    "axes.labelcolor": "#010101",
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=SERIES, linestyle=DASHES),
    "axes.unicode_minus": True,
    "grid.color": "#030303",
    "grid.linewidth": 0.6,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "text.color": "#010101",
    "xtick.color": "#020202",
    "ytick.color": "#020202",
    "xtick.labelcolor": "#010101",
    "ytick.labelcolor": "#010101",
}


@dataclass(frozen=True)
class Panel:
    """Curves over a common x axis. curves: label to y over 0, 1, 2, ..., or to (x, y); y and x: where a thin line crosses the panel."""

    curves: Mapping[str, Array | tuple[Array, Array]]
    title: str
    y: float | None = None
    x: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    drawstyle: Any = "default"


def figure(panels: int = 1, height: float = 2.5) -> tuple[Figure, list[Any]]:
    """A figure with panels above each other, as wide as a page's column. height: of a panel."""
    made = Figure(figsize=(WIDTH, height * panels), layout="constrained")
    columns = made.subplots(panels, 1, squeeze=False, sharex=True)[:, 0]
    for axes in columns:
        axes.xaxis.get_major_locator().set_params(integer=True)  # steps and columns are whole numbers
    return made, list(columns)


def curves(*panels: Panel, xlabel: str, height: float = 2.5, **legend: Any) -> Figure:
    """A figure of these panels. xlabel: below the last of them; legend: options of the legend, which stands in the first."""
    made, columns = figure(len(panels), height)
    for axes, panel in zip(columns, panels):
        for label, curve in panel.curves.items():
            axes.plot(*(curve if isinstance(curve, tuple) else (curve,)), label=label, drawstyle=panel.drawstyle)
        if panel.y is not None:
            axes.axhline(panel.y, **RULE)
        if panel.x is not None:
            axes.axvline(panel.x, **RULE)
        axes.set(title=panel.title, **panel.settings)
    columns[-1].set_xlabel(xlabel)
    columns[0].legend(**legend)
    return made


def svg(draw: Callable[[], Figure], name: str, caption: str) -> str:
    """A drawn figure as an <svg> element. name: what its ids start with; caption: what a screen reader says instead."""
    out = io.StringIO()
    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]  # the stubs want each key spelt out
        made = draw()
        made.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    element = re.search(r"<svg [^>]*viewBox=\"([^\"]+)\"[^>]*>(.*)</svg>", out.getvalue(), re.DOTALL)
    if not element:
        raise ValueError("matplotlib wrote no svg element with a viewBox")
    box, inner = element.groups()
    inner = re.sub(r"<metadata>.*?</metadata>|<style .*?</style>|<!--.*?-->", "", inner, flags=re.DOTALL)
    inner = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', inner)
    inner = re.sub(r'(?:xlink:)?(href="#|url\(#)', rf"\g<1>{name}-", inner)
    inner = re.sub(r"'DejaVu Sans'(, [^;\"]+)?", "var(--sans)", inner)
    inner = re.sub(r"#[0-9a-f]{6}", lambda color: COLORS.get(color.group(0), color.group(0)), inner)
    return f'<svg role="img" aria-label="{escape(caption)}" viewBox="{box}">{inner.strip()}</svg>'
