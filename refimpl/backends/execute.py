"""Run one case on one backend in this process: start, step and state, with the checks of the protocol."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..case import Case, Golden
from ..errors import Unsupported
from ..vectors.inputs import without_answers
from ._layouts import handed_out
from ._protocol import Backend, Run, claims, outside_claim
from ._snapshots import Snapshot, Watch
from ._states import States, copied, inconsistencies, problems, stacked
from .outcome import End, Outcome, Raised

FRAMES = 4
"""How many frames of a backend's traceback a message carries: the call into it and what went wrong are among them."""

SHORT, SMALL = 8, 65_536
"""A case of so many steps and elements at most has its state copied before each step, to be compared where that step raises."""
# Which cases must be refused is not known here, so all short cases are treated alike. The copies cost little beside a step.


class _RaisedError(Exception):
    """The backend's code raised. call: start, step or state; step: 0 in start, else the number of the step."""

    def __init__(self, call: str, step: int, error: Exception) -> None:
        super().__init__(call, step, error)
        self.call, self.step, self.error = call, step, error

    @property
    def where(self) -> str:
        return WHERE[self.call].format(self.step)


WHERE = {"start": "in start", "step": "in step {}", "state": "in state after step {}"}
"""Where a call raised, in words."""


class _BrokenError(Exception):
    """The backend broke the protocol."""


def execute(backend: Backend, golden: Golden) -> Outcome:
    """Run a case with copies of its arrays, and return how that ended.

    The outcome is an error or a result; `compare` decides whether it is right.
    """
    began = time.perf_counter()
    case = handed_out(without_answers(golden).case, golden.layout)
    reason = outside_claim(case, claims(backend.dialects))
    if reason is not None:
        return Outcome(case.id, End.UNSUPPORTED, message=reason)
    watch = Watch(case)
    outcome = _Attempt(backend, case, watch).outcome()
    watch.look("at the end")
    changed = (*outcome.changed, *watch.changes)
    return replace(outcome, changed=changed, seconds=time.perf_counter() - began)


class _Attempt:
    """A case while a backend processes it: the run, and what has been recorded so far."""

    def __init__(self, backend: Backend, case: Case, watch: Watch) -> None:
        self.backend, self.case, self.watch = backend, case, watch
        self.is_short = len(case.steps) <= SHORT and sum(param.value.size for param in case.params) <= SMALL
        self.run: Run | None = None
        self.recorded: list[States] = []
        self.before: States | None = None

    def outcome(self) -> Outcome:
        try:
            self._go()
        except Unsupported as error:
            return self._ended(End.UNSUPPORTED, str(error) or "the backend gave no reason")
        except _BrokenError as error:
            return self._ended(End.MISBEHAVED, str(error))
        except _RaisedError as raised:
            return self._raised(raised)
        odd = "; ".join(inconsistencies(self.recorded, self.case.record))
        if odd:
            return self._ended(End.MISBEHAVED, odd)
        return Outcome(self.case.id, End.STATES, stacked(self.recorded))

    def _go(self) -> None:
        with _backend_code("start", 0):
            self.run = self.backend.start(self.case)
        run = _checked_run(self.run)
        self.watch.look("after start")
        for number, step in enumerate(self.case.steps, start=1):
            if self.is_short:
                self.before = self.recorded[-1] if number - 1 in self.case.record else self._state_if_any()
            with _backend_code("step", number):
                run.step(step)
            self.watch.look(f"after step {number}", number)
            if number in self.case.record:
                self.recorded.append(self._state(run, number))

    def _ended(self, end: End, message: str) -> Outcome:
        return Outcome(self.case.id, end, message=message)

    def _raised(self, raised: _RaisedError) -> Outcome:
        changed: tuple[str, ...] = ()
        if raised.call == "step" and self.before is not None:
            after = self._state_if_any()
            changed = () if after is None else tuple(_state_changes(self.before, after, raised.where))
        kinds = tuple(kind.__name__ for kind in type(raised.error).__mro__ if issubclass(kind, Exception))
        what = Raised(raised.call, raised.step, kinds)
        return Outcome(self.case.id, End.RAISED, message=_with_frames(raised), changed=changed, raised=what)

    def _state(self, run: Run, number: int) -> States:
        """The state of a run after a step, copied before anything else happens, and checked."""
        with _backend_code("state", number):
            state = copied(run.state())
        when = f"state after step {number}"
        if not isinstance(state, Mapping):
            raise _BrokenError(f"{when} gave a {type(state).__name__}, not a mapping from parameter to arrays")
        complaints = "; ".join(problems(state, self.case, (), lambda dtype: (dtype,)))
        if complaints:
            raise _BrokenError(f"{when}: {complaints}")
        checked: Any = state
        return dict(checked)

    def _state_if_any(self) -> States | None:
        """The state before or after an error; None where there is no run or it gives no valid state: then nothing is compared."""
        try:
            return self._state(self.run, 0) if self.run is not None else None
        except (_BrokenError, _RaisedError):
            return None


@contextmanager
def _backend_code(call: str, step: int) -> Iterator[None]:
    """Separates errors of the backend from those of refimpl; only start may raise Unsupported."""
    try:
        yield
    except Unsupported as error:
        if call == "start":
            raise
        where = WHERE[call].format(step)
        raise _BrokenError(f"raised Unsupported {where}, and only start may: {str(error) or 'it gave no reason'}") from error
    except Exception as error:
        raise _RaisedError(call, step, error) from error


def _checked_run(run: object) -> Any:
    missing = [name for name in ("step", "state") if not callable(getattr(run, name, None))]
    if missing:
        raise _BrokenError(f"start gave a {type(run).__name__} that has no {' and no '.join(missing)}()")
    return run


def _state_changes(before: States, after: States, where: str) -> Iterator[str]:
    for name, arrays in before.items():
        for array, value in arrays.items():
            if array not in after[name]:
                yield f"{array} of {name!r} is gone after the error {where}"
                continue
            change = Snapshot.of(value).change(after[name][array])
            if change is not None:
                yield f"{array} of {name!r} {change} by the error {where}"


def _with_frames(raised: _RaisedError) -> str:
    """The error, the call that it came out of, and the last frames of the backend's own code."""
    frames = [frame for frame in traceback.extract_tb(raised.error.__traceback__) if frame.filename != __file__]
    lines = "".join(traceback.format_list(frames[-FRAMES:])).rstrip()
    return f"{type(raised.error).__name__}: {raised.error} ({raised.where})" + (f"\n{lines}" if lines else "")
