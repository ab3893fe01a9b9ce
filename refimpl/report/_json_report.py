"""The report for programs: strict JSON whose layout report.schema.json fixes; nan and infinities are written as strings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..common.json import document
from ..judging.verdict import CaseVerdict, Report, Status
from .conclusion import conclude, coverage

FORMAT = 1
"""The version of the layout; a reader refuses one that it does not know."""


def to_json(report: Report) -> str:
    """The whole report; keys may be added within a version of the layout only together with the schema."""
    return document(FORMAT, content(report))


def content(report: Report) -> dict[str, Any]:
    """The report as data."""
    conclusion = conclude(report)
    return {
        "backend": {"name": report.backend, "version": report.version, "device": report.device},
        "vectors": report.vectors,
        "required": report.required,
        "attained": report.attained,
        "exit_code": conclusion.exit_code,
        "verdict": conclusion.sentence,
        "coverage": {**asdict(coverage(report)), "narrowed": report.narrowed, "strict": report.strict, "not_run": report.not_run},
        "counts": {status.value: report.count(status) for status in Status},
        "cases": [_case(verdict) for verdict in report.verdicts],
        "causes": [asdict(diagnosis) for diagnosis in report.diagnoses],
        "leads": list(report.leads),
        "rerun": None if report.rerun is None else asdict(report.rerun),
        "problems": list(report.problems),
        "environment": dict(report.environment),
    }


def _case(verdict: CaseVerdict) -> dict[str, Any]:
    fields = {name: getattr(verdict, name) for name in ("about", "attained", "reason", "waiver", "seconds", "not_shown")}
    arrays = [asdict(array) for array in verdict.arrays]
    mismatch = None if verdict.mismatch is None else asdict(verdict.mismatch)
    return {"id": verdict.case_id, "status": verdict.status.value, **fields, "arrays": arrays, "mismatch": mismatch}
