"""What `bench.py` shows: a table and a plot of the medians."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from bench_cells import Cell


@dataclass(frozen=True)
class Result:
    """A cell's medians: seconds by contestant, and ratios by "one/other"; limit: the program that was the quickest."""

    cell: Cell
    seconds: dict[str, float]
    ratios: dict[str, float]
    limit: str = ""

    @property
    def among_tables(self) -> bool:
        """Whether the ratios compare tables of different sizes, and not contestants."""
        return any("large/" in name for name in self.ratios)


def table(results: Sequence[Result]) -> Iterator[str]:
    """Markdown tables: milliseconds by contestant, the ratios of contestants, and those of tables."""
    yield from _table(
        "milliseconds", {result.cell.label: {name: f"{1000 * t:.3g}" for name, t in result.seconds.items()} for result in results}
    )
    for among_tables in (False, True):
        some = [result for result in results if result.among_tables is among_tables]
        if some:
            yield ""
            yield from _table(
                "ratio", {result.cell.label: {name: f"{ratio:.2f}" for name, ratio in result.ratios.items()} for result in some}
            )


def _table(title: str, rows: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    yield "| " + " | ".join([title, *names]) + " |"
    yield "|---" * (1 + len(names)) + "|"
    for label, row in rows.items():
        yield "| " + " | ".join([label, *(row.get(name, "") for name in names)]) + " |"


def plot(results: Sequence[Result], about: str, path: Path) -> None:
    """Bars per cell: the milliseconds of each contestant, on a logarithmic axis."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    cells = [result for result in results if not result.among_tables]
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
