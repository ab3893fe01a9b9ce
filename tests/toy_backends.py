"""Factories for the tests of the runner, which start them in a worker by the name of this module."""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings

from backend_cases import Toy

from refimpl.errors import UsageError


class Troubled(Toy):
    """Does what the slug of a case says."""

    def before_step(self, run, step):
        TROUBLES.get(run.case.slug, lambda: None)()


def _hang():
    time.sleep(600)


def _fork_and_hang():
    if os.fork() == 0:
        time.sleep(600)
    time.sleep(600)


def _warn():
    for _ in range(3):
        warnings.warn("this is slow", stacklevel=1)


TROUBLES = {
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "exit": lambda: os._exit(3),
    "sys-exit": lambda: sys.exit(4),
    "hang": _hang,
    "fork-and-hang": _fork_and_hang,
    "print": lambda: print("to stdout", flush=True),
    "write-to-fd-1": lambda: os.write(1, b"\0" * 64),
    "read-stdin": lambda: sys.stdin.read(),
    "warn": _warn,
    "raise": lambda: 1 / 0,
}


def troubled(device="cpu", variant="plain"):
    print("made")
    backend = Troubled()
    backend.name = f"toy {device} {variant}"
    return backend


def raises():
    raise RuntimeError("no luck")


def refuses():
    raise UsageError("no such device", "take another")


def dies():
    os._exit(7)


def process_id():
    backend = Troubled()
    backend.version = str(os.getpid())
    return backend


def gives_nothing():
    return None


def unreadable():
    backend = Toy()
    backend.dialects = 5
    return backend


NOT_A_FACTORY = 5
