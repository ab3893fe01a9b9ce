"""A campaign: which case a number stands for, running and judging it on a backend, and shrinking it where it fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from ..arithmetic import FORMATS
from ..backends import BackendRun, Capabilities, outside_claim, run_backend
from ..backends.features import CLAIMED_BY_NAME
from ..backends.outcome import End, Outcome
from ..case import Golden
from ..cases.random_sizes import sized_case
from ..common.cli import version
from ..dialects import dialect
from ..errors import UsageError, did_you_mean
from ..judging.compare import judge
from ..judging.diagnose import diagnose, leads_of
from ..judging.verdict import CaseVerdict, Diagnosis, Status
from ..oracle import expectations
from ..vectors import PackedTheme, pack_theme, roundtrip
from ._judging import element_steps, judged, truth
from ._reductions import size, work
from ._shrinking import Shrinker

REDRAWS = 50
"""Draws of a case until one lies within the claim of a backend that claims few features."""

SHRUNK = 3
"""The first failures that are shrunk and diagnosed."""

EVIDENCE, FEW = 5, 200
"""How many candidates before a shrunk case the diagnosis sees, of those that passed and of those that failed; their element-steps."""

DIAGNOSED = 100_000
"""The work of a case up to which causes are looked for: each of hundreds is computed."""

PROVEN = 2
"""A cause is named only if it explains this many failing candidates beside the shrunk case: in a single element many causes agree."""

FAILING = (Status.FAILED, Status.ERROR)


@dataclass(frozen=True)
class Settings:
    """All that decides which cases a campaign has and how they are judged; two shards belong together if theirs are equal.

    cases: None where time ends the campaign.
    """

    backend: str
    dialects: tuple[str, ...]
    device: str
    options: tuple[tuple[str, str], ...]
    required: str
    seed: int
    cases: int | None
    timeout: float
    python: str = ""


@dataclass(frozen=True)
class Identity:
    """The settings of a campaign, and what ran it: results of others do not belong to it."""

    settings: Settings
    name: str
    version: str
    dialects: tuple[str, ...]
    refimpl: str
    numpy: str

    def as_data(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Result:
    """The verdict on the case of one number, and how many elements it compared at how many steps."""

    number: int
    verdict: CaseVerdict
    element_steps: int


@dataclass(frozen=True)
class Shrunk:
    """A failing case made small. verdict: on the small case, by balls where they can be computed; theme: the files of its vector.

    elements, steps: of the small case; before: of the drawn one; tried: candidates; again: whether it failed when it was run once more.
    """

    number: int
    elements: int
    steps: int
    before: tuple[int, int]
    tried: int
    again: bool
    verdict: CaseVerdict
    diagnoses: tuple[Diagnosis, ...]
    leads: tuple[str, ...]
    theme: PackedTheme


@dataclass
class Session:
    """A backend that is ready, and the campaign that it runs."""

    run: BackendRun
    settings: Settings
    names: tuple[str, ...]
    claimed: Mapping[str, Capabilities]
    failing: dict[int, tuple[Golden, Outcome, CaseVerdict]] = field(default_factory=dict)

    def identity(self) -> Identity:
        return Identity(self.settings, self.run.name, self.run.version, self.names, version(), np.__version__)

    def golden(self, number: int) -> Golden:
        """The case of a number: the seed of the campaign, the number and the backend's claim are all that it depends on."""
        rng = np.random.default_rng((self.settings.seed, number))
        name = self.names[number % len(self.names)]
        dtypes = _dtypes(name, self.claimed[name])
        features = [feature for feature in self.claimed[name].features if feature in CLAIMED_BY_NAME]
        for _ in range(REDRAWS):
            golden = sized_case(rng, name, f"seed-{self.settings.seed}-case-{number}", dtypes, features)
            if outside_claim(golden.case, self.claimed) is None:
                break
        return golden

    def result(self, number: int) -> Result:
        golden = self.golden(number)
        outcome, verdict = self._judged(golden)
        if verdict.status in FAILING and len(self.failing) < SHRUNK:
            self.failing[number] = golden, outcome, verdict
        compared = element_steps(golden.case) if outcome.end is End.STATES else 0
        return Result(number, replace(verdict, seconds=0.0), compared)  # no time: the same campaign has the same result

    def _judged(self, golden: Golden) -> tuple[Outcome, CaseVerdict]:
        outcome = self.run.outcome(golden)
        return outcome, judged(golden, outcome, self.settings.required)

    def shrunk(self, number: int) -> Shrunk:
        """The failing case of a number made small, judged by its truth, and diagnosed."""
        golden, outcome, verdict = self.failing.get(number) or self._failed(number)
        shrinker = Shrinker(self._judged, golden, outcome, verdict)
        small = shrinker.shrunk() if outcome.end is not End.HUNG else golden
        complete = self._complete(small)
        outcome = self.run.outcome(complete)
        verdict = replace(judge(complete, outcome, self.settings.required), seconds=0.0)
        evidence = [*self._evidence(shrinker.passed, Status.PASSED), *self._evidence(shrinker.failed, Status.FAILED)]
        goldens, outcomes, verdicts = zip((complete, outcome, verdict), *evidence)
        enough = sum(each.status is Status.FAILED for each in verdicts) > PROVEN and work(complete.case) <= DIAGNOSED
        diagnoses = _of_one(complete.case.id, diagnose(goldens, outcomes, verdicts, self.settings.required)) if enough else ()
        small_enough = work(complete.case) <= DIAGNOSED and not diagnoses
        leads = leads_of([complete], [outcome], [verdict], (), self.settings.required) if small_enough else ()
        return Shrunk(
            number=number,
            elements=size(complete.case),
            steps=len(complete.case.steps),
            before=(size(golden.case), len(golden.case.steps)),
            tried=shrinker.tried,
            again=verdict.status in FAILING,
            verdict=verdict,
            diagnoses=diagnoses,
            leads=leads,
            theme=pack_theme([complete]),
        )

    def _failed(self, number: int) -> tuple[Golden, Outcome, CaseVerdict]:
        golden = self.golden(number)
        return golden, *self._judged(golden)

    def _complete(self, golden: Golden) -> Golden:
        """A case as a reader of its file gets it, with its expectations and a name of its own."""
        name, kind, slug = golden.case.id.split("/")
        about = f"A random case ({kind}) made as small as possible: what fails in it fails in {golden.case.id}."
        stored = roundtrip(replace(golden, case=replace(golden.case, id=f"{name}/{kind}-{slug}/shrunk", about=about)))
        return replace(stored, expected=truth(stored.case))

    def _evidence(self, candidates: Sequence[tuple[Golden, Outcome]], wanted: Status) -> Iterator[tuple[Golden, Outcome, CaseVerdict]]:
        """Some of the candidates with their truth, each under a name of its own, if that is the verdict on them.

        Of those that passed the last, which differ least from the shrunk case; of those that failed the first, which hold the most.
        """
        small = [each for each in candidates if element_steps(each[0].case) <= FEW and work(each[0].case) <= DIAGNOSED]
        picked = small[-EVIDENCE:] if wanted is Status.PASSED else small[:EVIDENCE]
        for number, (golden, outcome) in enumerate(picked):
            case = replace(golden.case, id=f"{golden.case.id}-{wanted.value}-{number}")
            complete = replace(golden, case=case, expected=expectations(case))
            named = replace(outcome, case_id=case.id)
            verdict = judge(complete, named, self.settings.required)
            if verdict.status is wanted:
                yield complete, named, verdict


