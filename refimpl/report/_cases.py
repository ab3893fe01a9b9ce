"""The cases of a report as a page lists them: what needs attention first, each with all that is known of it."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..judging.verdict import CaseVerdict, Mismatch, Profile, Report, Status
from ._causes import Cause
from ._grid import ORDER, TONES, loosest
from ._plots import Plot, over_elements, over_steps
from .conclusion import FAILURES
from .mismatch import explain_command

PLOTTED = 60
"""Cases that are drawn; the numbers are given of every one."""

ARRAYS_PLOTTED = 4
"""Arrays of one case that are drawn."""

NOTE = 100
"""Characters that the list says of a case beside its id."""

NO_CLASS, NO_NUMBERS = "no class", "no numbers"
"""What a case attains that is outside every class, and one that was refused, not run, or broke."""


@dataclass(frozen=True)
class Drawn:
    """The two plots of an array."""

    profile: Profile
    plots: tuple[Plot, ...]


@dataclass(frozen=True)
class Entry:
    """A case in the list. numbers: (what, element) for its table; undrawn: arrays that are wrong but not drawn."""

    anchor: str
    verdict: CaseVerdict
    tone: str
    attained: str
    cause: Cause | None
    numbers: tuple[tuple[str, Mismatch], ...]
    drawn: tuple[Drawn, ...]
    undrawn: int
    commands: tuple[tuple[str, str], ...]
    opened: bool = False

    @property
    def failing(self) -> bool:
        return self.verdict.status in FAILURES

    @property
    def note(self) -> str:
        """What the list says beside the id: the cause, what went wrong, or what is attained."""
        reason = self.verdict.waiver or self.verdict.reason
        first = reason.splitlines()[0] if reason and self.verdict.status is not Status.PASSED else ""
        return self.cause.name if self.cause else textwrap.shorten(first, NOTE, placeholder=" ...") or self.attained


def entries(report: Report, causes: Sequence[Cause]) -> Iterator[Entry]:
    """Every case: failures first, and within a status in the order of the report."""
    by_case = {case: cause for cause in causes for case in cause.diagnosis.cases}
    ordered = sorted(report.verdicts, key=lambda verdict: ORDER.index(verdict.status))
    left = PLOTTED
    for number, verdict in enumerate(ordered):
        profiles = report.profiles.get(verdict.case_id, ())
        drawn = profiles[:ARRAYS_PLOTTED] if left else ()
        left -= bool(drawn)
        yield Entry(
            anchor=anchor(verdict.case_id, number),
            verdict=verdict,
            tone=TONES[verdict.status],
            attained=(loosest([one.attained for one in verdict.arrays]) or NO_CLASS) if verdict.arrays else NO_NUMBERS,
            cause=by_case.get(verdict.case_id),
            numbers=tuple(_numbers(verdict, profiles)),
            drawn=tuple(Drawn(one, (over_steps(one), over_elements(one))) for one in drawn),
            undrawn=len(profiles) - len(drawn),
            commands=tuple(_commands(verdict, report)),
            opened=number == 0 and verdict.status in FAILURES,
        )


def anchor(case_id: str, number: int) -> str:
    """What a link names a case by: its id, as long as that is plain."""
    return case_id if re.fullmatch(r"[\w.-]+(/[\w.-]+){2}", case_id, re.ASCII) else f"case-{number}"


def _numbers(verdict: CaseVerdict, profiles: Sequence[Profile]) -> Iterator[tuple[str, Mismatch]]:
    if verdict.mismatch:
        yield "first outside", verdict.mismatch
    for profile in profiles:
        if profile.worst != verdict.mismatch:
            yield f"farthest outside in {profile.array}", profile.worst


def _commands(verdict: CaseVerdict, report: Report) -> Iterator[tuple[str, str]]:
    """(what for, command) to look into a case that fails."""
    if verdict.status not in (*FAILURES, Status.WAIVED):
        return
    if "command" in report.environment:
        yield "run this case alone", f"{report.environment['command']} --case {shlex.quote(verdict.case_id)}"
    if verdict.mismatch:
        yield "work its first wrong element through", explain_command(verdict, report)
