"""A case as it is given to a backend: fresh copies of every array, laid out in memory as the golden says."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..case import ARRAYS, Case, Group, Param, Step
from ..gradients import Array, Gradient, RowGradient, is_element_gradient
from ..vectors.layout import lay_out


def handed_out(case: Case, layout: str) -> Case:
    """A copy of a case that shares no array and no mapping with it, in a layout of LAYOUTS."""
    lay = partial(lay_out, layout=layout)
    return replace(
        case,
        params=tuple(_param(param, lay) for param in case.params),
        groups=tuple(Group({**group.hyper}) for group in case.groups),
        steps=tuple(_step(step, lay) for step in case.steps),
    )


def _param(param: Param, lay: Callable[[Array], Array]) -> Param:
    moments = {array: getattr(param, array) for array in ARRAYS[1:]}
    copies: dict[str, Any] = {array: None if value is None else lay(value) for array, value in moments.items()}
    return replace(param, value=lay(param.value), dtypes={**param.dtypes}, **copies)


def _step(step: Step, lay: Callable[[Array], Array]) -> Step:
    gradients, *parts = ({name: _gradient(gradient, lay) for name, gradient in of.items()} for of in (step.gradients, *step.parts))
    copies: dict[str, Any] = {"ranks" if step.ranks else "batches": tuple(parts)}
    return replace(step, gradients=gradients, hyper=tuple({**change} for change in step.hyper), **copies)


def _gradient(gradient: Gradient | None, lay: Callable[[Array], Array]) -> Gradient | None:
    if gradient is None:
        return None
    if isinstance(gradient, RowGradient):
        return RowGradient(lay(gradient.indices), lay(gradient.values), gradient.shape)
    if is_element_gradient(gradient):
        fresh = copy.copy(gradient)  # not through the constructor, which refuses half precision and may reorder
        fresh.data, fresh.coords = lay(gradient.data), tuple(lay(along) for along in gradient.coords)
        return fresh
    return lay(np.asarray(gradient))
