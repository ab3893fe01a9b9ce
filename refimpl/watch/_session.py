"""A run that is watched: what was judged so far, and what happens when a call is wrong: it is named, saved, and said at once."""

from __future__ import annotations

import warnings
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..arithmetic import CLASSES, CPU_CLASS
from ..backends.outcome import Outcome
from ..case import Golden
from ..common.text import first_few
from ..errors import NOT_CONFORMANT, RefimplError, UsageError, did_you_mean
from ..gradients import Array
from ..judging.compare import judge
from ..judging.diagnose import diagnose
from ..judging.verdict import CaseVerdict, Diagnosis
from ..report.mismatch import place_and_facts
from ._judge import Judgement, format_of, golden_of, judge_call
from ._ranks import AllRanks
from ._step import Watched

SAVED = 16
"""Calls that are kept as vectors, of those that fail."""

DIAGNOSED = 2
"""Failing calls after which causes are searched for: the second tells causes apart that agree in the first."""

WARNED = 3
"""Failing calls that are warned of; the report has all of them."""

ROWS, PARAMS = 8, 8
"""Rows of a parameter, and parameters, that a saved call has of those that are right, beside as many of the wrong ones."""

CONTROLS = (1, 2, 3)
"""Calls in which the proof also looks at elements that are cleared; and every CONTROL_EVERY-th."""

CONTROL_EVERY = 100


class WatchWarning(UserWarning):
    """A watched call is wrong, or the state changed between two calls."""


class WatchError(RefimplError):
    """A watched call is wrong, and `on_failure` is "raise"."""

    exit_code = NOT_CONFORMANT


@dataclass(frozen=True, eq=False)
class Failure:
    """A call that is wrong. words: what is wrong; golden, outcome, verdict: the call as a vector, where numbers are wrong."""

    number: int
    words: tuple[str, ...]
    golden: Golden | None = None
    outcome: Outcome | None = None
    verdict: CaseVerdict | None = None
    saved: str = ""

    def __str__(self) -> str:
        return "\n".join(self.words)


Reaction = str | Callable[[Failure], object]


@dataclass(eq=False)
class Session:
    """What is known of a run: the one thing here that changes from call to call.

    subject: what is watched, in words; on_failure: "warn", "raise" or a function of a Failure; save: a directory for vectors of the calls
    that are wrong. Raises UsageError for an `on_failure` that is none of these.
    """

    subject: str
    required: str = CPU_CLASS
    on_failure: Reaction = "warn"
    save: Path | None = None
    calls: int = 0
    judgements: list[Judgement] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    causes: tuple[Diagnosis, ...] = ()
    dialects: set[str] = field(default_factory=set)
    failing: int = 0
    ranks: AllRanks | None = None
    _right: deque[Watched] = field(default_factory=lambda: deque(maxlen=1))

    def __post_init__(self) -> None:
        if not callable(self.on_failure) and self.on_failure not in ("warn", "raise"):
            raise UsageError(f"on_failure is {self.on_failure!r}", 'give "warn", "raise" or a function that takes a failure')

    def note(self, words: str) -> None:
        """Something that is no fault, and that the report must say."""
        self.notes[words] += 1

    def judge(self, watched: Watched) -> Judgement:
        """What is found in a call, which `take` then records."""
        number = len(self.judgements) + 1
        return judge_call(watched, self.required, number in CONTROLS or number % CONTROL_EVERY == 0)

    def take(self, watched: Watched, judgement: Judgement) -> None:
        """Record a call, and react if it is wrong."""
        self.judgements.append(judgement)
        self.dialects.add(watched.dialect)
        for words in watched.notes:
            self.note(words)
        if judgement.failed:
            self._fail(watched, judgement)
        else:
            self._right.append(watched)

    def _fail(self, watched: Watched, judgement: Judgement) -> None:
        self.failing += 1
        failure = self._failure(watched, judgement) if len(self.failures) < SAVED else None
        if failure is None:
            return
        self.failures.append(failure)
        if failure.golden is not None and self.save is not None:
            from ._saving import save

            save(self.save, [known for known in self.failures if known.golden is not None])
        self._react(failure)

    def _react(self, failure: Failure) -> None:
        """Do what `on_failure` says."""
        if callable(self.on_failure):
            self.on_failure(failure)
        elif self.on_failure == "raise":
            raise WatchError(str(failure), self._hint(failure))
        elif len(self.failures) <= WARNED:
            warnings.warn(WatchWarning(f"{failure}\n{self._hint(failure)}".rstrip()), stacklevel=2)

    def change(self, words: str, reaction: Reaction) -> None:
        """React to a state that changed between two calls."""
        failure = Failure(self.calls, (words,))
        if callable(reaction):
            reaction(failure)
        elif reaction == "raise":
            raise WatchError(words, "nothing but the optimizer may change its state, or say on_change='note'")
        else:
            warnings.warn(WatchWarning(words), stacklevel=2)

    def _hint(self, failure: Failure) -> str:
        if failure.golden is None:
            return ""
        if self.save is None:
            return "Watch(..., save=DIR) keeps such calls as vectors"
        return f"refimpl explain {failure.golden.case.id} --vectors {self.save}"

    def _failure(self, watched: Watched, judgement: Judgement) -> Failure:
        head = f"call {watched.number} of {self.subject} is not what {watched.dialect} gives"
        words = [head, *(fact.words for fact in judgement.facts)]
        if not judgement.failing:
            return Failure(watched.number, tuple(words))
        chosen = reported(watched, judgement)
        golden, outcome = golden_of(watched, chosen, f"call-{watched.number}", f"Call {watched.number} of a run that was watched.")
        verdict = judge(golden, outcome, self.required)
        if verdict.mismatch is not None:
            index = verdict.mismatch.index
            (sample,) = (sample for sample in watched.samples if sample.name == verdict.mismatch.param)
            row = int(sample.places[chosen[sample.name][index[0] if index else 0]])
            unit = "element" if sample.dense else "row"
            words += [*place_and_facts(verdict.mismatch).split("\n"), f"in the parameter this is {unit} {row}"]
        failure = Failure(watched.number, tuple(words), golden, outcome, verdict)
        if sum(known.golden is not None for known in self.failures) >= DIAGNOSED:
            return failure
        self.causes = self._causes(failure)
        named = [stated(cause) for cause in self.causes if golden.case.id in cause.cases]
        return replace(failure, words=(*words, *(named or ["no known cause"])))

    def _causes(self, failure: Failure) -> tuple[Diagnosis, ...]:
        """The causes of the calls that are wrong, which the last right call may refute."""
        wrong = [known for known in self.failures if known.golden is not None] + [failure]
        goldens = [known.golden for known in wrong if known.golden is not None]
        outcomes = [known.outcome for known in wrong if known.outcome is not None]
        verdicts = [known.verdict for known in wrong if known.verdict is not None]
        for watched in self._right:
            golden, outcome = golden_of(watched, context(watched, {}), f"right-{watched.number}", "The last call that was right.")
            goldens.append(golden)
            outcomes.append(outcome)
            verdicts.append(judge(golden, outcome, self.required))
        return diagnose(goldens, outcomes, verdicts, self.required)


