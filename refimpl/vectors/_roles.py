"""What the hyper-parameters of a dialect mean: the table in the manifest for readers that know no dialect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..dialects import Parameter, dialect, dialects
from ..errors import VectorError

Roles = Mapping[str, "str | list[str]"]
"""Name of a hyper-parameter -> its role, or the roles of its items."""

SWITCH, NONE = "switch", "none"
"""The roles of parameters that are not numbers of the update: a switch changes the computation, none changes nothing."""


def roles_of(name: str) -> dict[str, str | list[str]]:
    """The roles of a dialect's hyper-parameters. Raises UsageError where refimpl does not know the dialect."""
    return {own: _role(parameter) for own, parameter in dialect(name).parameters.items()}


def roles_of_themes(themes: Iterable[str]) -> dict[str, Roles]:
    """The roles of every dialect among `DIALECT/THEME`."""
    return {name: roles_of(name) for name in sorted({theme.split("/")[0] for theme in themes})}


def _role(parameter: Parameter) -> str | list[str]:
    if len(parameter.roles) > 1:
        return list(parameter.roles)
    if parameter.roles:
        return parameter.roles[0]
    return SWITCH if parameter.when_true else NONE


def check_roles(tables: Mapping[str, Roles], named: list[str], file: object) -> None:
    """Raise VectorError unless there is a table for each dialect named, one that agrees with refimpl's own."""
    for name in sorted({*tables, *named}):
        key = f"roles.{name}"
        if name not in tables:
            raise VectorError(file, key, "is missing, and files of this dialect are named")
        if name not in named:
            raise VectorError(file, key, "is there, and no file of this dialect is named")
        known = roles_of(name) if name in dialects("full") else tables[name]
        for own in [*tables[name], *known]:
            there, right = tables[name].get(own), known.get(own)
            if there != right:
                raise VectorError(file, f"{key}.{own}", f"is {_show(there)}, and the dialect has {_show(right)}")
        every = list(_numbers(tables[name]))
        if len(set(every)) < len(every):
            raise VectorError(file, key, f"gives a role twice: {', '.join(every)}")


def _numbers(table: Roles) -> Iterator[str]:
    """Every role of a number, once for each hyper-parameter that has it."""
    for role in table.values():
        yield from [role] if isinstance(role, str) and role not in (SWITCH, NONE) else role if isinstance(role, list) else []


def _show(role: object) -> str:
    return "absent" if role is None else repr(role)


def check_hypers(entry: Mapping[str, Any], table: Roles, file: object) -> None:
    """Raise VectorError where a case sets a hyper-parameter that the roles do not have, or one of another length.

    A case that expects an error may do so.
    """
    if "error" in entry:
        return
    places = {"groups": entry["groups"]} | {f"steps[{k}].hyper": step["hyper"] for k, step in enumerate(entry["steps"]) if "hyper" in step}
    for place, groups in places.items():
        for index, hyper in enumerate(groups):
            for own, value in hyper.items():
                key = f"{entry['id']}, {place}[{index}].{own}"
                if own not in table:
                    raise VectorError(file, key, f"has no role in the manifest; it has {', '.join(table)}")
                role = table[own]
                if isinstance(role, list) and not (isinstance(value, list) and len(value) == len(role)):
                    raise VectorError(file, key, f"is {value!r}, and the roles are {', '.join(role)}")
