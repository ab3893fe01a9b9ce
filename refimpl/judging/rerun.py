"""Run the smallest failing case again: alone, twice, and if it then passes, once more after the cases before it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ..backends import BackendRun
from ..backends.outcome import End, Outcome
from ..case import Case, Golden
from ..errors import HarnessError
from .compare import judge
from .verdict import OF_RUNS, CaseVerdict, Diagnosis, Rerun, Status

NOT_DETERMINISTIC, ONLY_AFTER = "not-deterministic", "only-after-other-cases"
"""The ids of the causes that running a case again may show."""

ABOUT = {
    NOT_DETERMINISTIC: "the same calls do not give the same results: when the case was run again, it came out otherwise, bit for bit",
    ONLY_AFTER: "the case fails only after other cases: alone in a process of its own it passed, twice, with the same bits; "
    "after the cases before it, it failed again",
}


def run_again(
    run: BackendRun, goldens: Sequence[Golden], outcomes: Sequence[Outcome], verdicts: Sequence[CaseVerdict], required: str
) -> Rerun | None:
    """The result of running the smallest case again that fails by its numbers or an error; None where there is none, or no worker.

    A case that hung is not run again: it would hang again. The backend's worker is replaced before each run.
    """
    failing = [index for index, verdict in enumerate(verdicts) if _is_worth_it(verdict, outcomes[index])]
    if not failing:
        return None
    index = min(failing, key=lambda index: _size(goldens[index].case))
    try:
        return _again(run, goldens[index], run.before(index), required)
    except HarnessError:  # no worker starts any more: the backend's outcomes show that already, or its next run will
        return None


def _again(run: BackendRun, golden: Golden, before: Sequence[Golden], required: str) -> Rerun:
    first, second = (_after(run, [], golden), _after(run, [], golden))
    alone_passes = _passes(golden, first, required) and _passes(golden, second, required)
    deterministic = _same(first, second)
    if alone_passes and deterministic:
        # It may have passed by chance. Only if it fails again after the same cases, these cases are the cause.
        deterministic = not _passes(golden, _after(run, before, golden), required)
    return Rerun(golden.case.id, alone_passes, deterministic)


def _after(run: BackendRun, before: Sequence[Golden], golden: Golden) -> Outcome:
    """The outcome of a golden in a new worker that has run these cases before it."""
    run.close()
    for other in before:
        run.outcome(other)
    outcome = run.outcome(golden)
    run.close()
    return outcome


def causes(rerun: Rerun | None) -> Iterator[Diagnosis]:
    """The causes that a rerun has shown, for that one case."""
    if rerun is not None and not rerun.deterministic:
        yield Diagnosis(deviations=(NOT_DETERMINISTIC,), about=ABOUT[NOT_DETERMINISTIC], cases=(rerun.case_id,), family=OF_RUNS)
    elif rerun is not None and rerun.alone_passes:
        yield Diagnosis(deviations=(ONLY_AFTER,), about=ABOUT[ONLY_AFTER], cases=(rerun.case_id,), family=OF_RUNS)


def _is_worth_it(verdict: CaseVerdict, outcome: Outcome) -> bool:
    return (verdict.mismatch is not None or verdict.status is Status.ERROR) and outcome.end is not End.HUNG


def _size(case: Case) -> int:
    return len(case.steps) * sum(math.prod(param.value.shape) for param in case.params)


def _passes(golden: Golden, outcome: Outcome, required: str) -> bool:
    return judge(golden, outcome, required).status is Status.PASSED


def _same(first: Outcome, second: Outcome) -> bool:
    """Whether two outcomes are the same: how they ended, and every bit of the states."""
    return first.end is second.end and _bits(first) == _bits(second)


def _bits(outcome: Outcome) -> dict[tuple[str, str], bytes]:
    return {(name, array): value.tobytes() for name, arrays in outcome.states.items() for array, value in arrays.items()}
