"""Running goldens on a backend in worker processes, so that a crash or a hang is the outcome of one case and no more."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence

from ..case import Golden
from ..errors import HarnessError, RefimplError, UsageError
from ._channel import Load
from ._interpreter import Interpreter
from ._job import Job
from ._load import factory_path
from ._protocol import Capabilities, claims
from .outcome import Outcome
from .processes import end

COST_OF_CASE = 10
"""The work that a case takes beyond its steps, counted in steps."""


class BackendRun:
    """A backend that is ready to run goldens; iterating over it gives the outcome of each, in order, as soon as it is there.

    Each job has a worker of its own, and runs the same cases in the same order every time.
    """

    def __init__(
        self, spec: str, goldens: Sequence[Golden], options: Mapping[str, str], timeout: float, jobs: int = 1, python: str | None = None
    ) -> None:
        self._goldens = goldens
        self._threads: list[_JobThread] = []
        load, interpreter = Load(factory_path(spec), dict(options)), Interpreter.of(python)
        self._jobs = [Job(load, spec, timeout, interpreter) for _ in range(jobs)]
        ready = self._jobs[0].ready_worker()[1]
        self.name: str = str(ready.name)
        self.version: str = str(ready.version)
        try:
            self.dialects: Mapping[str, Capabilities] = claims(ready.dialects)
        except (UsageError, TypeError, ValueError) as error:
            self.close()
            raise HarnessError(f"the worker of {spec} sent a claim that cannot be read: {error}") from None
        self._threads = [_JobThread(job, True) for job in self._jobs] if jobs > 1 else []

    def __iter__(self) -> Iterator[Outcome]:
        try:
            yield from self._in_turn() if len(self._jobs) == 1 else self._at_once()
        finally:
            self.close()

    def __enter__(self) -> BackendRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers; a later iteration starts others."""
        for thread in self._threads:
            thread.give_up()
        for job in self._jobs:
            job.close()
        self._threads = []

    def outcome(self, golden: Golden) -> Outcome:
        """What the backend does with one golden, and with its control; a crash or a hang is the outcome of that one alone."""
        return self._jobs[0].outcome(golden)

    def before(self, index: int) -> Sequence[Golden]:
        """The goldens that are run before the one of this index, in the same worker."""
        numbers = self._job_of_each()
        return [golden for golden, number in zip(self._goldens[:index], numbers) if number == numbers[index]]

    def _job_of_each(self) -> list[int]:
        """The index of the job that runs each golden: the job with the least work so far. The assignment is the same in every run."""
        loads = [0.0] * len(self._jobs)
        numbers = []
        for golden in self._goldens:
            numbers.append(loads.index(min(loads)))
            loads[numbers[-1]] += COST_OF_CASE + len(golden.case.steps)
        return numbers

    def _in_turn(self) -> Iterator[Outcome]:
        for golden in self._goldens:
            yield self.outcome(golden)

    def _at_once(self) -> Iterator[Outcome]:
        threads = self._threads or [_JobThread(job, False) for job in self._jobs]
        self._threads = []
        numbers = self._job_of_each()
        for k, thread in enumerate(threads):
            thread.goldens.put([golden for golden, number in zip(self._goldens, numbers) if number == k])
        try:
            for number in numbers:
                outcome = threads[number].results.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                yield outcome
        finally:
            for thread in threads:
                thread.give_up()


class _JobThread(threading.Thread):
    """A thread that runs the goldens of a job. It runs as long as the job's workers: a worker ends with the thread that started it."""

    def __init__(self, job: Job, ahead: bool) -> None:
        """ahead: whether to start a worker before there are goldens."""
        super().__init__(daemon=True)
        self.goldens: queue.SimpleQueue[Sequence[Golden]] = queue.SimpleQueue()
        self.results: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
        self._job, self._ahead, self._given_up = job, ahead, threading.Event()
        self.start()

    def run(self) -> None:
        try:
            if self._ahead and self._job.worker is None:
                with contextlib.suppress(RefimplError):  # the first case starts a worker again, and reports the error
                    self._job.ready_worker()
            for golden in self.goldens.get():
                if self._given_up.is_set():
                    break
                self.results.put(self._job.outcome(golden))
        except BaseException as error:  # it is raised where the outcomes are taken
            self.results.put(error)
        finally:
            self._job.close()

    def give_up(self) -> None:
        """Start no further golden, end the worker of the one that runs, and wait for the thread."""
        self._given_up.set()
        self.goldens.put(())
        worker = self._job.worker
        if worker is not None and self.is_alive() and self.results.empty():
            end(worker.process)
        self.join()


def run_backend(
    spec: str,
    goldens: Sequence[Golden],
    device: str | None = None,
    options: Mapping[str, str] | None = None,
    timeout: float = 60.0,
    jobs: int = 1,
    python: str | None = None,
) -> BackendRun:
    """Start a backend: a built-in name or `package.module:factory`, called with the options (and the device, where one is given).

    timeout: seconds per case; jobs: workers at once; python: the interpreter of another environment, which needs NumPy and PyYAML.
    Raises UsageError or HarnessError where the backend cannot be made.
    """
    factory_options = {**(options or {}), **({} if device is None else {"device": device})}
    return BackendRun(spec, goldens, factory_options, timeout, jobs, python)
