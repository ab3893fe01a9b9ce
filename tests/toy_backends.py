"""Factories for the tests of the runner, which start them in a worker by the name of this module."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
import warnings

from backend_cases import Toy

from refimpl.backends.reference import factory as reference
from refimpl.case import Expected, Golden
from refimpl.errors import Unsupported, UsageError


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


class Odd:
    """The reference, which a test makes odd in one way. before: called with the case and the step before each; shows: what of a state."""

    name, version = "odd", "1"

    def __init__(self, before=lambda case, step: None, shows=lambda case, state: state, claim=None):
        self.inner, self.before, self.shows = reference(), before, shows
        self.dialects = {"torch.SparseAdam": claim}
        self.started = 0

    def start(self, case):
        self.started += 1
        self.before(case, None)
        return OddRun(self, case, self.inner.start(case))


class OddRun:
    def __init__(self, odd, case, run):
        self.odd, self.case, self.run = odd, case, run

    def step(self, step):
        self.odd.before(self.case, step)
        self.run.step(step)

    def state(self):
        return self.odd.shows(self.case, self.run.state())


def raising(error="ValueError", call="step"):
    def before(case, step):
        if (step is None) == (call == "start"):
            raise getattr(__import__("builtins"), error)("on principle")

    return Odd(before)


def late():
    def before(case, step):
        if step is not None and case.theme == "duplicates":
            raise Unsupported("no duplicates")

    return Odd(before)


def param_alone():
    return Odd(shows=lambda case, state: {name: {"param": arrays["param"]} for name, arrays in state.items()})


def shifted(state, by):
    return {name: {array: value + value.dtype.type(by) for array, value in arrays.items()} for name, arrays in state.items()}


def restless():
    """Adds another number in each process."""
    return Odd(shows=lambda case, state: shifted(state, 1 + os.getpid() / 7) if case.theme == "basics" else state)


def fickle():
    """Fails one case, but only in the first process that a test starts."""
    first = not os.path.exists("been-here")
    open("been-here", "w").close()
    return Odd(shows=lambda case, state: shifted(state, 1) if first and case.theme == "duplicates" else state)


def forgetful():
    """Right in its first case alone."""
    odd = Odd()
    odd.shows = lambda case, state: state if odd.started == 1 else shifted(state, odd.started)
    return odd


def searching():
    """Looks for answers in the whole process, and raises where it finds one."""

    def before(case, step):
        frame, seen = sys._getframe(), []
        while frame:
            seen += frame.f_locals.values()
            frame = frame.f_back
        for thing in (*gc.get_objects(), *seen):
            if isinstance(thing, Expected) or (isinstance(thing, Golden) and (thing.expected or thing.case.catches or thing.case.error)):
                raise RuntimeError(f"found {type(thing).__name__}")

    return Odd(before)


def claiming(feature="rows", dtype="float32"):
    return Odd(claim={"features": [feature], "dtypes": [dtype]})
