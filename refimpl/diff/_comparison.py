"""Everything that is found out about a pair of dialects, as data: what a page prints and `--json` writes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..dialects import Deviation, Dialect, Parameter, differing_stages
from ..dialects.stages import Touch
from ..dialects.translate import Wanted, in_names_of
from ._adapters import in_words, prepared
from ._conditions import Condition, condition
from ._conditions import in_words as in_conditions
from ._distances import Distance, Outcome, Refusal, Rounding, alone, compare, farthest, rounding
from ._measured import Measured
from ._parameters import Row, side_by_side
from ._recipes import Recipe, agrees, search
from ._replay import Target, Transfer
from ._stages import Form, StageDifference, Switched, differences, forms, is_dense, switched


@dataclass(frozen=True)
class Size:
    """How large one stage's difference is: on how many cases it shows, and the case where it is largest."""

    difference: StageDifference
    setting: str
    shows: int
    case: str | None
    largest: Distance | None
    cases: frozenset[str]


@dataclass(frozen=True)
class Comparison:
    """Two dialects: parameters, stages, forms, sizes, the recipe that makes B reproduce A."""

    a: Dialect
    b: Dialect
    parameters: tuple[Row, ...]
    differences: tuple[StageDifference, ...]
    switched: tuple[Switched, ...]
    forms: tuple[Form, ...]
    sizes: tuple[Size, ...]
    recipe: Recipe
    abouts: Mapping[str, str]
    plain_settings: frozenset[str]
    dense_cases: frozenset[str]
    gaps: Mapping[str, frozenset[StageDifference]]
    roundings: tuple[Rounding, ...]
    condition: Condition | None

    @property
    def count(self) -> int:
        return len(self.recipe.plain)

    def farthest_plain(self) -> tuple[str, Distance] | None:
        """The case where they are farthest apart with nothing prepared, with every setting at its default where one shows it."""
        return _farthest({id: one for id, one in self.recipe.plain.items() if id in self.plain_settings}) or _farthest(self.recipe.plain)

    def farthest_left(self) -> tuple[str, Distance] | None:
        """The case where they are farthest apart after the recipe."""
        return _farthest(self.recipe.found)

    def left(self) -> tuple[Size, ...]:
        """The stages that stay different after the recipe, each of which shows, alone, on a case that still differs."""
        return tuple(size for size in self.sizes if any(id in size.cases and size.difference in gaps for id, gaps in self.gaps.items()))


def _farthest(outcomes: Mapping[str, Outcome]) -> tuple[str, Distance] | None:
    apart = {id: one for id, one in outcomes.items() if isinstance(one, Distance)}
    id = farthest(apart)
    return (id, apart[id]) if id else None


def compared(a: Dialect, b: Dialect, cases: Iterable[Measured]) -> Comparison:
    """Compare two dialects on cases of A that have been measured, then prove the recipe in exact arithmetic."""
    known = list(cases)
    apart = differences(a, b)
    recipe = proven(search(known, a, b), known, b)
    return Comparison(
        a,
        b,
        side_by_side(a, b),
        apart,
        switched(a, b),
        forms(a, b),
        tuple(_size(known, a, one, setting) for one, setting in _every_stage(apart, switched(a, b)).items()),
        recipe,
        {one.id: one.case.about for one in known},
        frozenset(one.id for one in known if one.defaults),
        frozenset(one.id for one in known if "dense" in one.forms),
        {one.id: _gaps(one, a, b, recipe) for one in known if not agrees(recipe.found[one.id])},
        _roundings([one for one in known if one.defaults]),
        condition(known, recipe.found),
    )


def _roundings(cases: list[Measured]) -> tuple[Rounding, ...]:
    """What rounding alone may do in the shortest and in the longest of these cases."""
    by_length = sorted(cases, key=lambda one: len(one.case.steps))
    return tuple(map(rounding, dict.fromkeys(by_length[:1] + by_length[-1:])))


def _gaps(one: Measured, a: Dialect, b: Dialect, recipe: Recipe) -> frozenset[StageDifference]:
    """The stages in which B, after the recipe, still picks something else than this case means, and which matter to it.

    Nothing where B refuses the case.
    """
    if isinstance(recipe.found[one.id], Refusal):
        return frozenset()
    after = prepared(one.given, frozenset(recipe.preparations), Target(b, recipe.settings))
    pairs = {(wanted, _items(in_names_of(b, wanted, a, recipe.settings))) for wanted in _used(after)}
    as_dense = is_dense(b) and not is_dense(a)
    found: set[StageDifference] = set()
    for wanted, items in pairs:
        theirs = b.resolve(dict(items))[1]
        theirs = replace(theirs, touch=Touch.ALL) if as_dense else theirs
        found.update(StageDifference(*each) for each in differing_stages(wanted.picks, theirs))
    return frozenset(gap for gap in found if (as_dense and gap.stage == "touch") or _matters(one, after, Target(b, recipe.settings), gap))


