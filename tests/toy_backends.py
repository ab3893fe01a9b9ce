"""Factories for the tests of the runner, which start them in a worker by the name of this module."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np
from backend_cases import Toy, ToyRun

from refimpl.backends.reference import factory as reference
from refimpl.case import Case, Expected, Golden, Step
from refimpl.errors import Unsupported, UsageError


class Troubled(Toy):
    """Does what the slug of a case says."""

    def before_step(self, run: ToyRun, step: Step) -> None:
        TROUBLES.get(run.case.slug, lambda: None)()


def _hang() -> None:
    time.sleep(600)


def _fork_and_hang() -> None:
    if os.fork() == 0:
        time.sleep(600)
    time.sleep(600)


def _warn() -> None:
    for _ in range(3):
        warnings.warn("this is slow", stacklevel=1)


TROUBLES: dict[str, Callable[[], object]] = {
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


def troubled(device: str = "cpu", variant: str = "plain") -> Troubled:
    print("made")
    backend = Troubled()
    backend.name = f"toy {device} {variant}"
    return backend


def raises() -> None:
    raise RuntimeError("no luck")


def refuses() -> None:
    raise UsageError("no such device", "take another")


def exits() -> None:
    os._exit(7)


def process_id() -> Troubled:
    backend = Troubled()
    backend.version = str(os.getpid())
    return backend


def gives_nothing() -> None:
    return None


def unreadable() -> Toy:
    backend = Toy()
    backend.dialects = 5
    return backend


NOT_A_FACTORY = 5


class Odd:
    """The reference, changed in one way by a test. before: called with the case and the step before each; shows: what of a state."""

    name, version = "odd", "1"

    def __init__(
        self,
        before: Callable[[Case, Step | None], object] = lambda case, step: None,
        shows: Callable[[Case, Any], Any] = lambda case, state: state,
        claim: Any = None,
    ) -> None:
        self.inner, self.before, self.shows = reference(), before, shows
        self.dialects = {"torch.SparseAdam": claim}
        self.started = 0

    def start(self, case: Case) -> OddRun:
        self.started += 1
        self.before(case, None)
        return OddRun(self, case, self.inner.start(case))


class OddRun:
    def __init__(self, odd: Odd, case: Case, run: Any) -> None:
        self.odd, self.case, self.run = odd, case, run

    def step(self, step: Step) -> None:
        self.odd.before(self.case, step)
        self.run.step(step)

    def state(self) -> Any:
        return self.odd.shows(self.case, self.run.state())


def raising(error: str = "ValueError", call: str = "step") -> Odd:
    def before(case: Case, step: Step | None) -> None:
        if (step is None) == (call == "start"):
            raise getattr(__import__("builtins"), error)("on principle")

    return Odd(before)


def late() -> Odd:
    def before(case: Case, step: Step | None) -> None:
        if step is not None and case.theme == "duplicates":
            raise Unsupported("no duplicates")

    return Odd(before)


def param_alone() -> Odd:
    return Odd(shows=lambda case, state: {name: {"param": arrays["param"]} for name, arrays in state.items()})


def shifted(state: Any, by: float) -> dict[str, dict[str, np.ndarray]]:
    return {name: {array: value + value.dtype.type(by) for array, value in arrays.items()} for name, arrays in state.items()}


def restless() -> Odd:
    """Adds another number in each process."""
    return Odd(shows=lambda case, state: shifted(state, 1 + os.getpid() / 7) if case.theme == "basics" else state)


def fickle() -> Odd:
    """Fails one case, but only in the first process that a test starts."""
    first = not os.path.exists("been-here")
    open("been-here", "w").close()
    return Odd(shows=lambda case, state: shifted(state, 1) if first and case.theme == "duplicates" else state)


def forgetful() -> Odd:
    """Right in its first case alone."""
    odd = Odd()
    odd.shows = lambda case, state: state if odd.started == 1 else shifted(state, odd.started)
    return odd


def searching() -> Odd:
    """Looks for answers in the whole process, and raises where it finds one."""

    def before(case: Case, step: Step | None) -> None:
        frame: FrameType | None = sys._getframe()
        seen: list[object] = []
        while frame:
            seen += frame.f_locals.values()
            frame = frame.f_back
        for thing in (*gc.get_objects(), *seen):
            if isinstance(thing, Expected) or (isinstance(thing, Golden) and (thing.expected or thing.case.catches or thing.case.error)):
                raise RuntimeError(f"found {type(thing).__name__}")

    return Odd(before)


def claiming(feature: str = "rows", dtype: str = "float32") -> Odd:
    return Odd(claim={"features": [feature], "dtypes": [dtype]})
