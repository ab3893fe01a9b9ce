"""How users of a framework make an optimizer, and what the framework takes of the calls that its dialects describe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeVar

from ..errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """What a framework takes of calls; tools/peers/ meets these limits with the real one.

    per_group: what the parameters of one optimizer can have of their own; per_step: what can be changed between its calls. Roles, or
    names of switches.
    one_schedule: a group's lr is a fixed factor of the one that changes.
    none, idle, empty: what comes of a parameter without a gradient, of a call without any, of a gradient by rows that has none.
    decayed_rows: what comes of a gradient by rows beside a weight decay.
    """

    per_group: frozenset[str]
    per_step: frozenset[str]
    one_schedule: bool = False
    none: str = ""
    idle: str = ""
    empty: str = ""
    decayed_rows: str = ""


@dataclass(frozen=True)
class Constructor:
    """A program that makes an optimizer.

    imports: its first line; call: with {class} and {settings}; then: the lines behind it; defaults: those of the real class, where a
    dialect describes it with another setting.
    """

    imports: str
    call: str
    then: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Usage:
    """What a table says of a dialect beside its numbers; nothing of it changes a number.

    home: the module that users import the class from; pitfall: what most users of it overlook. Whatever is None or empty is not known.
    """

    home: str = ""
    constructor: Constructor | None = None
    limits: Limits | None = None
    pitfall: str = ""

    @classmethod
    def parse(cls, framework: Mapping[str, Any], own: Mapping[str, Any], where: str) -> Usage:
        """The usage of a dialect: what its own row says, else its framework. Raises UsageError for a key that is not known or missing."""
        row = {**framework, **{key: own[key] for key in USAGE if key in own}}
        parts: dict[str, Any] = {key: _made(kind, row[key], f"{where}: {key}") for key, kind in KINDS.items() if key in row}
        return _made(cls, {**row, **parts}, where)


USAGE = tuple(entry.name for entry in fields(Usage))
"""The keys of a framework, which a dialect may have too."""

KINDS: dict[str, type] = {"constructor": Constructor, "limits": Limits}


def _made(kind: type[T], row: Mapping[str, Any], where: str) -> T:
    keys = {entry.name: entry.default is MISSING and entry.default_factory is MISSING for entry in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    unknown, missing = sorted(row.keys() - keys.keys()), [key for key, required in keys.items() if required and key not in row]
    if unknown or missing:
        raise UsageError(f"{where}: " + (f"no key {unknown[0]}" if unknown else f"{missing[0]} is missing"), f"keys are {', '.join(keys)}")
    return kind(**{key: frozenset(value) if isinstance(value, list) else value for key, value in row.items()})
