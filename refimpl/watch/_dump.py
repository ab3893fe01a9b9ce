"""Dumps: calls of an optimizer of any framework, as a NPZ with the arrays and a YAML with the rest beside it."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ..arithmetic import numpy_dtype
from ..case import ARRAYS, WIDEST_FIRST
from ..common.arrays import is_float
from ..common.cli import write_bytes
from ..dialects import dialect as dialect_named
from ..errors import InvalidHyper, RefimplError, UsageError, VectorError
from ..gradients import Array, RowGradient, check_gradient, row_layout
from ..vectors import pack, read_npz, store
from ._step import Sample, Watched, moves_everywhere

FORMAT = 1
"""The version of the layout; a reader refuses one that it does not know."""

LIMIT = 1 << 20
"""Bytes of the YAML of a dump, at most."""

State = Mapping[str, Any]
"""An array of ARRAYS -> NumPy array, and `step` -> the number of steps taken."""


def record(
    before: Mapping[str, State],
    after: Mapping[str, State],
    gradients: Mapping[str, Any],
    settings: Mapping[str, object],
    file: str | Path,
    *,
    dialect: str,
    number: int = 1,
) -> None:
    """Write one call of an optimizer as FILE.npz and FILE.yaml, for `python -m refimpl.watch FILE.npz` to judge.

    before, after: parameter -> its state: `param`, `exp_avg`, `exp_avg_sq` (and `max_exp_avg_sq`) as NumPy arrays of one shape, and `step`;
    before the first step the moments may be left out. gradients: parameter -> a dense array, a RowGradient, or None; settings: in the
    dialect's own names (what is left out has its default). Nothing is pickled. Raises UsageError for what a dump cannot hold.
    """
    path = Path(file).with_suffix(".npz")
    table = dialect_named(dialect)
    try:
        hyper = {name: _plain(settings.get(name, parameter.default)) for name, parameter in table.parameters.items()}
        table.validate({**hyper, **{name: value for name, value in settings.items() if name not in hyper}})
    except InvalidHyper as error:
        raise UsageError(f"record: settings: {error.message}", error.hint) from None
    params, arrays = [], dict[str, Array]()
    for name, state in before.items():
        entry, own = _entry(name, state, after.get(name, {}), gradients.get(name), table.gradients)
        params.append(entry)
        arrays |= {f"{len(params) - 1}/{key}": array for key, array in own.items()}
    unknown = sorted({*after, *gradients} - set(before))
    if unknown or not params:
        raise UsageError(
            f"record: {', '.join(unknown) or 'no parameter'} has no state before the call", "give `before` for every parameter"
        )
    document = {"format": FORMAT, "dialect": table.name, "call": int(number), "settings": hyper, "params": params}
    write_bytes(path, pack(arrays))
    write_bytes(path.with_suffix(".yaml"), yaml.safe_dump(document, sort_keys=False).encode("utf-8"))


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (bool, str, np.bool_)) or value is None:
        return bool(value) if isinstance(value, np.bool_) else value
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def _entry(name: str, before: State, after: State, gradient: Any, forms: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Array]]:
    """What the YAML says of a parameter, and its arrays."""
    try:
        states = {"before": _state(before), "after": _state(after)}
        shape = states["before"]["param"].shape
        odd = [f"{when}.{array}" for when, arrays in states.items() for array, values in arrays.items() if values.shape != shape]
        if odd:
            raise UsageError(f"{', '.join(odd)} is not of the shape {shape} of the parameter")
        if gradient is not None:
            form = "rows" if isinstance(gradient, RowGradient) else "dense"
            if form not in forms:
                raise UsageError(f"the gradient is {form}, and the dialect takes {', '.join(forms)}")
            check_gradient(gradient, shape, name)
        counts = [_count(state.get("step", 0)) for state in (before, after)]
    except RefimplError as error:
        raise UsageError(f"record: {name!r}: {error.message}", error.hint) from None
    entry: dict[str, Any] = {"name": name, "steps": counts, "dtypes": {}, "gradient": "none"}
    arrays: dict[str, Array] = {}
    for when, state in states.items():
        for array, values in state.items():
            entry["dtypes"][f"{when}.{array}"] = str(values.dtype)
            arrays[f"{when}.{array}"] = store(values)
    if isinstance(gradient, RowGradient):
        entry |= {"gradient": "rows"}
        entry["dtypes"]["gradient"] = str(gradient.values.dtype)
        arrays |= {"rows": np.asarray(gradient.indices, np.int64), "gradient": store(gradient.values)}
    elif gradient is not None:
        entry |= {"gradient": "dense"}
        entry["dtypes"]["gradient"] = str(gradient.dtype)
        arrays |= {"gradient": store(gradient)}
    return entry, arrays


def _state(state: State) -> dict[str, Array]:
    if "param" not in state:
        raise UsageError("there is no `param`", f"a state has {', '.join(ARRAYS)} and step")
    arrays = {array: np.asarray(state[array]) for array in ARRAYS if array in state}
    for array, values in arrays.items():
        if not is_float(values.dtype):
            raise UsageError(f"{array} has dtype {values.dtype}", "give arrays of floating-point numbers")
    return arrays


def _count(count: Any) -> float:
    number = float(count)
    if not math.isfinite(number):
        raise UsageError(f"step is {count!r}", "give the number of steps taken")
    return number


def read(file: Path) -> Watched:
    """The call in a dump. Raises VectorError where it is broken, and names the key."""
    path = file.with_suffix(".yaml")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise VectorError(path, "", f"cannot be read: {error.strerror}", "a dump is NAME.npz and NAME.yaml") from None
    if len(content) > LIMIT:
        raise VectorError(path, "", f"has more than {LIMIT} bytes")
    try:
        document = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise VectorError(path, "", f"is no YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise VectorError(path, "format", f"is not {FORMAT}", "refimpl.watch.record writes dumps")
    try:
        table = dialect_named(str(document["dialect"]))
        settings = {name: tuple(value) if isinstance(value, list) else value for name, value in document["settings"].items()}
        table.validate(settings)
        arrays = read_npz(file.with_suffix(".npz"))
        everywhere = moves_everywhere(table.resolve(settings)[1])
        samples = tuple(_sample(entry, number, arrays, table.gradients, everywhere) for number, entry in enumerate(document["params"]))
        return Watched(int(document["call"]), table.name, (settings,), samples)
    except VectorError:
        raise
    except RefimplError as error:
        raise VectorError(path, "", error.message, error.hint) from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise VectorError(path, "", f"is no dump: {type(error).__name__}: {error}", "refimpl.watch.record writes dumps") from None


def _sample(entry: Mapping[str, Any], number: int, arrays: Mapping[str, Array], forms: tuple[str, ...], everywhere: bool) -> Sample:
    def typed(key: str) -> Array:
        if f"{number}/{key}" not in arrays:
            raise UsageError(f"params[{number}]: {key} is missing in the NPZ")
        if entry["dtypes"][key] not in WIDEST_FIRST:
            raise UsageError(f"params[{number}].dtypes.{key}: is no format", f"one of {', '.join(WIDEST_FIRST)}")
        return arrays[f"{number}/{key}"].astype(numpy_dtype(str(entry["dtypes"][key])))

    unknown = set(entry["dtypes"]) - {"gradient", *(f"{when}.{array}" for when in ("before", "after") for array in ARRAYS)}
    if unknown:
        raise UsageError(f"params[{number}].dtypes: {', '.join(sorted(unknown))} is no array of a state")
    states = {
        when: {array: typed(f"{when}.{array}") for array in ARRAYS if f"{when}.{array}" in entry["dtypes"]} for when in ("before", "after")
    }
    shape = states["before"]["param"].shape
    if any(values.shape != shape for state in states.values() for values in state.values()) or "param" not in states["after"]:
        raise UsageError(f"params[{number}]: the arrays are not of one shape")
    form, (before, after) = str(entry["gradient"]), map(float, entry["steps"])
    if form != "none" and form not in forms:
        raise UsageError(f"params[{number}].gradient: is {form}, and the dialect takes {', '.join(forms)}")
    layout = (int(np.prod(shape, dtype=np.int64)), 1) if form != "rows" else row_layout(shape)
    laid_out = {when: {array: values.reshape(layout) for array, values in state.items()} for when, state in states.items()}
    gradient, occurrences, order = None, np.zeros(0, np.int64), np.arange(layout[0])
    updated = 0
    if form == "dense":
        gradient = typed("gradient")
        check_gradient(gradient, shape, str(entry["name"]))
        gradient, occurrences, updated = gradient.reshape(layout), order, layout[0]
    elif form == "rows":
        given = RowGradient(np.asarray(arrays[f"{number}/rows"]), typed("gradient"), shape)
        check_gradient(given, shape, str(entry["name"]))
        distinct, occurrences = np.unique(given.indices, return_inverse=True)
        order = np.concatenate([distinct, np.setdiff1d(order, distinct)]).astype(np.int64)
        gradient, updated = given.values.reshape(len(given.values), layout[1]), layout[0] if everywhere else len(distinct)
    return Sample(
        name=str(entry["name"]),
        group=0,
        before={array: values[order] for array, values in laid_out["before"].items()},
        after={array: values[order] for array, values in laid_out["after"].items()},
        gradient=gradient,
        rows=occurrences.reshape(-1),
        places=order,
        updated=updated,
        population=updated,
        drawn=updated,
        counts=(before, after),
        dense=form != "rows",
    )


def dumps(paths: list[Path]) -> Iterator[Path]:
    """The dumps that are named, and those in the directories that are named."""
    for path in paths:
        if path.is_dir():
            within = sorted(path.glob("*.npz"))
            if not within:
                raise UsageError(f"{path} holds no dump (*.npz)", "refimpl.watch.record writes dumps")
            yield from within
        else:
            yield path
