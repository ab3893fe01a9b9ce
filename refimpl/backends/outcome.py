"""The outcome of a case on a backend: plain data that running it makes and judging it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from ..gradients import Array


class End(Enum):
    """How a backend's run of a case ended."""

    STATES = "gave results"
    RAISED = "raised an error"
    UNSUPPORTED = "is unsupported"
    CRASHED = "crashed"
    HUNG = "hung"
    MISBEHAVED = "broke the protocol"


@dataclass(frozen=True)
class Raised:
    """An error of the backend's code: the call that it came out of (start, step or state), and what kind it is.

    step: 0 in start, else the number of the step (of state: the last one made); kinds: the names of the error's type and of those
    that it derives from.
    """

    call: str
    step: int
    kinds: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Outcome:
    """A backend's run of one case.

    states: parameter -> array -> (T, *shape) at the recorded steps (End.STATES); message: the reason otherwise;
    changed: a sentence for each array of the caller that was changed, and for each array of the state that an error changed;
    raised: when and what (End.RAISED in a worker; the results of a program do not say);
    control: the outcome of the same case with what must be refused corrected (see refusals), where it was run.
    """

    case_id: str
    end: End
    states: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    message: str = ""
    changed: tuple[str, ...] = ()
    seconds: float = 0.0
    raised: Raised | None = None
    control: Outcome | None = None
