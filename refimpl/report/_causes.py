"""The named causes as a page tells them: what each deviation changes in the step, and who else is known to do so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..dialects import Deviation, deviations, dialects
from ..judging.verdict import Diagnosis, Report

KINDS = {"D": "another dialect", "B": "a bug"}
MEANING = {
    "D": "Other implementations do this on purpose: it is a choice, but not that of the dialect which was claimed.",
    "B": "Nobody means to do this: it is a mistake that has been made before.",
}


@dataclass(frozen=True)
class Change:
    """A stage of the step: what the numbers say is done there, and what the dialect does (each dialect that is concerned)."""

    stage: str
    done: str
    usual: str


@dataclass(frozen=True)
class Cause:
    """A diagnosis with what is known of its deviations."""

    anchor: str
    diagnosis: Diagnosis
    deviations: tuple[Deviation, ...]
    changes: tuple[Change, ...]

    @property
    def name(self) -> str:
        return " with ".join(self.diagnosis.deviations)


def causes(report: Report) -> tuple[Cause, ...]:
    """The causes of the report, in its order."""
    return tuple(_cause(number, diagnosis) for number, diagnosis in enumerate(report.diagnoses, start=1))


def _cause(number: int, diagnosis: Diagnosis) -> Cause:
    known = tuple(deviations()[id] for id in diagnosis.deviations if id in deviations())
    changes = tuple(change for deviation in known for change in _changes(deviation, diagnosis))
    return Cause(f"cause-{number}", diagnosis, known, changes)


def _changes(deviation: Deviation, diagnosis: Diagnosis) -> Iterator[Change]:
    names = dict.fromkeys(case.split("/")[0] for case in diagnosis.cases)
    concerned = [dialects("full")[name] for name in names if name in dialects("full")]
    for stage, pick in deviation.picks.items():
        usual: dict[str, list[str]] = {}
        for one in concerned:
            by_default = getattr(one.picks, stage)
            usual.setdefault(AS_ASKED if by_default is pick else by_default.value, []).append(one.name)
        told = "; ".join(f"{text} ({', '.join(of)})" for text, of in usual.items())
        yield Change(stage.replace("_", " "), pick.value, told)


AS_ASKED = "as the options of the case ask for"
"""What a dialect does in a stage where a deviation differs from it only under an option of the case."""
