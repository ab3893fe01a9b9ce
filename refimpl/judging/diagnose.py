"""The diagnosis: the causes of a backend's failures, each with what it explains and what it does not."""

from __future__ import annotations

from collections.abc import Sequence

from ..arithmetic import CPU_CLASS
from ..backends.outcome import End, Outcome
from ..case import Golden
from ._evidence import Judged
from ._leads import leads
from ._search import Finding, loosest_class, search
from .verdict import CaseVerdict, Diagnosis, Status


def diagnose(
    goldens: Sequence[Golden], outcomes: Sequence[Outcome], verdicts: Sequence[CaseVerdict], required: str = CPU_CLASS
) -> tuple[Diagnosis, ...]:
    """The named causes of the failures, best explanation first; empty where nothing known computes these numbers.

    goldens, outcomes and verdicts: one each per case, in the same order; required: the class that the verdicts asked for.
    """
    failures, passed = judged_cases(goldens, outcomes, verdicts, required)
    attained = [verdict.attained for verdict in verdicts if verdict.status is Status.PASSED and verdict.attained]
    findings: list[Finding] = []
    for name in dict.fromkeys(judged.golden.case.dialect for judged in failures):
        findings += search(name, _of(name, failures), _of(name, passed), loosest_class(attained, required))
    return tuple(_diagnoses(findings, [judged.golden.case.id for judged in failures]))


def leads_of(
    goldens: Sequence[Golden],
    outcomes: Sequence[Outcome],
    verdicts: Sequence[CaseVerdict],
    diagnoses: Sequence[Diagnosis],
    required: str = CPU_CLASS,
) -> tuple[str, ...]:
    """Facts about the failures that no diagnosis explains; a sentence each, dialect by dialect."""
    failures, passed = judged_cases(goldens, outcomes, verdicts, required)
    explained = {id for diagnosis in diagnoses for id in diagnosis.cases}
    left = [judged for judged in failures if judged.golden.case.id not in explained]
    names = dict.fromkeys(judged.golden.case.dialect for judged in left)
    several = len(names) > 1
    return tuple(f"{name}: {sentence}" if several else sentence for name in names for sentence in leads(_of(name, left), _of(name, passed)))


def judged_cases(
    goldens: Sequence[Golden], outcomes: Sequence[Outcome], verdicts: Sequence[CaseVerdict], required: str
) -> tuple[list[Judged], list[Judged]]:
    """The cases whose numbers are wrong, and those that passed with numbers."""
    cases = [(Judged(golden, outcome, required), verdict) for golden, outcome, verdict in zip(goldens, outcomes, verdicts)]
    failures = [judged for judged, verdict in cases if verdict.is_numeric_failure]
    passed = [judged for judged, verdict in cases if verdict.status is Status.PASSED and judged.outcome.end is End.STATES]
    return failures, passed


def _of(name: str, cases: Sequence[Judged]) -> list[Judged]:
    return [judged for judged in cases if judged.golden.case.dialect == name]


def _diagnoses(findings: Sequence[Finding], failures: Sequence[str]) -> list[Diagnosis]:
    """The same cause in several dialects is reported once; the one that explains most comes first."""
    together: list[list[Finding]] = []
    for finding in findings:
        same = next((group for group in together if _common([*group, finding])), None)
        if same is None:
            together.append([finding])
        else:
            same.append(finding)
    left = list(failures)
    diagnoses = []
    for same in sorted(together, key=lambda same: -sum(len(finding.explained) for finding in same)):
        explained = {judged.golden.case.id for finding in same for judged in finding.explained}
        left = [id for id in left if id not in explained]
        cases = tuple(id for id in failures if id in explained)
        also = tuple(dict.fromkeys(hypothesis.id for finding in same for hypothesis in finding.also))
        first = same[0]
        names = (first.id,) if first.id != first.hypothesis.id else first.hypothesis.parts
        diagnoses.append(Diagnosis(names, first.sentence(_common(same)), cases, tuple(left), also, first.hypothesis.family, first.where))
    return diagnoses


def _common(findings: Sequence[Finding]) -> list[str]:
    """The sentences that fit all of the findings, if they have one cause at one place; empty otherwise."""
    if len({(finding.id, finding.where) for finding in findings}) > 1:
        return []
    first, *others = ([hypothesis.about for hypothesis in finding.variants] for finding in findings)
    return [about for about in first if all(about in other for other in others)]
