"""Smaller and simpler cases: what may be left out of a case, and what may be replaced by something plainer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..backends.outcome import Outcome
from ..case import ARRAYS, LAYOUTS, Case, Golden, Group, Param, Step
from ..cases.random_features import with_parts
from ..dialects import dialect
from ..dialects.stages import Counter
from ..errors import InvalidHyper
from ..gradients import Array, RowGradient, is_element_gradient, values_of
from ..reference import kept_arrays, scheduled

Keep = Callable[[Case, Array], Case]


@dataclass(frozen=True, eq=False)
class Axis:
    """Something that a case has several of. count: how many; keep: the case with those of some places alone."""

    count: int
    keep: Keep


def is_valid(case: Case) -> bool:
    """Whether a case is one that an implementation must process: its hyper-parameters are accepted, its moments are possible."""
    table = dialect(case.dialect)
    try:
        for hypers in scheduled(case):
            for hyper in hypers:
                table.validate(hyper)
    except InvalidHyper:
        return False
    if not case.params or not case.steps or {param.group for param in case.params} != set(range(len(case.groups))):
        return False
    return all(_is_possible(param) for param in case.params)


def _is_possible(param: Param) -> bool:
    if param.exp_avg_sq is None:
        return True
    v = param.exp_avg_sq
    return bool((v >= 0).all()) and (param.max_exp_avg_sq is None or bool((param.max_exp_avg_sq >= v).all()))


def axes(case: Case) -> Iterator[Callable[[Case], Axis | None]]:
    """Every axis of a case, the one that saves the most first; each is looked up again in the case of the moment."""
    yield _steps
    yield _params
    for param in case.params:
        for dimension in range(param.value.ndim):
            yield _along(param.name, dimension)
    for number in range(len(case.steps)):
        for param in case.params:
            yield _occurrences(number, param.name)


def _steps(case: Case) -> Axis:
    def keep(case: Case, places: Array) -> Case:
        steps = tuple(case.steps[k] for k in places)
        return replace(case, steps=steps, record=tuple(range(1, len(steps) + 1)) if len(case.record) > 1 else (len(steps),))

    return Axis(len(case.steps), keep)


def _params(case: Case) -> Axis:
    def keep(case: Case, places: Array) -> Case:
        params = tuple(case.params[k] for k in places)
        used = sorted({param.group for param in params})
        params = tuple(replace(param, group=used.index(param.group)) for param in params)
        names = {param.name for param in params}
        steps = tuple(
            replace(
                step,
                gradients={name: gradient for name, gradient in step.gradients.items() if name in names},
                hyper=tuple(step.hyper[group] for group in used) if step.hyper else (),
            )
            for step in case.steps
        )
        return replace(case, params=params, groups=tuple(case.groups[group] for group in used), steps=steps)

    return Axis(len(case.params), keep)


def _along(name: str, dimension: int) -> Callable[[Case], Axis | None]:
    def axis(case: Case) -> Axis | None:
        param = _named(case, name)
        if param is None or dimension >= param.value.ndim:
            return None
        return Axis(param.value.shape[dimension], lambda case, places: kept_along(case, name, dimension, places))

    return axis


def kept_along(case: Case, name: str, dimension: int, places: Array) -> Case:
    """The case with some rows (dimension 0) or columns of one parameter alone."""

    def take(array: Array | None) -> Array | None:
        return None if array is None else np.ascontiguousarray(np.take(array, places, axis=dimension))

    def changed(param: Param) -> Param:
        value = take(param.value)
        assert value is not None
        moments: dict[str, Any] = {array: take(getattr(param, array)) for array in ARRAYS[1:]}
        return replace(param, value=value, **moments)

    params = tuple(changed(param) if param.name == name else param for param in case.params)
    shape = next(param.value.shape for param in params if param.name == name)
    before = next(param.value.shape for param in case.params if param.name == name)
    return _with_gradients(replace(case, params=params), name, lambda gradient: _gradient_along(gradient, dimension, places, before, shape))


def _gradient_along(gradient: Any, dimension: int, places: Array, before: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    number = np.full(before[dimension], -1)
    number[places] = np.arange(len(places))
    if isinstance(gradient, RowGradient):
        if dimension:
            return RowGradient(gradient.indices, np.ascontiguousarray(np.take(gradient.values, places, axis=dimension)), shape)
        mine = number[gradient.indices] >= 0
        return RowGradient(number[gradient.indices][mine], gradient.values[mine], shape)
    if is_element_gradient(gradient):
        along = number[gradient.coords[dimension]]
        mine = along >= 0
        coords = [np.asarray(axis)[mine] for axis in gradient.coords]
        coords[dimension] = along[mine]
        return _elements(coords, gradient.data[mine], shape)
    return np.ascontiguousarray(np.take(gradient, places, axis=dimension))


def _elements(coords: Sequence[Array], data: Array, shape: tuple[int, ...]) -> Any:
    from scipy.sparse import coo_array

    places: Any = tuple(coords)
    made: Any = coo_array((np.zeros(len(data), np.float32), places), shape=shape)
    made.data = data  # set afterwards: scipy refuses half precision
    return made


def _occurrences(number: int, name: str) -> Callable[[Case], Axis | None]:
    def axis(case: Case) -> Axis | None:
        gradient = case.steps[number].gradients.get(name) if number < len(case.steps) else None
        if gradient is None or not (isinstance(gradient, RowGradient) or is_element_gradient(gradient)):
            return None

        def keep(case: Case, places: Array) -> Case:
            return _with_gradient(case, number, name, _some(case.steps[number].gradients[name], places))

        return Axis(len(values_of(gradient)), keep)

    return axis


def _some(gradient: Any, places: Array) -> Any:
    if isinstance(gradient, RowGradient):
        return RowGradient(gradient.indices[places], gradient.values[places], gradient.shape)
    return _elements([np.asarray(axis)[places] for axis in gradient.coords], gradient.data[places], gradient.shape)


def leaps(golden: Golden, outcome: Outcome, step: int) -> Iterator[Golden]:
    """Large reductions that often succeed: only up to the first wrong step, that step alone from the state before it, only stored rows."""
    case = golden.case
    if step < len(case.steps):
        yield replace(golden, case=replace(case, steps=case.steps[:step], record=tuple(n for n in case.record if n <= step)))
    resumed = _from_state_before(case, outcome, step)
    if resumed is not None:
        yield replace(golden, case=resumed, kind="step")
    yield replace(golden, case=replace(case, record=(len(case.steps),)))
    for param in case.params:
        stored = [step.gradients.get(param.name) for step in case.steps]
        rows = [gradient.indices for gradient in stored if isinstance(gradient, RowGradient)]
        if rows and param.value.ndim and len(rows) == sum(gradient is not None for gradient in stored):
            yield replace(golden, case=kept_along(case, param.name, 0, np.unique(np.concatenate(rows))))


def _from_state_before(case: Case, outcome: Outcome, step: int) -> Case | None:
    """The wrong step alone, from the state that the backend itself had before it; None where that state was not shown."""
    if step < 2 or step - 1 not in case.record:
        return None
    at = case.record.index(step - 1)
    kept = kept_arrays(case)
    hypers = list(scheduled(case))[step - 2]
    by_call = dialect(case.dialect).picks.counter in (Counter.CALL, Counter.CALL_NONEMPTY)
    params = []
    for param in case.params:
        arrays = outcome.states.get(param.name, {})
        if not set(kept[param.name]) <= arrays.keys() or param.dtypes:
            return None
        made = step - 1 if by_call else sum(earlier.gradients.get(param.name) is not None for earlier in case.steps[: step - 1])
        state: dict[str, Any] = {array: np.array(arrays[array][at]) for array in kept[param.name]}
        if not all(np.isfinite(array.astype(np.float64)).all() for array in state.values()):
            return None
        params.append(replace(param, value=state.pop("param"), step=param.step + made, **state))
    return replace(case, params=tuple(params), groups=tuple(map(Group, hypers)), steps=case.steps[step - 1 : step], record=(1,))


def simpler(golden: Golden) -> Iterator[Callable[[Golden], Golden]]:
    """Everything that may be set to what is plain: the layout, groups, settings, schedules, resumes, events, gradients, values."""
    yield lambda golden: replace(golden, layout=LAYOUTS[0])
    yield _changing(_one_group)
    for index, group in enumerate(golden.case.groups):
        for name, default in dialect(golden.case.dialect).defaults().items():
            if group.hyper.get(name) != default:
                yield _changing(lambda case, index=index, name=name, default=default: _with_hyper(case, index, name, default))  # type: ignore[misc]
    yield _changing(lambda case: replace(case, steps=tuple(with_parts(step, "ranks", ()) for step in case.steps)))
    for number in range(len(golden.case.steps)):
        yield _changing(lambda case, number=number: _plain_step(case, number))  # type: ignore[misc]
    for param in golden.case.params:
        yield _changing(lambda case, name=param.name: _fresh(case, name))  # type: ignore[misc]
        for count in (1, 2, 10):
            yield _changing(lambda case, name=param.name, count=count: _counting(case, name, count))  # type: ignore[misc]
        for number in range(len(golden.case.steps)):
            yield _changing(lambda case, number=number, name=param.name: _with_gradient(case, number, name, None))  # type: ignore[misc]
    for value in (0.0, 1.0):
        for param in golden.case.params:
            for array in ARRAYS:
                yield _changing(lambda case, name=param.name, array=array, value=value: _filled(case, name, array, value))  # type: ignore[misc]
            for number in range(len(golden.case.steps)):
                yield _changing(lambda case, number=number, name=param.name, value=value: _gradient_filled(case, number, name, value))  # type: ignore[misc]
    for param in golden.case.params:
        for array in ARRAYS:
            yield _changing(lambda case, name=param.name, array=array: _rounded(case, name, array))  # type: ignore[misc]


def _changing(change: Callable[[Case], Case]) -> Callable[[Golden], Golden]:
    return lambda golden: replace(golden, case=change(golden.case))


def _named(case: Case, name: str) -> Param | None:
    return next((param for param in case.params if param.name == name), None)


def _with_gradients(case: Case, name: str, change: Callable[[Any], Any]) -> Case:
    return replace(case, steps=tuple(_with_changed(step, name, change) for step in case.steps))


def _with_changed(step: Step, name: str, change: Callable[[Any], Any]) -> Step:
    def changed(gradients: Mapping[str, Any]) -> dict[str, Any]:
        return {**gradients, name: change(gradients[name])} if gradients.get(name) is not None else dict(gradients)

    if step.parts:
        return with_parts(step, "ranks" if step.ranks else "batches", tuple(map(changed, step.parts)))
    return replace(step, gradients=changed(step.gradients))


def _with_gradient(case: Case, number: int, name: str, gradient: Any) -> Case:
    if number >= len(case.steps) or name not in case.steps[number].gradients:
        return case
    step = with_parts(case.steps[number], "ranks", ())
    step = replace(step, gradients={**step.gradients, name: gradient})
    return replace(case, steps=(*case.steps[:number], step, *case.steps[number + 1 :]))


def _one_group(case: Case) -> Case:
    steps = tuple(replace(step, hyper=step.hyper[:1]) for step in case.steps)
    return replace(case, params=tuple(replace(param, group=0) for param in case.params), groups=case.groups[:1], steps=steps)


def _with_hyper(case: Case, index: int, name: str, value: object) -> Case:
    if index >= len(case.groups):
        return case
    groups = [Group({**group.hyper, name: value}) if k == index else group for k, group in enumerate(case.groups)]
    steps = tuple(
        replace(
            step,
            hyper=tuple({key: each for key, each in change.items() if k != index or key != name} for k, change in enumerate(step.hyper)),
        )
        for step in case.steps
    )
    return replace(case, groups=tuple(groups), steps=steps)


def _plain_step(case: Case, number: int) -> Case:
    if number >= len(case.steps):
        return case
    plain = Step(case.steps[number].gradients, tuple({} for _ in case.groups))
    return replace(case, steps=(*case.steps[:number], plain, *case.steps[number + 1 :]))


def _with_param(case: Case, name: str, **changes: Any) -> Case:
    return replace(case, params=tuple(replace(param, **changes) if param.name == name else param for param in case.params))


def _fresh(case: Case, name: str) -> Case:
    """A start instead of a resume: every parameter, since an implementation resumes all of them or none."""
    params = tuple(replace(param, exp_avg=None, exp_avg_sq=None, max_exp_avg_sq=None, step=0) for param in case.params)
    return replace(case, params=params)


def _counting(case: Case, name: str, count: int) -> Case:
    param = _named(case, name)
    return _with_param(case, name, step=count) if param is not None and param.step > count else case


def _filled(case: Case, name: str, array: str, value: float) -> Case:
    field = "value" if array == "param" else array
    param = _named(case, name)
    now = None if param is None else getattr(param, field)
    if now is None or (now == value).all() or (value and (now == 0).all()):
        return case
    return _with_param(case, name, **{field: np.full_like(now, value)})


def _rounded(case: Case, name: str, array: str) -> Case:
    field = "value" if array == "param" else array
    param = _named(case, name)
    now = None if param is None else getattr(param, field)
    if now is None or not now.size:
        return case
    rounded = np.asarray(np.rint(now.astype(np.float64))).astype(now.dtype)
    return case if (rounded == now).all() else _with_param(case, name, **{field: rounded})


def _gradient_filled(case: Case, number: int, name: str, value: float) -> Case:
    gradient = case.steps[number].gradients.get(name) if number < len(case.steps) else None
    if gradient is None:
        return case
    now = np.asarray(values_of(gradient))
    if (now == value).all() or (value and (now == 0).all()):
        return case
    full = np.full_like(now, value)
    if isinstance(gradient, RowGradient):
        return _with_gradient(case, number, name, RowGradient(gradient.indices, full, gradient.shape))
    if is_element_gradient(gradient):
        return _with_gradient(case, number, name, _elements(gradient.coords, full, gradient.shape))
    return _with_gradient(case, number, name, full)


def work(case: Case) -> int:
    """About what judging a case costs, in elements that are compared: one that a gradient stores is summed in every number system."""
    stored = (values_of(gradient) for step in case.steps for gradient in step.gradients.values() if gradient is not None)
    return len(case.steps) * (STEP + size(case)) + STORED * sum(np.asarray(values).size for values in stored)


STEP, STORED = 3000, 8
"""What a step costs beside its elements, and an element that a gradient stores."""


def size(case: Case) -> int:
    """The elements of all parameters together."""
    return sum(math.prod(param.value.shape) for param in case.params)
