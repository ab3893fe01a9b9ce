"""Whether what a backend or a program gave back is a state of the case at all: names, arrays, shapes and dtypes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from ..case import ARRAYS, COMPARED, COMPENSATION, Case
from ..gradients import Array

States = dict[str, dict[str, Array]]


def problems(state: Mapping[str, object], case: Case, steps: tuple[int, ...], dtypes: Callable[[str], tuple[str, ...]]) -> Iterator[str]:
    """A sentence for each thing that is missing, unknown, or of the wrong kind.

    steps: () for one state, (T,) for states stacked over the recorded steps; dtypes: what an array of some dtype may be given in.
    """
    known = {param.name: param for param in case.params}
    yield from (f"parameter {name!r} is unknown; the case has {', '.join(known)}" for name in state if name not in known)
    for name, param in known.items():
        if name not in state:
            yield f"parameter {name!r} is missing"
            continue
        arrays = state[name]
        if not isinstance(arrays, Mapping):
            yield f"parameter {name!r} has a {type(arrays).__name__}, not a mapping from array name to array"
            continue
        if "param" not in arrays:
            yield f"parameter {name!r} has no array 'param'"
        for array, value in arrays.items():
            known_arrays = COMPARED if COMPENSATION in param.dtypes else ARRAYS
            if array not in known_arrays:
                yield f"parameter {name!r} has an array {array!r}; known are {', '.join(known_arrays)}"
            else:
                yield from _array_problems(f"{array} of {name!r}", value, (*steps, *param.value.shape), dtypes(param.dtype_of(array)))


def _array_problems(label: str, value: object, shape: tuple[int, ...], dtypes: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(value, (np.ndarray, np.generic)):  # np.generic: what indexing a 0-d array gives
        yield f"{label} is a {type(value).__module__}.{type(value).__qualname__}, not a NumPy array"
        return
    if value.shape != shape:
        yield f"{label} has shape {value.shape}, not {shape}"
    if str(value.dtype) not in dtypes:
        yield f"{label} has dtype {value.dtype}, not {' or '.join(dtypes)}"


def copied(state: object) -> object:
    """A state with every array copied, so that what is written into it later does not matter; anything else as it is."""
    if isinstance(state, Mapping):
        return {name: copied(value) for name, value in state.items()}
    return np.array(state, order="C") if isinstance(state, (np.ndarray, np.generic)) else state


def stacked(recorded: list[States]) -> States:
    """The states of the recorded steps as arrays of shape (T, *shape)."""
    if not recorded:
        return {}
    return {name: {array: np.stack([state[name][array] for state in recorded]) for array in arrays} for name, arrays in recorded[0].items()}


def inconsistencies(recorded: list[States], record: tuple[int, ...]) -> Iterator[str]:
    """A sentence for each array that is given at some recorded steps only."""
    for name, arrays in recorded[0].items() if recorded else ():
        for step, state in zip(record, recorded):
            odd = sorted(arrays.keys() ^ state[name].keys())
            if odd:
                yield f"{', '.join(odd)} of {name!r} is given at step {record[0]} or at step {step}, not at both"
                break
