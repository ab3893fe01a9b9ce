"""The box at the head of a page: the constructor before and after, the defaults that differ, the trap, and the state."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..common.text import WIDTH, listed, ratio
from ..conversion import convert
from ..dialects import Dialect
from ..dialects.layouts import Layout
from ..dialects.translate import Refused, Wanted, in_names_of
from ..errors import InvalidState
from ._comparison import Comparison, Size
from ._parameters import Row, default_of
from ._words import stage_title

INDENT = 4
"""Columns by which a terminal indents code (see `_document`)."""


@dataclass(frozen=True)
class Change:
    """What to change in one's code: two programs, and sentences on the rest."""

    before: str
    after: str
    defaults: str
    trap: str
    state: str


def change(comparison: Comparison) -> Change:
    """What to change in code that uses A, so that it uses B."""
    a, b = comparison.a, comparison.b
    settings = _translated(comparison)
    return Change(
        before=_constructor(a, a.defaults()),
        after=_constructor(b, b.defaults() if settings is None else settings),
        defaults=_defaults_sentence(comparison, settings is not None),
        trap=_trap(comparison),
        state=_state(a, b),
    )


def _translated(comparison: Comparison) -> dict[str, Any] | None:
    """A's defaults and the settings of the recipe, as settings of B; None where B does not have or accept them."""
    a, b = comparison.a, comparison.b
    try:
        return in_names_of(b, Wanted(*a.resolve(a.defaults())), a, comparison.recipe.settings)
    except Refused:
        return None


def _constructor(dialect: Dialect, settings: Mapping[str, Any]) -> str:
    """The program that makes an optimizer: lr, and whatever is not at its default."""
    program = dialect.usage.constructor
    defaults = {**dialect.defaults(), **(program.defaults if program else {})}
    shown = {
        name: value
        for name, value in settings.items()
        if "lr" in dialect.parameters[name].roles or (value != defaults[name] and not dialect.parameters[name].group_only)
    }
    arguments = ", ".join(f"{name}={value!r}" for name, value in shown.items())
    if program is None:
        return _wrapped(f"# {dialect.name}: {arguments}", "#   ")
    call = _wrapped("optimizer = " + program.call.replace("{class}", dialect.class_name).replace("{settings}", arguments), " " * 4)
    return "\n".join(filter(None, (program.imports, call, program.then)))


def _wrapped(code: str, rest: str) -> str:
    return "\n".join(textwrap.wrap(code, WIDTH - INDENT, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False))


def _defaults_sentence(comparison: Comparison, translated: bool) -> str:
    others = list(_other_defaults(comparison))
    return f"{listed(others)}{f'; those of {comparison.a.name} are set above' if translated else ''}." if others else "none."


def _other_defaults(comparison: Comparison) -> Iterator[str]:
    """Every number or switch that is another one at the defaults."""
    for row in comparison.parameters:
        if row.a and row.b and _defaults(row, row.a) != _defaults(row, row.b):
            yield f"{_with_defaults(row.a)} against {_with_defaults(row.b)}"
        elif not row.a and row.b[0].default and set(row.b[0].roles) <= {"weight_decay", "eps_root"} and not row.b[0].when_true:
            yield f"{_with_defaults(row.b)}, which {comparison.a.name} has not"


def _defaults(row: Row, side: Any) -> dict[str, Any]:
    return {role: default_of(parameter, role) for parameter in side for role in parameter.roles or ("",)}


def _with_defaults(parameters: Any) -> str:
    return ", ".join(f"`{parameter.name}={parameter.default!r}`" for parameter in parameters)


def _trap(comparison: Comparison) -> str:
    """The pitfall of B where its table has one; else the stage that differs most."""
    if comparison.b.usage.pitfall:
        return comparison.b.usage.pitfall
    sizes = [size for size in comparison.sizes if size.largest and size.cases and not size.setting]
    if not sizes:
        return "none that shows with the same settings."
    return f"{size_line(max(sizes, key=_distance))}."


def _distance(size: Size) -> tuple[float, float]:
    return (size.largest.rates, size.largest.bounds) if size.largest else (0.0, 0.0)


def size_line(size: Size) -> str:
    """A stage that differs: what both pick, and the case that shows it with its numbers."""
    setting = f"with `{size.setting}`, " if size.setting else ""
    picks = f"{setting}{stage_title(size.difference.stage)}: {size.difference.a.value} -> {size.difference.b.value}"
    if not size.largest or not size.cases:
        return f"{picks}; no case shows it alone"
    return f"{picks}; {size.largest.rates:.3g} lr, {ratio(size.largest.bounds)} bounds in {size.case}"


def _state(a: Dialect, b: Dialect) -> str:
    """How to carry the state over, or why it cannot be."""
    try:
        convert({}, a.name, b.name)
    except InvalidState as error:
        return f"it cannot be carried over: {error.message}."
    return f'`refimpl.convert(state, "{a.name}", "{b.name}")` makes of each parameter\'s {_kept(a.state)} its {_kept(b.state)}.'


def _kept(layout: Layout | None) -> str:
    """The names of what is kept, the counts with what they hold."""
    if layout is None:
        return "state"
    per = "" if layout.per == "parameter" else f", one per {layout.per}"
    counts = [f"{name} ({held}{per})" if name != held or per else name for name, held in layout.counts.items()]
    return ", ".join([*layout.arrays.values(), *counts])
