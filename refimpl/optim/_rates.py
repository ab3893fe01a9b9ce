"""Learning rates and weight decays that may change from step to step, as mindspore.nn takes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..dialects import Parameter


@dataclass(frozen=True, eq=False)
class Rate:
    """value: as the caller gave it; at: the value for a global step, counted from 0; entries: how many an array has, else 0."""

    value: Any
    at: Callable[[int], float]
    entries: int = 0


def learning_rate(value: Any, parameter: Parameter, class_name: str) -> Rate:
    """A number, a 0-d or 1-D array, an iterable or a schedule (a callable of the global step). Only a number's range is checked."""
    if isinstance(value, (float, int)):
        return _constant(value, parameter, class_name)
    if callable(value):
        return Rate(value, lambda step: float(value(step)))
    if isinstance(value, np.ndarray) and value.ndim != 1:
        if value.ndim > 1:
            raise ValueError(
                f"For 'Optimizer', if 'learning_rate' is Tensor type, then the dimension of it should be 0 or 1, but got {value.ndim}."
            )
        return Rate(value, lambda step: float(value))
    if not isinstance(value, Iterable):
        raise TypeError(
            "For 'Optimizer', the argument 'learning_rate' must be int, float, Tensor, Iterable or "
            f"LearningRateSchedule, but got {type(value)}."
        )
    entries = np.array(list(value)).astype(np.float64)
    return Rate(entries, _entry_of(entries, class_name), len(entries))


def weight_decay(value: Any, parameter: Parameter, class_name: str) -> Rate:
    """A number or a schedule (a callable of the global step)."""
    if isinstance(value, (float, int)):
        return _constant(value, parameter, class_name)
    if callable(value):
        return Rate(value, lambda step: float(value(step)))
    raise TypeError(f"For 'Optimizer', the argument 'Weight_decay' must be int, float or Cell.but got {type(value)}")


def check_type(name: str, value: object, kind: type, class_name: str) -> None:
    """Raise TypeError unless this is of the kind; True and False are no numbers."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"For '{class_name}', the type of '{name}' should be '{kind.__name__}', but got type '{type(value).__name__}'.")


def check_range(value: float, parameter: Parameter, class_name: str) -> None:
    """Raise ValueError for a number outside the range of the parameter, or for one that is not finite."""
    kind = type(value).__name__
    if parameter.interval is not None and math.isinf(parameter.interval.high) and not math.isfinite(value):
        name = parameter.name.replace("learning_rate", "learning rate")
        raise ValueError(f"For '{class_name}', the '{name}' must be a legal value, but got '{value}'.")
    if parameter.interval is not None and value not in parameter.interval:
        raise ValueError(parameter.message.format(**{"value": value, "type": kind, "class": class_name}))


def _constant(value: float, parameter: Parameter, class_name: str) -> Rate:
    number = float(value)
    check_range(number, parameter, class_name)
    return Rate(value, lambda step: number)


def _entry_of(entries: Any, class_name: str) -> Callable[[int], float]:
    def at(step: int) -> float:
        if step >= len(entries):
            raise RuntimeError(
                f"For '{class_name}', the learning rate has {len(entries)} entries, and step {step + 1} needs one more; "
                f"nothing has been changed"
            )
        return float(entries[step])

    return at
