"""An audit as text of 100 columns, and as data for JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any

from ..common.text import counted, joined, listed, paragraph, position, ratio
from ..dialects import deviations
from ..oracle import LAST_STEP
from ._audit import Audit, Mistake
from ._case import Correct, Tried
from ._compared import Place
from ._tightest import Tightest

FEW = 5
"""Mistakes of a kind that are shown with their case, unless every one is asked for."""

DIGITS = 4
"""Of a tightest tolerance, rounded up: what is printed still admits every correct implementation."""


@dataclass(frozen=True)
class Ground:
    """What an audit was made on.

    selected: how many cases, of which a sample may have been tried; long: how many of those that were tried are longer than LAST_STEP;
    left_out: how many cannot be built here.
    """

    vectors: str
    dialects: tuple[str, ...]
    dtype: str
    numerics_class: str
    selected: int
    long: int
    left_out: int


@dataclass(frozen=True)
class Report:
    """An audit, and the tightest tolerances: over all arrays, then for each; () where nobody asked.

    audits_of_tightest: of the rtol and of the atol over all arrays, where finite; beside: the rtol and the atol that these stand beside.
    """

    audit: Audit
    tightest: tuple[Tightest, ...]
    audits_of_tightest: tuple[Audit, ...]
    beside: tuple[float, float]
    ground: Ground


def to_text(report: Report, every: bool = False) -> str:
    """The report as text. every: each mistake with its cases, not only the first few of a kind."""
    return joined([_head(report), _mistakes(report.audit, every), _correct(report), _tightest(report), [*paragraph(conclusion(report))]])


def _head(report: Report) -> list[str]:
    audit, ground = report.audit, report.ground
    long = f" Of the {counted(ground.long, 'case')} of more than {LAST_STEP} steps, the first {LAST_STEP} are tried." if ground.long else ""
    left_out = f" {counted(ground.left_out, 'case')} could not be built here." if ground.left_out else ""
    sample = audit.cases < ground.selected
    tried = f"{audit.cases} of {counted(ground.selected, 'case')}{' (--all: every one)' if sample else ''}"
    dtypes = "every dtype" if ground.dtype == "all" else ground.dtype
    named = "" if audit.rule.name == "tolerance" else f"{audit.rule.name}, {audit.rule.about}: "
    words = " / ".join(dict.fromkeys(audit.rule.words(dtype) for dtype in _dtypes(ground.dtype)))
    return [
        *paragraph(f"{named}{words}, in {listed(audit.rule.arrays)}", hanging="  "),
        *paragraph(
            f"x: a result, e: what is expected. Tried on {tried} of {listed(ground.dialects)} in {dtypes}, from {ground.vectors}; "
            f"correct is what is within its bound of {ground.numerics_class}.{long}{left_out}"
        ),
    ]


def _dtypes(dtype: str) -> Sequence[str]:
    return ("float32", "float64", "float16", "bfloat16") if dtype == "all" else (dtype,)


def _mistakes(audit: Audit, every: bool) -> Iterator[str]:
    passing = len(audit.everywhere) + len(audit.somewhere)
    yield f"MISTAKES it lets pass: {passing} of {len(audit.mistakes)} that these cases show"
    for title, some in (("in every case that shows them", audit.everywhere), ("in some of the cases that show them", audit.somewhere)):
        if some:
            yield f"  {title}: {len(some)}"
            shown = some if every else some[:FEW]
            for mistake in shown:
                yield from _mistake(mistake)
            if rest := some[len(shown) :]:
                yield from paragraph(f"and {', '.join(mistake.id for mistake in rest)} (--verbose shows the cases)", "    ", "      ")
    if audit.nowhere:
        names = ", ".join(mistake.id for mistake in audit.nowhere)
        yield from paragraph(f"refused in every case that shows them: {len(audit.nowhere)}: {names}", "  ", "    ")


def _mistake(mistake: Mistake) -> Iterator[str]:
    about = deviations()[mistake.id].about
    yield from paragraph(f"{mistake.id}: {about}", "    ", "      ")
    yield from paragraph(f"passes in {len(mistake.passing)} of {counted(len(mistake.tried), 'case')}", "      ", "        ")
    shown = mistake.shown_by
    if shown and shown.farthest:
        words = f"shown by {shown.case}: {_place(shown.farthest)}, yet {ratio(shown.excess)} of the limit"
        yield from paragraph(words, "      ", "        ")
    if mistake.unseen:
        yield from paragraph(f"in {counted(mistake.unseen, 'case')} it shows in none of the arrays that are compared", "      ", "        ")
    if not mistake.passes_everywhere:
        yield from paragraph(_range(mistake), "      ", "        ")


def _range(mistake: Mistake) -> str:
    closest, farthest = mistake.closest, mistake.farthest
    return f"nearest in {closest.case}, {_limits(closest)}; farthest in {farthest.case}, {_limits(farthest)}"


def _limits(tried: Tried) -> str:
    return f"{ratio(tried.excess)} of the limit"


def _place(place: Place) -> str:
    where = f"{place.array} of {place.param!r}, step {place.step}, {position(place.index)}"
    if not math.isfinite(place.distance):
        return f"{where}: not finite"
    share = f"{place.relative:.1e} of what is expected" if place.expected else f"{place.distance:.1e} where 0 is expected"
    return f"{where}: off by {share}, {ratio(place.bounds)} bounds"


def _correct(report: Report) -> Iterator[str]:
    audit, name = report.audit, report.ground.numerics_class
    if not audit.too_tight:
        yield f"CORRECT implementations: it admits all of {name}, in every case"
        return
    worst = max(audit.too_tight, key=lambda one: one.most)
    yield f"CORRECT implementations: in {len(audit.too_tight)} of {counted(audit.cases, 'case')} it may refuse one"
    yield from paragraph(f"the most in {worst.case}, where {name} may use {ratio(worst.most)} of the limit", "  ", "    ")
    if not audit.refused:
        yield from paragraph("none of the correct computations that were run was refused", "  ")
        return
    shown = max(audit.refused, key=lambda one: one.excess)
    yield from paragraph(
        f"in {counted(len(audit.refused), 'case')} it refused one that was run, the most in {_refusal(shown)}", "  ", "    "
    )


def _refusal(shown: Correct) -> str:
    where = f": {_place(shown.farthest)}" if shown.farthest else ""
    return f"{shown.case} ({shown.computation}){where}, {ratio(shown.excess)} of the limit"


def _tightest(report: Report) -> Iterator[str]:
    if not report.tightest:
        return
    rtol, atol = report.beside
    yield "TIGHTEST tolerance per element that admits every correct implementation in these cases"
    yield f"  {'':<16}{f'rtol beside atol = {atol:g}':<34}atol beside rtol = {rtol:g}"
    for one in report.tightest:
        yield f"  {one.array or 'all of them':<16}{rounded_up(one.rtol):<34}{rounded_up(one.atol)}"
    overall = report.tightest[0]
    yield from paragraph(f"needed by {overall.rtol_case or 'no case'} and by {overall.atol_case or 'no case'}", "  ", "    ")
    for audit in report.audits_of_tightest:
        passing = f"{len(audit.everywhere)} mistakes in every case that shows them and {len(audit.somewhere)} in some"
        yield from paragraph(f"{audit.rule.about} lets pass {passing}", "  ", "    ")


def rounded_up(value: float) -> str:
    """A limit with DIGITS digits, not below the value."""
    if not 0 < value < math.inf:
        return f"{value:g}"
    return f"{float(Context(prec=DIGITS, rounding=ROUND_CEILING).create_decimal(Decimal(repr(value)))):.{DIGITS - 1}e}"


def conclusion(report: Report) -> str:
    """The audit in one sentence."""
    audit = report.audit
    passing = len(audit.everywhere) + len(audit.somewhere)
    mistakes = f"lets {passing} of {len(audit.mistakes)} known mistakes pass ({len(audit.everywhere)} wherever they show)"
    if not passing:
        mistakes = f"refuses all of {len(audit.mistakes)} known mistakes"
    correct = f"may refuse a correct implementation in {len(audit.too_tight)} of {counted(audit.cases, 'case')}"
    if not audit.too_tight:
        correct = f"admits every correct implementation ({report.ground.numerics_class})"
    joint = "and" if bool(passing) == bool(audit.too_tight) else "but"
    return f"{'the tolerance' if audit.rule.name == 'tolerance' else audit.rule.name} {mistakes} {joint} {correct}"


def to_data(report: Report) -> dict[str, Any]:
    """The report as plain data: every mistake with every case in which it was tried."""
    audit = report.audit
    return {
        "rule": {**asdict(audit.rule), "words": {dtype: audit.rule.words(dtype) for dtype in _dtypes(report.ground.dtype)}},
        "tried_on": {**asdict(report.ground), "cases": audit.cases},
        "holds": audit.holds,
        "conclusion": conclusion(report),
        "mistakes": {mistake.id: _mistake_data(mistake) for mistake in audit.mistakes},
        "correct": [asdict(one) for one in audit.too_tight],
        "tightest": {
            "beside": dict(zip(("rtol", "atol"), report.beside)),
            "arrays": [asdict(one) for one in report.tightest],
            "lets_pass": [
                {
                    "tolerance": one.rule.about,
                    "everywhere": [mistake.id for mistake in one.everywhere],
                    "somewhere": [mistake.id for mistake in one.somewhere],
                }
                for one in report.audits_of_tightest
            ],
        },
    }


def _mistake_data(mistake: Mistake) -> dict[str, Any]:
    shown = mistake.shown_by
    return {
        "about": deviations()[mistake.id].about,
        "tried": len(mistake.tried),
        "passes": len(mistake.passing),
        "unseen": mistake.unseen,
        "shown_by": shown.case if shown else None,
        "closest": mistake.closest.case,
        "farthest": mistake.farthest.case,
        "cases": {one.case: {"excess": one.excess, "farthest": one.farthest and _place_data(one.farthest)} for one in mistake.tried},
    }


def _place_data(place: Place) -> dict[str, Any]:
    return {**asdict(place), "relative": place.relative}


def table(reports: Sequence[Report]) -> str:
    """A line per rule: the mistakes that it lets pass, and the cases in which it may refuse, or did refuse, a correct result."""
    head = ("rule", "mistakes", "everywhere", "somewhere", "cases", "may refuse", "did refuse")
    rows = [
        tuple(
            map(
                str,
                (
                    one.rule.name,
                    len(one.mistakes),
                    len(one.everywhere),
                    len(one.somewhere),
                    one.cases,
                    len(one.too_tight),
                    len(one.refused),
                ),
            )
        )
        for one in (report.audit for report in reports)
    ]
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]) for row in (head, *rows)
    ]
    sentences = [line for report in reports for line in paragraph(conclusion(report), hanging="  ")]
    return joined([_head(reports[0])[1:], lines, sentences])
