"""How tight the bounds are: the worst |error| / bound that a correct computation reaches, per class, dtype, array and theme.

    python tools/tightness.py [--dialect NAME]... [--theme NAME]... [--cases 3] [--json FILE]

The computations are adversarial: every rounding pushes the array that is looked at the same way, as far as the class admits
(refimpl/oracle/tightness.py), so that what is missing to 1 is slack of the bound, up to what the search does not find. Of each
theme and dtype so many cases are taken, small ones; all small ones where these come to less than a tenth of a bound. Exit code 1 where
a theme is looser than 10 times, unless it says why.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from refimpl.arithmetic import CLASSES
from refimpl.case import ARRAYS, Case
from refimpl.cases import SUITES, drafts
from refimpl.common.cli import guarded, output_file, say, write_text
from refimpl.dialects import dialect
from refimpl.errors import NOT_CONFORMANT, OK
from refimpl.oracle import expectations
from refimpl.oracle.tightness import usage

LOOSE = 0.1
"""A theme in which nothing comes nearer to the bound than this is looser than ten times."""

SLACK = {"ranges": "elements near the ends of the range: what may happen there is a set, not a rounding"}
"""Themes that may be loose, and why."""

LARGEST = 1500  # elements times steps; a pushed computation keeps every intermediate result

Worst = dict[tuple[str, str, str], dict[str, float]]
"""(dtype, class, array) to theme to the worst ratio."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dialect", action="append", default=[], metavar="NAME", help="default: torch.SparseAdam")
    parser.add_argument("--theme", action="append", default=[], metavar="NAME", help="default: all of the core suite")
    parser.add_argument("--cases", type=int, default=3, metavar="N", help="cases of each theme and dtype (default: 3)")
    parser.add_argument("--json", type=output_file, metavar="FILE")
    options = parser.parse_args(arguments)
    names = [dialect(name).name for name in options.dialect] or ["torch.SparseAdam"]
    worst_of = {name: measured(name, options.theme or SUITES["core"], options.cases) for name in names}
    for name, worst in worst_of.items():
        print(f"{name}\n\n{table(worst)}\n")
    if options.json:
        rows = [
            {"dialect": name, "dtype": dtype, "class": numerics_class, "array": array, "themes": themes}
            for name, worst in worst_of.items()
            for (dtype, numerics_class, array), themes in worst.items()
        ]
        write_text(options.json, json.dumps(rows, indent=1) + "\n")
    loose = [line for name, worst in worst_of.items() for line in loose_themes(name, worst)]
    print("\n".join(loose) if loose else f"no theme is looser than {1 / LOOSE:.0f} times, {', '.join(SLACK)} aside")
    return NOT_CONFORMANT if loose else OK


def measured(name: str, themes: Sequence[str], cases: int) -> Worst:
    """The worst ratios of one dialect.

    Of a theme that seems loose every small case is taken: in float64 with correct rounding, what a computation rounds is nobody's
    choice, and a result that is the nearest double to the exact one has no error.
    """
    worst: Worst = {}
    for theme in themes:
        for dtype, fitting in small_cases(name, theme).items():
            first = {round(at) for at in np.linspace(0, len(fitting) - 1, cases)}
            for k in (*sorted(first), *(k for k in range(len(fitting)) if k not in first)):
                if k in first or _is_loose(worst, dtype, theme):
                    _take_in(worst, theme, fitting[k])
        say(f"{name}: {theme}")
    return worst


def _take_in(worst: Worst, theme: str, case: Case) -> None:
    expected = expectations(case)
    for numerics_class in CLASSES:
        with np.errstate(all="ignore"):
            reached = usage(case, expected, numerics_class, np.random.default_rng(0))
        for array, ratio in reached.items():
            of_themes = worst.setdefault((case.dtype, numerics_class, array), {})
            of_themes[theme] = max(of_themes.get(theme, 0.0), ratio)


def _is_loose(worst: Worst, dtype: str, theme: str) -> bool:
    return any(themes[theme] < LOOSE for (of_dtype, _, _), themes in worst.items() if of_dtype == dtype and theme in themes)


def small_cases(name: str, theme: str) -> dict[str, list[Case]]:
    """The small cases of a theme, by dtype."""
    fitting: dict[str, list[Case]] = {}
    for golden in drafts(dialect(name), theme):
        case = golden.case
        if case.error is None and sum(param.value.size for param in case.params) * len(case.steps) <= LARGEST:
            fitting.setdefault(case.dtype, []).append(case)
    return fitting


def table(worst: Worst) -> str:
    """A line per theme and dtype: of each array, the ratio in each class; below, the median over the themes of a dtype."""
    arrays = [array for array in ARRAYS if any(key[2] == array for key in worst)]
    body = []
    for dtype in dict.fromkeys(key[0] for key in worst):
        columns = [worst.get((dtype, numerics_class, array), {}) for array in arrays for numerics_class in CLASSES]
        themes = dict.fromkeys(theme for column in columns for theme in column)
        body += [[theme, dtype, *(f"{column[theme]:.2f}" if theme in column else "-" for column in columns)] for theme in themes]
        body.append(["median", dtype, *(f"{statistics.median(column.values()):.2f}" if column else "-" for column in columns)])
    return "\n".join(_blocks(body, arrays))


def _blocks(body: Sequence[Sequence[str]], arrays: Sequence[str]) -> Iterator[str]:
    """One block of lines per array, so that a line fits a terminal."""
    for number, array in enumerate(arrays):
        picked = [0, 1, *range(2 + number * len(CLASSES), 2 + (number + 1) * len(CLASSES))]
        lines = [[array, "dtype", *CLASSES], *([line[k] for k in picked] for line in body)]
        widths = [max(len(line[k]) for line in lines) for k in range(len(picked))]
        for line in lines:
            if any(text != "-" for text in line[2:]):
                yield "  ".join(text.ljust(width) if k < 2 else text.rjust(width) for k, (text, width) in enumerate(zip(line, widths)))
        yield ""


def loose_themes(name: str, worst: Worst) -> Iterator[str]:
    for (dtype, numerics_class, array), themes in worst.items():
        for theme, ratio in themes.items():
            if ratio < LOOSE and theme not in SLACK:
                yield f"loose: {name}, {theme}, {dtype}, {numerics_class}, {array}: {ratio:.3f}"


if __name__ == "__main__":
    sys.exit(guarded(Path(__file__).name, main))
