"""Parameters side by side: which one plays the same part under which name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..dialects import Dialect, Parameter
from ..dialects.translate import paired_switches
from ._words import means


@dataclass(frozen=True)
class Row:
    """One line of the comparison: the parameters of A and of B that play one part (none, one or two of each), and what differs."""

    a: tuple[Parameter, ...]
    b: tuple[Parameter, ...]
    relation: str
    notes: tuple[str, ...]


def side_by_side(a: Dialect, b: Dialect) -> tuple[Row, ...]:
    """Every parameter of both, each in one row: those of A first, in the order of its table."""
    return tuple(_rows(a, b))


def _rows(a: Dialect, b: Dialect) -> Iterator[Row]:
    taken: set[str] = set()
    switches = {mine: theirs for theirs, mine in paired_switches(a, b).items()}
    done: set[str] = set()
    for one in a.parameters.values():
        if one.name in done:
            continue
        partners = [other for other in b.parameters.values() if _same_part(one, other, switches)]
        mine = [one, *(more for more in a.parameters.values() if more is not one and any(_shares_role(more, other) for other in partners))]
        done |= {each.name for each in mine}
        taken |= {other.name for other in partners}
        yield _row(tuple(mine), tuple(partners), a, b)
    for other in b.parameters.values():
        if other.name not in taken:
            yield _row((), (other,), a, b)


def _shares_role(one: Parameter, other: Parameter) -> bool:
    return bool(set(one.roles) & set(other.roles))


def _same_part(one: Parameter, other: Parameter, switches: dict[str, str]) -> bool:
    if one.roles or other.roles:
        return _shares_role(one, other)
    if one.when_true or other.when_true:
        return switches.get(one.name) == other.name
    return one.name == other.name


def _row(mine: tuple[Parameter, ...], theirs: tuple[Parameter, ...], a: Dialect, b: Dialect) -> Row:
    if not mine or not theirs:
        only = (mine or theirs)[0]
        return Row(mine, theirs, f"only in {a.name if mine else b.name}", (means(only), *_related(only, b if mine else a)))
    same_name = [one.name for one in mine] == [one.name for one in theirs]
    relation = "same part, same name" if same_name else "same part, other name"
    return Row(mine, theirs, relation, tuple(_notes(mine, theirs)))


def _related(only: Parameter, other: Dialect) -> Iterator[str]:
    """A switch of the other dialect that sets the same stage to something else."""
    for one in other.parameters.values():
        for stage in sorted(set(one.when_true) & set(only.when_true)):
            yield f"{other.name}'s {one.name} sets this to: {one.when_true[stage].value}"


def _notes(mine: tuple[Parameter, ...], theirs: tuple[Parameter, ...]) -> Iterator[str]:
    for role in dict.fromkeys(role for one in mine for role in one.roles):
        one, other = _of(mine, role), _of(theirs, role)
        if one is None or other is None:
            continue
        name = f"{role}: " if len({*mine[0].roles, *theirs[0].roles, *mine[-1].roles, *theirs[-1].roles}) > 1 else ""
        defaults = default_of(one, role), default_of(other, role)
        if defaults[0] != defaults[1]:
            yield f"{name}default {defaults[0]!r} against {defaults[1]!r}"
        ranges = accepted(one), accepted(other)
        if ranges[0] != ranges[1]:
            yield f"{name}accepts {ranges[0]} against {ranges[1]}"
    if not mine[0].roles and mine[0].default != theirs[0].default:
        yield f"default {mine[0].default!r} against {theirs[0].default!r}"
    kinds = [tuple(dict.fromkeys(kind for one in side for kind in one.types)) for side in (mine, theirs)]
    if kinds[0] != kinds[1]:
        yield f"takes {typed(kinds[0])} against {typed(kinds[1])}"


def _of(parameters: tuple[Parameter, ...], role: str) -> Parameter | None:
    return next((one for one in parameters if role in one.roles), None)


def default_of(parameter: Parameter, role: str) -> Any:
    """The default of one role of a parameter, which may hold a pair."""
    return parameter.default[parameter.roles.index(role)] if len(parameter.roles) > 1 else parameter.default


def accepted(parameter: Parameter) -> str:
    """The range that it accepts, or "anything"."""
    return parameter.interval.text if parameter.interval else "anything"


def typed(kinds: tuple[str, ...]) -> str:
    """The types that it insists on."""
    return " or ".join(kinds) if kinds else "any type of number"
