"""A case out of numbers on the command line: one element, a gradient per step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arithmetic import numpy_dtype
from ..case import Case, Group, Param, Step
from ..dialects import Dialect, dialect
from ..errors import UsageError
from ..gradients import Array, RowGradient

NAME = "numbers"
WORDS = ("none", "empty")
"""What a --grad may be instead of numbers: no gradient at all, or one that does not store this row."""


@dataclass(frozen=True)
class Numbers:
    """What is given: a gradient per step ("0.5"; "0.5,0.25" for two occurrences; "none"; "empty"), settings, and the state before.

    settings: NAME=VALUE in the dialect's own names; state: p, m, v and the steps that were made, None where it starts from zero.
    """

    grads: Sequence[str]
    dialect: str = "torch.Adam"
    dtype: str = "float32"
    lr: float | None = None
    settings: Sequence[str] = ()
    p: float = 1.0
    m: float | None = None
    v: float | None = None
    t: int = 0


def case_of(given: Numbers) -> Case:
    """The numbers as a case of one parameter with one element; raises UsageError or InvalidHyper for what does not fit."""
    table = dialect(given.dialect)
    if given.dtype not in table.dtypes:
        raise UsageError(f"--dtype {given.dtype}: {table.name} does not take it", f"choose from {', '.join(table.dtypes)}")
    if not given.grads:
        raise UsageError("numbers without a gradient", "add --grad, once per step")
    hyper = {**table.defaults(), **_rate(given, table), **dict(_setting(one, table) for one in given.settings)}
    table.validate(hyper)
    resumed = given.m is not None or given.v is not None or given.t > 0
    moments = [_element(moment or 0.0, given.dtype) if resumed else None for moment in (given.m, given.v)]
    param = Param("w", _element(given.p, given.dtype), 0, moments[0], moments[1], given.t)
    steps = tuple(Step({"w": _gradient(one, given.dtype, table)}, ({},)) for one in given.grads)
    record = tuple(range(1, len(steps) + 1))
    return Case(f"{table.name}/{NAME}/given", "Numbers from the command line.", table.name, (param,), (Group(hyper),), steps, record)


def _rate(given: Numbers, table: Dialect) -> dict[str, Any]:
    return {} if given.lr is None else {name: given.lr for name, one in table.parameters.items() if one.roles == ("lr",)}


def _setting(text: str, table: Dialect) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or name not in table.parameters:
        raise UsageError(f"--set {text}: not NAME=VALUE with a parameter of {table.name}", f"it has {', '.join(table.parameters)}")
    return name, tuple(map(_value, value.split(","))) if "," in value else _value(value)


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:
        raise UsageError(f"--set: {text!r} is not a number, true or false") from None


def _element(number: float, dtype: str) -> Array:
    with np.errstate(over="ignore"):
        return np.full((1, 1), number).astype(numpy_dtype(dtype))


def _gradient(text: str, dtype: str, table: Dialect) -> Any:
    if text == "none":
        return None
    values = [] if text == "empty" else [_number(one) for one in text.split(",")]
    if len(values) == 1 and table.gradients[0] == "dense":
        return _element(values[0], dtype)
    if "rows" not in table.gradients:
        raise UsageError(f"--grad {text}: {table.name} takes dense gradients only", "give one number per step, or another --dialect")
    with np.errstate(over="ignore"):
        column = np.reshape(values, (-1, 1)).astype(numpy_dtype(dtype))
    return RowGradient(np.zeros(len(values), np.int64), column, (1, 1))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(
            f"--grad: {text!r} is not a number", f"give a number, numbers with commas (occurrences of the row), or {' or '.join(WORDS)}"
        ) from None
