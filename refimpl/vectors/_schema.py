"""The published JSON Schemas, and a check against them without the package jsonschema.

Reading vectors must not need jsonschema, and the keys must not be listed a second time: so the schemas are interpreted here, in the subset
of JSON Schema 2020-12 that they use. It is stricter than the standard in one point: 5.0 is not an integer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import resources
from typing import Any

from ..errors import VectorError

NAMES = ("theme", "manifest")

Schema = dict[str, Any]


def text(name: str) -> str:
    """The text of a schema, as it is published beside the vectors."""
    return (resources.files(__package__) / "schema" / f"{name}.json").read_text(encoding="utf-8")


@cache
def schema(name: str) -> Schema:
    """A schema by name (see NAMES)."""
    parsed: Schema = json.loads(text(name))
    return parsed


def check(document: Any, name: str, file: object) -> None:
    """Raise VectorError with the key and the reason of the first place where a document breaks a schema."""
    whole = schema(name)
    for key, reason in _breaches(document, whole, whole, ""):
        raise VectorError(file, key, reason, f"schema/{name}.json says what may stand here")


def _breaches(value: Any, part: Schema, whole: Schema, at: str) -> Iterator[tuple[str, str]]:
    """Every breach as (key, reason), the first one first."""
    for keyword, operand in part.items():
        yield from KEYWORDS[keyword](value, operand, part, whole, at)


TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "null": lambda value: value is None,
}

Breaches = Iterator[tuple[str, str]]


def _type(value: Any, names: Any, part: Schema, whole: Schema, at: str) -> Breaches:
    wanted = [names] if isinstance(names, str) else names
    if not any(TYPES[name](value) for name in wanted):
        yield at, f"{_show(value)} is not of type {' or '.join(wanted)}"


def _required(value: Any, keys: Any, part: Schema, whole: Schema, at: str) -> Breaches:
    if isinstance(value, dict):
        for key in keys:
            if key not in value:
                yield _join(at, key), "is missing"


def _additional(value: Any, operand: Any, part: Schema, whole: Schema, at: str) -> Breaches:
    if isinstance(value, dict):
        for key in [key for key in value if key not in part.get("properties", {})]:
            if operand is False:
                yield _join(at, key), f"is not a key here; the keys are {', '.join(part['properties'])}"
            else:
                yield from _breaches(value[key], operand, whole, _join(at, key))


def _properties(value: Any, parts: Any, part: Schema, whole: Schema, at: str) -> Breaches:
    if isinstance(value, dict):
        for key in parts:
            if key in value:
                yield from _breaches(value[key], parts[key], whole, _join(at, key))


def _property_names(value: Any, operand: Any, part: Schema, whole: Schema, at: str) -> Breaches:
    if isinstance(value, dict):
        for key in value:
            yield from _breaches(key, operand, whole, _join(at, key))


def _items(value: Any, operand: Any, part: Schema, whole: Schema, at: str) -> Breaches:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _breaches(item, operand, whole, f"{at}[{index}]")


def _any_of(value: Any, parts: Any, part: Schema, whole: Schema, at: str) -> Breaches:
    alternatives = [next(_breaches(value, schema_part, whole, at), None) for schema_part in parts]
    if None not in alternatives:
        reasons = " and ".join(f"{key}: {reason}" if key != at else reason for key, reason in filter(None, alternatives))
        yield at, reasons


def _const(value: Any, operand: Any, part: Schema, whole: Schema, at: str) -> Breaches:
    if type(value) is not type(operand) or value != operand:
        yield at, f"{_show(value)} must be {operand!r}"


def _enum(value: Any, choices: Any, part: Schema, whole: Schema, at: str) -> Breaches:
    if not isinstance(value, str) or value not in choices:
        yield at, f"{_show(value)} is none of {', '.join(choices)}"


def _pattern(value: Any, pattern: Any, part: Schema, whole: Schema, at: str) -> Breaches:
    if isinstance(value, str) and ("\n" in value or not re.search(pattern, value)):  # Python's $ also matches before a final newline
        yield at, f"{_show(value)} does not match {pattern}"


def _limit(holds: Callable[[Any, Any], bool], kind: type, words: str) -> Callable[[Any, Any, Schema, Schema, str], Breaches]:
    def keyword(value: Any, limit: Any, part: Schema, whole: Schema, at: str) -> Breaches:
        if isinstance(value, kind) and not isinstance(value, bool) and not holds(value, limit):
            yield at, f"{_show(value)} {words} {limit}"

    return keyword


def _ref(value: Any, target: Any, part: Schema, whole: Schema, at: str) -> Breaches:
    yield from _breaches(value, whole["$defs"][target.removeprefix("#/$defs/")], whole, at)


def _silent(value: Any, operand: Any, part: Schema, whole: Schema, at: str) -> Breaches:
    return iter(())


KEYWORDS: dict[str, Callable[[Any, Any, Schema, Schema, str], Breaches]] = {
    **dict.fromkeys(("$schema", "$defs", "title", "description"), _silent),
    "$ref": _ref,
    "type": _type,
    "required": _required,
    "additionalProperties": _additional,
    "properties": _properties,
    "propertyNames": _property_names,
    "items": _items,
    "anyOf": _any_of,
    "const": _const,
    "enum": _enum,
    "pattern": _pattern,
    "minimum": _limit(lambda value, limit: value >= limit, int, "is below"),
    "maximum": _limit(lambda value, limit: value <= limit, int, "is above"),
    "minItems": _limit(lambda value, limit: len(value) >= limit, list, "has fewer items than"),
    "maxItems": _limit(lambda value, limit: len(value) <= limit, list, "has more items than"),
}


def _join(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key


def _show(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."
