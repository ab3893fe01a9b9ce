"""A pair of dialects, compared: what a page prints and `--json` writes, as data."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..dialects import Dialect, differing_stages
from ..dialects.translate import in_names_of
from ._adapters import in_words, prepared
from ._conditions import Condition, condition
from ._conditions import in_words as in_conditions
from ._distances import Distance, Outcome, Refusal, Rounding, alone, compare, farthest, rounding
from ._limits import FORMS
from ._measured import Measured
from ._parameters import Row, side_by_side
from ._recipes import Recipe, proven, search
from ._replay import Target, Transfer
from ._stages import StageDifference, Switched, as_dense, differences, instead, is_dense, switched


@dataclass(frozen=True)
class Size:
    """How large one stage's difference is: on which cases it shows, and the case where it is largest."""

    difference: StageDifference
    setting: str
    cases: frozenset[str]
    case: str | None
    largest: Distance | None


@dataclass(frozen=True)
class Comparison:
    """Two dialects: parameters, stages, sizes, the recipe that makes B reproduce A, and its condition.

    abouts: what each case is about; plain_settings: the cases with every setting at its default; dense_cases: those with a dense gradient;
    gaps: the stages in which B differs after the recipe, by case that still differs.
    """

    a: Dialect
    b: Dialect
    parameters: tuple[Row, ...]
    differences: tuple[StageDifference, ...]
    switched: tuple[Switched, ...]
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

    def with_defaults(self) -> dict[str, Outcome]:
        """How the cases with every setting at its default come out with nothing prepared."""
        return {id: outcome for id, outcome in self.recipe.plain.items() if id in self.plain_settings}

    def sparse_with_defaults(self) -> dict[str, Distance]:
        """The same for those without a dense gradient, as far as B takes them."""
        outcomes = {id: outcome for id, outcome in self.with_defaults().items() if id not in self.dense_cases}
        return {id: outcome for id, outcome in outcomes.items() if isinstance(outcome, Distance)}

    def left(self) -> list[StageDifference]:
        """The stages that stay different after the recipe, each of which shows, alone, on a case that still differs."""
        return [
            size.difference for size in self.sizes if any(id in size.cases and size.difference in gaps for id, gaps in self.gaps.items())
        ]


def compared(a: Dialect, b: Dialect, cases: Sequence[Measured]) -> Comparison:
    """Compare two dialects on cases of A that have been measured, then prove the recipe in exact arithmetic."""
    differing, settings = differences(a, b), tuple(switched(a, b))
    opened = {difference: setting.setting for setting in settings for difference in setting.opens}
    recipe = proven(search(cases, a, b), cases, b)
    plain_settings = [measured for measured in cases if measured.defaults]
    return Comparison(
        a,
        b,
        parameters=side_by_side(a, b),
        differences=differing,
        switched=settings,
        sizes=tuple(_size(cases, a, difference, setting) for difference, setting in (dict.fromkeys(differing, "") | opened).items()),
        recipe=recipe,
        abouts={measured.id: measured.case.about for measured in cases},
        plain_settings=frozenset(measured.id for measured in plain_settings),
        dense_cases=frozenset(measured.id for measured in cases if "dense" in measured.forms),
        gaps={measured.id: _gaps(measured, a, b, recipe) for measured in cases if not recipe.outcomes[measured.id].agrees},
        roundings=_roundings(plain_settings),
        condition=condition(cases, recipe.outcomes),
    )


def _size(cases: Iterable[Measured], a: Dialect, difference: StageDifference, setting: str) -> Size:
    apart = {measured.id: alone(measured, a, difference) for measured in cases if _may_show(measured, difference)}
    shows = frozenset(id for id, distance in apart.items() if not distance.agrees)
    return Size(difference, setting, shows, *(farthest(apart) or (None, None)))


def _may_show(measured: Measured, difference: StageDifference) -> bool:
    """Whether the case means, at some call, what A picks in this stage."""
    wanted = (meant for call in measured.calls.calls for meant in call.wanted.values())
    return any(getattr(meant.picks, difference.stage) is difference.a for meant in wanted)


