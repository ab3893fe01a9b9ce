"""What a watch found, as text, JSON and a page."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..arithmetic import CLASSES
from ..case import ARRAYS
from ..common.cli import version, write_text
from ..common.json import strict
from ..common.text import counted, joined, listed, paragraph, ratio
from ..errors import HARNESS_FAILED, NOT_CONFORMANT, OK
from ._chance import FAULTS, missed, missed_always
from ._judge import Judgement
from ._session import Failure, Session, stated

FORMAT = 1
"""The version of the layout of the JSON report."""

SHOWN = 5
"""Failing calls that the text shows in full."""


@dataclass(frozen=True, eq=False)
class WatchReport:
    """The report of a watch: `str(report)`, `to_json()`, `to_html()`, and the exit code that a command would have."""

    session: Session

    @classmethod
    def of(cls, session: Session) -> WatchReport:
        return cls(session)

    @property
    def judged(self) -> Sequence[Judgement]:
        return self.session.judgements

    @property
    def elements(self) -> int:
        """Elements whose numbers were judged, in all calls together."""
        return sum(judgement.cleared + judgement.proven for judgement in self.judged)

    @property
    def compared(self) -> int:
        """Elements that must keep their bits, and were compared."""
        return sum(judgement.compared for judgement in self.judged)

    @property
    def left(self) -> int:
        """Sampled elements that were not judged, since too many of a call needed the proof."""
        return sum(judgement.left for judgement in self.judged)

    @property
    def exit_code(self) -> int:
        """0: every judged call is right; 1: some call is wrong, or replicas differ; 3: nothing was judged, or a rank left no result."""
        ranks = self.session.ranks
        if self.session.failing or (ranks and ranks.wrong):
            return NOT_CONFORMANT
        judged = self.elements or self.compared or (ranks and ranks.judged)
        return OK if judged and not (ranks and ranks.missing) else HARNESS_FAILED

    @property
    def attained(self) -> str | None:
        """The loosest class of the elements that the proof looked at in right calls; None where it looked at none."""
        classes = [judgement.attained for judgement in self.judged if judgement.attained and not judgement.failed]
        return max(classes, key=CLASSES.index) if classes else None

    def worst(self) -> Mapping[str, float]:
        """Array -> the largest |error|/bound of all judged calls."""
        return {
            array: max(judgement.worst.get(array, 0.0) for judgement in self.judged)
            for array in ARRAYS
            if any(array in judgement.worst for judgement in self.judged)
        }

    def chances(self) -> Iterator[tuple[int, float, float]]:
        """Per number of wrong elements: the probability that the sample of one call (the smallest) misses all, and that all calls do."""
        samples = [(judgement.population, judgement.drawn) for judgement in self.judged if judgement.population]
        largest = max((population for population, _ in samples), default=0)
        for faults in FAULTS:
            if samples and faults <= largest:
                yield faults, max(missed(*sample, faults) for sample in samples), missed_always(samples, faults)

    @property
    def sentence(self) -> str:
        """The verdict, in one sentence."""
        ranks = self.session.ranks
        return self._of_this_rank + (f"; {ranks.sentence}" if ranks else "")

    @property
    def _of_this_rank(self) -> str:
        calls = counted(len(self.judged), "call")
        dialects = listed(sorted(self.session.dialects)) or "its dialect"
        if self.session.failing:
            causes = listed([cause.name for cause in self.session.causes]) or "no known cause"
            said = f"{self.session.subject} is not {dialects}: {self.session.failing} of {calls} judged wrong; cause: {causes}"
        elif self.elements or self.compared:
            said = f"{self.session.subject} does what {dialects} does in all of {calls} judged, as far as the samples show"
        else:
            return f"nothing was judged of {self.session.subject}, in {counted(self.session.calls, 'call')}"
        return said + (f"; {self.left} sampled elements were not judged" if self.left else "")

    def __str__(self) -> str:
        """The report as lines of at most 100 columns, the verdict last."""
        session = self.session
        head = f"{session.subject}: {counted(session.calls, 'call')}, {len(self.judged)} judged, required: {session.required}"
        blocks: list[Iterable[str]] = [paragraph(head), self._numbers(), self._chances()]
        blocks += [self._failure(failure) for failure in session.failures[:SHOWN]]
        more = session.failing - min(len(session.failures), SHOWN)
        blocks += [paragraph(f"and {counted(more, 'more call')} that {'is' if more == 1 else 'are'} wrong")] if more > 0 else []
        blocks += [paragraph(stated(cause), "", "  ") for cause in session.causes]
        blocks += [[line for words, count in session.notes.items() for line in paragraph(_times(words, count), "note: ", "  ")]]
        if session.ranks:
            blocks.append([line for words in session.ranks.lines() for line in paragraph(words, "", "  ")])
        blocks.append(paragraph(self.sentence))
        return joined(blocks)

    def _numbers(self) -> Iterator[str]:
        cleared, proven = (sum(getattr(judgement, name) for judgement in self.judged) for name in ("cleared", "proven"))
        yield f"  elements within their bound by the kernel  {cleared:>14,}"
        yield f"  elements judged by the proof               {proven:>14,}"
        yield f"  elements compared bit by bit               {self.compared:>14,}"
        for array, largest in self.worst().items():
            yield f"  {'worst |error|/bound of ' + array:<42} {ratio(largest):>14}"
        if self.attained:
            yield f"  class attained, of what was proven         {self.attained:>14}"

    def _chances(self) -> Iterator[str]:
        chances = list(self.chances())
        if chances:
            yield "  a fault of k elements is missed with probability C(N-k, n)/C(N, n), N updated and n drawn:"
            yield f"  {'k':>9}  {'in one call':>12}  {'in every call':>14}"
            for faults, once, always in chances:
                yield f"  {faults:>9,}  {once:>12.2g}  {always:>14.2g}"

    def _failure(self, failure: Failure) -> Iterator[str]:
        first, *rest = failure.words
        yield from paragraph(f"WRONG {first}", "", "  ")
        for words in rest:
            yield from paragraph(words, "  ", "    ")
        if failure.golden is not None and self.session.save is not None:
            yield f"  explain: refimpl explain {failure.golden.case.id} \\"
            yield f"    --vectors {self.session.save}"

    def document(self) -> dict[str, Any]:
        """The report as plain data, which `to_json` writes."""
        session = self.session
        return {
            "format": FORMAT,
            "refimpl": version(),
            "subject": session.subject,
            "dialects": sorted(session.dialects),
            "required": session.required,
            "attained": self.attained,
            "exit_code": self.exit_code,
            "verdict": self.sentence,
            "calls": session.calls,
            "judged": [_entry(judgement) for judgement in self.judged],
            "elements": self.elements,
            "compared": self.compared,
            "left": self.left,
            "worst": dict(self.worst()),
            "missed": [{"faults": faults, "in_one_call": once, "in_every_call": always} for faults, once, always in self.chances()],
            "failing": session.failing,
            "failures": [{"call": failure.number, "words": list(failure.words), "case": _id(failure)} for failure in session.failures],
            "causes": [asdict(cause) for cause in session.causes],
            "notes": dict(session.notes),
            "ranks": session.ranks.document() if session.ranks else None,
        }

    def to_json(self) -> str:
        return json.dumps(strict(self.document()), indent=1, allow_nan=False) + "\n"

    def to_html(self) -> str:
        """The report as a page that needs nothing but itself."""
        from ._page import to_html  # here, since only a page needs Jinja2

        return to_html(self)

    def write(self, file: str | Path) -> None:
        """Write the report: a page into *.html, JSON into *.json, text into any other file."""
        path = Path(file)
        text = {".html": self.to_html, ".json": self.to_json}.get(path.suffix, self.__str__)()
        write_text(path, text)


def _times(words: str, count: int) -> str:
    return words if count == 1 else f"{words} ({count} times)"


def _id(failure: Failure) -> str | None:
    return None if failure.golden is None else failure.golden.case.id


def _entry(judgement: Judgement) -> dict[str, Any]:
    numbers = ("number", "elements", "cleared", "proven", "left", "compared", "population", "drawn", "attained")
    return {**{name: getattr(judgement, name) for name in numbers}, "worst": dict(judgement.worst), "failed": judgement.failed}


def plotted(judgements: Sequence[Judgement], points: int = 400) -> list[tuple[int, float]]:
    """(call, worst |error|/bound of any array), at most so many points: each the largest of several calls."""
    step = max(1, math.ceil(len(judgements) / points))
    runs = [judgements[start : start + step] for start in range(0, len(judgements), step)]
    return [(run[-1].number, max(max(judgement.worst.values(), default=0.0) for judgement in run)) for run in runs]
