"""The stages in which two dialects differ: as they come, and with each setting that opens or closes a difference."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from ..dialects import Dialect, Picks, differing_stages
from ..dialects.stages import Touch
from ._parameters import Row, side_by_side

FORMS = ("rows", "elements", "dense")
"""The forms of a gradient, in the order in which a page lists them."""

SOME: dict[str, float] = {"weight_decay": 0.1, "loss_scale": 128.0, "eps_root": 1e-4}
"""A value for each number that does nothing at its default, to switch its stage on."""


@dataclass(frozen=True)
class StageDifference:
    """One stage and what each dialect picks in it."""

    stage: str
    a: Enum
    b: Enum


@dataclass(frozen=True)
class Switched:
    """What a setting opens and closes: the differences that it adds to those at the defaults, and the stages in which it ends one."""

    setting: str
    opens: tuple[StageDifference, ...]
    closes: tuple[str, ...]


@dataclass(frozen=True)
class Form:
    """What each dialect does with a form of gradient: None where it takes it, otherwise the message of the refusal."""

    form: str
    a: str | None
    b: str | None


def forms(a: Dialect, b: Dialect) -> tuple[Form, ...]:
    """Which forms of gradient each takes."""
    return tuple(Form(form, _refusal(a, form), _refusal(b, form)) for form in FORMS)


def _refusal(one: Dialect, form: str) -> str | None:
    return None if form in one.gradients else one.refusal(form)


def picks(one: Dialect, changes: dict[str, Any], other: Dialect) -> Picks:
    """What a dialect picks with these settings, its others at their defaults.

    Where it refuses the other's sparse gradients, they can only be given to it as dense ones: then it updates all rows.
    """
    found = one.resolve({**one.defaults(), **changes})[1]
    return replace(found, touch=Touch.ALL) if is_dense(one) and not is_dense(other) else found


def is_dense(one: Dialect) -> bool:
    """Whether it takes dense gradients alone."""
    return not set(one.gradients) - {"dense"}


def differences(
    a: Dialect, b: Dialect, mine: dict[str, Any] | None = None, theirs: dict[str, Any] | None = None
) -> tuple[StageDifference, ...]:
    """Every stage in which they differ with these settings, in the order of a step."""
    return tuple(StageDifference(*one) for one in differing_stages(picks(a, mine or {}, b), picks(b, theirs or {}, a)))


def switched(a: Dialect, b: Dialect) -> tuple[Switched, ...]:
    """What each setting changes in the differences, given to both where both have it."""
    plain = differences(a, b)
    return tuple(one for row in side_by_side(a, b) for one in _switched(a, b, row, plain))


def _switched(a: Dialect, b: Dialect, row: Row, plain: tuple[StageDifference, ...]) -> Iterator[Switched]:
    mine, theirs = _on(row.a), _on(row.b)
    if not mine and not theirs:
        return
    now = differences(a, b, mine, theirs)
    opens = tuple(one for one in now if one not in plain)
    kept = {one.stage for one in now}
    closes = tuple(one.stage for one in plain if one.stage not in kept)
    if opens or closes:
        setting = " and ".join(dict.fromkeys(f"{name}={value}" for given in (mine, theirs) for name, value in given.items()))
        yield Switched(setting, opens, closes)


@dataclass(frozen=True)
class Holds:
    """Where a dialect's picks are of some kind: always, or with these settings of its switches; and what it picks there."""

    settings: tuple[str, ...]
    picks: Picks

    @property
    def always(self) -> bool:
        return not self.settings


def where(one: Dialect, hold: Callable[[Picks], bool]) -> Holds | None:
    """Where a dialect's picks are such, with the numbers on that switch a stage on; None where they never are."""
    on = {**one.defaults(), **_on(tuple(each for each in one.parameters.values() if each.roles))}
    switches = {name: each.default for name, each in one.parameters.items() if each.when_true}
    plain = one.resolve(on)[1]
    turned = {name: one.resolve({**on, name: not default})[1] for name, default in switches.items()}
    if hold(plain):
        return Holds(tuple(f"{name}={switches[name]}" for name, picks in turned.items() if not hold(picks)), plain)
    found = {f"{name}={not switches[name]}": picks for name, picks in turned.items() if hold(picks)}
    return Holds(tuple(found), next(iter(found.values()))) if found else None


def _on(parameters: tuple[Any, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in parameters:
        if one.when_true:
            found[one.name] = not one.default
        elif one.roles and one.roles[0] in SOME:
            found[one.name] = SOME[one.roles[0]]
    return found