def _gaps(measured: Measured, a: Dialect, b: Dialect, recipe: Recipe) -> frozenset[StageDifference]:
    """The stages in which B, after the recipe, still picks something else than this case means, and which matter to it.

    Nothing where B refuses the case.
    """
    if isinstance(recipe.outcomes[measured.id], Refusal):
        return frozenset()
    target = Target(b, recipe.settings)
    after = prepared(measured.calls, recipe.preparations, target)
    gaps: set[StageDifference] = set()
    for wanted in {call.wanted[name] for call in after.calls for name, gradient in call.gradients.items() if gradient is not None}:
        picks = as_dense(b.resolve(in_names_of(b, wanted, a, recipe.settings))[1], b, a)
        gaps.update(StageDifference(*stage) for stage in differing_stages(wanted.picks, picks))
    always = {"touch"} if is_dense(b) and not is_dense(a) else set()
    return frozenset(gap for gap in gaps if gap.stage in always or _matters(measured, after, target, gap))


def _matters(measured: Measured, after: Transfer, target: Target, gap: StageDifference) -> bool:
    """Whether B would come to something else if it picked what A does: not where the recipe has made the picks come to the same."""
    as_a = replace(target, deviations=(instead(target.dialect, gap.stage, gap.a),))
    return compare(measured, after, target) != compare(measured, after, as_a)


def _roundings(cases: Iterable[Measured]) -> tuple[Rounding, ...]:
    """What rounding alone may do in the shortest and in the longest of these cases."""
    by_length = sorted(cases, key=lambda measured: len(measured.case.steps))
    return tuple(map(rounding, dict.fromkeys(by_length[:1] + by_length[-1:])))


def to_json(comparison: Comparison) -> str:
    """The comparison as JSON."""
    a, b, recipe, holds = comparison.a, comparison.b, comparison.recipe, comparison.condition
    table = {
        "a": a.name,
        "b": b.name,
        "parameters": [
            {
                "a": [parameter.name for parameter in row.a],
                "b": [parameter.name for parameter in row.b],
                "relation": row.relation,
                "notes": row.notes,
                "default_a": [parameter.default for parameter in row.a],
                "default_b": [parameter.default for parameter in row.b],
            }
            for row in comparison.parameters
        ],
        "stages": list(map(_stage, comparison.differences)),
        "switches": [
            {"setting": switch.setting, "opens": list(map(_stage, switch.opens)), "closes": switch.closes} for switch in comparison.switched
        ],
        "gradients": [{"form": form, "a": _taken(a, form), "b": _taken(b, form)} for form in FORMS],
        "sizes": [
            _stage(size.difference)
            | {"setting": size.setting, "shows": len(size.cases), "case": size.case}
            | {"largest": _outcome(size.largest) if size.largest else None}
            for size in comparison.sizes
        ],
        "rounding": [
            {"case": rounding.case, "steps": rounding.steps, "tensor-faithful": rounding.loose, "exact-ieee": rounding.tight}
            for rounding in comparison.roundings
        ],
        "recipe": {
            "complete": recipe.complete,
            "settings": recipe.settings,
            "preparations": [{"id": id, "do": in_words(id, a, Target(b, recipe.settings))} for id in recipe.preparations],
            "cases": comparison.count,
            "agree_before": recipe.before,
            "agree_after": recipe.agreeing,
            "condition": holds
            and {"without": in_conditions(holds), "agree": holds.holds, "others": holds.others, "others_differ": holds.fail},
        },
        "cases": {id: {"before": _outcome(outcome), "after": _outcome(recipe.outcomes[id])} for id, outcome in recipe.plain.items()},
    }
    return json.dumps(table, indent=2, allow_nan=False) + "\n"


def _taken(dialect: Dialect, form: str) -> str:
    """What a dialect says to a form of gradient that it refuses."""
    return "taken" if form in dialect.gradients else dialect.refusal(form)


def _stage(difference: StageDifference) -> dict[str, Any]:
    return {"stage": difference.stage, "a": difference.a.value, "b": difference.b.value}


def _outcome(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Refusal):
        return {"refused": outcome.kind, "reason": outcome.reason}
    numbers = {"learning_rates": outcome.rates, "bounds": outcome.bounds}
    return {"agrees": outcome.agrees, **{key: value if math.isfinite(value) else str(value) for key, value in numbers.items()}}
