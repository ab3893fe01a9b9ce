"""The page about a pair of dialects: what a comparison found, in words."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterator

from ..common.text import counted, listed, ratio
from ..dialects import Dialect, Parameter
from ._adapters import in_words
from ._claims import corrections
from ._comparison import Comparison, Size
from ._conditions import Condition
from ._conditions import in_words as in_conditions
from ._distances import Distance, Refusal
from ._document import Block, Code, Items, Page, Section, Table, Text
from ._examples import examples
from ._limits import KINDS
from ._parameters import Row, accepted, typed
from ._replay import Target
from ._stages import StageDifference
from ._words import class_path, stage_title


def page(found: Comparison) -> Page:
    """Conclusion, parameters, stages, gradients, sizes, recipe, what a well-known page says wrongly, examples."""
    sections = [
        Section("In one sentence", (Text(conclusion(found)),)),
        Section("Parameters", tuple(_parameters(found))),
        Section("What each stage of a step does", tuple(_stages(found))),
        Section("Gradients", (_gradients(found),)),
        Section("How large the differences are", tuple(_sizes(found))),
        Section(f"How to make {found.b.name} reproduce {found.a.name}", tuple(_recipe(found))),
    ]
    claims = corrections(found)
    if claims:
        sections.append(Section("What MindSpore's page on this pair says, and what is true", claims))
    sections.append(Section("Examples", tuple(examples(found.a, found.b))))
    sections.append(Section("Sources", (Items(tuple(f"{one.name}: {source}" for one in (found.a, found.b) for source in one.sources)),)))
    return Page(f"Differences between {found.a.name} and {found.b.name}", tuple(sections))


def conclusion(found: Comparison) -> str:
    """What a reader who reads one sentence should know."""
    a, b, recipe = found.a.name, found.b.name, found.recipe
    where = found.farthest_plain()
    stages = [stage_title(one.stage) for one in found.differences]
    apart = f"differ in {listed(stages)}" if stages else "make the same choices in every stage at their defaults"
    size = f" (up to {away(where[1])}, in {where[0]})" if where else ""
    taken = f"with the same settings {b} reproduces {a} on {recipe.before} of {found.count} cases"
    return f"{a} and {b} {apart}{size}: {taken}, {_outlook(found)}."


def _outlook(found: Comparison) -> str:
    recipe = found.recipe
    if recipe.complete:
        return "and nothing needs to be prepared" if recipe.idle else "and on all of them after the recipe below"
    reached = f"on {recipe.agreeing} after the recipe below" if not recipe.idle else "and no recipe is known that adds to them"
    return f"{reached}{_as_long_as(found)}; {_why_not(found)}"


def _as_long_as(found: Comparison) -> str:
    if found.condition is None or found.recipe.idle:
        return ""
    return f", which holds as long as no parameter has {' or '.join(in_conditions(found.condition))}"


def _why_not(found: Comparison) -> str:
    left = [stage_title(size.difference.stage) for size in found.left()]
    kinds = Tally(one.kind for one in found.recipe.found.values() if isinstance(one, Refusal))
    unsolved = sum(isinstance(one, Distance) and not one.agrees for one in found.recipe.found.values())
    parts = []
    if unsolved:
        parts.append(f"{unsolved} {f'because of {listed(left)}' if left else 'for no known reason'}")
    parts += [f"{kinds[kind]} {ending.format(b=found.b.name)}" for kind, ending in KINDS.items() if kinds[kind]]
    return f"{counted(unsolved + sum(kinds.values()), 'case')} cannot be reproduced: {listed(parts)}"


def differ(number: int, still: str = "") -> str:
    """1 case differs, 2 cases still differ."""
    return f"{counted(number, 'case')} {still}{'differs' if number == 1 else 'differ'}"


def away(one: Distance) -> str:
    """A distance in both units."""
    return f"{one.rates:.3g} lr, {ratio(one.bounds)} bounds"


def _parameters(found: Comparison) -> Iterator[Block]:
    for one in (found.a, found.b):
        yield Code(_signature(one))
    head = ("", found.a.name, found.b.name, "difference")
    rows = [("1", "params", "params", "same part, same name")]
    rows += [(str(number), _named(row.a), _named(row.b), _difference(row)) for number, row in enumerate(found.parameters, start=2)]
    yield Table(head, tuple(rows))


def _signature(one: Dialect) -> str:
    lines = ["    params,", *(f"    {name}={parameter.default!r},{_per_group(parameter)}" for name, parameter in one.parameters.items())]
    return "\n".join((f"{class_path(one)}(", *lines, ")"))


def _per_group(parameter: Parameter) -> str:
    return "  # a key of a group" if parameter.group_only else ""


def _named(parameters: tuple[Parameter, ...]) -> str:
    return ", ".join(f"`{one.name}` = {one.default!r}{_limits(one)}" for one in parameters) or "-"


def _limits(one: Parameter) -> str:
    parts = ([f"in {accepted(one)}"] if one.interval else []) + ([typed(one.types)] if one.types else [])
    return f" ({', '.join(parts)})" if parts else ""


def _difference(row: Row) -> str:
    return "; ".join((row.relation, *row.notes))


def _stages(found: Comparison) -> Iterator[Block]:
    if not found.differences:
        yield Text("With their defaults both pick the same in every stage.")
    else:
        yield Table(("stage", found.a.name, found.b.name), tuple(_stage_row(one) for one in found.differences))
    lines = []
    for one in found.switched:
        opened = [f"{stage_title(each.stage)} differs: {each.a.value} against {each.b.value}" for each in one.opens]
        closed = [f"{stage_title(stage)} no longer differs" for stage in one.closes]
        lines.append(f"with `{one.setting}`: {'; '.join(opened + closed)}")
    if lines:
        yield Text("Settings that open or close a difference (given to both where both have them):")
        yield Items(tuple(lines))


def _stage_row(one: StageDifference) -> tuple[str, str, str]:
    return stage_title(one.stage), one.a.value, one.b.value


FORM = {
    "rows": "by rows (an embedding's: some rows of the table, repeated ones allowed)",
    "elements": "single elements of a parameter",
    "dense": "dense",
}


def _gradients(found: Comparison) -> Block:
    rows = tuple((FORM[one.form], *(f'refused: "{said}"' if said else "taken" for said in (one.a, one.b))) for one in found.forms)
    return Table(("form", found.a.name, found.b.name), rows)


def _sizes(found: Comparison) -> Iterator[Block]:
    yield Text(
        f"Measured on {counted(found.count, 'case')} that {found.a.name} and its framework take, in float32: its own vectors, those of "
        f"{found.b.name} that it can be given, and mixtures of many features; the exact result of each dialect on the same inputs. "
        "lr: the largest difference of a parameter in units of the learning rate. "
        "Bounds: the largest difference of a parameter or moment in units of how "
        f"far a correct implementation of {found.a.name} may be off by rounding "
        "(class tensor-faithful); what is within 1 cannot be told apart."
    )
    sizes = [size for size in found.sizes if size.shows or not size.setting]
    if sizes:
        head = ("stage alone, changed to the other's pick", "shows on", "largest", "case")
        yield Table(head, tuple(_size_row(size) for size in sizes))
    apart = [one for one in found.recipe.plain.values() if isinstance(one, Distance)]
    refused = Tally(one.reason for one in found.recipe.plain.values() if isinstance(one, Refusal))
    agreeing = sum(one.agrees for one in apart)
    if agreeing == len(apart) and apart:
        yield Text(f"With the same settings there is no difference within any bound on {counted(len(apart), 'case')}.")
    else:
        yield Text(
            f"With the same settings there is no difference within any bound on {agreeing} of the {len(apart)} cases that both take."
        )
        yield Items(tuple(f"{theme}: {text}" for theme, text in _themes(found)))
    if refused:
        yield Text(f"{found.b.name} does not take {counted(sum(refused.values()), 'case')} as they are:")
        yield Items(tuple(f"{counted(number, 'case')}: {reason}" for reason, number in refused.most_common()))
    if found.roundings:
        yield Text(_rounding(found))


def _rounding(found: Comparison) -> str:
    """What two correct implementations may differ by: numerics are not semantics."""
    reach = [f"{one.loose:.1g} lr after {counted(one.steps, 'step')} ({one.case})" for one in found.roundings]
    tight = [f"{one.tight:.1g}" for one in found.roundings]
    return (
        "What rounding alone may do is not a difference between dialects: with default parameters a correct implementation, which may hold "
        f"its hyper-parameters and their powers in the type of the tensor, can be off by {listed(reach)}; "
        f"one that holds them in double and rounds every operation correctly by {listed(tight)}."
    )


def _size_row(size: Size) -> tuple[str, str, str, str]:
    name = f"{stage_title(size.difference.stage)}: {size.difference.b.value}" + (f" (with {size.setting})" if size.setting else "")
    if size.case is None or size.largest is None:
        return name, "no case", "no difference within any bound", "-"
    return name, counted(size.shows, "case"), away(size.largest), size.case


def _themes(found: Comparison) -> Iterator[tuple[str, str]]:
    by_theme: dict[str, list[tuple[str, Distance]]] = {}
    for id, one in found.recipe.plain.items():
        if isinstance(one, Distance) and not one.agrees:
            by_theme.setdefault(id.rsplit("/", 2)[-2], []).append((id, one))
    for theme, cases in by_theme.items():
        id, worst = max(cases, key=lambda pair: pair[1].rates)
        yield theme, f"{differ(len(cases))}, at most by {away(worst)}: {id}. {found.abouts[id]}"


def _recipe(found: Comparison) -> Iterator[Block]:
    recipe, a, b = found.recipe, found.a, found.b
    yield Text("Settings:")
    yield Items(tuple(_setting_lines(found)))
    if recipe.preparations:
        yield Text("Before each call, in this order:")
        target = Target(b, recipe.settings)
        yield Items(tuple(in_words(id, a, target) for id in recipe.preparations))
    gained = recipe.agreeing - recipe.before
    proof = f"Executed on these cases, and evaluated in exact arithmetic: within every bound on {recipe.agreeing} of {found.count}"
    yield Text(f"{proof} ({recipe.before} without it)." if gained else f"{proof}.")
    if not recipe.complete:
        yield from _left(found)
    yield Text(f"The other direction: `python -m refimpl.diff {b.name} {a.name}`.")


def _both_sides(condition: Condition) -> str:
    """The condition, held against the cases that meet it and those that do not."""
    return (
        f"All {counted(condition.holds, 'case')} that meet this condition agree; "
        f"of {counted(condition.others, 'case')} that {'does' if condition.others == 1 else 'do'} not, {condition.fail} "
        f"{'differs' if condition.fail == 1 else 'differ'}."
    )


def _setting_lines(found: Comparison) -> Iterator[str]:
    for row in found.parameters:
        if row.a and row.b:
            yield f"`{', '.join(one.name for one in row.b)}` <- `{', '.join(one.name for one in row.a)}`"
        for one in row.b:
            if one.name in found.recipe.settings:
                yield f"`{one.name}={found.recipe.settings[one.name]!r}`"
            elif not row.a and one.when_true and one.default:
                yield f"`{one.name}` stays at {one.default!r}"


def _left(found: Comparison) -> Iterator[Block]:
    left, where = found.left(), found.farthest_left()
    if found.condition:
        yield Text("It holds as long as no parameter has")
        yield Items(in_conditions(found.condition))
        yield Text(_both_sides(found.condition))
    if left:
        names = listed(
            [f"{stage_title(size.difference.stage)} ({size.difference.a.value}, not {size.difference.b.value})" for size in left]
        )
        yield Text(f"No known setting or preparation reproduces the other cases. What stays different: {names}.")
    elif where:
        yield Text("No known setting or preparation reproduces the other cases.")
    if where:
        number = sum(isinstance(one, Distance) and not one.agrees for one in found.recipe.found.values())
        yield Text(f"{differ(number, 'still ')}, at most by {away(where[1])}: {where[0]}. {found.abouts[where[0]]}")
    refused = Tally(one.reason for one in found.recipe.found.values() if isinstance(one, Refusal))
    if refused:
        yield Text(f"Not supported by {found.b.name}:")
        yield Items(tuple(f"{counted(number, 'case')}: {reason}" for reason, number in refused.most_common()))
