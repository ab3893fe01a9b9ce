"""What a backend did with a case: plain data between running it and judging it."""

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


@dataclass(frozen=True, eq=False)
class Outcome:
    """A backend's run of one case.

    states: parameter -> array -> (T, *shape) at the recorded steps (End.STATES); message: the reason otherwise;
    changed: arrays of the caller that came back changed, described, what an error left behind among them.
    """

    case_id: str
    end: End
    states: Mapping[str, Mapping[str, Array]] = field(default_factory=dict)
    message: str = ""
    changed: tuple[str, ...] = ()
    seconds: float = 0.0
