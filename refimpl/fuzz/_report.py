"""The report of a campaign: as text, as the JSON of `check` with a key of its own, and as JUnit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ..common.json import document
from ..common.text import counted, first_few, joined, listed, paragraph, printable
from ..errors import HARNESS_FAILED, NOT_CONFORMANT, OK
from ..judging.verdict import Report, Status
from ..report import FORMAT, Conclusion, content, terminal
from ..report.conclusion import FAILURES, conforming, count, coverage, grouped
from ._campaign import Shrunk
from ._options import command
from ._parts import Part

SHOWN = 5
"""Failures that get a line of their own."""


def report_of(part: Part) -> Report:
    """The verdicts of a campaign as `check` reports them, with the causes of the shrunk cases."""
    identity, settings = part.identity, part.identity.settings
    return Report(
        backend=identity.name,
        version=identity.version,
        device=settings.device,
        required=settings.required,
        vectors=f"random cases of seed {settings.seed}",
        verdicts=tuple(result.verdict for result in part.results),
        environment={"refimpl": identity.refimpl, "numpy": identity.numpy, "command": command(settings)},
        not_run=part.missing,
    )


def conclude(part: Part) -> Conclusion:
    """What the campaign comes to: never a pass of what was not run."""
    report = report_of(part)
    subject = f"{report.backend} {report.version}".strip()
    ran = report.verdicts
    if report.count(Status.UNSUPPORTED) == len(ran):
        why = f"all {counted(len(ran), 'case')} are unsupported" if ran else part.stopped or "no case was drawn"
        return Conclusion(HARNESS_FAILED, f"nothing was run: {why} ({subject})", complete=False)
    cases = f"{counted(len(ran), 'random case')} of seed {part.identity.settings.seed}"
    rest = f"; {counted(part.missing, 'case')} not run: {part.stopped}" if part.missing else f"; {part.stopped}" if part.stopped else ""
    gaps = coverage(report).gaps
    if count(ran, *FAILURES):
        return Conclusion(NOT_CONFORMANT, f"{subject} {'; '.join(_against(part, report))}{rest}", not gaps and not part.stopped)
    compared = f"{sum(result.element_steps for result in part.results):,} element-steps of {listed(report_dialects(report))}"
    said = f"{subject} failed none of {cases}: {compared}{'; ' if gaps else ''}{'; '.join(gaps)}{rest}"
    return Conclusion(HARNESS_FAILED if part.stopped or part.missing else OK, said, not gaps and not rest)


def report_dialects(report: Report) -> list[str]:
    """The dialects of which some case passed by its numbers."""
    return list(conforming(report)) or ["no dialect"]


def _against(part: Part, report: Report) -> Iterator[str]:
    for name, verdicts in grouped(report.verdicts, "dialect").items():
        failed = count(verdicts, *FAILURES)
        if failed:
            ran = len(verdicts) - count(verdicts, Status.UNSUPPORTED)
            yield f"does not conform to {name}: {failed} of {counted(ran, 'random case')} {'fails' if failed == 1 else 'fail'}"
    if part.shrunk:
        smallest = min(part.shrunk, key=lambda shrunk: (shrunk.elements, shrunk.steps))
        yield f"the smallest has {counted(smallest.elements, 'element')} and {counted(smallest.steps, 'step')}"
    causes = dict.fromkeys(diagnosis.name for shrunk in part.shrunk for diagnosis in shrunk.diagnoses)
    if causes:
        yield f"cause of {counted(sum(bool(shrunk.diagnoses) for shrunk in part.shrunk), 'shrunk case')}: {listed(list(causes))}"
    elif part.shrunk:
        yield "no known cause"


def to_text(part: Part, saved: Path | None) -> str:
    """The report for a person: a table by dialect and kind of case, failures, the shrunk cases with their causes, and the verdict."""
    report = report_of(part)
    subject = f"{report.backend} {report.version}".strip() + (f" on {report.device}" if report.device else "")
    blocks: list[Iterable[str]] = [paragraph(f"{subject}, {len(part.results)} {report.vectors}, required: {report.required}")]
    blocks += [terminal.table(name, verdicts, report.required) for name, verdicts in grouped(report.verdicts, "dialect").items()]
    blocks.append(_failures(report))
    for shrunk in part.shrunk:
        blocks += _shrunk(part, shrunk, report, saved)
    blocks += [terminal.unsupported(report), paragraph(conclude(part).sentence)]
    return joined(blocks)


def _failures(report: Report) -> Iterator[str]:
    failures = [verdict for verdict in report.verdicts if verdict.status in FAILURES]
    for verdict in failures[:SHOWN]:
        yield from paragraph(terminal.headline(verdict), "", "  ")
        yield printable(f"  again: {report.environment['command']} --case {verdict.case_id}")
    if failures[SHOWN:]:
        yield from paragraph(
            f"and {counted(len(failures[SHOWN:]), 'more failure')}: {first_few([v.case_id for v in failures[SHOWN:]])}", "", "  "
        )


def _shrunk(part: Part, shrunk: Shrunk, report: Report, saved: Path | None) -> Iterator[Iterable[str]]:
    before, steps = shrunk.before
    sizes = f"from {counted(before, 'element')} and {counted(steps, 'step')} to {shrunk.elements} and {shrunk.steps}"
    yield paragraph(f"SHRUNK {sizes} by {counted(shrunk.tried, 'candidate')}:")
    checking = f"{command(part.identity.settings, 'check')} --vectors {saved}" if saved else None
    small = Report(
        report.backend,
        report.version,
        report.device,
        report.required,
        str(saved or ""),
        (shrunk.verdict,),
        shrunk.diagnoses,
        environment={} if checking is None else {"command": checking},
        leads=shrunk.leads,
    )
    if not shrunk.again:
        yield paragraph("it passed when it was run once more: the same calls do not give the same results", "  ", "    ")
        return
    yield terminal.failure(shrunk.verdict, small, explained=saved is not None)
    yield terminal.evidence(small.verdicts, shrunk.diagnoses, shrunk.leads, report.required)
    if saved is None:
        yield paragraph("--save DIR writes it as a vector, which `refimpl check` and `refimpl explain` read", "  ", "    ")


def to_json(part: Part) -> str:
    """The report as strict JSON: the keys of `check`, and what was drawn and shrunk. The same campaign gives the same bytes."""
    conclusion = conclude(part)
    fuzz = {
        "identity": part.identity.as_data(),
        "element_steps": sum(result.element_steps for result in part.results),
        "stopped": part.stopped,
        "shrunk": [
            {
                "case": shrunk.verdict.case_id,
                "number": shrunk.number,
                "elements": shrunk.elements,
                "steps": shrunk.steps,
                "before": shrunk.before,
                "candidates": shrunk.tried,
                "fails_again": shrunk.again,
                "causes": [diagnosis.name for diagnosis in shrunk.diagnoses],
            }
            for shrunk in part.shrunk
        ],
    }
    changed = {"exit_code": conclusion.exit_code, "verdict": conclusion.sentence, "fuzz": fuzz}
    return document(FORMAT, {**content(report_of(part)), **changed})
