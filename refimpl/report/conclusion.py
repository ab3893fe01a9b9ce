"""The verdict on an implementation as a whole: what of the selected cases was judged, one sentence, and the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..case import COMPARED
from ..common.text import counted, listed
from ..errors import HARNESS_FAILED, NOT_CONFORMANT, OK
from ..judging.verdict import OF_RUNS, CaseVerdict, Report, Status

FAILURES = (Status.FAILED, Status.ERROR)

ENOUGH = 0.9
"""The share of the failures that the causes must explain together for the verdict to name them."""


def grouped(verdicts: Iterable[CaseVerdict], by: str) -> dict[str, list[CaseVerdict]]:
    """Verdicts by an attribute, such as their dialect, in the order of its first values."""
    groups: dict[str, list[CaseVerdict]] = {}
    for verdict in verdicts:
        groups.setdefault(getattr(verdict, by), []).append(verdict)
    return groups


def count(verdicts: Iterable[CaseVerdict], *statuses: Status) -> int:
    """How many of the verdicts have one of these statuses."""
    return sum(verdict.status in statuses for verdict in verdicts)


@dataclass(frozen=True)
class Missing:
    """An array that was not shown in some cases, of those judged by numbers that it belongs to."""

    cases: int
    of: int


@dataclass(frozen=True)
class Coverage:
    """Counts of the selected cases, and of what was not judged.

    judged: cases that are not unsupported; dialects: those of which no case was judged;
    unsupported: feature or dtype -> unsupported cases of the other dialects that need it, where none judged by its numbers does;
    otherwise: reason -> unsupported cases that need nothing of that kind; not_shown: array -> in how many cases;
    refusals: dialects of which nothing was judged but that errors came where they must.
    """

    selected: int
    judged: int
    dialects: tuple[str, ...]
    unsupported: Mapping[str, int]
    otherwise: Mapping[str, int]
    not_shown: Mapping[str, Missing]
    refusals: tuple[str, ...]

    @property
    def lacking(self) -> tuple[str, ...]:
        """What was selected and not judged, a clause each; none where everything was."""
        names = [*(f"all of {name}" for name in self.dialects), *self.unsupported]
        others = sum(self.otherwise.values())
        whole = [array for array, missing in self.not_shown.items() if missing.cases == missing.of]
        clauses = [f"{', '.join(names)} unsupported"] if names else []
        clauses += [f"{others}{' more' if names else ''} unsupported"] if others else []
        clauses += [f"{listed(whole)} not shown"] if whole else []
        partly = {array: missing for array, missing in self.not_shown.items() if array not in whole}
        return (*clauses, *(f"{array} not shown in {counted(missing.cases, 'case')}" for array, missing in partly.items()))

    @property
    def gaps(self) -> tuple[str, ...]:
        """What a verdict must not pass over: what is lacking, and what was judged by its refusals alone."""
        alone = (f"of {listed(self.refusals)} only refusals were judged",) if self.refusals else ()
        return (*self.lacking, *alone)


def coverage(report: Report) -> Coverage:
    """What a report covers of the cases that were selected."""
    by_dialect = grouped(report.verdicts, "dialect")
    judged = {name: [verdict for verdict in verdicts if verdict.status is not Status.UNSUPPORTED] for name, verdicts in by_dialect.items()}
    unsupported: Counter[str] = Counter()
    otherwise: Counter[str] = Counter()
    for name in filter(judged.get, by_dialect):
        seen = {need for verdict in judged[name] if not _is_refusal(verdict) for need in verdict.needs}
        for verdict in by_dialect[name]:
            if verdict.status is Status.UNSUPPORTED:
                unseen = [need for need in verdict.needs if need not in seen]
                unsupported.update(unseen)
                otherwise.update([verdict.reason] if not unseen else [])
    return Coverage(
        selected=len(report.verdicts),
        judged=sum(map(len, judged.values())),
        dialects=tuple(name for name, verdicts in judged.items() if not verdicts),
        unsupported=dict(unsupported.most_common()),
        otherwise=dict(otherwise.most_common()),
        not_shown=_not_shown(report.verdicts),
        refusals=tuple(
            name for name, verdicts in judged.items() if any(map(_is_refusal, verdicts)) and not any(verdict.arrays for verdict in verdicts)
        ),
    )


def _is_refusal(verdict: CaseVerdict) -> bool:
    return verdict.status is Status.PASSED and not verdict.arrays


def _not_shown(verdicts: Sequence[CaseVerdict]) -> dict[str, Missing]:
    counts: dict[str, Missing] = {}
    for array in COMPARED:
        missing = sum(array in verdict.not_shown for verdict in verdicts)
        if missing:
            having = sum(array in verdict.not_shown or any(each.array == array for each in verdict.arrays) for verdict in verdicts)
            counts[array] = Missing(missing, having)
    return counts


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
    if count(report.verdicts, *FAILURES):
        return Conclusion(NOT_CONFORMANT, f"{subject} {'; '.join(_against(report, covered))}", complete)
    but = list(_but(report, covered))
    said = f"{subject} {_in_favour(report, covered)}"
    return Conclusion(NOT_CONFORMANT, f"{said}; but {listed(but)}", complete) if but else Conclusion(OK, said, complete)


def _but(report: Report, covered: Coverage) -> Iterator[str]:
    if report.problems:
        yield f"{counted(len(report.problems), 'waiver')} no longer {'applies' if len(report.problems) == 1 else 'apply'}"
    if report.failure:
        yield report.failure
    if report.strict and covered.lacking:
        yield "--strict takes nothing as passed that was not judged"


def conforming(report: Report) -> tuple[str, ...]:
    """The dialects of which some case passed by its numbers and none failed."""
    return tuple(
        name
        for name, verdicts in grouped(report.verdicts, "dialect").items()
        if any(verdict.status is Status.PASSED and verdict.arrays for verdict in verdicts) and not count(verdicts, *FAILURES)
    )


def _against(report: Report, covered: Coverage) -> Iterator[str]:
    for name, verdicts in grouped(report.verdicts, "dialect").items():
        failed = count(verdicts, *FAILURES)
        run = len(verdicts) - count(verdicts, Status.UNSUPPORTED)
        if failed:
            yield f"does not conform to {name}: {failed} of {counted(run, 'case')} {'fails' if failed == 1 else 'fail'}"
    yield from _causes(report)
    if report.not_run:
        yield f"stopped at the first failure: {counted(report.not_run, 'selected case')} not run"
    if conforming(report):
        yield f"it conforms to {listed(conforming(report))}"
    if covered.lacking:
        judged = f"{covered.judged} of {_selected(report)} judged: " if covered.judged < covered.selected else ""
        yield judged + "; ".join(covered.lacking)


def _causes(report: Report) -> Iterator[str]:
    """The causes, if they explain nearly all failures; otherwise how many the best explains. What a second run shows is always reported."""
    of_runs = [diagnosis for diagnosis in report.diagnoses if diagnosis.family == OF_RUNS]
    of_numbers = [diagnosis for diagnosis in report.diagnoses if diagnosis.family != OF_RUNS]
    explained = {case for diagnosis in of_numbers for case in diagnosis.cases}
    failures = {verdict.case_id for verdict in report.verdicts if verdict.is_numeric_failure and not verdict.attained} | explained
    named = len(explained) >= ENOUGH * len(failures)
    causes = [diagnosis.name for diagnosis in [*of_runs, *(of_numbers if named else [])]]
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
    refusing = [name for name, verdicts in grouped(report.verdicts, "dialect").items() if count(verdicts, Status.PASSED)]
    said = f"conforms to {listed(dialects)}" if dialects else f"refuses what {listed(refusing)} refuses"
    waivers = [f"{counted(waived, 'known failure')} waived"] if waived else []
    attained = [f"attained {report.attained}"] if report.attained else []
    if covered.gaps:
        return f"{said} on {covered.judged} of {_selected(report)}: {'; '.join([*covered.gaps, *waivers, *attained])}"
    selected = f" of the {len(report.verdicts)} selected" if report.narrowed else ""
    cases = f"{counted(passed, 'case')} passed{selected}"
    return f"{said}: {', '.join([cases, *waivers, *attained])}"
