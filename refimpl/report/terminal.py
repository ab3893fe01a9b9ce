"""The report for a person: a table by dialect and theme, each failure with its numbers, the named causes, and the verdict."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from ..case import ALWAYS_KEPT, ARRAYS
from ..common.text import WIDTH, counted, first_few, joined, paragraph, printable, ratio
from ..judging.verdict import CaseVerdict, Diagnosis, Report, Status
from .conclusion import FAILURES, by_dialect, conclude
from .mismatch import explain_command, facts, place, worst

SHOWN = 5
"""Failures that are shown in full unless all are asked for."""

COLUMNS = {
    Status.PASSED: "passed",
    Status.FAILED: "failed",
    Status.ERROR: "errors",
    Status.WAIVED: "waived",
    Status.UNSUPPORTED: "unsup.",
}
"""What the table counts, with its headings."""

RATIOS = {array: (heading, max(8, len(heading) + 1)) for array, heading in zip(ARRAYS, (*ALWAYS_KEPT, "max"))}
"""The arrays whose worst |error|/bound the table gives, with the heading of the column and its width."""


def to_text(report: Report, verbose: bool = False) -> str:
    """The whole report as lines of at most 100 columns, the verdict last. verbose: every failure in full."""
    failures = [verdict for verdict in report.verdicts if verdict.status in FAILURES]
    shown = failures if verbose else failures[:SHOWN]
    blocks: list[Iterable[str]] = [_heading(report), *_tables(report)]
    blocks += [failure(verdict, report) for verdict in shown]
    blocks.append(_hidden(failures[len(shown) :]))
    blocks += [_cause(diagnosis) for diagnosis in report.diagnoses]
    blocks += [_without_cause(report.verdicts, report.diagnoses, report.leads, report.required)]
    blocks += [_unsupported(report, verbose), _grouped(report, Status.WAIVED)]
    blocks += [paragraph(f"PROBLEM: {problem}", "", "  ") for problem in report.problems]
    blocks.append(paragraph(conclude(report).sentence))
    return joined(blocks)


def _heading(report: Report) -> Iterator[str]:
    device = f" on {report.device}" if report.device else ""
    yield from paragraph(
        f"{f'{report.backend} {report.version}'.strip()}{device}, vectors from {report.vectors}, required: {report.required}"
    )


def _tables(report: Report) -> Iterator[Iterable[str]]:
    for name, verdicts in by_dialect(report).items():
        yield _table(name, verdicts, report.required)


def _table(dialect: str, verdicts: Sequence[CaseVerdict], required: str) -> Iterator[str]:
    """Per theme: counts, the loosest class that a case attains, and the worst |error|/bound of each array in the required class."""
    themes: dict[str, list[CaseVerdict]] = {}
    for verdict in verdicts:
        themes.setdefault(verdict.theme, []).append(verdict)
    width = max(10, *(len(printable(theme)) for theme in themes))
    yield printable(dialect)
    counts = "".join(f"{heading:>7}" for heading in COLUMNS.values())
    yield f"  {'theme':<{width}}{counts}  {'attained':<15}" + "".join(f"{heading:>{wide}}" for heading, wide in RATIOS.values())
    for theme, inside in themes.items():
        yield f"  {printable(theme):<{width}}{_row(inside, required)}"
    if len(themes) > 1:
        yield f"  {'all':<{width}}{_row(verdicts, required)}"


def _row(verdicts: Sequence[CaseVerdict], required: str) -> str:
    counts = "".join(f"{sum(verdict.status is status for verdict in verdicts):>7}" for status in COLUMNS)
    arrays = [one for verdict in verdicts for one in verdict.arrays]
    ratios = "".join(f"{_ratio(worst(arrays, array, required)):>{wide}}" for array, (_, wide) in RATIOS.items())
    return f"{counts}  {_attained(verdicts):<15}{ratios}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else ratio(value)


def _attained(verdicts: Sequence[CaseVerdict]) -> str:
    if any(verdict.arrays and verdict.attained is None for verdict in verdicts):
        return "none"
    part = Report("", "", "", "", "", tuple(verdicts))
    return part.attained or "-"


def failure(verdict: CaseVerdict, report: Report) -> Iterator[str]:
    """All there is to say of one case that fails; the report tells the class that is required and the command."""
    yield from paragraph(f"{verdict.status.name} {verdict.case_id}")
    yield from paragraph(verdict.about, "  ")
    if verdict.reason:
        yield from paragraph(verdict.reason, "  ", "    ")
    if verdict.mismatch:
        yield from paragraph(f"first outside its bound: {place(verdict.mismatch)}", "  ", "    ")
        for label, value in facts(verdict.mismatch):
            yield from paragraph(f"{label:<9} {value}", "    ")
    if verdict.attained:
        yield f"  attains {verdict.attained}, required is {report.required}"
    outside = [
        f"{one.array} of {one.param!r}, {ratio(one.worst[report.required])} bounds"
        for one in verdict.arrays
        if not one.worst.get(report.required, 0.0) <= 1
    ]
    if outside:
        yield from paragraph(f"worst: {first_few(outside)}", "  ", "    ")
    if "command" in report.environment:
        yield from _command("rerun", report.environment["command"], f"--case {shlex.quote(verdict.case_id)}")
    command, step, where = explain_command(verdict, report).partition(" --step")
    if command:
        yield from _command("explain", command, (step + where).strip())


def _command(what: str, command: str, rest: str) -> Iterator[str]:
    """A command to be copied; over two lines, as a shell reads them, where one is too long."""
    line = printable(f"  {what}: {command} {rest}")
    if len(line) <= WIDTH:
        yield line
    else:
        yield printable(f"  {what}: {command} \\")
        yield printable(f"    {rest}")


def _hidden(failures: Sequence[CaseVerdict]) -> Iterator[str]:
    if failures:
        yield from paragraph(
            f"and {counted(len(failures), 'more failure')}: {first_few([verdict.case_id for verdict in failures])}", "", "  "
        )
        yield "  (--verbose shows each in full)"


def _cause(diagnosis: Diagnosis) -> Iterator[str]:
    yield from paragraph(f"CAUSE {' with '.join(diagnosis.deviations)}: {diagnosis.about}", "", "  ")
    yield from paragraph(f"explains {counted(len(diagnosis.cases), 'failure')}: {first_few(diagnosis.cases)}", "  ", "    ")
    if diagnosis.also:
        yield from paragraph(f"these cases cannot tell it from {first_few(diagnosis.also)}", "  ", "    ")
    if diagnosis.unexplained:
        yield from paragraph(f"does not explain {len(diagnosis.unexplained)}: {first_few(diagnosis.unexplained)}", "  ", "    ")


def evidence(verdicts: Sequence[CaseVerdict], diagnoses: Sequence[Diagnosis], leads: Sequence[str], required: str) -> Iterator[str]:
    """The causes, each with what it explains, and what can be said of the rest."""
    for diagnosis in diagnoses:
        yield from _cause(diagnosis)
    yield from _without_cause(verdicts, diagnoses, leads, required)


def _without_cause(verdicts: Sequence[CaseVerdict], diagnoses: Sequence[Diagnosis], leads: Sequence[str], required: str) -> Iterator[str]:
    explained = {case for diagnosis in diagnoses for case in diagnosis.cases}
    unnamed = [verdict for verdict in verdicts if verdict.is_numeric_failure and verdict.case_id not in explained]
    rounded = [verdict.case_id for verdict in unnamed if verdict.attained]
    left = [verdict.case_id for verdict in unnamed if not verdict.attained]
    if rounded:
        text = f"LOOSER CLASS: {counted(len(rounded), 'failure')} without a known cause, which a looser class than {required} admits"
        yield from paragraph(f"{text}: {first_few(rounded)}", "", "  ")
    if left:
        yield from paragraph(f"NO KNOWN CAUSE for {counted(len(left), 'failure')}: {first_few(left)}", "", "  ")
    yield from (line for lead in leads for line in paragraph(lead, "  ", "    "))


def _unsupported(report: Report, verbose: bool) -> Iterator[str]:
    """Cases that were not run, in one line, or, where all is asked for, by their reason."""
    reasons = Counter(verdict.reason for verdict in report.verdicts if verdict.status is Status.UNSUPPORTED)
    if verbose:
        yield from _grouped(report, Status.UNSUPPORTED)
    elif reasons:
        often = reasons.most_common(1)[0][0].partition("\n")[0]
        note = " (--verbose shows which)" if len(reasons) == 1 else f" (--verbose shows all {len(reasons)} reasons)"
        line = printable(f"unsupported: {counted(reasons.total(), 'case')}{', mostly' if len(reasons) > 1 else ''}: {often}")
        yield (line if len(line) + len(note) <= WIDTH else f"{line[: WIDTH - len(note) - 3]}...") + note


def headline(verdict: CaseVerdict) -> str:
    """A failure in one line."""
    what = (
        f"{ratio(verdict.mismatch.ratio)} bounds off: {place(verdict.mismatch)}" if verdict.mismatch else verdict.reason.partition("\n")[0]
    )
    return printable(f"{verdict.status.name} {verdict.case_id}: {what}")


def _grouped(report: Report, status: Status) -> Iterator[str]:
    """Cases that were not run, or whose failure is waived, by their reason."""
    reasons: dict[str, list[str]] = {}
    for verdict in report.verdicts:
        if verdict.status is status:
            reasons.setdefault(verdict.waiver or verdict.reason, []).append(verdict.case_id)
    for reason, cases in reasons.items():
        yield from paragraph(f"{status.value}: {counted(len(cases), 'case')}: {reason}", "", "  ")
        yield from paragraph(first_few(cases), "  ")
