"""The report for a person: a table by dialect and theme, each failure with its numbers, the named causes, and the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from ..case import ALWAYS_KEPT, ARRAYS
from ..common.text import WIDTH, counted, first_few, joined, paragraph, printable, ratio
from ..judging.verdict import CaseVerdict, Diagnosis, Report, Status
from .conclusion import FAILURES, conclude, count, grouped
from .mismatch import explain_command, facts, place, rerun_command, worst

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
    shown = len(failures) if verbose else SHOWN
    subject = f"{report.backend} {report.version}".strip() + (f" on {report.device}" if report.device else "")
    blocks: list[Iterable[str]] = [paragraph(f"{subject}, vectors from {report.vectors}, required: {report.required}")]
    blocks += [table(name, verdicts, report.required) for name, verdicts in grouped(report.verdicts, "dialect").items()]
    blocks += [failure(verdict, report) for verdict in failures[:shown]]
    blocks.append(_hidden(failures[shown:]))
    blocks += map(_cause, report.diagnoses)
    blocks += [_without_cause(report.verdicts, report.diagnoses, report.leads, report.required)]
    blocks += [_by_reason(report, Status.UNSUPPORTED, "reason") if verbose else unsupported(report)]
    blocks += [_by_reason(report, Status.WAIVED, "waiver")]
    blocks += [paragraph(f"PROBLEM: {problem}", "", "  ") for problem in report.problems]
    blocks.append(paragraph(conclude(report).sentence))
    return joined(blocks)


def table(dialect: str, verdicts: Sequence[CaseVerdict], required: str) -> Iterator[str]:
    """Per theme: counts, the loosest class that a case attains, and the worst |error|/bound of each array in the required class."""
    themes = grouped(verdicts, "theme")
    width = max(10, *(len(printable(theme)) for theme in themes))
    yield printable(dialect)
    counts = "".join(f"{heading:>7}" for heading in COLUMNS.values())
    yield f"  {'theme':<{width}}{counts}  {'attained':<15}" + "".join(f"{heading:>{wide}}" for heading, wide in RATIOS.values())
    for theme, cases in (themes | ({"all": verdicts} if len(themes) > 1 else {})).items():
        yield f"  {printable(theme):<{width}}{_row(cases, required)}"


def _row(verdicts: Sequence[CaseVerdict], required: str) -> str:
    counts = "".join(f"{count(verdicts, status):>7}" for status in COLUMNS)
    arrays = [array for verdict in verdicts for array in verdict.arrays]
    sizes = [(worst(arrays, name, required), wide) for name, (_, wide) in RATIOS.items()]
    fails = any(verdict.arrays and verdict.attained is None for verdict in verdicts)
    attained = "none" if fails else Report("", "", "", "", "", tuple(verdicts)).attained or "-"
    return f"{counts}  {attained:<15}" + "".join(f"{'-' if size is None else ratio(size):>{wide}}" for size, wide in sizes)


def failure(verdict: CaseVerdict, report: Report, explained: bool = True) -> Iterator[str]:
    """All that is printed of one case that fails; the report has the class that is required and the command.

    explained: whether there are vectors that hold the case, so that `explain` can read it.
    """
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
    sizes = {f"{array.array} of {array.param!r}": array.worst.get(report.required, 0.0) for array in verdict.arrays}
    outside = [f"{name}, {ratio(size)} bounds" for name, size in sizes.items() if not size <= 1]
    if outside:
        yield from paragraph(f"worst: {first_few(outside)}", "  ", "    ")
    yield from _command("rerun", rerun_command(verdict, report), " --case ")
    if explained:
        yield from _command("explain", explain_command(verdict, report), " --step ")


def _command(what: str, command: str, option: str) -> Iterator[str]:
    """A command to be copied; over two lines, as a shell reads them, where one is too long: the second begins with the last such option."""
    line = printable(f"  {what}: {command}")
    if command and len(line) <= WIDTH:
        yield line
    elif command:
        first, _, rest = line.rpartition(option)
        yield f"{first} \\"
        yield f"   {option}{rest}"


def _hidden(failures: Sequence[CaseVerdict]) -> Iterator[str]:
    if failures:
        names = first_few([verdict.case_id for verdict in failures])
        yield from paragraph(f"and {counted(len(failures), 'more failure')}: {names}", "", "  ")
        yield "  (--verbose shows each in full)"


def evidence(verdicts: Sequence[CaseVerdict], diagnoses: Sequence[Diagnosis], leads: Sequence[str], required: str) -> Iterator[str]:
    """The causes, each with what it explains, and what can be said of the rest."""
    for diagnosis in diagnoses:
        yield from _cause(diagnosis)
    yield from _without_cause(verdicts, diagnoses, leads, required)


def _cause(diagnosis: Diagnosis) -> Iterator[str]:
    yield from paragraph(f"CAUSE {diagnosis.name}: {diagnosis.about}", "", "  ")
    yield from paragraph(f"explains {counted(len(diagnosis.cases), 'failure')}: {first_few(diagnosis.cases)}", "  ", "    ")
    if diagnosis.also:
        yield from paragraph(f"these cases cannot tell it from {first_few(diagnosis.also)}", "  ", "    ")
    if diagnosis.unexplained:
        yield from paragraph(f"does not explain {len(diagnosis.unexplained)}: {first_few(diagnosis.unexplained)}", "  ", "    ")


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


def unsupported(report: Report) -> Iterator[str]:
    """Cases that were not run, in one line."""
    reasons = Counter(verdict.reason for verdict in report.verdicts if verdict.status is Status.UNSUPPORTED)
    if reasons:
        often = reasons.most_common(1)[0][0].partition("\n")[0]
        note = " (--verbose shows which)" if len(reasons) == 1 else f" (--verbose shows all {len(reasons)} reasons)"
        line = printable(f"unsupported: {counted(reasons.total(), 'case')}{', mostly' if len(reasons) > 1 else ''}: {often}")
        yield (line if len(line) + len(note) <= WIDTH else f"{line[: WIDTH - len(note) - 3]}...") + note


def _by_reason(report: Report, status: Status, reason: str) -> Iterator[str]:
    """The cases of a status in groups. reason: the attribute of a verdict that holds it."""
    for words, verdicts in grouped([verdict for verdict in report.verdicts if verdict.status is status], reason).items():
        yield from paragraph(f"{status.value}: {counted(len(verdicts), 'case')}: {words}", "", "  ")
        yield from paragraph(first_few([verdict.case_id for verdict in verdicts]), "  ")


def headline(verdict: CaseVerdict) -> str:
    """A failure in one line."""
    mismatch = verdict.mismatch
    what = f"{ratio(mismatch.ratio)} bounds off: {place(mismatch)}" if mismatch else verdict.reason.partition("\n")[0]
    return printable(f"{verdict.status.name} {verdict.case_id}: {what}")
