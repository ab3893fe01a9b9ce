"""Judge every outcome as soon as it exists, and search for the causes of the failures at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import closing
from typing import TextIO

from ..arithmetic import ACCELERATOR_CLASS, CPU_CLASS
from ..backends.outcome import Outcome
from ..case import Golden
from ..common.progress import Progress
from ..errors import HarnessError
from ..judging.compare import judge
from ..judging.diagnose import diagnose, leads_of
from ..judging.error_profiles import profiles
from ..judging.rerun import causes as rerun_causes
from ..judging.rerun import run_again
from ..judging.verdict import CaseVerdict, Report, Status
from ..report.conclusion import FAILURES
from ..report.terminal import headline
from .subject import Judged

ACCELERATORS = ("cuda", "npu", "ascend", "gpu", "hip", "rocm", "xpu", "mps", "tpu", "mlu", "musa")
"""The beginnings of the names of devices whose division and square root are not faithful (see --require)."""


def default_class(device: str | None) -> str:
    """The class that conformance requires on a device."""
    return ACCELERATOR_CLASS if (device or "").lower().startswith(ACCELERATORS) else CPU_CLASS


def examine(
    judged: Judged,
    required: str,
    profiled: bool = False,
    fail_fast: bool = False,
    is_waived: Callable[[str], bool] = lambda case_id: False,
    stream: TextIO | None = None,
) -> Report:
    """Judge every outcome, and look for the causes of the failures. Cases that cannot be built here count as unsupported.

    profiled: the report shows for every failure where its arrays are wrong; fail_fast: stop after the first failure that is not
    waived; stream: where progress and each failure are shown (default: standard error).
    """
    goldens, outcomes, verdicts = _taken(judged, required, fail_fast, is_waived, sys.stderr if stream is None else stream)
    unreadable = (CaseVerdict(id, Status.UNSUPPORTED, reason=reason) for id, reason in judged.vectors.unreadable)
    rerun = run_again(judged.run, goldens, outcomes, verdicts, required) if judged.run else None
    causes = diagnose(goldens, outcomes, verdicts, required)
    leads = leads_of(goldens, outcomes, verdicts, causes, required)
    wrong = {
        verdict.case_id: profiles(golden, outcome, required)
        for golden, outcome, verdict in zip(goldens, outcomes, verdicts)
        if profiled and verdict.mismatch
    }
    return Report(
        backend=judged.name,
        version=judged.version,
        device="",
        required=required,
        vectors="",
        verdicts=(*verdicts, *unreadable),
        diagnoses=(*causes, *rerun_causes(rerun)),
        failure=judged.failure,
        profiles=wrong,
        rerun=rerun,
        leads=leads,
        not_run=len(judged.vectors.goldens) - len(goldens),
    )


def _taken(
    judged: Judged, required: str, fail_fast: bool, is_waived: Callable[[str], bool], stream: TextIO
) -> tuple[list[Golden], list[Outcome], list[CaseVerdict]]:
    """The cases that were run, their outcomes and their verdicts."""
    goldens = list(judged.vectors.goldens)
    outcomes: list[Outcome] = []
    verdicts: list[CaseVerdict] = []
    stopped = False
    with Progress(len(goldens), stream) as progress, closing(_each(judged)) as each:
        for outcome in each:
            if len(outcomes) == len(goldens) or outcome.case_id != goldens[len(outcomes)].case.id:
                raise _odd(judged, len(outcomes) + 1)
            verdict = judge(goldens[len(outcomes)], outcome, required)
            outcomes.append(outcome)
            verdicts.append(verdict)
            failed = verdict.status in FAILURES and not is_waived(verdict.case_id)
            progress.advance(failed)
            if failed:
                progress.say(headline(verdict))
            if failed and fail_fast:
                stopped = True
                break
    if len(outcomes) < len(goldens) and not stopped:
        raise _odd(judged, len(outcomes))
    return goldens[: len(outcomes)], outcomes, verdicts


def _each(judged: Judged) -> Generator[Outcome, None, None]:
    """The outcomes as a generator, since a generator can be closed, and closes what it iterates over."""
    yield from judged.outcomes


def _odd(judged: Judged, count: int) -> HarnessError:
    message = f"{judged.name}: {count} outcomes for {len(judged.vectors.goldens)} cases, or in another order"
    return HarnessError(message, "this is an error of refimpl")