def stated(cause: Diagnosis) -> str:
    also = f" (these calls cannot tell it from {first_few(cause.also)})" if cause.also else ""
    return f"CAUSE {cause.name}: {cause.about}{also}"


def reported(watched: Watched, judgement: Judgement) -> dict[str, Array]:
    """The rows that a saved call has: some of those outside their bound, and some right ones around them."""
    failing = {name: rows[:ROWS] for name, rows in list(judgement.failing.items())[:PARAMS]}
    return context(watched, failing)


def context(watched: Watched, chosen: dict[str, Array]) -> dict[str, Array]:
    """The chosen rows, a few more of their parameters, and a few of others, whose count or settings may have been used.

    All of them are computed in the format of the first one that is chosen, as a case has one format. Of each group the first and the last
    parameter that have a gradient, and some parameters that have none.
    """
    first = next((sample for sample in watched.samples if sample.name in chosen), watched.samples[0])
    alike = [sample for sample in watched.samples if format_of(watched, sample) == format_of(watched, first)]
    active = [sample for sample in alike if sample.gradient is not None]
    idle = [sample.name for sample in alike if sample.gradient is None]
    wanted = dict.fromkeys(sample.name for sample in alike if sample.name in chosen)
    for group in dict.fromkeys(sample.group for sample in active):
        members = [sample.name for sample in active if sample.group == group]
        wanted |= dict.fromkeys((members[0], members[-1]))
    for name in (*(sample.name for sample in active), *idle[:2]):
        if len(wanted) < PARAMS:
            wanted.setdefault(name)
    rows: dict[str, Array] = {}
    for sample in watched.samples:
        if sample.name in wanted and len(sample.places):
            own = chosen.get(sample.name, np.zeros(0, np.int64))
            last = np.arange(len(sample.places))[-2:]  # where rows are not stored, they stand last
            rows[sample.name] = np.unique(np.concatenate([own, np.arange(min(ROWS, len(sample.places))), last])).astype(np.int64)
    return rows


def check_options(every: int, sample: int | None, require: str | None) -> None:
    """Raise UsageError for numbers of calls or elements below 1, and for a numerics class that there is not."""
    if every < 1 or (sample is not None and sample < 1):
        raise UsageError(f"every={every}, sample={sample}", "give numbers from 1 on, or sample=None for every element")
    if require is not None and require not in CLASSES:
        raise UsageError(f"require={require!r} is no numerics class", did_you_mean(require, CLASSES) or ", ".join(CLASSES))


def known(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a session, a directory as a Path."""
    save = options.get("save")
    return {**options, "save": None if save is None else Path(save)}
