"""Running goldens on a backend in worker processes, so that a crash or a hang is the outcome of one case and no more."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence

from ..case import Golden
from ..errors import HarnessError, UsageError
from .channel import Load
from .interpreter import Interpreter
from .lane import Lane
from .load import factory_path
from .outcome import Outcome
from .processes import end
from .protocol import Capabilities, claims


class BackendRun:
    """A backend that is ready to run goldens; iterating over it gives the outcome of each, in order, as soon as it is there.

    Of several jobs, each has a worker of its own and takes every jobs-th golden, so that the same cases follow each other every time.
    """

    def __init__(
        self, spec: str, goldens: Sequence[Golden], options: Mapping[str, str], timeout: float, jobs: int = 1, python: str | None = None
    ) -> None:
        self._goldens = goldens
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
        for lane in self._lanes:
            lane.close()

    def outcome(self, golden: Golden) -> Outcome:
        """What the backend does with one golden, and with its control; a crash or a hang is the outcome of that one alone."""
        return self._lanes[0].outcome(golden)

    def before(self, index: int) -> Sequence[Golden]:
        """The goldens that are run before the one of this index, in the same worker."""
        return self._goldens[index % len(self._lanes) : index : len(self._lanes)]

    def _in_turn(self) -> Iterator[Outcome]:
        for golden in self._goldens:
            yield self.outcome(golden)

    def _at_once(self) -> Iterator[Outcome]:
        given_up = threading.Event()
        results: list[queue.SimpleQueue[Outcome | BaseException]] = [queue.SimpleQueue() for _ in self._lanes]
        threads = [
            threading.Thread(target=self._run_lane, args=(lane, self._goldens[k :: len(self._lanes)], results[k], given_up), daemon=True)
            for k, lane in enumerate(self._lanes)
        ]
        for thread in threads:
            thread.start()
        try:
            for index in range(len(self._goldens)):
                outcome = results[index % len(results)].get()
                if isinstance(outcome, BaseException):
                    raise outcome
                yield outcome
        finally:
            given_up.set()
            for lane in self._lanes:
                if lane.worker is not None and any(thread.is_alive() for thread in threads):
                    end(lane.worker.process)
            for thread in threads:
                thread.join()

    @staticmethod
    def _run_lane(
        lane: Lane, goldens: Sequence[Golden], results: queue.SimpleQueue[Outcome | BaseException], given_up: threading.Event
    ) -> None:
        try:
            for golden in goldens:
                if given_up.is_set():
                    break
                results.put(lane.outcome(golden))
        except BaseException as error:  # it is raised where the outcomes are taken
            results.put(error)
        finally:
            lane.close()


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
