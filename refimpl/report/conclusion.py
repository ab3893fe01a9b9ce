"""The verdict on an implementation as a whole: one sentence and the exit code that goes with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import HARNESS_FAILED, NOT_CONFORMANT, OK
from ..judging.verdict import CaseVerdict, Report, Status
from .text import counted, listed

FAILURES = (Status.FAILED, Status.ERROR)


@dataclass(frozen=True)
class Conclusion:
    """What the report comes to, in a sentence, and the exit code of the command."""

    exit_code: int
    sentence: str


def conclude(report: Report) -> Conclusion:
    """Conformant, not conformant, or nothing said because nothing was run; a stale waiver and a program that failed are errors."""
    subject = f"{report.backend} {report.version}".strip()
    if report.count(Status.UNSUPPORTED) == len(report.verdicts):
        why = f"all {counted(len(report.verdicts), 'case')} are unsupported" if report.verdicts else "no case was selected"
        return Conclusion(HARNESS_FAILED, f"nothing was run: {why} ({subject})")
    if any(verdict.status in FAILURES for verdict in report.verdicts):
        return Conclusion(NOT_CONFORMANT, f"{subject} {'; '.join(_against(report))}")
    but = list(_but(report))
    if but:
        return Conclusion(NOT_CONFORMANT, f"{subject} {_in_favour(report, conforming(report))}; but {listed(but)}")
    return Conclusion(OK, f"{subject} {_in_favour(report, conforming(report))}")


def _but(report: Report) -> Iterator[str]:
    if report.problems:
        yield "1 waiver no longer applies" if len(report.problems) == 1 else f"{len(report.problems)} waivers no longer apply"
    if report.failure:
        yield report.failure


def by_dialect(report: Report) -> dict[str, list[CaseVerdict]]:
    """The verdicts of each dialect, in the order of the report."""
    found: dict[str, list[CaseVerdict]] = {}
    for verdict in report.verdicts:
        found.setdefault(verdict.dialect, []).append(verdict)
    return found


def conforming(report: Report) -> tuple[str, ...]:
    """The dialects of which some case passed and none failed."""
    statuses = {name: {verdict.status for verdict in verdicts} for name, verdicts in by_dialect(report).items()}
    return tuple(name for name, found in statuses.items() if Status.PASSED in found and found.isdisjoint(FAILURES))


def _against(report: Report) -> Iterator[str]:
    for name, verdicts in by_dialect(report).items():
        failed = sum(verdict.status in FAILURES for verdict in verdicts)
        run = sum(verdict.status is not Status.UNSUPPORTED for verdict in verdicts)
        if failed:
            yield f"does not conform to {name}: {failed} of {counted(run, 'case')} {'fails' if failed == 1 else 'fail'}"
    causes = [" with ".join(diagnosis.deviations) for diagnosis in report.diagnoses]
    if causes:
        yield f"cause: {listed(causes)}"
    others = conforming(report)
    if others:
        yield f"it conforms to {listed(others)}"


def _in_favour(report: Report, dialects: Sequence[str]) -> str:
    waived, unsupported = report.count(Status.WAIVED), report.count(Status.UNSUPPORTED)
    if not dialects:
        return f"passed no case: {counted(waived, 'known failure')} waived"
    parts = [f"{counted(report.count(Status.PASSED), 'case')} passed"]
    if waived:
        parts.append(f"{counted(waived, 'known failure')} waived")
    if unsupported:
        parts.append(f"{unsupported} unsupported")
    if report.attained:
        parts.append(f"attained {report.attained}")
    return f"conforms to {listed(dialects)}: {', '.join(parts)}"
