"""The grid of a report: per dialect, its themes by parameter array, each with the class that is attained there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..arithmetic import CLASSES
from ..case import ARRAYS
from ..common.text import ratio
from ..judging.verdict import CaseVerdict, Report, Status
from .conclusion import FAILURES, by_dialect
from .mismatch import worst


@dataclass(frozen=True)
class Cell:
    """What a cell says, its tone (good, fair, bad or idle), and the largest |error|/bound with its unit."""

    text: str
    tone: str
    detail: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Row:
    """A theme: its cases by status, and a cell per array."""

    theme: str
    cases: Cell
    arrays: tuple[Cell, ...]


def grid(report: Report) -> dict[str, tuple[Row, ...]]:
    """Dialect to its rows, in the order of the report."""
    return {name: tuple(_rows(verdicts, report.required)) for name, verdicts in by_dialect(report).items()}


def _rows(verdicts: Sequence[CaseVerdict], required: str) -> Iterator[Row]:
    themes: dict[str, list[CaseVerdict]] = {}
    for verdict in verdicts:
        themes.setdefault(verdict.theme, []).append(verdict)
    for theme, found in themes.items():
        yield Row(theme, _cases(found), tuple(_cell(found, array, required) for array in ARRAYS))


def _cases(verdicts: Sequence[CaseVerdict]) -> Cell:
    counts = {status: sum(verdict.status is status for verdict in verdicts) for status in ORDER}
    text = ", ".join(f"{count} {status.value}" for status, count in counts.items() if count)
    return Cell(text, next(tone for status, tone in TONES.items() if counts[status]))


TONES = {Status.ERROR: "bad", Status.FAILED: "bad", Status.WAIVED: "fair", Status.PASSED: "good", Status.UNSUPPORTED: "idle"}
"""CSS class per status, worst first; a mixed group takes the worst."""

ORDER = (Status.FAILED, Status.ERROR, Status.WAIVED, Status.PASSED, Status.UNSUPPORTED)
"""The order in which a page lists cases: what needs attention first."""


def _cell(verdicts: Sequence[CaseVerdict], array: str, required: str) -> Cell:
    """The loosest class that an array needs in these cases; an array that no case gave has none."""
    found = [one for verdict in verdicts for one in verdict.arrays if one.array == array]
    if not found:
        return Cell("no numbers", "bad" if any(verdict.status in FAILURES for verdict in verdicts) else "idle")
    size = worst(found, array, required)
    attained = loosest([one.attained for one in found])
    detail = ("", "") if size is None else (ratio(size), "of its bound" if size <= 1 else "bounds")
    return Cell(attained or "no class", tone(attained, required), *detail)


def loosest(classes: Sequence[str | None]) -> str | None:
    """The loosest of these classes: what all of them together attain."""
    return None if None in classes else max((one for one in classes if one), key=CLASSES.index, default=None)


def tone(attained: str | None, required: str) -> str:
    """Good where the class that is attained is as tight as the one required, bad where it is looser or none."""
    return "good" if attained and CLASSES.index(attained) <= CLASSES.index(required) else "bad"
