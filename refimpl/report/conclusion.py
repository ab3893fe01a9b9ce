"""The verdict on an implementation as a whole: one sentence and the exit code that goes with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..common.text import counted, listed
from ..errors import HARNESS_FAILED, NOT_CONFORMANT, OK
from ..judging.verdict import OF_RUNS, CaseVerdict, Report, Status
from ._coverage import Coverage, coverage

FAILURES = (Status.FAILED, Status.ERROR)


@dataclass(frozen=True)
class Conclusion:
    """What the report comes to, in a sentence, and the exit code of the command. complete: everything that was selected was judged."""

    exit_code: int
    sentence: str
    complete: bool = True


def conclude(report: Report) -> Conclusion:
    """Conformant, not conformant, or nothing said because nothing was run; a stale waiver and a program that failed are errors.

    What was selected and not judged stands in the sentence; it is a failure where the report is strict.
    """
    subject = f"{report.backend} {report.version}".strip()
    if report.count(Status.UNSUPPORTED) == len(report.verdicts):
        why = f"all {counted(len(report.verdicts), 'case')} are unsupported" if report.verdicts else "no case was selected"
        return Conclusion(HARNESS_FAILED, f"nothing was run: {why} ({subject})", complete=False)
    covered = coverage(report)
    complete = not covered.gaps
    if any(verdict.status in FAILURES for verdict in report.verdicts):
        return Conclusion(NOT_CONFORMANT, f"{subject} {'; '.join(_against(report, covered))}", complete)
    but = list(_but(report, covered))
    said = f"{subject} {_in_favour(report, covered)}"
    return Conclusion(NOT_CONFORMANT, f"{said}; but {listed(but)}", complete) if but else Conclusion(OK, said, complete)


def _but(report: Report, covered: Coverage) -> Iterator[str]:
    if report.problems:
        yield "1 waiver no longer applies" if len(report.problems) == 1 else f"{len(report.problems)} waivers no longer apply"
    if report.failure:
        yield report.failure
    if report.strict and covered.lacking:
        yield "--strict takes nothing as passed that was not judged"


def by_dialect(report: Report) -> dict[str, list[CaseVerdict]]:
    """The verdicts of each dialect, in the order of the report."""
    found: dict[str, list[CaseVerdict]] = {}
    for verdict in report.verdicts:
        found.setdefault(verdict.dialect, []).append(verdict)
    return found


def conforming(report: Report) -> tuple[str, ...]:
    """The dialects of which some case passed by its numbers and none failed."""
    return tuple(
        name
        for name, verdicts in by_dialect(report).items()
        if any(verdict.status is Status.PASSED and verdict.arrays for verdict in verdicts)
        and not any(verdict.status in FAILURES for verdict in verdicts)
    )


def _against(report: Report, covered: Coverage) -> Iterator[str]:
    for name, verdicts in by_dialect(report).items():
        failed = sum(verdict.status in FAILURES for verdict in verdicts)
        run = sum(verdict.status is not Status.UNSUPPORTED for verdict in verdicts)
        if failed:
            yield f"does not conform to {name}: {failed} of {counted(run, 'case')} {'fails' if failed == 1 else 'fail'}"
    yield from _causes(report)
    if report.not_run:
        yield f"stopped at the first failure: {counted(report.not_run, 'selected case')} not run"
    others = conforming(report)
    if others:
        yield f"it conforms to {listed(others)}"
    if covered.lacking:
        judged = f"{covered.judged} of {_selected(report)} judged: " if covered.judged < covered.selected else ""
        yield judged + "; ".join(covered.lacking)


ENOUGH = 0.9
"""The share of the failures that the causes must explain together for the verdict to name them."""


def _causes(report: Report) -> Iterator[str]:
    """The causes, if they explain nearly all failures; otherwise how many the best explains. What a second run shows is told anyway."""
    of_runs = [diagnosis for diagnosis in report.diagnoses if diagnosis.family == OF_RUNS]
    of_numbers = [diagnosis for diagnosis in report.diagnoses if diagnosis.family != OF_RUNS]
    explained = {case for diagnosis in of_numbers for case in diagnosis.cases}
    failures = {verdict.case_id for verdict in report.verdicts if verdict.is_numeric_failure and not verdict.attained} | explained
    named = len(explained) >= ENOUGH * len(failures)
    causes = [" with ".join(diagnosis.deviations) for diagnosis in [*of_runs, *(of_numbers if named else [])]]
    if causes:
        yield f"cause: {listed(list(dict.fromkeys(causes)))}"
    if failures and not named:
        most = max((len(diagnosis.cases) for diagnosis in of_numbers), default=0)
        yield f"no known cause explains more than {most} of {len(failures)}" if most else "no known cause"


def _selected(report: Report) -> str:
    return f"the {len(report.verdicts)} selected cases" if report.narrowed else counted(len(report.verdicts), "case")


def _in_favour(report: Report, covered: Coverage) -> str:
    dialects = conforming(report)
    passed, waived = report.count(Status.PASSED), report.count(Status.WAIVED)
    if not passed:
        return f"passed no case: {counted(waived, 'known failure')} waived"
    refusing = [name for name, verdicts in by_dialect(report).items() if any(verdict.status is Status.PASSED for verdict in verdicts)]
    said = f"conforms to {listed(dialects)}" if dialects else f"refuses what {listed(refusing)} refuses"
    waivers = [f"{counted(waived, 'known failure')} waived"] if waived else []
    attained = [f"attained {report.attained}"] if report.attained else []
    if covered.gaps:
        return f"{said} on {covered.judged} of {_selected(report)}: {'; '.join([*covered.gaps, *waivers, *attained])}"
    selected = f" of the {len(report.verdicts)} selected" if report.narrowed else ""
    cases = f"{counted(passed, 'case')} passed{selected}"
    return f"{said}: {', '.join([cases, *waivers, *attained])}"
