"""Start processes under a supervisor, end them with everything that they have started, and describe how they ended."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from . import _supervisor as supervisor

SUPERVISOR = str(Path(supervisor.__file__).resolve())

GRACE = 4.0
"""Seconds that a supervisor has to end what it watches; it is killed itself after that."""

KILLED = -signal.SIGKILL if os.name == "posix" else 1  # the exit code after TerminateProcess on Windows

Stream = int | IO[Any] | None

T = TypeVar("T")
U = TypeVar("U")


def start(command: Sequence[str], stdin: Stream, stdout: Stream, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a command that ends with this process, in a session of its own, so that only refimpl gets a Ctrl-C.

    Raises OSError, as subprocess does, where there is no such program.
    """
    if os.name != "posix":
        return subprocess.Popen(command, bufsize=0, stdin=stdin, stdout=stdout, env=environment)
    read_end, write_end = os.pipe()
    try:
        watched = [sys.executable, "-I", "-S", SUPERVISOR, str(os.getpid()), str(write_end), *command]
        # Not buffered: a buffer has a lock, and a thread that waits for an answer would hold it for ever.
        process = subprocess.Popen(
            watched, bufsize=0, stdin=stdin, stdout=stdout, env=environment, pass_fds=(write_end,), start_new_session=True
        )
    finally:
        os.close(write_end)
        if "process" not in locals():
            os.close(read_end)
    with os.fdopen(read_end, "rb") as status:
        code = status.read(16)
    if code:
        process.wait()
        raise OSError(int(code), os.strerror(int(code)), command[0])
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process that `start` has started, with everything below it, and wait for that."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:  # the supervisor is suspended
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()


def in_words(code: int) -> str:
    """How a process ended, by its exit status; below zero it names a signal."""
    if code >= 0:
        return f"the process ended by itself with exit status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # real-time signals have numbers, no names
        name = f"signal {-code}"
    return f"killed by {name}" + (" (the system does so when memory runs out)" if name == "SIGKILL" else "")


@contextmanager
def orphans_ended() -> Iterator[None]:
    """On Linux, adopt orphans while this lasts, and kill them at the end: a process that killed its own supervisor may have left some.

    For a command, which owns its process; a library must not adopt the orphans of its caller.
    """
    if not supervisor.LINUX:
        yield
        return
    import ctypes

    libc = ctypes.CDLL(None)
    before = set(supervisor.descendants(os.getpid()))
    libc.prctl(supervisor.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(supervisor.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        for pid in set(supervisor.descendants(os.getpid())) - before:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


@contextmanager
def terminated_in_order() -> Iterator[None]:
    """While this lasts, SIGTERM and SIGHUP end the command as an interrupt does: in order, with nothing left behind."""
    if threading.current_thread() is not threading.main_thread():  # only there may Python set a handler
        yield
        return
    handled = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, _exit) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _exit(number: int, frame: object) -> None:
    sys.exit(128 + number)


def in_processes(work: Callable[[T], U], items: Iterable[T], jobs: int, chunksize: int = 1) -> Iterator[U]:
    """`map` in that many processes, which end with this one; in this process where one is enough."""
    if jobs == 1:
        yield from map(work, items)
        return
    with ProcessPoolExecutor(jobs, initializer=end_with_parent) as pool:
        try:
            yield from pool.map(work, items, chunksize=chunksize)
        except BaseException:  # an interrupt or a signal: the pool would wait for all of its work
            for child in multiprocessing.active_children():
                child.kill()
            raise


def end_with_parent() -> None:
    """On Linux, let the kernel end this process with the one that started it."""
    if supervisor.LINUX:
        import ctypes

        ctypes.CDLL(None).prctl(supervisor.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
