"""A job: runs some of the cases one after another in a worker, and starts a new worker where one has ended."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..case import ARRAYS, Case, Golden
from ..errors import HarnessError, RefimplError, UsageError
from ..vectors.inputs import without_answers
from ._channel import UNREAD, Answer, Failed, Load, Ready, Request
from ._interpreter import Interpreter
from ._states import problems
from ._worker_process import GoneError, WorkerProcess
from .outcome import End, Outcome, Raised
from .processes import end
from .refusals import run_with_control

STARTUP = 120.0
"""Seconds that a worker may take to import and make the backend. The time limit of a case does not include them."""

ATTEMPTS = 5
"""The run is given up after this many workers in a row that crashed before they were ready."""

OVERHEAD = 1 << 20
"""Bytes that an answer may have beyond those of its arrays."""

FAILURES: dict[int, type[RefimplError]] = {error.exit_code: error for error in (UsageError, HarnessError)}


@dataclass
class Job:
    """Some of the cases, and the worker that runs them. worker: None before the first case, and after a worker has ended."""

    load: Load
    spec: str
    timeout: float
    interpreter: Interpreter
    worker: WorkerProcess | None = None
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def ready_worker(self) -> tuple[WorkerProcess, Ready]:
        for attempt in itertools.count(1):
            worker = WorkerProcess(self.interpreter)
            try:
                answer = worker.ask(self.load, STARTUP, OVERHEAD)
            except GoneError as gone:
                if attempt >= ATTEMPTS or gone.end is not End.CRASHED:
                    raise HarnessError(f"no worker for the backend {self.spec}: {gone.message} (attempt {attempt})") from None
                continue
            except BaseException:
                end(worker.process)
                raise
            if isinstance(answer, Failed):
                worker.close()
                raise FAILURES.get(answer.exit_code, HarnessError)(answer.message, answer.hint)
            if not isinstance(answer, Ready):
                end(worker.process)
                raise HarnessError(f"no worker for the backend {self.spec}: it answered with a {type(answer).__name__}")
            self.worker = worker
            return worker, answer
        raise AssertionError("unreachable: the last attempt returns or raises")

    def outcome(self, golden: Golden) -> Outcome:
        return run_with_control(golden, self._answer)

    def _answer(self, golden: Golden) -> Outcome:
        worker = self.worker or self.ready_worker()[0]
        request = Request(next(self.numbers), without_answers(golden))
        began = time.perf_counter()
        try:
            answer = worker.ask(request, self.timeout, _most_bytes(request.golden.case))
        except GoneError as gone:
            self.worker = None
            return Outcome(golden.case.id, gone.end, message=gone.message, seconds=time.perf_counter() - began)
        except BaseException:  # an interrupt: the worker is in no known state
            end(worker.process)
            self.worker = None
            raise
        if isinstance(answer, Answer) and answer.number == UNREAD and isinstance(answer.outcome, Outcome) and not answer.outcome.states:
            return Outcome(golden.case.id, End.UNSUPPORTED, message=str(answer.outcome.message))
        wrong = _forged(answer, request)
        if wrong:
            end(worker.process)
            self.worker = None
            message = f"what came on the worker's channel is not refimpl's answer: {wrong}"
            return Outcome(golden.case.id, End.MISBEHAVED, message=message, seconds=time.perf_counter() - began)
        outcome: Outcome = answer.outcome
        return outcome

    def close(self) -> None:
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.close()


def _most_bytes(case: Case) -> int:
    """What the states of a case can take: every array at every recorded step, in doubles."""
    return OVERHEAD + 8 * len(ARRAYS) * len(case.record) * sum(param.value.size for param in case.params)


def _forged(answer: Any, request: Request) -> str:
    """Why an answer is not one that the worker gives to this request, "" where it may be: the backend shares its process."""
    if not isinstance(answer, Answer) or answer.number != request.number or not isinstance(answer.outcome, Outcome):
        return f"a {type(answer).__name__} to another request"
    outcome, case = answer.outcome, request.golden.case
    if outcome.case_id != case.id or not isinstance(outcome.end, End) or not isinstance(outcome.message, str):
        return "an outcome of another case"
    if outcome.control is not None or not isinstance(outcome.seconds, float) or not _are_words(outcome.changed):
        return "an outcome with unknown parts"
    if outcome.raised is not None and not (isinstance(outcome.raised, Raised) and _are_words(outcome.raised.kinds)):
        return "an error of no kind"
    if outcome.end is not End.STATES:
        return "states of a case that gave none" if outcome.states else ""
    states: Any = outcome.states  # of any type, before it has been looked at
    if not isinstance(states, Mapping):
        return "states that are none"
    return "; ".join(problems(states, case, (len(case.record),), lambda dtype: (dtype,)))


def _are_words(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(word, str) for word in value)
