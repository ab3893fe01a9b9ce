"""The recipe that makes B reproduce A: found by search over B's settings and the table of preparations, proven case by case."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from ..dialects import Dialect, differing_stages
from ..dialects.translate import paired_switches
from ._adapters import PREPARATIONS, prepared, prepared_by
from ._distances import Outcome, Refusal, compare
from ._measured import Measured
from ._replay import Target
from ._stages import visible_picks

LATE = ("merge", "every-row", "densify", "rescale", "skip-calls", "drop-empty", "fill")
"""Preparations that may have something to do only after another one has been applied."""

FEW = 2
"""How many cases of a kind stand for the others when a move is tried."""

TRIED = 3
"""How many of the moves that help most in a sample are tried on every case."""

SHORT = 50
"""Longer cases wait until a short one is won: a horizon differs for the reasons that the others differ for."""


@dataclass(frozen=True)
class Move:
    """One step of the search: a setting of B, or a preparation of its inputs."""

    preparation: str = ""
    setting: tuple[str, Any] | None = None


@dataclass(frozen=True)
class Recipe:
    """The settings and preparations, and how each case of A comes out without preparations (plain) and with all of it (outcomes)."""

    settings: Mapping[str, Any]
    preparations: tuple[str, ...]
    plain: Mapping[str, Outcome]
    outcomes: Mapping[str, Outcome]

    @property
    def complete(self) -> bool:
        return self.agreeing == len(self.outcomes)

    @property
    def agreeing(self) -> int:
        return sum(outcome.agrees for outcome in self.outcomes.values())

    @property
    def before(self) -> int:
        """How many cases agree with the same settings and nothing prepared."""
        return sum(outcome.agrees for outcome in self.plain.values())

    @property
    def idle(self) -> bool:
        return not self.settings and not self.preparations


def search(cases: Sequence[Measured], a: Dialect, b: Dialect) -> Recipe:
    """Add the move that makes most cases agree until none helps, pairs of moves where no single one does; then drop what is idle.

    It starts with the switches of B that bring its picks nearer to A's: most cases need them beside something else.
    """
    trial = _Trial(cases, b)
    paired = paired_switches(a, b)
    switches = [parameter for parameter in b.parameters.values() if parameter.when_true and parameter.name not in paired]
    moves = (*(Move(setting=(switch.name, not switch.default)) for switch in switches), *(Move(id) for id in PREPARATIONS))
    chosen = _nearest_switches(a, b, moves)
    while trial.score(chosen) < len(cases):
        ahead = _best(trial, chosen, moves, 1) or _best(trial, chosen, moves, 2)
        if ahead is None:
            break
        chosen = ahead
    for move in moves:
        if move in chosen and trial.score(chosen - {move}) >= trial.score(chosen):
            chosen = chosen - {move}
    settings, ids = _parts(chosen)
    return Recipe(settings, tuple(id for id in PREPARATIONS if id in ids), trial.outcomes(frozenset()), trial.outcomes(chosen))


def _nearest_switches(a: Dialect, b: Dialect, moves: Iterable[Move]) -> frozenset[Move]:
    """The settings of B that each bring its picks nearer to those of A, both with a weight decay."""
    wanted = visible_picks(a)

    def apart(settings: Mapping[str, Any]) -> int:
        return len(list(differing_stages(wanted, visible_picks(b, settings))))

    return frozenset(move for move in moves if move.setting and apart(dict([move.setting])) < apart({}))


def proven(recipe: Recipe, cases: Sequence[Measured], b: Dialect) -> Recipe:
    """The same recipe with the cases that agree evaluated in balls: the distance is then between two exact results."""
    from ..arithmetic.balls import Ball, midpoint

    target = Target(b, recipe.settings)
    exact = {
        measured.id: compare(measured, prepared(measured.calls, recipe.preparations, target), target, Ball(), midpoint)
        for measured in cases
        if recipe.outcomes[measured.id].agrees
    }
    return replace(recipe, outcomes={**recipe.outcomes, **exact})


def _best(trial: _Trial, chosen: frozenset[Move], moves: Sequence[Move], size: int) -> frozenset[Move] | None:
    """The choice with so many moves more under which most cases agree; None where none makes more agree than do now."""
    left = [move for move in moves if move not in chosen]
    gains = {ahead: trial.gain(chosen, ahead) for ahead in (chosen.union(added) for added in combinations(left, size))}
    promising = sorted((ahead for ahead in gains if gains[ahead] > 0), key=lambda ahead: -gains[ahead])[:TRIED]
    best = max(promising, key=trial.score, default=chosen)
    return best if trial.score(best) > trial.score(chosen) else None


def _parts(chosen: frozenset[Move]) -> tuple[dict[str, Any], frozenset[str]]:
    """The settings and the preparations of a choice."""
    return dict(move.setting for move in chosen if move.setting), frozenset(move.preparation for move in chosen if move.preparation)


class _Trial:
    """Evaluates choices of moves; a choice that changes nothing about a case is not evaluated again."""

    def __init__(self, cases: Sequence[Measured], b: Dialect) -> None:
        self.cases, self.b = sorted(cases, key=lambda measured: len(measured.case.steps)), b
        self._known: dict[Hashable, Outcome] = {}
        self._scores: dict[frozenset[Move], int] = {}
        self._samples: dict[frozenset[Move], tuple[list[Measured], list[Measured]]] = {}
        plain, early = Target(b, {}), [preparation for id, preparation in PREPARATIONS.items() if id not in LATE]
        self._idle = {
            measured.id: {preparation.id for preparation in early if preparation.apply(measured.calls, plain) is measured.calls}
            for measured in cases
        }

    def score(self, chosen: frozenset[Move]) -> int:
        """How many of all cases agree."""
        if chosen not in self._scores:
            self._scores[chosen] = sum(outcome.agrees for outcome in self.outcomes(chosen).values())
        return self._scores[chosen]

    def gain(self, chosen: frozenset[Move], ahead: frozenset[Move]) -> int:
        """How many more of a sample agree: of cases that do not agree yet a few of each kind, and, where one is won, of those that do."""
        if chosen not in self._samples:
            known = self.outcomes(chosen)
            self._samples[chosen] = self._few(known, False), self._few(known, True)
        stuck, fine = self._samples[chosen]
        won = sum(self._outcome(measured, ahead).agrees for measured in stuck)
        return won and won - sum(not self._outcome(measured, ahead).agrees for measured in fine)

    def _few(self, known: Mapping[str, Outcome], agreeing: bool) -> list[Measured]:
        """The few shortest of each kind: what helps none of them is not tried on the others."""
        kinds: dict[Hashable, list[Measured]] = {}
        for measured in self.cases:
            if known[measured.id].agrees is agreeing and len(measured.case.steps) <= SHORT:
                kinds.setdefault(self._kind(measured, known[measured.id]), []).append(measured)
        return [measured for alike in kinds.values() for measured in alike[:FEW]]

    def _kind(self, measured: Measured, outcome: Outcome) -> Hashable:
        """Why a case may differ: the reason of a refusal, or the stages in which B picks something else; and its theme."""
        if isinstance(outcome, Refusal):
            return measured.case.theme, outcome.reason
        wanted = {meant for call in measured.calls.calls for meant in call.wanted.values()}
        return measured.case.theme, frozenset(stage for meant in wanted for stage, _, _ in differing_stages(meant.picks, self.b.picks))

    def outcomes(self, chosen: frozenset[Move]) -> dict[str, Outcome]:
        return {measured.id: self._outcome(measured, chosen) for measured in self.cases}

    def _outcome(self, measured: Measured, chosen: frozenset[Move]) -> Outcome:
        settings, ids = _parts(chosen)
        ids -= self._idle[measured.id]
        alike = (measured.id, tuple(sorted(settings.items())))
        if (alike, ids) not in self._known:
            target = Target(self.b, settings)
            calls, effective = prepared_by(measured.calls, ids, target)
            if (alike, effective) not in self._known:
                self._known[alike, effective] = compare(measured, calls, target)
            self._known[alike, ids] = self._known[alike, effective]
        return self._known[alike, ids]
