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
    switches = {ours: theirs for theirs, ours in paired_switches(a, b).items()}
    rows: list[Row] = []
    for parameter in a.parameters.values():
        if any(parameter in row.a for row in rows):
            continue
        partners = tuple(other for other in b.parameters.values() if _same_part(parameter, other, switches))
        siblings = (
            more for more in a.parameters.values() if more is not parameter and any(_shares_role(more, other) for other in partners)
        )
        rows.append(_row((parameter, *siblings), partners, a, b))
    paired = [parameter for row in rows for parameter in row.b]
    return (*rows, *(_row((), (other,), a, b) for other in b.parameters.values() if other not in paired))


def _shares_role(parameter: Parameter, other: Parameter) -> bool:
    return bool(set(parameter.roles) & set(other.roles))


def _same_part(parameter: Parameter, other: Parameter, switches: dict[str, str]) -> bool:
    if parameter.roles or other.roles:
        return _shares_role(parameter, other)
    if parameter.when_true or other.when_true:
        return switches.get(parameter.name) == other.name
    return parameter.name == other.name


def _row(mine: tuple[Parameter, ...], theirs: tuple[Parameter, ...], a: Dialect, b: Dialect) -> Row:
    if not mine or not theirs:
        only = (mine or theirs)[0]
        return Row(mine, theirs, f"only in {a.name if mine else b.name}", (means(only), *_related(only, b if mine else a)))
    same_name = [parameter.name for parameter in mine] == [parameter.name for parameter in theirs]
    return Row(mine, theirs, f"same part, {'same' if same_name else 'other'} name", tuple(_notes(mine, theirs)))


def _related(only: Parameter, other: Dialect) -> Iterator[str]:
    """A switch of the other dialect that sets the same stage to something else."""
    for switch in other.parameters.values():
        for stage in sorted(set(switch.when_true) & set(only.when_true)):
            yield f"{other.name}'s {switch.name} sets this to: {switch.when_true[stage].value}"


def _notes(mine: tuple[Parameter, ...], theirs: tuple[Parameter, ...]) -> Iterator[str]:
    """What differs between the two sides of a row: default and range by role, then the types."""
    roles = list(dict.fromkeys(role for parameter in mine for role in parameter.roles))
    several = len({role for parameter in mine + theirs for role in parameter.roles}) > 1
    for role in roles or [""]:
        ours, other = _with_role(mine, role), _with_role(theirs, role)
        if ours and other:
            label = f"{role}: " if several else ""
            default, other_default = default_of(ours, role), default_of(other, role)
            if default != other_default:
                yield f"{label}default {default!r} against {other_default!r}"
            if accepted(ours) != accepted(other):
                yield f"{label}accepts {accepted(ours)} against {accepted(other)}"
    types, other_types = (tuple(dict.fromkeys(kind for parameter in side for kind in parameter.types)) for side in (mine, theirs))
    if types != other_types:
        yield f"takes {typed(types)} against {typed(other_types)}"


def _with_role(parameters: tuple[Parameter, ...], role: str) -> Parameter | None:
    """The parameter that sets a role; of parameters without roles, the first."""
    return next((parameter for parameter in parameters if role in (parameter.roles or ("",))), None)


def default_of(parameter: Parameter, role: str) -> Any:
    """The default of one role of a parameter, which may hold a pair."""
    return parameter.default[parameter.roles.index(role)] if len(parameter.roles) > 1 else parameter.default


def accepted(parameter: Parameter) -> str:
    """The range that it accepts, or "anything"."""
    return parameter.interval.text if parameter.interval else "anything"


def typed(types: tuple[str, ...]) -> str:
    """The types that it insists on."""
    return " or ".join(types) if types else "any type of number"
