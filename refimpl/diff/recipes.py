"""The recipe that makes B reproduce A: found by search over B's settings and the table of preparations, proven case by case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from ..dialects import Dialect
from .parameters import paired_switches
from .preparations import PREPARATIONS, prepared
from .sizes import Distance, Measured, Outcome, compare


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
    trial = _Trial(cases, b)
    moves = (*_settings(a, b), *(Move(preparation=id) for id in PREPARATIONS))
    chosen: frozenset[Move] = frozenset()
    best = trial.score(chosen)
    while best < len(cases):
        ahead = _best(trial, chosen, moves, 1, best) or _best(trial, chosen, moves, 2, best)
        if ahead is None:
            break
        chosen, best = ahead, trial.score(ahead)
    for move in moves:
        if move in chosen and trial.score(chosen - {move}) == best:
            chosen = chosen - {move}
    settings, ids = _parts(chosen)
    return Recipe(settings, tuple(id for id in PREPARATIONS if id in ids), trial.outcomes(frozenset()), trial.outcomes(chosen))


def _settings(a: Dialect, b: Dialect) -> tuple[Move, ...]:
    paired = paired_switches(a, b)
    switches = (one for one in b.parameters.values() if one.when_true and one.name not in paired)
    return tuple(Move(setting=(one.name, not one.default)) for one in switches)


def _best(trial: _Trial, chosen: frozenset[Move], moves: Sequence[Move], size: int, best: int) -> frozenset[Move] | None:
    left = [move for move in moves if move not in chosen]
    ahead = max((chosen.union(some) for some in combinations(left, size)), key=lambda some: trial.gain(chosen, some), default=chosen)
    return ahead if trial.gain(chosen, ahead) > 0 and trial.score(ahead) > best else None


def _parts(chosen: frozenset[Move]) -> tuple[dict[str, Any], frozenset[str]]:
    return dict(move.setting for move in chosen if move.setting), frozenset(move.preparation for move in chosen if move.preparation)


class _Trial:
    """Evaluates choices of moves; a choice that changes nothing about a case is not evaluated again."""

    def __init__(self, cases: Sequence[Measured], b: Dialect) -> None:
        self.cases, self.b = cases, b
        self._known: dict[tuple[str, tuple[tuple[str, Any], ...], frozenset[str]], Outcome] = {}
        self._scores: dict[frozenset[Move], int] = {}
        self._idle: dict[str, set[str]] = {
            one.id: {id for id in PREPARATIONS if id not in LATE and PREPARATIONS[id].apply(one.given, b) is one.given} for one in cases
        }

    def score(self, chosen: frozenset[Move]) -> int:
        if chosen not in self._scores:
            self._scores[chosen] = sum(map(agrees, self.outcomes(chosen).values()))
        return self._scores[chosen]

    def gain(self, chosen: frozenset[Move], ahead: frozenset[Move]) -> int:
        """How many more cases agree; all of them are only looked at where one of a few is won."""
        settings, ids = _parts(ahead)
        won = any(agrees(self._outcome(one, settings, ids - self._idle[one.id])) for one in self._stuck(chosen))
        return self.score(ahead) - self.score(chosen) if won else 0

    def _stuck(self, chosen: frozenset[Move]) -> list[Measured]:
        """Of the cases that do not agree yet, the few shortest of each theme: what helps none of them is not tried on the others."""
        known = self.outcomes(chosen)
        by_theme: dict[str, list[Measured]] = {}
        for one in sorted(self.cases, key=lambda one: len(one.case.steps)):
            if not agrees(known[one.id]) and len(one.case.steps) <= SHORT:
                by_theme.setdefault(one.case.theme, []).append(one)
        return [one for of in by_theme.values() for one in of[:FEW]]

    def outcomes(self, chosen: frozenset[Move]) -> dict[str, Outcome]:
        settings, ids = _parts(chosen)
        return {one.id: self._outcome(one, settings, ids - self._idle[one.id]) for one in self.cases}

    def _outcome(self, one: Measured, settings: Mapping[str, Any], ids: frozenset[str]) -> Outcome:
        key = (one.id, tuple(sorted(settings.items())), ids)
        if key not in self._known:
            self._known[key] = compare(one, prepared(one.given, ids, self.b), self.b, settings)
        return self._known[key]


LATE = ("merge", "every-row", "densify", "rescale", "skip-calls", "drop-empty", "fill")
"""Preparations that may find something to do only after another one has been applied."""

FEW = 4
"""How many cases of a theme stand for the others when a move is tried."""

SHORT = 50
"""Longer cases wait until a short one is won: a horizon differs for the reasons that the others differ for."""
