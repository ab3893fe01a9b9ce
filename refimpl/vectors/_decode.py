"""From a YAML entry and arrays to a case with its expectations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..arithmetic import CLASSES
from ..case import ALWAYS_KEPT, ARRAYS, COMPENSATION, KINDS, Case, Expected, Golden, Group, Param, Step
from ..errors import InvalidGradient, Unsupported, VectorError
from ..gradients import Array, RowGradient, dtype_name
from ._encode import EVENTS, uncompensable
from ._members import INDEX_DTYPES, PARTS, STATE_KEYS, Members
from .layout import lay_out

STEP_LIMIT = 100_000
GRADIENT_LIMIT = 1_000_000
"""Gradients of one case: `repeat` makes many steps of one line, and each has a gradient for every parameter."""

Entry = Mapping[str, Any]
Shape = tuple[int, ...]


def decode(entry: Entry, members: Members, file: object, expects: bool = True) -> Golden:
    """A case from its entry (which satisfies the schema) and the members of its file.

    expects: whether the file must hold expectations, too. Raises VectorError where entry and arrays do not fit together, and
    Unsupported where a case needs a package that is missing (ml_dtypes for bfloat16, scipy for element gradients).
    """
    return _Decoder(entry, members, file).golden(expects)


class _Decoder:
    def __init__(self, entry: Entry, members: Members, file: object) -> None:
        self.entry, self.members, self.file = entry, members, file
        self.id: str = entry["id"]
        self.slug = self.id.rsplit("/", 1)[-1]
        if sum(step.get("repeat", 1) for step in entry["steps"]) > STEP_LIMIT:
            raise self.refuse("steps", f"more than {STEP_LIMIT} steps")
        if sum(step.get("repeat", 1) for step in entry["steps"]) * len(entry["params"]) > GRADIENT_LIMIT:
            raise self.refuse("steps", f"more than {GRADIENT_LIMIT} gradients")
        self.steps: list[Entry] = [step for step in entry["steps"] for _ in range(step.get("repeat", 1))]

    def refuse(self, key: str, reason: str) -> VectorError:
        return VectorError(self.file, f"{self.id}, {key}", reason)

    def golden(self, expects: bool) -> Golden:
        try:
            params = tuple(self._param(entry, f"params[{k}]") for k, entry in enumerate(self.entry["params"]))
            if len({param.name for param in params}) < len(params):
                raise self.refuse("params", "two parameters have the same name")
            case = Case(
                id=self.id,
                about=self.entry["about"],
                dialect=self.id.split("/")[0],
                params=params,
                groups=tuple(Group(_hyper(group)) for group in self.entry["groups"]),
                steps=self._steps(params),
                record=self._record(expects),
                catches=tuple(self.entry["catches"]),
                error=self.entry.get("error"),
                reduction=self.entry.get("reduction", "mean"),
                accumulation=self.entry.get("accumulation", "sum"),
            )
            for param in params:
                if reason := uncompensable(case, param):
                    raise self.refuse("params", reason)
        except ImportError as error:
            raise Unsupported(f"needs {error.name}, which is not installed") from None
        expected = (
            {} if case.error is not None or not expects else {param.name: self._expected(param, len(case.record)) for param in params}
        )
        return Golden(case, expected, self.entry["kind"], self.entry["layout"])

    def _tensor(self, name: str, dtype: str, shape: tuple[int | None, ...]) -> Array:
        return lay_out(self.members.take_tensor(f"{self.slug}/{name}", dtype, shape), self.entry["layout"])

    def _param(self, entry: Entry, key: str) -> Param:
        name, shape = entry["name"], tuple(entry["shape"])
        dtype: str = entry.get("dtype", self.entry["dtype"])
        group = entry.get("group", 0)
        if group >= len(self.entry["groups"]):
            raise self.refuse(f"{key}.group", f"there is no group {group}")
        if "maximum" in entry and "moments" not in entry:
            raise self.refuse(f"{key}.maximum", "a maximum is given, and no moments")
        dtypes: dict[str, str] = dict(entry.get("dtypes", {}))
        arrays = [array for announcing, arrays in STATE_KEYS.items() if announcing in entry for array in arrays]
        state: dict[str, Any] = {array: self._tensor(f"{array}.{name}", dtypes.get(array, dtype), shape) for array in arrays}
        return Param(name, self._tensor(f"param.{name}", dtype, shape), group, step=entry.get("step", 0), dtypes=dtypes, **state)

    def _steps(self, params: tuple[Param, ...]) -> tuple[Step, ...]:
        names = [param.name for param in params]
        groups = self.entry["groups"]
        steps = []
        for t, entry in enumerate(self.steps, start=1):
            kinds = [kind for kind in ("gradients", *PARTS) if kind in entry]
            if len(kinds) != 1:
                raise self.refuse(f"step {t}", f"has both {' and '.join(kinds)}" if kinds else "has no gradients, and no ranks")
            for forms in [entry["gradients"]] if kinds == ["gradients"] else entry[kinds[0]]:
                if sorted(forms) != sorted(names):
                    raise self.refuse(f"step {t}", f"gradients of {sorted(forms)}, and the parameters are {sorted(names)}")
            changes = entry.get("hyper", [{}] * len(groups))
            if len(changes) != len(groups):
                raise self.refuse(f"step {t}", f"hyper changes {len(changes)} groups, and there are {len(groups)}")
            events = {event: entry[event] for event in EVENTS if event in entry}
            steps.append(self._step(entry, t, params, tuple(map(_hyper, changes)), events))
        return tuple(steps)

    def _step(
        self, entry: Entry, t: int, params: tuple[Param, ...], hyper: tuple[dict[str, object], ...], events: Mapping[str, Any]
    ) -> Step:
        def gradients(forms: Entry, member: str) -> dict[str, Any]:
            return {param.name: self._gradient(forms[param.name], member, param) for param in params}

        if "gradients" in entry:
            return Step(gradients(entry["gradients"], f"grad.{t}"), hyper, **events)
        kind = next(kind for kind in PARTS if kind in entry)
        parts = [gradients(forms, f"{PARTS[kind]}.{number}.grad.{t}") for number, forms in enumerate(entry[kind])]
        try:
            return (Step.of_ranks if kind == "ranks" else Step.of_batches)(parts, hyper, **events)
        except InvalidGradient as error:
            raise self.refuse(f"step {t}, {kind}", str(error)) from None

    def _record(self, expects: bool) -> tuple[int, ...]:
        record, last = tuple(self.entry["record"]), len(self.steps)
        if list(record) != sorted(set(record)) or (record and record[-1] > last):
            raise self.refuse("record", f"{list(record)} must ascend from 1 to at most {last}, the number of steps")
        if expects and not record and not self.entry.get("error"):
            raise self.refuse("record", "is empty, so that nothing would be compared")
        return record

    def _gradient(self, entry: str | Entry, member: str, param: Param) -> Any:
        spec: Entry = {"form": entry} if isinstance(entry, str) else entry
        if spec["form"] == "none":
            return None
        shape = tuple(spec.get("shape", param.value.shape))
        dtype = spec.get("dtype", dtype_name(param.value.dtype))
        values = tuple(spec["values"]) if "values" in spec else None
        return {"rows": self._rows, "elements": self._elements, "dense": self._dense}[spec["form"]](
            f"{member}.{param.name}", dtype, shape, values
        )

    def _index(self, name: str, shape: tuple[int | None, ...]) -> Array:
        return lay_out(self.members.take(f"{self.slug}/{name}", INDEX_DTYPES, shape), self.entry["layout"])

    def _rows(self, name: str, dtype: str, shape: Shape, values: Shape | None) -> RowGradient:
        indices = self._index(f"{name}.indices", (None,))
        fitting = (len(indices), *shape[1:])
        return RowGradient(indices, self._tensor(f"{name}.values", dtype, fitting if values is None else values), shape)

    def _elements(self, name: str, dtype: str, shape: Shape, values: Shape | None) -> Any:
        from scipy.sparse import coo_array

        if not shape:
            raise self.refuse(name, "a gradient by elements of what has no dimensions")
        coords = self._index(f"{name}.coords", (len(shape), None))
        data = self._tensor(f"{name}.values", dtype, (coords.shape[1],))
        gradient: Any = coo_array(shape)  # filled by hand: the constructor refuses coordinates outside, and half precision
        gradient.coords, gradient.data = tuple(coords), data
        return gradient

    def _dense(self, name: str, dtype: str, shape: Shape, values: Shape | None) -> Array:
        return self._tensor(f"{name}.dense", dtype, shape)

    def _expected(self, param: Param, records: int) -> dict[str, Expected]:
        kept = [array for array in ARRAYS if array in ALWAYS_KEPT or f"{self.slug}/expect.{array}.{param.name}" in self.members]
        kept += [COMPENSATION] if COMPENSATION in param.dtypes else []
        return {array: self._array(f"{array}.{param.name}", (records, *param.value.shape)) for array in kept}

    def _array(self, name: str, shape: Shape) -> Expected:
        value = self.members.take(f"{self.slug}/expect.{name}", ("float64",), shape)
        stacked = self.members.take(f"{self.slug}/bound.{name}", ("float32",), (len(CLASSES), *shape))
        allow = f"{self.slug}/allow.{name}"
        allowed = self.members.take(allow, ("uint8",), shape) if allow in self.members else None
        for member, reason in _impossible(value, stacked, allowed):
            raise VectorError(self.file, f"{self.slug}/{member}.{name}", reason)
        return Expected(value, dict(zip(CLASSES, stacked)), allowed)


def _impossible(value: Array, stacked: Array, allowed: Array | None) -> Iterator[tuple[str, str]]:
    """(member, reason) for each property of an expectation that no oracle can have meant."""
    if not (stacked >= 0).all():
        yield "bound", "a bound is negative or not a number"
    if (stacked[1:] < stacked[:-1]).any():
        yield "bound", f"a class is tighter than one before it; they come in the order {', '.join(CLASSES)}"
    if allowed is not None and ((allowed == 0) | (allowed > sum(KINDS.values()))).any():
        yield "allow", f"an element allows nothing or an unknown kind; each is a sum of {', '.join(map(str, KINDS.values()))}"
    finite = np.isfinite(value)
    takes_finite = np.True_ if allowed is None else (allowed & KINDS["finite"]) != 0
    if not finite.all() and (takes_finite & ~finite & np.isfinite(stacked).any(axis=0)).any():
        yield "expect", "an expectation is not finite where a finite bound requires a finite result"


def _hyper(entry: Entry) -> dict[str, object]:
    return {name: _value(value) for name, value in entry.items()}


def _value(value: object) -> object:
    return tuple(map(_value, value)) if isinstance(value, list) else value
