"""Running the corpus: a row as a backend, its outcomes and verdicts, what the diagnosis names, and whether that is right."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refimpl.backends import Capabilities, Case
from refimpl.backends.execute import execute
from refimpl.backends.outcome import Outcome
from refimpl.case import Golden
from refimpl.judging.compare import judge
from refimpl.judging.diagnose import diagnose, leads_of
from refimpl.judging.verdict import CaseVerdict, Diagnosis, Status

from .implementation import Implementation
from .table import Answer, Row

REQUIRED = "tensor-faithful"
REFUSALS = (Status.FAILED, Status.ERROR)


@dataclass(frozen=True)
class Backend:
    """A row of the corpus as `check` takes it."""

    run: type[Implementation]
    name: str
    dialects: Mapping[str, Capabilities]
    version: str = "1"

    def start(self, case: Case) -> Any:
        return self.run(case)


def backend(row: Row) -> Backend:
    return Backend(type(row.id, (Implementation,), dict(row.hooks)), row.id, {dialect: Capabilities() for dialect in row.dialects})


@dataclass(frozen=True)
class Judged:
    """A row on some cases of one dialect: goldens, outcomes and verdicts, one each per case."""

    goldens: tuple[Golden, ...]
    outcomes: tuple[Outcome, ...]
    verdicts: tuple[CaseVerdict, ...]

    @property
    def failing(self) -> tuple[CaseVerdict, ...]:
        return tuple(verdict for verdict in self.verdicts if verdict.status in REFUSALS)

    @property
    def unsupported(self) -> tuple[CaseVerdict, ...]:
        return tuple(verdict for verdict in self.verdicts if verdict.status is Status.UNSUPPORTED)

    def only(self, ids: Iterable[str]) -> Judged:
        kept = set(ids)
        picked = [k for k, golden in enumerate(self.goldens) if golden.case.id in kept]
        return Judged(
            tuple(self.goldens[k] for k in picked), tuple(self.outcomes[k] for k in picked), tuple(self.verdicts[k] for k in picked)
        )

    def diagnoses(self) -> tuple[Diagnosis, ...]:
        return tuple(diagnose(self.goldens, self.outcomes, self.verdicts))

    def leads(self, diagnoses: Sequence[Diagnosis]) -> tuple[str, ...]:
        return leads_of(self.goldens, self.outcomes, self.verdicts, diagnoses)


def run(row: Row, goldens: Sequence[Golden]) -> Judged:
    made = backend(row)
    outcomes = tuple(execute(made, golden) for golden in goldens)
    return Judged(tuple(goldens), outcomes, tuple(judge(golden, outcome, REQUIRED) for golden, outcome in zip(goldens, outcomes)))


NAMED_SHARE = 0.9
"""The verdict's last line names causes only if together they explain this share of the failures."""


@dataclass(frozen=True)
class Naming:
    """What the last line says of a row: whether that is right, placed, none or WRONG, and the causes as it lists them."""

    word: str
    causes: tuple[str, ...]

    @property
    def wrong(self) -> bool:
        return self.word == "WRONG"


def naming(judged: Judged, answer: Answer, diagnoses: Sequence[Diagnosis]) -> Naming:
    """The last line compared with the row's answer. A cause that the answer does not allow is WRONG, however small its part."""
    failing = {verdict.case_id for verdict in judged.failing}
    explained = {case for diagnosis in diagnoses for case in diagnosis.cases}
    causes = tuple(diagnosis.name for diagnosis in diagnoses)
    if len(explained & failing) < NAMED_SHARE * len(failing):
        reasons = " ".join(verdict.reason for verdict in judged.failing)
        return Naming("right" if answer.none or (answer.reason and re.search(answer.reason, reasons)) else "none", ())
    if all(diagnosis.deviations and _allowed(diagnosis, answer) for diagnosis in diagnoses):
        return Naming("right", causes)
    if answer.words and all(_allowed(diagnosis, answer) or _placed(diagnosis, answer) for diagnosis in diagnoses):
        return Naming("placed", causes)
    return Naming("WRONG", causes)


def _allowed(diagnosis: Diagnosis, answer: Answer) -> bool:
    """Whether the answer allows it by its name, or by that of a cause with the same numbers in all of its cases, which the verdict lists too."""
    told = (diagnosis.deviations, *((name,) for name in diagnosis.also))
    return any(answer.names.issuperset(id.replace("_", "-") for name in names for id in name.split(" with ")) for names in told)


def _placed(diagnosis: Diagnosis, answer: Answer) -> bool:
    said = f"{' with '.join(diagnosis.deviations)}: {diagnosis.about}"
    match = re.search(answer.words, said, re.IGNORECASE)
    return match is not None and (not answer.number or _near(said[match.end() :], answer.number))


def _near(words: str, number: int) -> bool:
    """Whether the words contain the number, one beside it, or a range around it."""
    ranges = re.findall(r"(\d+)(?: to (\d+))?", re.sub(r"(?<=\d),(?=\d)", "", words))
    return any(int(low) - 1 <= number <= int(high or low) + 1 for low, high in ranges)
