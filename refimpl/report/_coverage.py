"""What of the selected cases was judged, and what was not: unsupported features, arrays that were not shown, refusals alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..case import ARRAYS
from ..common.text import counted, listed
from ..judging.verdict import CaseVerdict, Report, Status


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
        return tuple(self._lacking())

    @property
    def gaps(self) -> tuple[str, ...]:
        """What a verdict must not pass over: what is lacking, and what was judged by its refusals alone."""
        alone = (f"of {listed(self.refusals)} only refusals were judged",) if self.refusals else ()
        return (*self.lacking, *alone)

    def _lacking(self) -> Iterator[str]:
        names = [*(f"all of {name}" for name in self.dialects), *self.unsupported]
        if names:
            yield f"{', '.join(names)} unsupported"
        others = sum(self.otherwise.values())
        if others:
            yield f"{others}{' more' if names else ''} unsupported"
        whole = [array for array, missing in self.not_shown.items() if missing.cases == missing.of]
        if whole:
            yield f"{listed(whole)} not shown"
        for array, missing in self.not_shown.items():
            if array not in whole:
                yield f"{array} not shown in {counted(missing.cases, 'case')}"


def coverage(report: Report) -> Coverage:
    """What a report covers of the cases that were selected."""
    by_dialect: dict[str, list[CaseVerdict]] = {}
    for verdict in report.verdicts:
        by_dialect.setdefault(verdict.dialect, []).append(verdict)
    judged = {name: [one for one in verdicts if one.status is not Status.UNSUPPORTED] for name, verdicts in by_dialect.items()}
    unsupported: Counter[str] = Counter()
    otherwise: Counter[str] = Counter()
    for name, verdicts in by_dialect.items():
        seen = {need for one in judged[name] if not _is_refusal(one) for need in one.needs}
        for one in verdicts if judged[name] else ():
            if one.status is Status.UNSUPPORTED:
                unseen = [need for need in one.needs if need not in seen]
                unsupported.update(unseen)
                otherwise.update([one.reason] if not unseen else [])
    return Coverage(
        selected=len(report.verdicts),
        judged=sum(map(len, judged.values())),
        dialects=tuple(name for name, verdicts in judged.items() if not verdicts),
        unsupported=dict(unsupported.most_common()),
        otherwise=dict(otherwise.most_common()),
        not_shown=_not_shown(report.verdicts),
        refusals=tuple(
            name for name, verdicts in judged.items() if any(map(_is_refusal, verdicts)) and not any(map(_has_numbers, verdicts))
        ),
    )


def _is_refusal(verdict: CaseVerdict) -> bool:
    return verdict.status is Status.PASSED and not verdict.arrays


def _has_numbers(verdict: CaseVerdict) -> bool:
    return bool(verdict.arrays)


def _not_shown(verdicts: Sequence[CaseVerdict]) -> dict[str, Missing]:
    counts: dict[str, Missing] = {}
    for array in ARRAYS:
        missing = sum(array in verdict.not_shown for verdict in verdicts)
        if missing:
            having = sum(array in verdict.not_shown or any(one.array == array for one in verdict.arrays) for verdict in verdicts)
            counts[array] = Missing(missing, having)
    return counts
