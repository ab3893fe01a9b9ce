"""Which deviations a case catches: those that are proven to lie far from its expectation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice, product
from typing import Any

import numpy as np

from ..arithmetic import CLASSES, Arithmetic, Float
from ..case import Case
from ..dialects import Deviation, Picks, dialect, differing_stages
from ..dialects.stages import Merge, Second
from ..gradients import Array, RowGradient, is_element_gradient
from ..reference import SHOWN, ByFormat, States, System, scheduled, trajectory
from ._alike import Alike
from ._narrowing import narrowed, sees_rows
from ._row_classes import Reduced
from .expectations import Expectations, ball, in_range

CATCH_DISTANCE = 10
"""How many bounds (of the loosest class) a deviation must be away for a case to claim that it catches it."""

SCREEN_DISTANCE = 5
"""A deviation that stays within so many bounds in doubles is not worth a proof: doubles are nearer to the exact result than that."""

UNSCREENED_STEPS = 2
"""In these first steps a proof is tried without screening: most deviations show there, and screening would cost as much."""

LAST_STEP = 300
"""The last step of a long horizon that is searched: most deviations show early, and a later proof costs too much."""


def catches(case: Case, expected: Expectations, candidates: Iterable[Deviation]) -> tuple[str, ...]:
    """The ids of the deviations whose exact result is proven to be farther than CATCH_DISTANCE bounds from the expectation."""
    case = _beginning(case)
    settings = _Settings.of(case)
    whole = _Proof.of(case, expected)
    narrow, expected = narrowed(case, expected)
    few = whole if narrow is case else _Proof.of(narrow, expected)
    alike = Alike.of(case, [dialect(case.dialect).resolve(hyper)[0] for hyper in settings.hypers])
    plain = tuple(map(alike.simplified, settings.plain))
    answers: dict[tuple[Picks, ...], bool] = {plain: False}  # deviations with the same picks compute the same
    caught = []
    for deviation in candidates:
        picks = tuple(map(alike.simplified, settings.picked(deviation)))
        if picks not in answers:
            answers[picks] = _is_caught(whole, whole if any(map(sees_rows, picks)) else few, deviation)
        if answers[picks]:
            caught.append(deviation.id)
    return tuple(caught)


def catches_of_reduced(reduced: Reduced, expected: Expectations, candidates: Iterable[Deviation]) -> tuple[str, ...]:
    """`catches`, by one row of each class and their expectations; without deviations that see neighbours of a row or an element."""
    able = (
        deviation for deviation in candidates if reduced.whole or not {Merge.ADJACENT, Second.ROW_SQUARES} & set(deviation.picks.values())
    )
    return catches(reduced.case, expected, able)


def changes(case: Case, cause: tuple[Deviation, ...]) -> bool:
    """Whether each of these deviations picks anything else than the dialect does, for any group at any step of the case."""
    settings = _Settings.of(case)
    return all(settings.picked(deviation) != settings.plain for deviation in cause)


@dataclass(frozen=True)
class _Settings:
    """The different hyper-parameters of a case, what the dialect picks under each, and the stages that the case does not exercise."""

    dialect: str
    hypers: tuple[Mapping[str, object], ...]
    scales: tuple[float, ...]
    plain: tuple[Picks, ...]
    idle: frozenset[str]

    @classmethod
    def of(cls, case: Case) -> _Settings:
        hypers = [group.hyper for group in case.groups]
        if any(change for step in case.steps for change in step.hyper):
            hypers += [hyper for of_groups in scheduled(case) for hyper in of_groups]
        different = tuple({tuple(sorted(hyper.items())): hyper for hyper in hypers}.values())
        idle = frozenset(stage for stage, is_idle in IDLE_STAGES.items() if is_idle(case))
        scales = tuple(dict.fromkeys(step.grad_scale for step in case.steps)) or (1.0,)
        return cls(case.dialect, different, scales, tuple(_resolved(case.dialect, different, scales)), idle)

    def picked(self, deviation: Deviation) -> tuple[Picks, ...]:
        """What the deviation picks under each, with every idle stage as the dialect has it."""
        other = _resolved(self.dialect, self.hypers, self.scales, (deviation,))
        return tuple(_with_stages(picks, self.idle, plain) for plain, picks in zip(self.plain, other))


def _resolved(
    name: str, hypers: Iterable[Mapping[str, object]], scales: Iterable[float], deviations: tuple[Deviation, ...] = ()
) -> Iterator[Picks]:
    return (dialect(name).resolve(hyper, deviations, scale)[1] for hyper, scale in product(hypers, scales))


def _with_stages(picks: Picks, stages: frozenset[str], plain: Picks) -> Picks:
    if picks == plain:
        return plain
    same: dict[str, Any] = {stage: own for stage, own, _ in differing_stages(plain, picks) if stage in stages}
    return replace(picks, **same) if same else picks


def has_duplicates(case: Case) -> bool:
    return any(
        (isinstance(gradient, RowGradient) and len(np.unique(gradient.indices)) < len(gradient.indices)) or is_element_gradient(gradient)
        for step in case.steps
        for gradient in step.gradients.values()
    )


IDLE_STAGES: dict[str, Callable[[Case], bool]] = {
    "resume": lambda case: all(param.exp_avg is None for param in case.params),
    "schedule": lambda case: not any(change for step in case.steps for change in step.hyper),
    "skip": lambda case: not any(step.found_inf for step in case.steps),
    "reduction": lambda case: not case.has_ranks,
    "accumulation": lambda case: not case.has_batches,
    "merge": lambda case: not has_duplicates(case),
    "precision": lambda case: "float64" not in case.computing,
}
"""Stages that a case does not exercise, whatever is picked."""


@dataclass(frozen=True, eq=False)
class _Limits:
    """All arrays of all parameters at one recorded step, one after the other: the expected value, its bound, and where both are known.

    places: (parameter, field of State) of each array, in their order.
    """

    places: tuple[tuple[str, str], ...]
    value: Array
    bound: Array
    known: Array

    def numbers(self, states: States) -> Array:
        """The numbers of a state, in the same order."""
        return np.concatenate([getattr(states[name], field).reshape(-1) for name, field in self.places])

    def exceeded(self, values: Array, distance: float, less: Array | float = 0.0) -> Array:
        """Which elements are farther than that many bounds from where they must be, by more than `less`."""
        with np.errstate(invalid="ignore"):
            return np.asarray((np.abs(values - self.value) - less > distance * self.bound) & self.known)

    def proven(self, balls: Array) -> bool:
        """Whether some ball is farther than CATCH_DISTANCE bounds away, with all that it holds."""
        from ..arithmetic.balls import midpoint, radius

        middle = midpoint(balls)
        at = np.flatnonzero(self.exceeded(middle, CATCH_DISTANCE))
        if not len(at):
            return False
        spread = np.zeros(len(balls))
        spread[at] = radius(balls[at])
        return bool(self.exceeded(middle, CATCH_DISTANCE, spread)[at].any())


def _beginning(case: Case) -> Case:
    """The steps up to LAST_STEP."""
    if len(case.steps) <= LAST_STEP:
        return case
    return replace(case, steps=case.steps[:LAST_STEP], record=tuple(step for step in case.record if step <= LAST_STEP))


def _limits(case: Case, expected: Expectations) -> dict[int, _Limits]:
    """Recorded step to the limits of its arrays."""
    limits: dict[int, _Limits] = {}
    inside = {name: in_range(arrays) for name, arrays in expected.items()}
    for at, step in enumerate(case.record):
        places, parts = [], []
        for name, arrays in expected.items():
            for array, array_expected in arrays.items():
                bound = array_expected.bound[CLASSES[-1]][at].astype(np.float64)
                places.append((name, SHOWN[array]))
                parts.append((array_expected.value[at], bound, inside[name][at] & np.isfinite(bound)))
        limits[step] = _Limits(tuple(places), *(np.concatenate([part.reshape(-1) for part in column]) for column in zip(*parts)))
    return limits


@dataclass(frozen=True, eq=False)
class _Proof:
    """A case, or some columns of it, and its limits."""

    case: Case
    limits: Mapping[int, _Limits]

    @classmethod
    def of(cls, case: Case, expected: Expectations) -> _Proof:
        return cls(case, _limits(case, expected))

    def run(self, a: System, deviation: Deviation) -> Iterator[tuple[int, Array | None]]:
        """The numbers of the deviation at each step, from 1: in the order of the limits, None where there are none."""
        for step, states in enumerate(trajectory(self.case, a, dialect(self.case.dialect), (deviation,)), start=1):
            yield step, self.limits[step].numbers(states) if step in self.limits else None

    def holds(self, deviation: Deviation, step: int, balls: Array) -> bool:
        """Whether balls prove that the deviation leaves a limit at a step."""
        from ..arithmetic.balls import midpoint

        limit = self.limits[step]
        undefined = ~np.isfinite(midpoint(balls)) & limit.known
        return limit.proven(balls) or (bool(undefined.any()) and self._is_not_finite(deviation, step, undefined))

    def _is_not_finite(self, deviation: Deviation, step: int, places: Array) -> bool:
        """Whether the deviation gives no finite number where it divides by an exact zero, as computed in floats."""
        _, numbers = next(islice(self.run(ByFormat(_floats), deviation), step - 1, None))
        return numbers is not None and not np.isfinite(numbers[places]).all()

    def leaves_half(self, deviation: Deviation) -> bool:
        """Whether the deviation leaves half of a limit when it is computed in doubles, or is no number there."""
        for step, numbers in self.run(_floats("float64"), deviation):
            if numbers is not None:
                limit = self.limits[step]
                if limit.exceeded(numbers, SCREEN_DISTANCE).any() or not np.isfinite(numbers[limit.known]).all():
                    return True
        return False


def _is_caught(whole: _Proof, few: _Proof, deviation: Deviation) -> bool:
    """Whether balls prove that the deviation leaves a limit, in a few columns or in all of the case.

    Not tried any longer where doubles come nowhere near a limit of the whole case.
    """
    steps = len(whole.case.steps)
    screened = min(UNSCREENED_STEPS, steps) if few is not whole or steps > UNSCREENED_STEPS else None
    for proof in (few,) if few is whole else (few, whole):
        for step, balls in proof.run(ball(), deviation):
            if balls is not None and proof.holds(deviation, step, balls):
                return True
            if proof is few and step == screened and not whole.leaves_half(deviation):
                return False
    return False


@cache
def _floats(dtype: str) -> Arithmetic:
    """One number system per dtype, so that scalars which several deviations need are computed once."""
    return Float(dtype)
