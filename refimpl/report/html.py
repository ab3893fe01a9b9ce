"""The report as one page for a browser: the verdict first, then the causes, the grid, every case, and where it was run."""

from __future__ import annotations

from importlib import resources

from markupsafe import Markup

from ..arithmetic import CLASSES
from ..common import text
from ..common.html import environment, page
from ..judging.verdict import Report, Status
from . import _cases as cases
from ._causes import KINDS, MEANING, causes
from ._grid import ORDER, TONES, grid
from .conclusion import conclude
from .mismatch import place

TONE = {0: "good", 1: "bad", 3: "fair"}
"""The tone of the verdict, by exit code."""

WORDS = {
    "exact-ieee": "scalars in double, rounded once where they meet the tensor; every operation correctly rounded",
    "exact-faithful": "scalars in double, rounded once; every operation within 1 ulp",
    "tensor-faithful": "scalars rounded to the tensor's dtype first; every operation within 1 ulp: what conformance asks of a CPU",
    "tensor-approx": "as before; division and square root within 2 ulp, subnormals may be flushed: what it asks of an accelerator",
}
"""What each numerics class allows, tightest first."""


def to_html(report: Report) -> str:
    """The whole report as a page that needs nothing but itself; usable without its script, only not searchable."""
    conclusion = conclude(report)
    found = causes(report)
    entries = list(cases.entries(report, found))
    subject = f"{report.backend} {report.version}".strip()
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
            causes=found,
            kinds=KINDS,
            meaning=MEANING,
            unexplained=[one for one in entries if one.failing and one.verdict.mismatch and not one.cause],
            grid=grid(report),
            classes=CLASSES,
            words=WORDS,
            entries=entries,
            anchors={one.verdict.case_id: one.anchor for one in entries},
            filters=_filters(entries),
            plotted=cases.PLOTTED,
            arrays_plotted=cases.ARRAYS_PLOTTED,
            undrawn=sum(bool(one.undrawn and not one.drawn) for one in entries),
            text=text,
            place=place,
            failed=Status.FAILED,
        )
    )
    head = Markup("<style>\n{}</style>").format(Markup(_read("report.css")))
    partly = "" if conclusion.complete or conclusion.exit_code else " in what was judged"
    return page(f"{subject}: {VERDICTS[conclusion.exit_code]}{partly}", Markup(body), head=head, script=_read("report.js"))


VERDICTS = {0: "conforms", 1: "does not conform", 3: "nothing was run"}
"""The verdict in the title of the page."""


def _filters(entries: list[cases.Entry]) -> dict[str, tuple[str, ...]]:
    """What each filter of the list offers: the values that occur."""
    attained = {one.attained for one in entries}
    return {
        "status": tuple(status.value for status in ORDER if any(one.verdict.status is status for one in entries)),
        "dialect": tuple(dict.fromkeys(sorted(one.verdict.dialect for one in entries))),
        "theme": tuple(dict.fromkeys(sorted(one.verdict.theme for one in entries))),
        "attained": tuple(one for one in (*CLASSES, cases.NO_CLASS, cases.NO_NUMBERS) if one in attained),
    }


def _read(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
