"""The backend `reference`: the reference in NumPy floats, for every dialect; with deviations, a wrong one on purpose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Any, cast

import numpy as np

from .. import reference
from ..arithmetic import Float, numpy_dtype
from ..arithmetic.wide import Wide
from ..case import COMPENSATION, Case, Param, Step
from ..common.cli import version
from ..dialects import Deviation, deviations, dialects
from ..errors import UsageError
from ..gradients import Array
from ..reference import SHOWN, ByFormat, Forms, State, kept_arrays, trajectory
from ..reference.forms import Averaging, Mean, Scale, Shrink, Square, Unscaling
from ..reference.inputs import Given, at_start
from ._protocol import Capabilities
from .features import FEATURES


@dataclass(frozen=True)
class Formulation:
    """One way to compute: which formulas, whether scalars are rounded to the tensor's dtype first, the order of sums, double inside."""

    forms: Forms = reference.ONE
    tensor_scalars: bool = False
    reverse: bool = False
    wide: bool = False


class ReferenceRun:
    """A trajectory that is computed step by step from the gradients of each call."""

    def __init__(self, case: Case, deviating: tuple[Deviation, ...], how: Formulation) -> None:
        self._given = Given(case)
        # The steps of the case determine how a parameter is laid out, and what a deviating schedule reads in advance. Each is
        # replaced by the step that is really given before the trajectory reaches it.
        self._steps = list(case.steps)
        self._made = 0
        live = replace(case, steps=cast("tuple[Step, ...]", self._steps))  # a list, so that it can be replaced item by item
        system = ByFormat(partial(Wide if how.wide else Float, tensor_scalars=how.tensor_scalars, reverse=how.reverse))
        self._trajectory = trajectory(live, system, self._given.table, deviating, how.forms)
        self._kept = kept_arrays(case)
        self._states: dict[str, dict[str, Array]] = {param.name: at_start(param, self._kept[param.name]) for param in case.params}

    def step(self, step: Step) -> None:
        """Check all that is given before anything changes, then make the step."""
        self._given.take(step)
        self._steps[self._made : self._made + 1] = [step]
        self._made += 1
        for name, state in next(self._trajectory).items():
            self._states[name] = _in_shape(self._given.params[name], state, self._kept[name])

    def state(self) -> dict[str, dict[str, Array]]:
        return {name: dict(arrays) for name, arrays in self._states.items()}


def _in_shape(param: Param, state: State, kept: tuple[str, ...]) -> dict[str, Array]:
    dtypes = {array: numpy_dtype(param.dtype_of(array)) for array in kept}  # wider arithmetics hold numbers of the dtype
    numbers = {array: np.array(getattr(state, SHOWN[array])) for array in kept}
    if COMPENSATION in numbers:
        numbers[COMPENSATION] = numbers[COMPENSATION] - numbers["param"]
    return {array: numbers[array].astype(dtype).reshape(param.value.shape) for array, dtype in dtypes.items()}


class ReferenceBackend:
    """The reference in one formulation, with the dialects as they are or with deviations from them."""

    def __init__(self, deviating: tuple[Deviation, ...], how: Formulation) -> None:
        self.name = " with ".join(["reference", *(deviation.id for deviation in deviating)])
        self.version = version()
        self.dialects = {name: Capabilities(table.dtypes, tuple(FEATURES)) for name, table in dialects("full").items()}
        self._deviating, self._how = deviating, how

    def start(self, case: Case) -> ReferenceRun:
        return ReferenceRun(case, self._deviating, self._how)


def factory(
    deviations: str = "",
    mean: str = "weighted",
    square: str = "weighted",
    scale: str = "folded",
    unscaling: str = "decay_first",
    shrink: str = "factor",
    averaging: str = "divided",
    tensor_scalars: str = "no",
    reverse: str = "no",
    wide: str = "no",
) -> ReferenceBackend:
    """A backend out of the tables: ids of deviations, separated by commas, and one form of each table of formulations.

    mean and square also take forms that are not admissible at every beta (forms.FROM_NEW): a wrong implementation on purpose.

    Raises UsageError, with the names that exist, for one that does not.
    """
    forms = Forms(
        mean=(_member(Mean, "mean", mean),),
        square=(_member(Square, "square", square),),
        scale=(_member(Scale, "scale", scale),),
        unscaling=(_member(Unscaling, "unscaling", unscaling),),
        shrink=(_member(Shrink, "shrink", shrink),),
        averaging=(_member(Averaging, "averaging", averaging),),
    )
    how = Formulation(forms, _yes("tensor_scalars", tensor_scalars), _yes("reverse", reverse), _yes("wide", wide))
    return ReferenceBackend(tuple(_deviations(deviations)), how)


def _deviations(ids: str) -> Iterator[Deviation]:
    for id in filter(None, (word.strip() for word in ids.split(","))):
        if id not in deviations():
            raise UsageError(f"no deviation {id!r}", f"choose from {', '.join(deviations())}")
        yield deviations()[id]


def _member(table: type[Enum], option: str, name: str) -> Any:
    try:
        return table[name.upper()]
    except KeyError:
        known = ", ".join(member.name.lower() for member in table)
        raise UsageError(f"option {option}: no form {name!r}", f"choose from {known}") from None


ANSWERS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


def _yes(option: str, answer: str) -> bool:
    if answer.lower() not in ANSWERS:
        raise UsageError(f"option {option}: {answer!r} is neither yes nor no", f"choose from {', '.join(ANSWERS)}")
    return ANSWERS[answer.lower()]
