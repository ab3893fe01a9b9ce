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
from ._lane import Lane
from ._load import factory_path
from ._protocol import Capabilities, claims
from .outcome import Outcome
from .processes import end

COST_OF_CASE = 10
"""What a case takes beside its steps, in steps."""


class BackendRun:
    """A backend that is ready to run goldens; iterating over it gives the outcome of each, in order, as soon as it is there.

    Of several jobs, each has a worker of its own; the same cases follow each other in it every time.
    """

    def __init__(
        self, spec: str, goldens: Sequence[Golden], options: Mapping[str, str], timeout: float, jobs: int = 1, python: str | None = None
    ) -> None:
        self._goldens = goldens
        self._threads: list[_LaneThread] = []
        load, interpreter = Load(factory_path(spec), dict(options)), Interpreter.of(python)
        self._lanes = [Lane(load, spec, timeout, interpreter) for _ in range(jobs)]
        ready = self._lanes[0].ready_worker()[1]
        self.name: str = str(ready.name)
        self.version: str = str(ready.version)
        try:
            self.dialects: Mapping[str, Capabilities] = claims(ready.dialects)
        except (UsageError, TypeError, ValueError) as error:
            self.close()
            raise HarnessError(f"the worker of {spec} sent a claim that cannot be read: {error}") from None
        self._threads = [_LaneThread(lane, True) for lane in self._lanes] if jobs > 1 else []

    def __iter__(self) -> Iterator[Outcome]:
        try:
            yield from self._in_turn() if len(self._lanes) == 1 else self._at_once()
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
        for lane in self._lanes:
            lane.close()
        self._threads = []

    def outcome(self, golden: Golden) -> Outcome:
        """What the backend does with one golden, and with its control; a crash or a hang is the outcome of that one alone."""
        return self._lanes[0].outcome(golden)

    def before(self, index: int) -> Sequence[Golden]:
        """The goldens that are run before the one of this index, in the same worker."""
        lanes = self._lane_of_each()
        return [golden for golden, lane in zip(self._goldens[:index], lanes) if lane == lanes[index]]

    def _lane_of_each(self) -> list[int]:
        """Which lane runs each golden: the one that has been given the least so far. It depends on nothing that varies from run to run."""
        loads = [0.0] * len(self._lanes)
        lanes = []
        for golden in self._goldens:
            lanes.append(loads.index(min(loads)))
            loads[lanes[-1]] += COST_OF_CASE + len(golden.case.steps)
        return lanes

    def _in_turn(self) -> Iterator[Outcome]:
        for golden in self._goldens:
            yield self.outcome(golden)

    def _at_once(self) -> Iterator[Outcome]:
        threads = self._threads or [_LaneThread(lane, False) for lane in self._lanes]
        self._threads = []
        lanes = self._lane_of_each()
        for k, thread in enumerate(threads):
            thread.goldens.put([golden for golden, lane in zip(self._goldens, lanes) if lane == k])
        try:
            for lane in lanes:
                outcome = threads[lane].results.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                yield outcome
        finally:
            for thread in threads:
                thread.give_up()


class _LaneThread(threading.Thread):
    """A thread that runs the goldens of a lane. It lives as long as the lane's workers: they end with the thread that started them."""

    def __init__(self, lane: Lane, ahead: bool) -> None:
        """ahead: whether a worker is started before there are goldens."""
        super().__init__(daemon=True)
        self.goldens: queue.SimpleQueue[Sequence[Golden]] = queue.SimpleQueue()
        self.results: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
        self._lane, self._ahead, self._given_up = lane, ahead, threading.Event()
        self.start()

    def run(self) -> None:
        try:
            if self._ahead and self._lane.worker is None:
                with contextlib.suppress(RefimplError):  # it will be tried again, and told, where a case needs it
                    self._lane.ready_worker()
            for golden in self.goldens.get():
                if self._given_up.is_set():
                    break
                self.results.put(self._lane.outcome(golden))
        except BaseException as error:  # it is raised where the outcomes are taken
            self.results.put(error)
        finally:
            self._lane.close()

    def give_up(self) -> None:
        """Let no further golden be run, end the one that is, and wait for the thread."""
        self._given_up.set()
        self.goldens.put(())
        worker = self._lane.worker
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
    given = {**(options or {}), **({} if device is None else {"device": device})}
    return BackendRun(spec, goldens, given, timeout, jobs, python)
