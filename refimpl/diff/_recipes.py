"""The recipe that makes B reproduce A: found by search over B's settings and the table of preparations, proven case by case."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from ..dialects import Dialect, differing_stages
from ..dialects.translate import paired_switches
from ._adapters import PREPARATIONS, prepared
from ._distances import Distance, Outcome, Refusal, compare
from ._measured import Measured
from ._replay import Target


@dataclass(frozen=True)
class Move:
    """One step of the search: a setting of B, or a preparation of its inputs."""

    preparation: str = ""
    setting: tuple[str, Any] | None = None


@dataclass(frozen=True)
class Recipe:
    """What was found: the settings and preparations, and how each case of A comes out with and without them."""

    settings: Mapping[str, Any]
    preparations: tuple[str, ...]
    plain: Mapping[str, Outcome]
    found: Mapping[str, Outcome]

    @property
    def complete(self) -> bool:
        return all(agrees(one) for one in self.found.values())

    @property
    def agreeing(self) -> int:
        return sum(map(agrees, self.found.values()))

    @property
    def before(self) -> int:
        """How many cases agree with the same settings and nothing prepared."""
        return sum(map(agrees, self.plain.values()))

    @property
    def idle(self) -> bool:
        return not self.settings and not self.preparations


def agrees(outcome: Outcome) -> bool:
    """Whether B is within A's bounds everywhere."""
    return isinstance(outcome, Distance) and outcome.agrees


def search(cases: Sequence[Measured], a: Dialect, b: Dialect) -> Recipe:
    """Add the move that makes most cases agree until none helps, pairs of moves where no single one does; then drop what is idle."""
    trial = _Trial(cases, a, b)
    moves = (*_settings(a, b), *(Move(preparation=id) for id in PREPARATIONS))
    chosen: frozenset[Move] = frozenset()
    while trial.score(chosen) < len(cases):
        ahead = _best(trial, chosen, moves, 1) or _best(trial, chosen, moves, 2)
        if ahead is None:
            break
        chosen = ahead
    for move in moves:
        if move in chosen and trial.score(chosen - {move}) == trial.score(chosen):
            chosen = chosen - {move}
    settings, ids = _parts(chosen)
    return Recipe(settings, tuple(id for id in PREPARATIONS if id in ids), trial.outcomes(frozenset()), trial.outcomes(chosen))


def _settings(a: Dialect, b: Dialect) -> tuple[Move, ...]:
    paired = paired_switches(a, b)
    switches = (one for one in b.parameters.values() if one.when_true and one.name not in paired)
    return tuple(Move(setting=(one.name, not one.default)) for one in switches)


def _best(trial: _Trial, chosen: frozenset[Move], moves: Sequence[Move], size: int) -> frozenset[Move] | None:
    """The choice with so many moves more under which most cases agree; None where none makes more agree than do now."""
    left = [move for move in moves if move not in chosen]
    gains = {ahead: trial.gain(chosen, ahead) for ahead in (chosen.union(some) for some in combinations(left, size))}
    promising = sorted((ahead for ahead in gains if gains[ahead] > 0), key=lambda ahead: -gains[ahead])[:TRIED]
    best = max(promising, key=trial.score, default=chosen)
    return best if trial.score(best) > trial.score(chosen) else None


def _parts(chosen: frozenset[Move]) -> tuple[dict[str, Any], frozenset[str]]:
    return dict(move.setting for move in chosen if move.setting), frozenset(move.preparation for move in chosen if move.preparation)


class _Trial:
    """Evaluates choices of moves; a choice that changes nothing about a case is not evaluated again."""

    def __init__(self, cases: Sequence[Measured], a: Dialect, b: Dialect) -> None:
        self.cases, self.a, self.b = sorted(cases, key=lambda one: len(one.case.steps)), a, b
        self._known: dict[tuple[str, tuple[tuple[str, Any], ...], frozenset[str]], Outcome] = {}
        self._scores: dict[frozenset[Move], int] = {}
        self._samples: dict[frozenset[Move], tuple[list[Measured], list[Measured]]] = {}
        plain = Target(b, {})
        self._idle: dict[str, set[str]] = {
            one.id: {id for id in PREPARATIONS if id not in LATE and PREPARATIONS[id].apply(one.given, plain) is one.given} for one in cases
        }

    def score(self, chosen: frozenset[Move]) -> int:
        """How many of all cases agree."""
        if chosen not in self._scores:
            self._scores[chosen] = sum(map(agrees, self.outcomes(chosen).values()))
        return self._scores[chosen]

    def gain(self, chosen: frozenset[Move], ahead: frozenset[Move]) -> int:
        """How many more of a sample agree: of cases that do not agree yet a few of each kind, and, where one is won, of those that do."""
        if chosen not in self._samples:
            known = self.outcomes(chosen)
            self._samples[chosen] = self._few(known, False), self._few(known, True)
        stuck, fine = self._samples[chosen]
        won = sum(self._agrees(one, ahead) for one in stuck)
        return won and won - sum(not self._agrees(one, ahead) for one in fine)

    def _few(self, known: Mapping[str, Outcome], agreeing: bool) -> list[Measured]:
        """The few shortest of each kind: what helps none of them is not tried on the others."""
        kinds: dict[Hashable, list[Measured]] = {}
        for one in self.cases:
            if agrees(known[one.id]) is agreeing and len(one.case.steps) <= SHORT:
                kinds.setdefault(self._kind(one, known[one.id]), []).append(one)
        return [one for some in kinds.values() for one in some[:FEW]]

    def _kind(self, one: Measured, outcome: Outcome) -> Hashable:
        """Why a case may differ: the reason of a refusal, or the stages in which B picks something else; and its theme."""
        if isinstance(outcome, Refusal):
            return one.case.theme, outcome.reason
        wanted = {used for call in one.given.calls for used in call.wanted.values()}
        return one.case.theme, frozenset(stage for used in wanted for stage, _, _ in differing_stages(used.picks, self.b.picks))

    def _agrees(self, one: Measured, chosen: frozenset[Move]) -> bool:
        settings, ids = _parts(chosen)
        return agrees(self._outcome(one, settings, ids - self._idle[one.id]))

    def outcomes(self, chosen: frozenset[Move]) -> dict[str, Outcome]:
        settings, ids = _parts(chosen)
        return {one.id: self._outcome(one, settings, ids - self._idle[one.id]) for one in self.cases}

    def _outcome(self, one: Measured, settings: Mapping[str, Any], ids: frozenset[str]) -> Outcome:
        key = (one.id, tuple(sorted(settings.items())), ids)
        if key not in self._known:
            target = Target(self.b, settings)
            self._known[key] = compare(one, prepared(one.given, ids, target), target)
        return self._known[key]


LATE = ("merge", "every-row", "densify", "rescale", "skip-calls", "drop-empty", "fill")
"""Preparations that may find something to do only after another one has been applied."""

FEW = 2
"""How many cases of a kind stand for the others when a move is tried."""

TRIED = 3
"""How many of the moves that help most in a sample are tried on every case."""

SHORT = 50
"""Longer cases wait until a short one is won: a horizon differs for the reasons that the others differ for."""