def _matters(one: Measured, after: Transfer, target: Target, gap: StageDifference) -> bool:
    """Whether B would come to something else if it picked what A does: not where the recipe has made the picks come to the same."""
    instead = Deviation(gap.stage, "D", "", {gap.stage: gap.a}, ())
    return compare(one, after, target) != compare(one, after, replace(target, deviations=(instead,)))


def _used(given: Transfer) -> set[Wanted]:
    """What is asked for where a parameter has a gradient."""
    return {call.wanted[name] for call in given.calls for name, gradient in call.gradients.items() if gradient is not None}


def _items(hyper: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Settings as something that can be compared and counted once."""
    return tuple(sorted(hyper.items()))


def _every_stage(apart: tuple[StageDifference, ...], switched: tuple[Switched, ...]) -> dict[StageDifference, str]:
    """The differences at the defaults, and those that a setting opens with its name."""
    opened = {one: switch.setting for switch in switched for one in switch.opens}
    return {**dict.fromkeys(apart, ""), **{one: setting for one, setting in opened.items() if one not in apart}}


def _size(cases: Iterable[Measured], a: Dialect, difference: StageDifference, setting: str) -> Size:
    found = {one.id: alone(one, a, difference) for one in cases if _may_show(one, difference)}
    shows = frozenset(id for id, one in found.items() if not one.agrees)
    where = farthest(found)
    return Size(difference, setting, len(shows), where, found[where] if where else None, shows)


def _may_show(one: Measured, difference: StageDifference) -> bool:
    """Whether the case means, at some call, what A picks in this stage."""
    return any(getattr(wanted.picks, difference.stage) is difference.a for call in one.given.calls for wanted in call.wanted.values())


def proven(recipe: Recipe, cases: Iterable[Measured], b: Dialect) -> Recipe:
    """The same recipe with the cases that agree evaluated in balls: the distance is then between two exact results."""
    from ..arithmetic.balls import Ball, midpoint

    exact = dict(recipe.found)
    ids, target = frozenset(recipe.preparations), Target(b, recipe.settings)
    for one in cases:
        if agrees(exact[one.id]):
            exact[one.id] = compare(one, prepared(one.given, ids, target), target, Ball(), midpoint)
    return Recipe(recipe.settings, recipe.preparations, recipe.plain, exact)


def to_json(found: Comparison) -> str:
    """The comparison as JSON."""
    recipe = found.recipe
    table = {
        "a": found.a.name,
        "b": found.b.name,
        "parameters": [
            {"a": [one.name for one in row.a], "b": [one.name for one in row.b], "relation": row.relation, "notes": list(row.notes)}
            | {"default_a": [_default(one) for one in row.a], "default_b": [_default(one) for one in row.b]}
            for row in found.parameters
        ],
        "stages": [_stage(one) for one in found.differences],
        "switches": [
            {"setting": one.setting, "opens": [_stage(each) for each in one.opens], "closes": list(one.closes)} for one in found.switched
        ],
        "gradients": [{"form": one.form, "a": one.a or "taken", "b": one.b or "taken"} for one in found.forms],
        "sizes": [
            _stage(size.difference)
            | {"setting": size.setting, "shows": size.shows, "case": size.case, "largest": _outcome(size.largest) if size.largest else None}
            for size in found.sizes
        ],
        "rounding": [
            {"case": one.case, "steps": one.steps, "tensor-faithful": one.loose, "exact-ieee": one.tight} for one in found.roundings
        ],
        "recipe": {
            "complete": recipe.complete,
            "settings": dict(recipe.settings),
            "preparations": [{"id": id, "do": in_words(id, found.a, Target(found.b, recipe.settings))} for id in recipe.preparations],
            "cases": found.count,
            "agree_before": recipe.before,
            "agree_after": recipe.agreeing,
            "condition": _condition(found.condition) if found.condition else None,
        },
        "cases": {id: {"before": _outcome(one), "after": _outcome(recipe.found[id])} for id, one in recipe.plain.items()},
    }
    return json.dumps(table, indent=2, allow_nan=False) + "\n"


def _condition(one: Condition) -> dict[str, Any]:
    return {"without": list(in_conditions(one)), "agree": one.holds, "others": one.others, "others_differ": one.fail}


def _default(parameter: Parameter) -> Any:
    return list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default


def _stage(one: StageDifference) -> dict[str, Any]:
    return {"stage": one.stage, "a": one.a.value, "b": one.b.value}


def _outcome(one: Outcome) -> dict[str, Any]:
    if isinstance(one, Refusal):
        return {"refused": one.kind, "reason": one.reason}
    finite = {"learning_rates": one.rates, "bounds": one.bounds}
    return {"agrees": one.agrees, **{key: value if math.isfinite(value) else str(value) for key, value in finite.items()}}
