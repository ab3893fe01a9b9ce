"""Running goldens on a backend in a worker process, so that a crash or a hang is the outcome of one case and no more."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, cast

from ..case import Golden
from ..errors import HarnessError, RefimplError, UsageError
from .channel import Failed, Load, Ready, receive, send
from .load import factory_path
from .outcome import End, Outcome
from .protocol import Capabilities
from .refusals import run_with_control

STARTUP = 120.0
"""Seconds that a worker may take to import and make the backend, beside the time limit of a case."""

ATTEMPTS = 5
"""After so many crashes in a row before a worker is ready, the run is given up."""

FAREWELL = 10.0
"""Seconds that an idle worker has for what it does at its exit, before it is killed."""


class _GoneError(Exception):
    """The worker ended, or was ended, instead of answering. end: End.CRASHED or End.HUNG."""

    def __init__(self, end: End, message: str) -> None:
        super().__init__(message)
        self.end, self.message = end, message


class _Worker:
    """A worker process and the two ends of its channel."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "refimpl.backends.worker"]
        # A session of its own: what the backend forks is killed with it, and a Ctrl-C is the runner's to handle.
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        self.requests = cast(BinaryIO, self.process.stdin)
        self.replies = cast(BinaryIO, self.process.stdout)
        self.finalizer = weakref.finalize(self, _farewell, self.process, self.requests, self.replies)

    def ask(self, message: object, limit: float) -> Any:
        """Send a message and wait for its answer; raises _GoneError, and ends the worker, where there is none within the limit."""
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            kill(self.process)

        timer = threading.Timer(limit, expire)
        timer.start()
        try:
            send(self.requests, message)
            return receive(self.replies)
        except (EOFError, OSError):
            raise self._gone(expired, limit) from None
        finally:
            timer.cancel()
            timer.join()

    def _gone(self, expired: threading.Event, limit: float) -> _GoneError:
        self.close()
        code = self.process.returncode
        if expired.is_set() and code == KILLED:
            return _GoneError(End.HUNG, f"no answer within {limit:g} s; the worker was stopped")
        return _GoneError(End.CRASHED, in_words(code))

    def close(self) -> None:
        self.finalizer()


KILLED = -signal.SIGKILL if os.name == "posix" else 1  # what TerminateProcess leaves elsewhere


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group of its own, and all that it has started."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError):  # it ended in the meantime
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def _farewell(process: subprocess.Popen[bytes], requests: BinaryIO, replies: BinaryIO) -> None:
    """Close the channel, upon which an idle worker ends by itself, and leave no process behind."""
    with contextlib.suppress(OSError):  # what was not sent to a worker that is gone
        requests.close()
    try:
        process.wait(FAREWELL)
    except subprocess.TimeoutExpired:
        kill(process)
        process.wait()
    replies.close()


def in_words(code: int) -> str:
    """How a process ended, by its exit status; below zero it names a signal."""
    if code >= 0:
        return f"the process ended by itself with exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # real-time signals have numbers, no names
        name = f"signal {-code}"
    return f"killed by {name}" + (" (the system does so when memory runs out)" if name == "SIGKILL" else "")


class BackendRun:
    """A backend that is ready to run goldens; iterating over it gives the outcome of each, in order, as soon as it is there."""

    def __init__(self, spec: str, goldens: Sequence[Golden], options: Mapping[str, str], timeout: float) -> None:
        self._load = Load(factory_path(spec), dict(options))
        self._spec, self._goldens, self._timeout = spec, goldens, timeout
        self._worker: _Worker | None = None
        ready = self._ready_worker()[1]
        self.name: str = ready.name
        self.version: str = ready.version
        self.dialects: Mapping[str, Capabilities] = ready.dialects

    def __iter__(self) -> Iterator[Outcome]:
        try:
            for golden in self._goldens:
                yield self.outcome(golden)
        finally:
            self.close()

    def __enter__(self) -> BackendRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the worker; a later iteration starts another."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def outcome(self, golden: Golden) -> Outcome:
        """What the backend does with one golden, and with its control; a crash or a hang is the outcome of that one alone."""
        return run_with_control(golden, self._answer)

    def _answer(self, golden: Golden) -> Outcome:
        worker = self._worker or self._ready_worker()[0]
        began = time.perf_counter()
        try:
            outcome: Outcome = worker.ask(golden, self._timeout)
        except _GoneError as gone:
            self._worker = None
            return Outcome(golden.case.id, gone.end, message=gone.message, seconds=time.perf_counter() - began)
        except BaseException:  # an interrupt, or a message that cannot be read: the worker is in no known state
            self._abandon(worker)
            raise
        return outcome

    def _abandon(self, worker: _Worker) -> None:
        kill(worker.process)
        worker.close()
        self._worker = None

    def _ready_worker(self) -> tuple[_Worker, Ready]:
        for attempt in range(1, ATTEMPTS + 1):
            worker = _Worker()
            try:
                answer = worker.ask(self._load, STARTUP)
            except _GoneError as gone:
                if attempt == ATTEMPTS or gone.end is End.HUNG:
                    raise HarnessError(f"no worker for the backend {self._spec}: {gone.message} (attempt {attempt})") from None
                continue
            except BaseException:
                self._abandon(worker)
                raise
            if isinstance(answer, Failed):
                worker.close()
                raise FAILURES[answer.exit_code](answer.message, answer.hint)
            self._worker = worker
            return worker, answer
        raise AssertionError("unreachable: the last attempt returns or raises")


FAILURES: dict[int, type[RefimplError]] = {error.exit_code: error for error in (UsageError, HarnessError)}


def run_backend(
    spec: str, goldens: Sequence[Golden], device: str | None = None, options: Mapping[str, str] | None = None, timeout: float = 60.0
) -> BackendRun:
    """Start a backend: a built-in name or `package.module:factory`, called with the options (and the device, where one is given).

    timeout: seconds per case. Raises UsageError or HarnessError where the backend cannot be made.
    """
    given = {**(options or {}), **({} if device is None else {"device": device})}
    return BackendRun(spec, goldens, given, timeout)