def _of_one(case_id: str, diagnoses: Sequence[Diagnosis]) -> tuple[Diagnosis, ...]:
    """The causes that explain every failing case given, as causes of this one case: the other cases serve to refute causes.

    A cause that acts only somewhere was fitted to the few elements that are left, which do not prove where it acts.
    """
    return tuple(
        replace(diagnosis, cases=(case_id,), unexplained=())
        for diagnosis in diagnoses
        if case_id in diagnosis.cases and not diagnosis.unexplained and not diagnosis.where
    )


def _dtypes(name: str, claimed: Capabilities) -> tuple[str, ...]:
    """The dtypes that a backend claims; half precision is only for those who claim it by name."""
    return tuple(dtype for dtype in dialect(name).dtypes if (dtype in claimed.dtypes if claimed.dtypes else dtype not in CLAIMED_BY_NAME))


@contextmanager
def session(settings: Settings) -> Iterator[Session]:
    """Start the backend of a campaign, and end it on exit. Raises UsageError for a dialect that it does not claim."""
    device = settings.device or None
    with run_backend(settings.backend, [], device, dict(settings.options), settings.timeout, 1, settings.python or None) as run:
        for asked in settings.dialects:
            if asked not in run.dialects:
                said = f"it claims {', '.join(run.dialects) or 'no dialect'}"
                raise UsageError(f"{run.name} does not claim {asked}", " ".join(filter(None, (did_you_mean(asked, run.dialects), said))))
        names = tuple(name for name in (settings.dialects or run.dialects) if _dtypes(name, run.dialects[name]))
        if not names:
            raise UsageError(f"{run.name} claims no dialect in {' or '.join(FORMATS)}", "without a dialect there is no case to draw")
        yield Session(run, settings, names, run.dialects)
