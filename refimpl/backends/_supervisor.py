"""A small process between refimpl and a command that it runs. It ends with either, and ends every process that the command started.

Run as a script, `python -I -S _supervisor.py PARENT STATUS_FD COMMAND...`, and needs nothing but the standard library: COMMAND may
belong to another Python. It passes standard input and output on, and its exit status is that of COMMAND, signals included. SIGTERM,
the end of the parent, and the end of COMMAND each kill every process that COMMAND has left.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NoReturn

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)

KILL_SECONDS = 3.0
"""Seconds for which the remaining processes are killed again and again, since they may start others meanwhile."""

LINUX = sys.platform == "linux"


def main(arguments: list[str]) -> NoReturn:
    """Run the command and end as it ended. Writes to the status descriptor the errno of a command that cannot be started."""
    parent, status_fd = int(arguments[0]), int(arguments[1])
    os.set_inheritable(status_fd, False)
    signal.signal(signal.SIGTERM, _stop)
    if LINUX:
        import ctypes

        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans become children of this process, and not of init, so that it finds them
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it ended before it could be watched
        sys.exit(1)
    restored = [signal.SIGPIPE, signal.SIGXFSZ]  # Python ignores these, and a new program inherits that
    command = arguments[2:]
    child = 0
    status = 0
    try:
        child = os.posix_spawnp(command[0], command, os.environ, setpgroup=0, setsigdef=restored)
        os.close(status_fd)
        _release_streams()
        status = _wait_for(child)
    except OSError as error:
        os.write(status_fd, str(error.errno).encode())
        sys.exit(1)
    except _StoppedError:
        status = signal.SIGKILL
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _kill_all(child)
    _end_with(status)


class _StoppedError(BaseException):
    """SIGTERM has come."""


def _stop(number: int, frame: object) -> NoReturn:
    raise _StoppedError


def _release_streams() -> None:
    """Leave the streams to the command alone, so that a pipe is closed when the command closes it."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)


def _wait_for(child: int) -> int:
    while True:
        pid, status = os.waitpid(-1, 0)  # orphans are reaped on the way
        if pid == child:
            return status


def _kill_all(child: int) -> None:
    deadline = time.monotonic() + KILL_SECONDS
    while time.monotonic() < deadline:
        processes = list(descendants(os.getpid())) if LINUX else []
        for pid in processes:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if child:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.005)


def descendants(ancestor: int) -> Iterator[int]:
    """The processes below one, as /proc lists them."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError, ValueError):  # it has ended in the meantime
                continue
            children.setdefault(parent, []).append(int(name))
    waiting = [ancestor]
    while waiting:
        below = children.pop(waiting.pop(), [])
        yield from below
        waiting += below


def _end_with(status: int) -> NoReturn:
    """Exit as a process with this wait status did; a signal is taken by this process too, without a core."""
    if not os.WIFSIGNALED(status):
        os._exit(os.WEXITSTATUS(status))
    import resource

    number = os.WTERMSIG(status)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, ValueError):  # SIGKILL has no handler to reset
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    time.sleep(1)
    os._exit(128 + number)


if __name__ == "__main__":
    main(sys.argv[1:])
