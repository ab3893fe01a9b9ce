"""From a case with its expectations to a YAML entry and arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from ..arithmetic import CLASSES
from ..case import ARRAYS, COMPENSATION, HALF, MASTER, Case, Expected, Golden, Param
from ..errors import VectorError
from ..gradients import Array, Gradients, RowGradient, is_element_gradient
from ._members import FORMAT, GRADIENT_MEMBERS, INDEX_DTYPES, PARTS, STATE_KEYS, STORED, store
from .text import flow, quote

Entry = dict[str, Any]


def theme_text(dialect: str, theme: str, about: str, entries: Sequence[Entry]) -> str:
    """The YAML of a theme: one key to a line, a list of mappings with one item to a line, everything deeper in flow style."""
    head = ["# Golden vectors. README.md, two directories up, says what everything means.", f"format: {FORMAT}"]
    head += [f"dialect: {flow(dialect)}", f"theme: {flow(theme)}"] + ([f"about: {quote(about)}"] if about else [])
    return "\n".join([*head, "cases:", *(line for entry in entries for line in _lines(entry))]) + "\n"


def _lines(entry: Entry) -> Iterator[str]:
    for number, (key, value) in enumerate(entry.items()):
        start = "  " if number else "- "
        if value and isinstance(value, list) and isinstance(value[0], dict):
            yield f"{start}{key}:"
            yield from (f"  - {flow(item)}" for item in value)
        else:
            yield f"{start}{key}: {quote(value) if key == 'about' else flow(value)}"


def encode(golden: Golden, file: object) -> tuple[Entry, dict[str, Array]]:
    """The YAML entry of a case, and its arrays by member name. Raises VectorError for what the format cannot hold."""
    case = golden.case
    try:
        for param in case.params:
            if reason := uncompensable(case, param):
                raise ValueError(reason)
        arrays = {f"{case.slug}/{name}": array for part in (_inputs(golden), _expectations(golden)) for name, array in part}
        entry: Entry = {
            "id": case.id,
            "about": case.about,
            "kind": golden.kind,
            "dtype": case.dtype,
            "layout": golden.layout,
            "params": [_param(param, case.dtype) for param in case.params],
            "groups": [dict(group.hyper) for group in case.groups],
            "steps": _steps(golden),
            "record": [int(step) for step in case.record],
            "catches": list(case.catches),
        }
        if case.error is not None:
            entry["error"] = case.error
        if case.reduction != "mean":
            entry["reduction"] = case.reduction
        if case.accumulation != "sum":
            entry["accumulation"] = case.accumulation
        flow(entry)  # raises for a hyper-parameter of a type that the format cannot write
    except (TypeError, ValueError, KeyError) as error:
        raise VectorError(file, case.id, f"cannot be written: {error}", "README.md lists the dtypes and types of a vector") from error
    return entry, arrays


def uncompensable(case: Case, param: Param) -> str:
    """Why a compensation is none of which anything could be said, or nothing: the sum p + c needs a wider format than its parts."""
    if COMPENSATION not in param.dtypes:
        return ""
    if MASTER in param.dtypes:
        return f"{param.name} has both a master copy and a compensation"
    narrow = {str(param.value.dtype), param.dtypes[COMPENSATION]}
    return (
        f"{param.name} has a compensation, and no array in float32 or float64" if case.computed_in(param.name) in {*narrow, *HALF} else ""
    )


def _param(param: Param, dtype: str) -> Entry:
    if (param.exp_avg is None) is not (param.exp_avg_sq is None):
        raise ValueError(f"{param.name} has one moment and not the other")
    if param.exp_avg is None and param.max_exp_avg_sq is not None:
        raise ValueError(f"{param.name} has a maximum and no moments")
    for array, own in param.dtypes.items():
        if array not in (*ARRAYS[1:], MASTER, COMPENSATION) or own not in STORED:
            names = ", ".join((*ARRAYS[1:], MASTER, COMPENSATION))
            raise ValueError(f"{param.name} keeps {array} in {own}; the state is {names} in {', '.join(STORED)}")
    optional = {
        "dtype": (str(param.value.dtype), dtype),
        "dtypes": ({array: own for array, own in param.dtypes.items() if array == COMPENSATION or own != str(param.value.dtype)}, {}),
        "group": (param.group, 0),
        "step": (param.step, 0),
        **{key: (getattr(param, arrays[0]) is not None, False) for key, arrays in STATE_KEYS.items()},
    }
    unusual = {key: value for key, (value, usual) in optional.items() if value != usual}
    return {"name": param.name, "shape": list(param.value.shape), **unusual}


EVENTS: Mapping[str, object] = {"grad_scale": 1.0, "found_inf": False, "reload": False}
"""What else may happen at a step, and what is usual."""


def _steps(golden: Golden) -> list[Entry]:
    """A line per step; consecutive equal steps share one."""
    case = golden.case
    params = {param.name: param for param in case.params}
    steps = []
    for step in case.steps:
        unknown = {name for gradients in (step.gradients, *step.parts) for name in gradients} - params.keys()
        if unknown:
            raise ValueError(f"a gradient of {sorted(unknown)}, which is no parameter")
        if step.ranks and step.batches:
            raise ValueError("a step has both ranks and micro-batches")
        line: Entry = {kind: [_forms(part, params) for part in parts] for kind in PARTS if (parts := getattr(step, kind))}
        line = line or {"gradients": _forms(step.gradients, params)}
        if any(step.hyper):
            line["hyper"] = [dict(changes) for changes in step.hyper]
        line |= {event: getattr(step, event) for event, usual in EVENTS.items() if getattr(step, event) != usual}
        steps.append(line)
    runs = [(next(run), 1 + sum(1 for _ in run)) for _, run in groupby(steps, flow)]
    return [{"repeat": count, **step} if count > 1 else step for step, count in runs]


def _forms(gradients: Gradients, params: Mapping[str, Param]) -> Entry:
    return {name: _gradient(gradients.get(name), param)[0] for name, param in params.items()}


def _gradient(gradient: Any, param: Param) -> tuple[str | Entry, dict[str, Array]]:
    """The form of a gradient as the YAML has it, and its arrays by the last part of their names."""
    form, arrays, shape = _form(gradient)
    if form == "none":
        return form, {}
    values = arrays[GRADIENT_MEMBERS[form][-1]]
    fitting = {"rows": (len(arrays.get("indices", ())), *shape[1:]), "dense": shape}.get(form, values.shape)
    optional = {
        "shape": (shape, param.value.shape),
        "values": (values.shape, fitting),
        "dtype": (str(values.dtype), str(param.value.dtype)),
    }
    odd = {key: value for key, (value, usual) in optional.items() if value != usual}
    return ({"form": form, **odd} if odd else form), arrays


def _form(gradient: Any) -> tuple[str, dict[str, Array], tuple[int, ...]]:
    if gradient is None:
        return "none", {}, ()
    if isinstance(gradient, RowGradient):
        return "rows", {"indices": _index(gradient.indices, 1), "values": gradient.values}, tuple(gradient.shape)
    if isinstance(gradient, (np.ndarray, np.generic)):
        return "dense", {"dense": np.asarray(gradient)}, gradient.shape
    if is_element_gradient(gradient):
        coords = gradient.coords if hasattr(gradient, "coords") else (gradient.row, gradient.col)
        return "elements", {"coords": _index(np.stack(coords), 2), "values": gradient.data}, tuple(gradient.shape)
    raise TypeError(f"a gradient of type {type(gradient).__name__}")


def _index(indices: Array, ndim: int) -> Array:
    if str(indices.dtype) not in INDEX_DTYPES or indices.ndim != ndim:
        raise TypeError(f"indices of dtype {indices.dtype} and shape {indices.shape}")
    return indices


def _inputs(golden: Golden) -> Iterator[tuple[str, Array]]:
    case = golden.case
    for param in case.params:
        tensors: Mapping[str, Array | None] = {"param": param.value} | {
            array: getattr(param, array) for arrays in STATE_KEYS.values() for array in arrays
        }
        for array, tensor in tensors.items():
            if tensor is not None:
                yield f"{array}.{param.name}", _tensor(tensor, param.value.shape, param.dtype_of(array))
        for t, step in enumerate(case.steps, start=1):
            for number, gradients in enumerate(step.parts or (step.gradients,)):
                start = f"{PARTS['ranks' if step.ranks else 'batches']}.{number}.grad" if step.parts else "grad"
                for member, values in _gradient(gradients.get(param.name), param)[1].items():
                    yield f"{start}.{t}.{param.name}.{member}", values if member in ("indices", "coords") else store(values)


def _tensor(tensor: Array, shape: tuple[int, ...], dtype: str) -> Array:
    if tensor.shape != shape or str(tensor.dtype) != dtype or dtype not in STORED:
        raise TypeError(f"an array of shape {tensor.shape} and dtype {tensor.dtype} in a parameter of shape {shape} and dtype {dtype}")
    return store(tensor)


def _expectations(golden: Golden) -> Iterator[tuple[str, Array]]:
    if golden.case.error is not None and golden.expected:
        raise ValueError("expects an error and arrays")
    for name, arrays in golden.expected.items():
        for array, expected in arrays.items():
            yield f"expect.{array}.{name}", np.asarray(expected.value, np.float64)
            yield f"bound.{array}.{name}", _stacked_bounds(expected)
            if expected.allowed is not None:
                yield f"allow.{array}.{name}", np.asarray(expected.allowed, np.uint8)


def _stacked_bounds(expected: Expected) -> Array:
    """The bounds of every class as one array, the classes along its first axis."""
    if expected.bound.keys() != set(CLASSES):
        raise ValueError(f"bounds for the classes {', '.join(expected.bound)}, and the format has {', '.join(CLASSES)}")
    return np.stack([np.asarray(expected.bound[name], np.float32) for name in CLASSES])
