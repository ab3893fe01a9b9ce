"""Hooks of a trajectory: what an implementation may do instead of its dialect, beyond the picks of the stages.

The diagnosis predicts with them. The algorithm itself refers to none of them: without hooks a trajectory is the dialect's own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..arithmetic import Arithmetic
from ..dialects import Hyper, Picks
from ..gradients import Array

Resolved = tuple[Hyper, Picks]
"""What a group computes with at one step."""

History = Sequence[Sequence[Resolved]]
"""Per step made so far, the present one last, what each group is given."""


@dataclass(frozen=True)
class Tick:
    """The counts when one parameter makes one step.

    t: what the dialect counts; number: the call, from 1; start: steps taken before the case begins;
    counts: per parameter its own steps after this call; active: the parameters that have a gradient in this call, in order;
    groups, starts: per parameter its group, and the steps that it had taken before; calls: per group, the calls that brought any of its
    parameters a gradient, this one among them.
    """

    t: int
    name: str
    number: int
    start: int
    counts: Mapping[str, int]
    active: tuple[str, ...]
    groups: Mapping[str, int]
    starts: Mapping[str, int]
    calls: Mapping[int, int]


@dataclass(frozen=True, eq=False)
class Updated:
    """A parameter that has just made a step. old and new: its State before and after, of which new may be changed.

    rows: the rows that the gradient stores, in the layout of the state; shape: the parameter's own.
    """

    arithmetic: Arithmetic
    old: Any
    new: Any
    rows: Array
    tick: Tick
    shape: tuple[int, ...]
    hyper: Hyper
    picks: Picks


@dataclass(frozen=True)
class Hooks:
    """What replaces a part of a step; None where the dialect's own stays.

    read: the settings that a call computes with; clock: t of the bias corrections; owner: whose moments a parameter uses (the name of
    another, or a key: parameters of one key share the arrays `shared`); alike: a key of those that share them before they make a step;
    after: changes the state once a parameter has made its step.
    """

    read: Callable[[History], Sequence[Resolved]] | None = None
    clock: Callable[[Tick], int] | None = None
    owner: Callable[[Tick, tuple[int, ...]], Hashable] | None = None
    alike: Callable[[tuple[int, ...]], Hashable] | None = None
    shared: tuple[str, ...] = ("m", "v", "v_max")
    after: Callable[[Updated], None] | None = None


NO_HOOKS = Hooks()
