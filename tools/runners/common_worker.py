"""The worker of a runner: a process that runs cases, one by one, as the supervisor in common.py sends them."""

from __future__ import annotations

import faulthandler
import os
import pickle
from collections.abc import Callable

import numpy as np
from common_cases import Case, Step, Unsupported, arrays_of, handed_out

MESSAGE_LIMIT = 500
"""Characters of an error message that are kept."""


SHORT, SMALL = 8, 65536
"""A case of so many steps and elements at most has its state copied after each step, to be compared where the next one raises."""


class LostError(Exception):
    """A case that has no result; the text says why."""


def serve(make: Callable) -> None:
    """Answer each case with the members of its result, or with the reason why there is none, until no more come."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what a framework prints must not come between
    faulthandler.enable()
    answer: object = "ready"
    while True:
        pickle.dump(answer, replies, protocol=4)
        replies.flush()
        try:
            case = pickle.load(requests)
        except EOFError:
            return
        try:
            answer = run_case(make, case)
        except LostError as reason:
            answer = str(reason)


def run_case(make: Callable, case: Case) -> dict:
    """The members of a case's result, without its slug. Raises LostError where there is none."""
    try:
        if any(dtype != param.dtype for param in case.params for dtype in param.dtypes.values()):
            raise Unsupported("a state in another dtype than its parameter")
        return _Attempt(make, case).members()
    except Unsupported as reason:
        return {"unsupported": np.array(shortened(str(reason) or "no reason was given"))}


class _Attempt:
    """A case on its way: the run that is made of a copy, and its state before the step that is due."""

    def __init__(self, make: Callable, case: Case) -> None:
        self.make, self.case, self.given = make, case, handed_out(case)
        self.bfloat16 = {param.name for param in case.params if param.dtype == "bfloat16"}
        self.is_short = len(case.steps) <= SHORT and sum(param.value.size for param in case.params) <= SMALL
        self.run = None
        self.before: dict = {}

    def members(self) -> dict:
        recorded = []
        for t in range(len(self.case.steps) + 1):
            try:
                self._advance(t)
            except Unsupported:
                raise
            except Exception as error:
                return {"error": np.array(self._refusal(error))}
            if t in self.case.record:
                recorded.append(self._state())
            if self.is_short:
                self.before = self._state_if_any()
        return _stacked(recorded)

    def _advance(self, t: int) -> None:
        """Make the run (t = 0) or its step t, after which the gradients must be as they were."""
        if t == 0:
            self.run = self.make(self.given)
            return
        given = self.given.steps[t - 1]
        try:
            self.run.step(given)
        finally:
            changed = "; ".join(_changes(self.case.steps[t - 1], given))
        if changed:
            raise LostError(f"step {t} changed {changed}")

    def _refusal(self, error: Exception) -> str:
        """The error in words. What is refused must leave the state as it was: whether it had to be, only the judge knows."""
        if isinstance(error, LostError):
            raise error
        message = shortened(f"{type(error).__name__}: {error}")
        after = self._state_if_any() if self.before else {}
        for name, arrays in self.before.items():
            for array, value in arrays.items():
                if after and (array not in after[name] or not _same(value, after[name][array])):
                    raise LostError(f"{array} of {name!r} had changed when it raised {message}")
        return message

    def _state(self) -> dict:
        """Copies of the state: what is written into it later does not matter."""
        try:
            given = self.run.state()
            return {name: {array: self._copy(name, value) for array, value in arrays.items()} for name, arrays in given.items()}
        except Unsupported:
            raise
        except Exception as error:
            raise LostError(shortened(f"state() raised {type(error).__name__}: {error}")) from error

    def _state_if_any(self) -> dict:
        """The state around an error that may come; empty where the run cannot tell."""
        try:
            return self._state()
        except (LostError, Unsupported):
            return {}

    def _copy(self, name: str, value: object) -> np.ndarray:
        array = np.array(value, order="C")
        return array.astype(np.float32) if name in self.bfloat16 else array


def _changes(before: Step, after: Step) -> list:
    """The arrays of gradients that are not what they were, in words."""
    found = []
    for name, gradient in before.gradients.items():
        now = arrays_of(after.gradients.get(name))
        parts = (part for part, array in arrays_of(gradient).items() if part not in now or not _same(array, now[part]))
        found += [f"the {part} of the gradient of {name!r}" for part in parts]
    return found


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def _stacked(recorded: list) -> dict:
    """The members of the states at the recorded steps: arrays of shape (T, *shape)."""
    flat = [{f"{array}.{name}": value for name, arrays in state.items() for array, value in arrays.items()} for state in recorded]
    if any(state.keys() != flat[0].keys() for state in flat):
        raise LostError("an array is in the state at some recorded steps only")
    return {member: np.stack([state[member] for state in flat]) for member in flat[0]} if flat else {}


def shortened(message: str) -> str:
    """A message of at most MESSAGE_LIMIT characters."""
    return message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 3] + "..."
