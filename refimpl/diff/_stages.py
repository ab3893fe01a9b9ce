"""The stages in which two dialects differ: as they come, and with each setting that opens or closes a difference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from ..dialects import Deviation, Dialect, Parameter, Picks, differing_stages
from ..dialects.stages import Amsgrad, Bias, Eps, Second, Touch
from ._parameters import side_by_side

VISIBLE = {"weight_decay": 0.1, "loss_scale": 128.0, "eps_root": 1e-4}
"""A value for each number that does nothing at its default, to switch its stage on."""


@dataclass(frozen=True)
class StageDifference:
    """One stage and what each dialect picks in it."""

    stage: str
    a: Enum
    b: Enum


def instead(dialect: Dialect, stage: str, pick: Any) -> Deviation:
    """The dialect with another pick in one stage; and, beside another second moment, with what has a meaning there."""
    beside: dict[str, Any] = {}
    if pick is Second.INFINITY:
        beside = {"eps": Eps.HAT, "amsgrad": Amsgrad.OFF, "bias": Bias.FIRST if dialect.picks.bias in FIRST_CORRECTED else Bias.NONE}
    elif stage == "second" and dialect.picks.eps is Eps.BESIDE_GRADIENT:
        beside = {"eps": Eps.HAT}
    return Deviation(stage, "D", "", {stage: pick} | beside, ())


FIRST_CORRECTED = (Bias.BOTH, Bias.FIRST)


@dataclass(frozen=True)
class Switched:
    """What a setting opens and closes: the differences that it adds to those at the defaults, and the stages in which it ends one."""

    setting: str
    opens: tuple[StageDifference, ...]
    closes: tuple[str, ...]


def is_dense(dialect: Dialect) -> bool:
    """Whether it takes dense gradients alone."""
    return set(dialect.gradients) == {"dense"}


def as_dense(picks: Picks, dialect: Dialect, other: Dialect) -> Picks:
    """The picks of a dialect beside another: one that refuses the other's sparse gradients is given dense ones, and updates all rows."""
    return replace(picks, touch=Touch.ALL) if is_dense(dialect) and not is_dense(other) else picks


def differences(
    a: Dialect, b: Dialect, mine: Mapping[str, Any] | None = None, theirs: Mapping[str, Any] | None = None
) -> tuple[StageDifference, ...]:
    """Every stage in which they differ with these settings, their others at the defaults, in the order of a step."""
    picks = as_dense(a.resolve({**a.defaults(), **(mine or {})})[1], a, b)
    other = as_dense(b.resolve({**b.defaults(), **(theirs or {})})[1], b, a)
    return tuple(StageDifference(*stage) for stage in differing_stages(picks, other))


def switched(a: Dialect, b: Dialect) -> Iterator[Switched]:
    """What each setting changes in the differences, given to both where both have it."""
    plain = differences(a, b)
    for row in side_by_side(a, b):
        mine, theirs = _on(row.a), _on(row.b)
        now = differences(a, b, mine, theirs)
        opens = tuple(difference for difference in now if difference not in plain)
        kept = {difference.stage for difference in now}
        closes = tuple(difference.stage for difference in plain if difference.stage not in kept)
        if opens or closes:
            setting = " and ".join(dict.fromkeys(f"{name}={value}" for side in (mine, theirs) for name, value in side.items()))
            yield Switched(setting, opens, closes)


def _on(parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Settings that switch on what these parameters do."""
    switches = {parameter.name: not parameter.default for parameter in parameters if parameter.when_true}
    roles = {parameter.name: VISIBLE[role] for parameter in parameters for role in parameter.roles[:1] if role in VISIBLE}
    return switches | roles


def _numbers_on(dialect: Dialect) -> dict[str, Any]:
    return _on([parameter for parameter in dialect.parameters.values() if parameter.roles])


def visible_picks(dialect: Dialect, settings: Mapping[str, Any] | None = None) -> Picks:
    """What it picks with these settings and the numbers on that switch a stage on, such as a weight decay."""
    return dialect.resolve({**dialect.defaults(), **_numbers_on(dialect), **(settings or {})})[1]


@dataclass(frozen=True)
class Holds:
    """Where a dialect's picks are of some kind: always, or with these settings of its switches; and what it picks there."""

    settings: tuple[str, ...]
    picks: Picks


def where(dialect: Dialect, holds: Callable[[Picks], bool]) -> Holds | None:
    """Where a dialect's picks are such, with the numbers on that switch a stage on; None where they never are."""
    on = {**dialect.defaults(), **_numbers_on(dialect)}
    switches = {name: parameter.default for name, parameter in dialect.parameters.items() if parameter.when_true}
    plain = dialect.resolve(on)[1]
    turned = {name: dialect.resolve({**on, name: not default})[1] for name, default in switches.items()}
    if holds(plain):
        return Holds(tuple(f"{name}={switches[name]}" for name, picks in turned.items() if not holds(picks)), plain)
    holding = {f"{name}={not switches[name]}": picks for name, picks in turned.items() if holds(picks)}
    return Holds(tuple(holding), next(iter(holding.values()))) if holding else None
