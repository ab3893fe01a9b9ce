"""A worker process from the side of the runner: requests with a time limit, and an end that includes all processes it started."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import threading
import time
import weakref
from typing import Any, BinaryIO, cast

from ._channel import CODEC
from ._codec import ChannelError
from ._interpreter import Interpreter
from .outcome import End
from .processes import end, in_words, start

EXIT_GRACE = 3.0
"""Seconds that an idle worker has for what it does at its exit, before it is killed."""

DELIVERY = 1.0
"""Seconds for an answer that was sent before its worker ended: a child may hold the channel open, so its end is not waited for."""

POLL = 0.05
"""Seconds between two checks whether a worker that has not answered is still running."""


class GoneError(Exception):
    """The worker ended, or was ended, instead of answering. end: how the case ended."""

    def __init__(self, end: End, message: str) -> None:
        super().__init__(message)
        self.end, self.message = end, message


class WorkerProcess:
    """A worker process and the two ends of its channel."""

    def __init__(self, interpreter: Interpreter) -> None:
        command = [interpreter.path, "-m", "refimpl.backends._worker"]
        self.process = start(command, subprocess.PIPE, subprocess.PIPE, interpreter.environment)
        self.requests = cast(BinaryIO, self.process.stdin)
        self.replies = cast(BinaryIO, self.process.stdout)
        self._messages: queue.SimpleQueue[tuple[object, int] | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        # A thread exchanges the messages: it may block for as long as any process holds the other end of a pipe.
        arguments = (self.requests, self.replies, self._messages, self._answers)
        threading.Thread(target=_exchange, args=arguments, daemon=True).start()
        self.finalizer = weakref.finalize(self, _end_worker, self.process, self.requests, self.replies, self._messages)

    def ask(self, message: object, seconds: float, limit: int) -> Any:
        """Send a message and wait for its answer of at most so many bytes; where none comes in time, end the worker and raise GoneError."""
        self._messages.put((message, limit))
        deadline = time.monotonic() + seconds
        while True:
            try:
                answer = self._answers.get(timeout=max(min(POLL, deadline - time.monotonic()), 0.001))
                break
            except queue.Empty:
                if self.process.poll() is not None:
                    deadline = min(deadline, time.monotonic() + DELIVERY)
                if time.monotonic() >= deadline:
                    raise self._gone(End.HUNG, f"no answer within {seconds:g} s; the worker was stopped") from None
        if isinstance(answer, ChannelError):
            raise self._gone(End.MISBEHAVED, f"what came on the worker's channel is no message: {answer}", keep_how=True)
        if isinstance(answer, Exception):
            raise self._gone(End.CRASHED, "the worker closed its channel")
        return answer

    def _gone(self, how: End, message: str, keep_how: bool = False) -> GoneError:
        """End the worker. The error reports `how`, or a crash if the worker had ended by itself; keep_how: `how` in any case."""
        if not keep_how and how is End.CRASHED:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(EXIT_GRACE)
        by_itself = self.process.poll() is not None
        end(self.process)
        self.close()
        if by_itself and not keep_how:
            return GoneError(End.CRASHED, in_words(self.process.returncode))
        return GoneError(how, message)

    def close(self) -> None:
        self.finalizer()


def _exchange(
    requests: BinaryIO, replies: BinaryIO, messages: queue.SimpleQueue[tuple[object, int] | None], answers: queue.SimpleQueue[Any]
) -> None:
    """Send each message and read its answer, until there are no more or the first that fails."""
    while (asked := messages.get()) is not None:
        message, limit = asked
        try:
            CODEC.send(requests, message)
            answers.put(CODEC.receive(replies, limit))
        except Exception as error:  # the thread that asked must get any error
            answers.put(error if isinstance(error, (ChannelError, TypeError)) else EOFError(str(error)))
            return


def _end_worker(
    process: subprocess.Popen[bytes], requests: BinaryIO, replies: BinaryIO, messages: queue.SimpleQueue[tuple[object, int] | None]
) -> None:
    """Close the channel, upon which an idle worker ends by itself, and leave no process behind."""
    messages.put(None)
    with contextlib.suppress(OSError):  # what was not sent to a worker that is gone
        requests.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(EXIT_GRACE)
    end(process)
    replies.close()
