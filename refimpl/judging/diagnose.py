"""The diagnosis: the causes of a backend's failures, each with what it explains and what it does not."""

from __future__ import annotations

from collections.abc import Sequence

from ..backends.outcome import End, Outcome
from ..case import Golden
from .evidence import Judged
from .search import Finding, loosest_class, search
from .verdict import CaseVerdict, Diagnosis, Status


def diagnose(
    goldens: Sequence[Golden], outcomes: Sequence[Outcome], verdicts: Sequence[CaseVerdict], required: str = "tensor-faithful"
) -> tuple[Diagnosis, ...]:
    """The named causes of the failures, best explanation first; empty where nothing known computes these numbers.

    goldens, outcomes and verdicts: one each per case, in the same order; required: the class that the verdicts asked for.
    """
    cases = [(Judged(golden, outcome, required), verdict) for golden, outcome, verdict in zip(goldens, outcomes, verdicts)]
    failures = [judged for judged, verdict in cases if is_numeric_failure(judged.outcome, verdict)]
    passed = [judged for judged, verdict in cases if verdict.status is Status.PASSED and judged.outcome.end is End.STATES]
    attained = [verdict.attained for _, verdict in cases if verdict.status is Status.PASSED and verdict.attained]
    findings: list[Finding] = []
    for name in dict.fromkeys(judged.golden.case.dialect for judged in failures):
        of_dialect = [[judged for judged in group if judged.golden.case.dialect == name] for group in (failures, passed)]
        findings += search(name, *of_dialect, loosest_class(attained, required))
    return tuple(_stories(findings, [judged.golden.case.id for judged in failures]))


def is_numeric_failure(outcome: Outcome, verdict: CaseVerdict) -> bool:
    """A failure that is no mere rounding: numbers of a looser class than the one that is required have that as their cause."""
    return verdict.status is Status.FAILED and outcome.end is End.STATES and verdict.mismatch is not None and verdict.attained is None


def _stories(findings: Sequence[Finding], failures: Sequence[str]) -> list[Diagnosis]:
    """The same cause in several dialects is told once; the one that explains most comes first."""
    together: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        together.setdefault((finding.id, finding.about), []).append(finding)
    left = list(failures)
    stories = []
    for same in sorted(together.values(), key=lambda same: -sum(len(finding.explained) for finding in same)):
        explained = {judged.golden.case.id for finding in same for judged in finding.explained}
        left = [id for id in left if id not in explained]
        cases = tuple(id for id in failures if id in explained)
        also = tuple(dict.fromkeys(hypothesis.id for finding in same for hypothesis in finding.also))
        first = same[0]
        names = (first.id,) if first.id != first.hypothesis.id else first.hypothesis.parts
        stories.append(Diagnosis(names, first.about, cases, tuple(left), also, first.hypothesis.family))
    return stories
