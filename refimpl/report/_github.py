"""The report for GitHub Actions: a workflow command per failure, and a summary of the step in Markdown."""

from __future__ import annotations

from ..common.text import counted, printable
from ..judging.verdict import CaseVerdict, Report, Status
from .conclusion import FAILURES, conclude, count, grouped
from .mismatch import place_and_facts

SHOWN = 10
"""Annotations of one step that GitHub shows."""

IN_CELLS = {ord("&"): "&amp;", ord("<"): "&lt;", ord("|"): "\\|", ord("\n"): "<br>"}
"""What would end a cell or make HTML, and what is written for it."""


def to_github(report: Report) -> tuple[str, str]:
    """Workflow commands, a line each, and the Markdown of the summary."""
    failures = [verdict for verdict in report.verdicts if verdict.status in FAILURES]
    conclusion = conclude(report)
    lines = [_command("error", verdict.case_id, _details(verdict)) for verdict in failures[:SHOWN]]
    lines += [_command("warning", "waiver", problem) for problem in report.problems]
    lines.append(_command("error" if conclusion.exit_code else "notice", "refimpl", conclusion.sentence))
    return "\n".join(lines) + "\n", _summary(report, failures)


def _command(kind: str, title: str, message: str) -> str:
    return f"::{kind} title={_escaped(title, ':,')}::{_escaped(message)}"


def _escaped(text: str, also: str = "") -> str:
    """As workflow commands want it: a percent sign, line ends, and in a property its separators, as %XX."""
    escaped = printable(text)
    for letter in ("%", "\r", "\n", *also):
        escaped = escaped.replace(letter, f"%{ord(letter):02X}")
    return escaped


def _details(verdict: CaseVerdict) -> str:
    return f"outside its bound: {place_and_facts(verdict.mismatch)}" if verdict.mismatch else verdict.reason


def _summary(report: Report, failures: list[CaseVerdict]) -> str:
    lines = [f"### refimpl: {_cell(conclude(report).sentence)}", "", _row("dialect", *(status.value for status in Status))]
    lines.append("|---" * (len(Status) + 1) + "|")
    for name, verdicts in grouped(report.verdicts, "dialect").items():
        lines.append(_row(name, *(str(count(verdicts, status)) for status in Status)))
    for diagnosis in report.diagnoses:
        cause = f"{diagnosis.name}: {diagnosis.about} ({counted(len(diagnosis.cases), 'failure')})"
        lines += ["", f"**Cause** {_cell(cause)}"]
    if failures:
        lines += ["", "| failing case | first outside its bound |", "|---|---|"]
        lines += [_row(verdict.case_id, _details(verdict)) for verdict in failures[:SHOWN]]
    if len(failures) > SHOWN:
        lines.append(f"| and {counted(len(failures) - SHOWN, 'more failure')} | |")
    return "\n".join(lines) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(map(_cell, cells))} |"


def _cell(text: str) -> str:
    return printable(text.translate(IN_CELLS))
