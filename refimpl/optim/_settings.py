"""Check the settings of a group that a step reads or a state dict holds: an error names the setting that no step can use.

The frameworks check settings in the constructor only. Here a call changes all of its tables or none, so it checks them first.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

import numpy as np

from ..dialects import Parameter
from ..errors import InvalidHyper

T = TypeVar("T")

COMPUTABLE: dict[str, tuple[Callable[[float], bool], str]] = {
    "beta1": (lambda beta: 0 <= beta < 1, "0 <= beta1 < 1"),
    "beta2": (lambda beta: 0 <= beta < 1, "0 <= beta2 < 1"),
    "loss_scale": (lambda scale: scale != 0, "a loss_scale that is not 0"),
}
"""Role to the condition that a step needs beyond a finite number, in code and in words. Other roles have none: lr may be negative."""


class Unchanged(Generic[T]):
    """What follows from some values, computed again only when one of them is another object, or one that may have changed."""

    def __init__(self) -> None:
        self._known: tuple[list[Any], T] | None = None

    def get(self, values: list[Any], compute: Callable[[], T]) -> T:
        """What `compute` gives for these values; it looks them up itself."""
        known = self._known
        if known is not None and len(known[0]) == len(values) and all(map(operator.is_, known[0], values)):
            return known[1]
        result = compute()
        self._known = (values, result) if all(map(_is_constant, values)) else None
        return result


def _is_constant(value: Any) -> bool:
    if type(value) is tuple:
        return all(map(_is_constant, value))
    return type(value) in (float, int, bool, str, type(None))


def checked(settings: Mapping[str, Any], parameters: Mapping[str, Parameter], place: str, in_range: bool = False) -> dict[str, Any]:
    """The values of these parameters, as Python's numbers and switches. place: what messages call the group.

    Raises InvalidHyper for one that is missing, is not a finite number or a switch, or cannot be computed with; with in_range, also
    for one that the real constructor refuses.
    """
    values: dict[str, Any] = {}
    for name, parameter in parameters.items():
        if name not in settings:
            raise InvalidHyper(f"{place} has no {name!r}", name, "set it; the constructor's value is not taken instead")
        value = settings[name]
        values[name] = _numbers(value, parameter, place, in_range) if parameter.roles else switch(value, name, place)
    return values


def number(value: Any, name: str, place: str) -> float:
    """A finite real number, given as such or as an array of one element."""
    try:
        plain = value.item() if hasattr(value, "item") else value
        finite = isinstance(plain, (int, float)) and not isinstance(plain, bool) and math.isfinite(float(plain))
    except (ValueError, RuntimeError, OverflowError):  # an array of several elements; an integer beyond the doubles
        finite = False
    if not finite:
        raise InvalidHyper(f"{place}: {name} = {_shown(value)}", name, "give one finite number")
    return plain  # type: ignore[no-any-return]  # an int or a float, checked above


def _numbers(value: Any, parameter: Parameter, place: str, in_range: bool) -> Any:
    several = len(parameter.roles) > 1
    if several and not (isinstance(value, (tuple, list)) and len(value) == len(parameter.roles)):
        raise InvalidHyper(f"{place}: {parameter.name} = {_shown(value)}", parameter.name, f"give {len(parameter.roles)} numbers")
    numbers = tuple(number(entry, parameter.name, place) for entry in (value if several else (value,)))
    for role, entry in zip(parameter.roles, numbers):
        can, needed = COMPUTABLE.get(role, (math.isfinite, ""))
        if not can(entry):
            raise InvalidHyper(f"{place}: {parameter.name} = {_shown(value)}", parameter.name, f"a step needs {needed}")
        limits = parameter.interval
        if in_range and limits is not None and entry not in limits and entry != limits.low:  # a scheduler may have set lr to 0
            hint = f"{parameter.name} accepts {limits.text}"
            raise InvalidHyper(f"{place}: {parameter.name} = {_shown(value)}", parameter.name, hint)
    return numbers if several else numbers[0]


def switch(value: Any, name: str, place: str) -> bool:
    """True or False, also as 1 or 0; raises InvalidHyper for anything else."""
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, int) and value in (0, 1)):
        return bool(value)
    raise InvalidHyper(f"{place}: {name} = {_shown(value)}", name, "give True or False; a string that is not empty would count as True")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
