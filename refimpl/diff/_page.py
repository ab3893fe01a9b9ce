"""The page about a pair of dialects: what a comparison found, in words."""

from __future__ import annotations

import re
from collections import Counter as Tally
from collections.abc import Iterator, Mapping

from ..common.text import counted, listed, ratio
from ..dialects import Dialect, Parameter
from ._adapters import in_words
from ._change import change, size_line
from ._comparison import Comparison
from ._conditions import in_words as in_conditions
from ._distances import Distance, Outcome, Refusal, differing, farthest
from ._document import bullets, row
from ._examples import examples_of
from ._limits import KINDS, limits
from ._parameters import accepted, typed
from ._replay import Target
from ._words import class_path, environment, stage_title


def page(comparison: Comparison) -> str:
    """The whole page in Markdown: what to change, conclusion, parameters, stages, gradients, sizes, recipe, corrections, examples."""
    return _rendered("page.md.j2", comparison, examples=[*examples_of(comparison.a), *examples_of(comparison.b)])


def short_page(comparison: Comparison) -> str:
    """The short page in Markdown: what to change, the stages that differ, the recipe, and how much of a well-known page is wrong."""
    return _rendered("short.md.j2", comparison, corrected=_verdicts(_rendered("corrections.md.j2", comparison)))


def _rendered(template: str, comparison: Comparison, **more: object) -> str:
    a, b, recipe = comparison.a, comparison.b, comparison.recipe
    text = (
        environment()
        .get_template(template)
        .render(
            FUNCTIONS,
            comparison=comparison,
            a=a,
            b=b,
            recipe=recipe,
            change=change(comparison),
            conclusion=conclusion(comparison),
            takes=sum(isinstance(outcome, Distance) for outcome in recipe.plain.values()),
            unsolved=len(differing(recipe.outcomes)),
            preparations=[in_words(id, a, Target(b, recipe.settings)) for id in recipe.preparations],
            left=[f"{stage_title(stage.stage)} ({stage.a.value}, not {stage.b.value})" for stage in comparison.left()],
            **more,
        )
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"  # a part of the template that is left out leaves its empty lines


def _verdicts(corrections: str) -> Tally[str]:
    """How many claims of the page on this pair are judged how."""
    return Tally(re.findall(r"^\| (?!it says|---)(?:[^|]+) \| ([^|]+) \|", corrections, re.MULTILINE))


def verdict_counts(verdicts: Tally[str]) -> list[str]:
    """Each verdict with the number of claims that have it."""
    return [f'{number} "{verdict}"' for verdict, number in verdicts.most_common()]


def size_lines(comparison: Comparison) -> list[str]:
    """The stages that differ, one a line, with the case that shows each; those that only a setting opens last."""
    return [size_line(size) for size in comparison.sizes if size.cases or not size.setting]


def conclusion(comparison: Comparison) -> str:
    """What a reader who reads one sentence should know."""
    a, b, recipe = comparison.a.name, comparison.b.name, comparison.recipe
    where = farthest(comparison.with_defaults()) or farthest(recipe.plain)
    stages = [stage_title(difference.stage) for difference in comparison.differences]
    apart = f"differ in {listed(stages)}" if stages else "make the same choices in every stage at their defaults"
    size = f" (up to {away(where[1])}, in {where[0]})" if where else ""
    taken = f"with the same settings {b} reproduces {a} on {recipe.before} of {comparison.count} cases"
    return f"{a} and {b} {apart}{size}: {taken}, {_outlook(comparison)}."


def _outlook(comparison: Comparison) -> str:
    """What the recipe adds, under which condition, and why it does not cover the rest."""
    recipe, condition = comparison.recipe, comparison.condition
    if recipe.complete:
        return "and nothing needs to be prepared" if recipe.idle else "and on all of them after the recipe below"
    if recipe.idle:
        return f"and no recipe is known that adds to them; {_why_not(comparison)}"
    as_long_as = f", which holds as long as no parameter has {' or '.join(in_conditions(condition))}" if condition else ""
    return f"on {recipe.agreeing} after the recipe below{as_long_as}; {_why_not(comparison)}"


def _why_not(comparison: Comparison) -> str:
    left = [stage_title(difference.stage) for difference in comparison.left()]
    kinds = Tally(outcome.kind for outcome in comparison.recipe.outcomes.values() if isinstance(outcome, Refusal))
    unsolved = len(differing(comparison.recipe.outcomes))
    parts = [f"{unsolved} {f'because of {listed(left)}' if left else 'for no known reason'}"] if unsolved else []
    parts += [f"{kinds[kind]} {reason.format(b=comparison.b.name)}" for kind, reason in KINDS.items() if kinds[kind]]
    return f"{counted(unsolved + kinds.total(), 'case')} cannot be reproduced: {listed(parts)}"


def differ(number: int, still: str = "") -> str:
    """1 case differs, 2 cases still differ."""
    return f"{counted(number, 'case')} {still}{'differs' if number == 1 else 'differ'}"


def away(distance: Distance) -> str:
    """A distance in both units."""
    return f"{distance.rates:.3g} lr, {ratio(distance.bounds)} bounds"


def named(parameters: tuple[Parameter, ...]) -> str:
    """Parameters with their defaults, and what they accept."""
    return ", ".join(f"`{parameter.name}` = {parameter.default!r}{_accepts(parameter)}" for parameter in parameters) or "-"


def _accepts(parameter: Parameter) -> str:
    parts = ([f"in {accepted(parameter)}"] if parameter.interval else []) + ([typed(parameter.types)] if parameter.types else [])
    return f" ({', '.join(parts)})" if parts else ""


def switch_lines(comparison: Comparison) -> Iterator[str]:
    """What each setting opens and closes."""
    for switch in comparison.switched:
        opened = [f"{stage_title(stage.stage)} differs: {stage.a.value} against {stage.b.value}" for stage in switch.opens]
        closed = [f"{stage_title(stage)} no longer differs" for stage in switch.closes]
        yield f"with `{switch.setting}`: {'; '.join(opened + closed)}"


def taken(dialect: Dialect, form: str) -> str:
    """What a dialect does with a form of gradient."""
    return "taken" if form in dialect.gradients else f'refused: "{dialect.refusal(form)}"'


def theme_lines(comparison: Comparison) -> Iterator[str]:
    """By theme, how many cases differ with nothing prepared, and the one that is farthest apart."""
    by_theme: dict[str, dict[str, Distance]] = {}
    for id, distance in differing(comparison.recipe.plain).items():
        by_theme.setdefault(id.rsplit("/", 2)[-2], {})[id] = distance
    for theme, distances in by_theme.items():
        if worst := farthest(distances):
            yield f"{theme}: {differ(len(distances))}, at most by {away(worst[1])}: {worst[0]}. {comparison.abouts[worst[0]]}"


def refusal_lines(outcomes: Mapping[str, Outcome]) -> list[str]:
    """Why B refuses cases, the reason of most first."""
    reasons = Tally(outcome.reason for outcome in outcomes.values() if isinstance(outcome, Refusal))
    return [f"{counted(number, 'case')}: {reason}" for reason, number in reasons.most_common()]


FUNCTIONS = {"in_conditions": in_conditions} | {
    function.__name__: function
    for function in (
        accepted, away, bullets, class_path, counted, differ, farthest, limits, listed, named, refusal_lines, repr, row, size_lines,
        stage_title, switch_lines, taken, theme_lines, verdict_counts,
    )
}  # fmt: skip
"""What the templates call."""
