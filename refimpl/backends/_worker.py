"""The worker: a process that makes a backend and runs the cases on it that the runner sends, one by one.

The channel is the standard input and output of the process, replaced before any of the backend's code runs: what a backend
prints goes to standard error. It imports NumPy and PyYAML and what the backend itself needs, nothing else.
"""

from __future__ import annotations

import atexit
import contextlib
import faulthandler
import os
import signal
import sys
import warnings
from typing import Any, BinaryIO

from ..errors import RefimplError
from ._channel import CODEC, UNREAD, Answer, Failed, Load, Ready, Request
from ._load import load_backend
from ._protocol import claims
from .execute import execute
from .outcome import End, Outcome
from .processes import end_with_parent

NO_LIMIT = 1 << 62
"""Bytes of a message from the runner, which is trusted."""


def main() -> None:
    """Serve until the runner closes the channel."""
    requests, replies = _take_channel()
    if hasattr(os, "register_at_fork"):  # a forked child must not answer in place of this process, nor keep the channel open
        os.register_at_fork(after_in_child=lambda: _close(requests, replies))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell ignores it, and the worker would inherit that
    end_with_parent()  # elsewhere than on Linux it ends at its next reading
    _show_each_warning_once()
    faulthandler.enable()  # a crash says on standard error which line of the backend it was in
    if os.getcwd() not in sys.path and "" not in sys.path:  # PYTHONSAFEPATH leaves it out
        sys.path.insert(0, os.getcwd())
    try:
        _serve(requests, replies)
    except (EOFError, BrokenPipeError):  # the runner has closed the channel, or is gone
        _leave()


def _leave() -> None:
    """Run the exit functions and end this process without the shutdown of the interpreter, which takes a second with PyTorch."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # the backend may have closed or replaced them
            stream.flush()
    os._exit(0)


def _serve(requests: BinaryIO, replies: BinaryIO) -> None:
    load: Load = CODEC.receive(requests, NO_LIMIT)
    try:
        backend = load_backend(load.factory, load.options)
    except RefimplError as error:
        CODEC.send(replies, Failed(error.exit_code, error.message, error.hint))
        return
    CODEC.send(replies, Ready(str(backend.name), str(backend.version), claims(backend.dialects)))
    while True:
        try:
            request: Request = CODEC.receive(requests, NO_LIMIT)
        except ImportError as error:  # of a package that this Python does not have: ml_dtypes, scipy
            CODEC.send(replies, Answer(UNREAD, Outcome("", End.UNSUPPORTED, message=f"the case needs the Python package {error.name}")))
            continue
        CODEC.send(replies, Answer(request.number, execute(backend, request.golden)))


def _close(*streams: BinaryIO) -> None:
    for stream in streams:
        with contextlib.suppress(OSError):
            os.close(stream.fileno())


def _take_channel() -> tuple[BinaryIO, BinaryIO]:
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, replies


def _show_each_warning_once() -> None:
    seen: set[tuple[str, str]] = set()

    def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
        key = (category.__name__, str(message))
        if key not in seen:
            seen.add(key)
            print(f"backend: {key[0]}: {key[1]}", file=sys.stderr)

    warnings.showwarning = show


if __name__ == "__main__":
    main()
