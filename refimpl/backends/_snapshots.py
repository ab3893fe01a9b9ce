"""Detect changes that a backend makes to the case that it was given: the arrays belong to the caller."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..case import ARRAYS, Case
from ..gradients import Array, Gradient, RowGradient, is_element_gradient

LONG = 64
"""Up to this many steps, every gradient is compared after every step."""
# Beyond, the cost would grow with the square of the horizon: the gradients of other steps are then compared once, at the end.


@dataclass(frozen=True)
class Snapshot:
    """The bits of an array at one time."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    bits: bytes

    @classmethod
    def of(cls, array: Array) -> Snapshot:
        return cls(array.dtype, array.shape, array.tobytes())

    def change(self, array: Array) -> str | None:
        """The first element of an array that differs from the snapshot in any bit, in words; None where the two are the same."""
        if array.dtype != self.dtype:
            return f"dtype changed from {self.dtype} to {array.dtype}"
        if array.shape != self.shape:
            return f"shape changed from {self.shape} to {array.shape}"
        bits = array.tobytes()
        if bits == self.bits:
            return None
        before, after = (np.frombuffer(some, self.dtype) for some in (self.bits, bits))
        unsigned = f"u{self.dtype.itemsize}"
        at = int(np.flatnonzero(before.view(unsigned) != after.view(unsigned))[0])
        index = ", ".join(str(i) for i in np.unravel_index(at, self.shape))
        return f"[{index}] changed from {before[at]!s} to {after[at]!s}"


@dataclass(frozen=True)
class _Item:
    """One thing to compare: its name, the function that describes its change, and the step (from 1) that it belongs to, 0 for none."""

    label: str
    change: Callable[[], str | None]
    step: int = 0


class Watch:
    """Compares every part of a case with its snapshot; `changes` holds a sentence for each part, the first time that it differs."""

    def __init__(self, case: Case) -> None:
        self.changes: list[str] = []
        self._long = len(case.steps) > LONG
        self._items: dict[
            int, list[_Item]
        ] = {}  # by the step that they belong to, so that a step of a long case does not compare all of them
        for item in (*_of_parameters(case), *_of_gradients(case), *_of_hypers(case)):
            self._items.setdefault(item.step, []).append(item)

    def look(self, when: str, step: int | None = None) -> None:
        """Compare with what was handed out. step: the one that was just made, or None for everything."""
        for of_step in (0, step) if self._long and step is not None else tuple(self._items):
            same = []
            for item in self._items.get(of_step, ()):
                change = item.change()
                if change is None:
                    same.append(item)
                else:
                    self.changes.append(f"{item.label} {change} (seen {when})")
            self._items[of_step] = same


def _array(label: str, read: Callable[[], Array], step: int = 0) -> _Item:
    snapshot = Snapshot.of(read())
    return _Item(label, lambda: snapshot.change(np.asarray(read())), step)


def _mapping(label: str, mapping: Mapping[str, object], see: Callable[[object], object], step: int = 0) -> _Item:
    before = {name: see(value) for name, value in mapping.items()}

    def change() -> str | None:
        now = {name: see(value) for name, value in mapping.items()}
        if now == before:
            return None
        name = next(name for name in [*before, *now] if before.get(name, change) != now.get(name, change))
        words = {(True, False): "was taken out", (False, True): "was put in"}
        return f"{name!r} {words.get((name in before, name in now)) or 'was replaced'}"

    return _Item(label, change, step)


def _of_parameters(case: Case) -> Iterator[_Item]:
    for param in case.params:
        for array in ("value", *ARRAYS[1:]):
            array_value = getattr(param, array)
            if array_value is not None:
                yield _array(f"parameter {param.name!r}: {array}", lambda array_value=array_value: array_value)  # type: ignore[misc]  # mypy cannot infer a default


def _of_gradients(case: Case) -> Iterator[_Item]:
    for number, step in enumerate(case.steps, start=1):
        for rank, gradients in enumerate((step.gradients, *step.parts), start=-1):
            of_rank = f" of {'rank' if step.ranks else 'micro-batch'} {rank}" if rank >= 0 else ""
            yield _mapping(f"gradients of step {number}{of_rank}:", gradients, id, number)
            for name, gradient in gradients.items():
                for part, read in _parts(gradient).items():
                    yield _array(f"gradient of {name!r} at step {number}{of_rank}: {part}", read, number)


def _parts(gradient: Gradient | None) -> dict[str, Callable[[], Array]]:
    """The arrays of a gradient, each read again at every comparison: methods of scipy replace arrays by new ones."""
    if gradient is None:
        return {}
    if isinstance(gradient, RowGradient):
        return {"indices": lambda: gradient.indices, "values": lambda: gradient.values}
    if is_element_gradient(gradient):
        return {"data": lambda: gradient.data, "coords": lambda: np.array(gradient.coords), "shape": lambda: np.array(gradient.shape)}
    return {"dense": lambda: gradient}


def _of_hypers(case: Case) -> Iterator[_Item]:
    for index, group in enumerate(case.groups):
        yield _mapping(f"hyper-parameters of group {index}:", group.hyper, repr)
    for number, step in enumerate(case.steps, start=1):
        for index, change in enumerate(step.hyper):
            yield _mapping(f"hyper-parameters of group {index} at step {number}:", change, repr, number)
