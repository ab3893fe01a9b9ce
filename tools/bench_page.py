"""The page `BENCH.md`: what `bench.py` measured on each machine, side by side, and whether it reaches what is aimed at."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

FOLDER, PAGE = Path(__file__).with_name("bench"), Path(__file__).with_name("BENCH.md")

Document = Mapping[str, Any]
Cell = Mapping[str, Any]


class Bar(NamedTuple):
    """What is aimed at: the least, or with a sign of <= the most, that every cell has of a ratio, among those that it is about."""

    words: str
    ratio: str
    concerns: Callable[[Cell], bool]
    limit: Callable[[Cell], float]
    most: bool = False


def _sparse(cell: Cell) -> bool:
    return str(cell["kind"]) != "dense"


def _against_torch(cell: Cell) -> float:
    """10, or 5 of small cells; where not even the limit is 11 times as fast, 0.9 of the limit."""
    aim, limit = (10.0, 11.0) if cell["touched"] >= 5000 else (5.0, 5.5)
    reachable = cell["ratios"].get("torch/limit", limit)
    return aim if reachable >= limit else 0.9 * float(reachable)


BARS = (
    Bar("distinct rows: limit/kernel", "limit/kernel", lambda cell: cell["kind"] == "distinct", lambda cell: 0.92),
    Bar("repeated rows: limit/step", "limit/step", lambda cell: cell["kind"] in ("repeated", "zipf"), lambda cell: 0.85),
    Bar("torch.optim.SparseAdam/step: 10, or 5 below 5e3 rows, or 0.9 of torch/limit", "torch/step", _sparse, _against_torch),
    Bar("torch fused/dense step", "torch fused/step", lambda cell: cell["kind"] == "dense", lambda cell: 1.03),
    Bar("MindSpore's fused kernel/kernel", "mindspore/kernel", _sparse, lambda cell: 8.0),
    Bar("5e7x16 against 2e6x16, the same rows touched", "step, large/middle", lambda cell: True, lambda cell: 1.3, True),
    Bar(
        "serial part of a repeated step, 8 threads by Amdahl's law",
        "serial on 8",
        lambda cell: cell["kind"] == "repeated",
        lambda cell: 0.1,
        True,
    ),
)
INTRODUCTION = """`python tools/bench.py --page` measured these and wrote this page. What each contestant is stands in `tools/bench.py`,
the programs that are the limit in `tools/bench_limits.py`. A ratio is the median over rounds; above 1 the second is faster. Cells in
italics were held back: nothing was tuned with them in view. A cell without a number was not measured there."""

ORDER = ("limit/kernel", "limit/step", "torch/step", "torch/optimizer", "torch/limit", "torch fused/step", "mindspore/kernel")
"""The ratios that come first."""

OVERHEAD = 25.0
"""Microseconds that a call of an optimizer may take beyond the kernel, on 16 rows."""


def write_page(document: Document) -> None:
    """Keep what was measured on this machine, and write the page anew."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name_of(document)}.json").write_text(json.dumps(document, indent=1) + "\n")
    PAGE.write_text("\n".join(page(kept())) + "\n")


def kept() -> list[Document]:
    """What was measured, machine by machine."""
    return [json.loads(file.read_text()) for file in sorted(FOLDER.glob("*.json"))]


def name_of(document: Document) -> str:
    machine = document["machine"]
    return re.sub(r"[^a-z0-9.]+", "-", f"{machine['target']} {machine['threads']} threads".lower())


def page(documents: Sequence[Document]) -> Iterator[str]:
    """The lines of the page."""
    yield "# Benchmarks"
    yield ""
    yield from INTRODUCTION.splitlines()
    for document in documents:
        yield ""
        yield f"- **{name_of(document)}**: " + ", ".join(f"{key} {value}" for key, value in document["machine"].items())
        if document.get("memory"):
            rates = ", ".join(f"{name} {rate:.3g} GB/s" for name, rate in document["memory"].items())
            yield f"  Memory: {rates}. Call: " + ", ".join(f"{name} {number:.3g} us" for name, number in document["overhead"].items()) + "."
        if document.get("note"):
            yield f"  {document['note']}"
    yield ""
    yield "## What is aimed at"
    yield ""
    yield from _table(
        ["aim", *map(name_of, documents)], [[bar.words, *(_reached(bar, document) for document in documents)] for bar in BARS]
    )
    yield f"| a call of the optimizer on 16 rows: {OVERHEAD:.0f} us beyond the kernel | " + " | ".join(map(_call, documents)) + " |"
    measured = dict.fromkeys(name for document in documents for cell in document["cells"] for name in cell["ratios"])
    ratios = sorted(measured, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))
    for ratio in ratios:
        yield ""
        yield f"## {ratio}"
        yield ""
        labels = dict.fromkeys(
            (cell["label"], cell.get("tuned", True)) for document in documents for cell in document["cells"] if ratio in cell["ratios"]
        )
        rows = [[label if tuned else f"*{label}*", *(_ratio(document, label, ratio) for document in documents)] for label, tuned in labels]
        yield from _table(["cell", *map(name_of, documents)], rows)
    yield ""
    yield "## Milliseconds of a step, and the program that was the limit"
    for document in documents:
        yield ""
        yield f"{name_of(document)}:"
        yield ""
        names = list(dict.fromkeys(name for cell in document["cells"] for name in cell["seconds"]))
        rows = [[cell["label"], *(_milliseconds(cell, name) for name in names), cell.get("limit", "")] for cell in document["cells"]]
        yield from _table(["cell", *names, "limit is"], rows)
    yield ""
    yield "![Milliseconds per step](bench.png)"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def _ratio(document: Document, label: str, ratio: str) -> str:
    for cell in document["cells"]:
        if cell["label"] == label and ratio in cell["ratios"]:
            return f"{cell['ratios'][ratio]:.2f}"
    return ""


def _milliseconds(cell: Cell, name: str) -> str:
    return f"{1000 * cell['seconds'][name]:.3g}" if name in cell["seconds"] else ""


def _reached(bar: Bar, document: Document) -> str:
    """How many cells reach it, and those that do not."""
    concerned = [cell for cell in document["cells"] if bar.ratio in cell["ratios"] and bar.concerns(cell)]
    if not concerned:
        return ""
    figures = [(cell["label"], cell["ratios"][bar.ratio], bar.limit(cell)) for cell in concerned]
    missed = [(label, figure, aim) for label, figure, aim in figures if (figure > aim if bar.most else figure < aim)]
    if not missed:
        worst = max(figures, key=lambda each: each[1]) if bar.most else min(figures, key=lambda each: each[1] / each[2])
        return f"met in all {len(figures)}; {worst[1]:.2f} at {worst[0]}"
    sign = ">" if bar.most else "<"
    return f"missed in {len(missed)} of {len(figures)}: " + "; ".join(
        f"{figure:.2f} {sign} {aim:.2f} at {label}" for label, figure, aim in missed
    )


def _call(document: Document) -> str:
    beyond = document.get("overhead", {}).get("optimizer - kernel")
    return "" if beyond is None else f"{'met' if beyond <= OVERHEAD else 'missed'}: {beyond:.1f} us"
