"""What `bench.py` shows: a table and a plot of the medians."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from bench_contestants import Cell


@dataclass(frozen=True)
class Result:
    """A cell's medians: seconds by contestant, and ratios by "one/other"."""

    cell: Cell
    seconds: dict[str, float]
    ratios: dict[str, float]


def table(results: Sequence[Result]) -> Iterator[str]:
    """A Markdown table: milliseconds by contestant, then the ratios."""
    names = list(dict.fromkeys(name for result in results for name in result.seconds))
    ratios = list(dict.fromkeys(name for result in results for name in result.ratios))
    yield "| " + " | ".join(["cell", *(f"{name}, ms" for name in names), *ratios]) + " |"
    yield "|---" * (1 + len(names) + len(ratios)) + "|"
    for result in results:
        times = [f"{1000 * result.seconds[name]:.3g}" if name in result.seconds else "" for name in names]
        shown = [f"{result.ratios[name]:.2f}" if name in result.ratios else "" for name in ratios]
        yield "| " + " | ".join([result.cell.label, *times, *shown]) + " |"


def plot(results: Sequence[Result], about: str, path: Path) -> None:
    """Bars per cell: the milliseconds of each contestant, on a logarithmic axis."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    cells = [result for result in results if len(result.seconds) > 3]  # the others compare tables, not contestants
    names = [name for name in dict.fromkeys(name for result in cells for name in result.seconds) if name not in ("kernel", "optimizer")]
    colours = {name: f"C{place}" for place, name in enumerate(names)}
    figure = Figure(figsize=(9, 0.9 * len(cells) + 1.5), layout="constrained")
    axes = figure.subplots()
    for row, result in enumerate(cells):
        shown = [name for name in names if name in result.seconds]
        places = [row + 0.2 * (place - (len(shown) - 1) / 2) for place in range(len(shown))]
        bars = axes.barh(places, [1000 * result.seconds[name] for name in shown], 0.2, color=[colours[name] for name in shown])
        axes.bar_label(bars, fmt="%.3g", padding=2, fontsize=7)
    axes.set_yticks(range(len(cells)), [result.cell.label for result in cells])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(x=0.1)
    axes.set_xlabel("milliseconds per step (median; shorter is better)")
    axes.set_title("\n".join(wrap(about, 100)), fontsize=8)
    keys = [Rectangle((0, 0), 1, 1, color=colours[name]) for name in names]
    figure.legend(keys, names, loc="outside lower center", ncols=len(names), fontsize=8)
    figure.savefig(path, dpi=150)
