"""The verdict on a backend: plain data that judging makes and a report shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from ..arithmetic import CLASSES


class Status(Enum):
    PASSED = "passed"
    FAILED = "failed"
    WAIVED = "waived"
    UNSUPPORTED = "unsupported"
    ERROR = "error"


@dataclass(frozen=True)
class Mismatch:
    """The first element outside its bound: by step, then array, then position."""

    param: str
    array: str
    step: int
    index: tuple[int, ...]
    got: float
    expected: float
    bound: float
    ratio: float
    allowed: str = ""


@dataclass(frozen=True)
class Profile:
    """Where one array of a failing case is wrong: |error|/bound, in the required class, over its steps and over its elements.

    steps: the recorded ones; by_step: the largest of each; by_element: the largest of each `per` elements on end, in C order;
    worst: the first of the elements that are farthest outside.
    """

    param: str
    array: str
    shape: tuple[int, ...]
    steps: tuple[int, ...]
    by_step: tuple[float, ...]
    by_element: tuple[float, ...]
    per: int
    worst: Mismatch


@dataclass(frozen=True)
class ArrayVerdict:
    """One array of one parameter: the largest |error|/bound per class, and the tightest class that it satisfies (or None)."""

    param: str
    array: str
    worst: Mapping[str, float]
    attained: str | None


OF_RUNS = "runs"
"""The family of causes that a second run shows, not the numbers of the first."""


@dataclass(frozen=True)
class Diagnosis:
    """A named cause, and the cases that it is proven to explain.

    deviations: its name, or those of several that act together; about: what is done instead, in a sentence; unexplained: the failing cases
    that it and the causes before it leave; also: other causes that give the same numbers in all of its cases; family: of the hypothesis;
    where: the place or the condition that it is restricted to, in words, empty where it holds everywhere.
    """

    deviations: tuple[str, ...]
    about: str
    cases: tuple[str, ...]
    unexplained: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    family: str = "picks"
    where: str = ""

    @property
    def name(self) -> str:
        return " with ".join(self.deviations)


@dataclass(frozen=True)
class CaseVerdict:
    """The verdict on one case. attained: the tightest numerics class, None where it does not conform or none applies.

    needs: the features and dtypes that the case needs of a backend; not_shown: arrays that were expected of some parameter and
    that the backend left out.
    """

    case_id: str
    status: Status
    about: str = ""
    attained: str | None = None
    arrays: tuple[ArrayVerdict, ...] = ()
    mismatch: Mismatch | None = None
    reason: str = ""
    waiver: str = ""
    seconds: float = 0.0
    needs: tuple[str, ...] = ()
    not_shown: tuple[str, ...] = ()

    @property
    def is_numeric_failure(self) -> bool:
        """Whether numbers are outside their bound in the class that is required."""
        return self.status is Status.FAILED and self.mismatch is not None

    @property
    def dialect(self) -> str:
        return self.case_id.split("/")[0]

    @property
    def theme(self) -> str:
        return self.case_id.split("/")[1]


@dataclass(frozen=True)
class Rerun:
    """The result of running the smallest failing case again: alone, in a new worker, twice.

    alone_passes: it passed, both times; deterministic: both gave the same bits, and, where it passed, it failed again in a worker
    that had run the cases before it.
    """

    case_id: str
    alone_passes: bool
    deterministic: bool


@dataclass(frozen=True)
class Report:
    """The content of a report of `check`: what was judged, by which class, each verdict, and the named causes.

    problems: waivers that no longer apply; failure: how a program ended that failed although it had written every result;
    profiles: case id to where its arrays are wrong, for a report that draws it; rerun: the result of running a failing case again;
    narrowed: only the cases of some ids were asked for; strict: what was not judged is a failure too; leads: facts about the
    failures that no cause explains; not_run: selected cases that were left out, because the run was to stop at the first failure.
    """

    backend: str
    version: str
    device: str
    required: str
    vectors: str
    verdicts: tuple[CaseVerdict, ...]
    diagnoses: tuple[Diagnosis, ...] = ()
    problems: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""
    profiles: Mapping[str, tuple[Profile, ...]] = field(default_factory=dict)
    rerun: Rerun | None = None
    narrowed: bool = False
    strict: bool = False
    leads: tuple[str, ...] = ()
    not_run: int = 0

    def count(self, status: Status) -> int:
        return sum(verdict.status is status for verdict in self.verdicts)

    @property
    def attained(self) -> str | None:
        """The loosest class that any passed case needed: what the backend as a whole attains."""
        classes = [verdict.attained for verdict in self.verdicts if verdict.attained]
        return max(classes, key=CLASSES.index) if classes else None
