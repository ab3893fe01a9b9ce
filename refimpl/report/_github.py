"""The report for GitHub Actions: a workflow command per failure, and a summary of the step in Markdown."""

from __future__ import annotations

from ..common.text import counted, printable
from ..judging.verdict import CaseVerdict, Report, Status
from .conclusion import FAILURES, by_dialect, conclude
from .mismatch import facts, place

SHOWN = 10
"""Annotations of one step that GitHub shows."""


def to_github(report: Report) -> tuple[str, str]:
    """Workflow commands, a line each, and the Markdown of the summary."""
    failures = [verdict for verdict in report.verdicts if verdict.status in FAILURES]
    conclusion = conclude(report)
    lines = [_command("error", verdict.case_id, _details(verdict)) for verdict in failures[:SHOWN]]
    lines += [_command("warning", "waiver", problem) for problem in report.problems]
    lines.append(_command("notice" if conclusion.exit_code == 0 else "error", "refimpl", conclusion.sentence))
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
    if verdict.mismatch is None:
        return verdict.reason
    return "\n".join([f"outside its bound: {place(verdict.mismatch)}", *(f"{label}: {value}" for label, value in facts(verdict.mismatch))])


def _summary(report: Report, failures: list[CaseVerdict]) -> str:
    statuses = list(Status)
    lines = [f"### refimpl: {_cell(conclude(report).sentence)}", "", f"| dialect | {' | '.join(status.value for status in statuses)} |"]
    lines.append("|---" * (len(statuses) + 1) + "|")
    for name, verdicts in by_dialect(report).items():
        counts = (str(sum(verdict.status is status for verdict in verdicts)) for status in statuses)
        lines.append(f"| {_cell(name)} | {' | '.join(counts)} |")
    for diagnosis in report.diagnoses:
        cause = f"{' with '.join(diagnosis.deviations)}: {diagnosis.about} ({counted(len(diagnosis.cases), 'failure')})"
        lines += ["", f"**Cause** {_cell(cause)}"]
    if failures:
        lines += ["", "| failing case | first outside its bound |", "|---|---|"]
        lines += [f"| {_cell(verdict.case_id)} | {_cell(_details(verdict))} |" for verdict in failures[:SHOWN]]
    if len(failures) > SHOWN:
        lines.append(f"| and {counted(len(failures) - SHOWN, 'more failure')} | |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """A text that ends no cell and makes no HTML."""
    for letter, written in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("\n", "<br>")):
        text = text.replace(letter, written)
    return printable(text)
