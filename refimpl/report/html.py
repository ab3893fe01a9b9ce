"""The report as one page for a browser: the verdict first, then the causes, the grid, every case, and where it was run."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..arithmetic import CLASSES
from ..case import ALWAYS_KEPT, COMPARED
from ..common import text
from ..common.html import environment, page, read
from ..dialects import Deviation, deviations, dialects
from ..judging.verdict import CaseVerdict, Diagnosis, Mismatch, Profile, Report, Status
from ._plots import over_elements, over_steps
from .conclusion import FAILURES, conclude, count, grouped
from .mismatch import explain_command, place, rerun_command, worst

TONE = {0: "good", 1: "bad", 3: "fair"}
"""The tone of the verdict, by exit code."""

VERDICTS = {0: "conforms", 1: "does not conform", 3: "nothing was run"}
"""The verdict in the title of the page, by exit code."""

TONES = {Status.ERROR: "bad", Status.FAILED: "bad", Status.WAIVED: "fair", Status.PASSED: "good", Status.UNSUPPORTED: "idle"}
"""CSS class per status, worst first; a mixed group takes the worst."""

ORDER = (Status.FAILED, Status.ERROR, Status.WAIVED, Status.PASSED, Status.UNSUPPORTED)
"""The order in which the page lists cases: what needs attention first."""

WORDS = {
    "exact-ieee": "scalars in double, rounded once where they meet the tensor; every operation correctly rounded",
    "exact-faithful": "scalars in double, rounded once; every operation within 1 ulp",
    "tensor-faithful": "scalars rounded to the tensor's dtype first; every operation within 1 ulp: what conformance requires of a CPU",
    "tensor-approx": "as before; division and square root within 2 ulp, subnormals may be flushed: what it requires of an accelerator",
}
"""What each numerics class allows, tightest first."""

KINDS = {"D": "another dialect", "B": "a bug"}
MEANING = {
    "D": "Other implementations do this on purpose: it is a choice, but not that of the dialect which was claimed.",
    "B": "Nobody means to do this: it is a mistake that has been made before.",
}

AS_ASKED = "as the options of the case ask for"
"""What a dialect does in a stage where a deviation differs from it only under an option of the case."""

PLOTTED, ARRAYS_PLOTTED = 60, 4
"""Cases that are drawn, and arrays of one case; the numbers are given of every one."""

NOTE = 100
"""Characters that the list says of a case beside its id."""

NO_CLASS, NO_NUMBERS = "no class", "no numbers"
"""What a case attains that is outside every class, and one that was refused, not run, or broke."""


def to_html(report: Report) -> str:
    """The whole report as a page that needs nothing but itself; usable without its script, only not searchable."""
    conclusion = conclude(report)
    causes = [_cause(number, diagnosis) for number, diagnosis in enumerate(report.diagnoses, start=1)]
    entries = list(_entries(report, causes))
    subject = f"{report.backend} {report.version}".strip()
    compared = [array for verdict in report.verdicts for array in verdict.arrays]
    body = (
        environment(__package__)
        .get_template("report.html.j2")
        .render(
            report=report,
            subject=subject,
            conclusion=conclusion,
            tone=TONE[conclusion.exit_code],
            counts={status: report.count(status) for status in ORDER if report.count(status)},
            tones=TONES,
            causes=causes,
            kinds=KINDS,
            meaning=MEANING,
            unexplained=[entry for entry in entries if entry.failing and entry.verdict.mismatch and not entry.cause],
            grid={name: grouped(verdicts, "theme") for name, verdicts in grouped(report.verdicts, "dialect").items()},
            count_cell=_count_cell,
            array_cell=lambda verdicts, array: _array_cell(verdicts, array, report.required),
            arrays=[name for name in COMPARED if name in ALWAYS_KEPT or any(array.array == name for array in compared)],
            classes=CLASSES,
            words=WORDS,
            entries=entries,
            anchors={entry.verdict.case_id: entry.anchor for entry in entries},
            filters=_filters(entries),
            plotted=PLOTTED,
            arrays_plotted=ARRAYS_PLOTTED,
            undrawn=sum(bool(entry.profiles and not entry.drawn) for entry in entries),
            text=text,
            place=place,
            plots=(over_steps, over_elements),
        )
    )
    head = Markup("<style>\n{}</style>").format(Markup(read(__package__, "report.css")))
    partly = "" if conclusion.complete or conclusion.exit_code else " in what was judged"
    return page(f"{subject}: {VERDICTS[conclusion.exit_code]}{partly}", Markup(body), head=head, script=read(__package__, "report.js"))


@dataclass(frozen=True)
class Cause:
    """A diagnosis with what is known of its deviations.

    changes: stages of the step: what the numbers say is done there, and what the dialect does (each dialect that is concerned).
    """

    anchor: str
    diagnosis: Diagnosis
    deviations: tuple[Deviation, ...]
    changes: tuple[tuple[str, str, str], ...]


def _cause(number: int, diagnosis: Diagnosis) -> Cause:
    known = tuple(deviations()[id] for id in diagnosis.deviations if id in deviations())
    changes = tuple(change for deviation in known for change in _changes(deviation, diagnosis))
    return Cause(f"cause-{number}", diagnosis, known, changes)


def _changes(deviation: Deviation, diagnosis: Diagnosis) -> Iterator[tuple[str, str, str]]:
    names = dict.fromkeys(case.split("/")[0] for case in diagnosis.cases)
    for stage, pick in deviation.picks.items():
        usual: dict[str, list[str]] = {}
        for dialect in (dialects("full")[name] for name in names if name in dialects("full")):
            by_default = getattr(dialect.picks, stage)
            usual.setdefault(AS_ASKED if by_default is pick else by_default.value, []).append(dialect.name)
        yield stage.replace("_", " "), pick.value, "; ".join(f"{choice} ({', '.join(users)})" for choice, users in usual.items())


@dataclass(frozen=True)
class Cell:
    """What a cell of the grid says, its tone (good, fair, bad or idle), and the largest |error|/bound with its unit."""

    text: str
    tone: str
    detail: str = ""
    unit: str = ""


def _count_cell(verdicts: Sequence[CaseVerdict]) -> Cell:
    counts = {status: count(verdicts, status) for status in ORDER}
    words = ", ".join(f"{number} {status.value}" for status, number in counts.items() if number)
    return Cell(words, next(tone for status, tone in TONES.items() if counts[status]))


def _array_cell(verdicts: Sequence[CaseVerdict], name: str, required: str) -> Cell:
    """The loosest class that an array needs in these cases; an array that no case gave has none."""
    arrays = [array for verdict in verdicts for array in verdict.arrays if array.array == name]
    if not arrays:
        return Cell(NO_NUMBERS, "bad" if count(verdicts, *FAILURES) else "idle")
    size = worst(arrays, name, required)
    attained = _loosest([array.attained for array in arrays])
    is_good = attained != NO_CLASS and CLASSES.index(attained) <= CLASSES.index(required)
    detail = ("", "") if size is None else (text.ratio(size), "of its bound" if size <= 1 else "bounds")
    return Cell(attained, "good" if is_good else "bad", *detail)


def _loosest(classes: Sequence[str | None]) -> str:
    """The loosest of these classes: what all of them together attain."""
    return max((name or NO_CLASS for name in classes), key=(*CLASSES, NO_CLASS).index)


@dataclass(frozen=True)
class Entry:
    """A case in the list. numbers: (what, element) for its table; profiles: arrays that are wrong, of which the first `drawn` are drawn."""

    anchor: str
    verdict: CaseVerdict
    attained: str
    cause: Cause | None
    numbers: tuple[tuple[str, Mismatch], ...]
    profiles: tuple[Profile, ...]
    drawn: int
    commands: dict[str, str]
    opened: bool

    @property
    def failing(self) -> bool:
        return self.verdict.status in FAILURES

    @property
    def note(self) -> str:
        """What the list says beside the id: the cause, what went wrong, or what is attained."""
        reason = self.verdict.waiver or self.verdict.reason
        first = reason.splitlines()[0] if reason and self.verdict.status is not Status.PASSED else ""
        return self.cause.diagnosis.name if self.cause else textwrap.shorten(first, NOTE, placeholder=" ...") or self.attained


def _entries(report: Report, causes: Sequence[Cause]) -> Iterator[Entry]:
    """Every case: failures first, and within a status in the order of the report."""
    by_case = {case: cause for cause in causes for case in cause.diagnosis.cases}
    left = PLOTTED
    for number, verdict in enumerate(sorted(report.verdicts, key=lambda verdict: ORDER.index(verdict.status))):
        profiles = report.profiles.get(verdict.case_id, ())
        drawn = min(len(profiles), ARRAYS_PLOTTED) if left else 0
        left -= bool(drawn)
        is_plain = re.fullmatch(r"[\w.-]+(/[\w.-]+){2}", verdict.case_id, re.ASCII)
        yield Entry(
            anchor=verdict.case_id if is_plain else f"case-{number}",
            verdict=verdict,
            attained=_loosest([array.attained for array in verdict.arrays]) if verdict.arrays else NO_NUMBERS,
            cause=by_case.get(verdict.case_id),
            numbers=tuple(_numbers(verdict, profiles)),
            profiles=profiles,
            drawn=drawn,
            commands=_commands(verdict, report) if verdict.status in (*FAILURES, Status.WAIVED) else {},
            opened=number == 0 and verdict.status in FAILURES,
        )


def _numbers(verdict: CaseVerdict, profiles: Sequence[Profile]) -> Iterator[tuple[str, Mismatch]]:
    if verdict.mismatch:
        yield "first outside", verdict.mismatch
    for profile in profiles:
        if profile.worst != verdict.mismatch:
            yield f"farthest outside in {profile.array}", profile.worst


def _commands(verdict: CaseVerdict, report: Report) -> dict[str, str]:
    """What for, to a command that looks into a case."""
    commands = {
        "run this case alone": rerun_command(verdict, report),
        "work its first wrong element through": explain_command(verdict, report),
    }
    return {purpose: command for purpose, command in commands.items() if command}


def _filters(entries: Sequence[Entry]) -> dict[str, list[str]]:
    """What each filter of the list offers: the values that occur."""
    statuses = {entry.verdict.status for entry in entries}
    attained = {entry.attained for entry in entries}
    return {
        "status": [status.value for status in ORDER if status in statuses],
        "dialect": sorted({entry.verdict.dialect for entry in entries}),
        "theme": sorted({entry.verdict.theme for entry in entries}),
        "attained": [name for name in (*CLASSES, NO_CLASS, NO_NUMBERS) if name in attained],
    }
