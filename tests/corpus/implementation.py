"""Adam in its dense, lazy and sparse forms, in plain NumPy, written without a look at the reference.

Every decision is a method of its own. A row of the corpus replaces some: a right row by the same mathematics, a wrong row by a fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from refimpl.backends import Case, Param, RowGradient, Step

from .dialects import TRAITS, Settings, Traits

STATE = ("param", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
Arrays = dict[str, np.ndarray]


@dataclass
class Slot:
    """The state of a parameter: its arrays in its own shape, the number of its gradients so far, and its place in the list."""

    param: Param
    place: int
    arrays: Arrays
    count: int


@dataclass
class Call:
    """One parameter in one call. shape: the parameter as (rows, width) for this form of gradient; c1, c2: the bias corrections."""

    slot: Slot
    form: str
    shape: tuple[int, int]
    s: Settings
    t: int
    c1: float = 1.0
    c2: float = 1.0

    @property
    def name(self) -> str:
        return self.slot.param.name

    @property
    def group(self) -> int:
        return self.slot.param.group

    @property
    def dtype(self) -> np.dtype:
        return self.slot.param.value.dtype

    def scalar(self, value: Any) -> Any:
        """A scalar rounded to the dtype of the tensor that it is combined with."""
        return self.dtype.type(value)

    def table(self, array: str) -> np.ndarray:
        """A view of an array of the parameter as (rows, width)."""
        return self.slot.arrays[array].reshape(self.shape)


class Implementation:
    """A run of one case: start, then step by step."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.traits: Traits = TRAITS[case.dialect]
        self.hypers = [dict(group.hyper) for group in case.groups]
        for hyper in self.hypers:
            self.validate(hyper)
        self.number = 0  # of the call, in this run
        self.calls = self.first_call()
        self.slots = {param.name: self.slot(place, param) for place, param in enumerate(case.params)}

    # --- the state ---

    def own(self, array: np.ndarray) -> np.ndarray:
        return np.array(array, order="C")

    def slot(self, place: int, param: Param) -> Slot:
        moments = {array: self.moment(param, array) for array in STATE[1:]}
        return Slot(param, place, {"param": self.own(param.value), **moments}, self.first_count(param))

    def moment(self, param: Param, array: str) -> np.ndarray:
        loaded = getattr(param, array)
        return np.zeros(param.value.shape, param.value.dtype) if loaded is None else self.own(loaded)

    def first_count(self, param: Param) -> int:
        return param.step

    def first_call(self) -> int:
        return self.case.params[0].step if self.case.params else 0

    def state(self) -> dict[str, Arrays]:
        return {name: {array: slot.arrays[array] for array in self.shown(slot)} for name, slot in self.slots.items()}

    def shown(self, slot: Slot) -> tuple[str, ...]:
        """amsgrad's maximum exists in groups that switch it on, at the start or later."""
        group = slot.param.group
        hypers = [self.case.groups[group].hyper, *(step.hyper[group] for step in self.case.steps if step.hyper)]
        return STATE if any(hyper.get("amsgrad") or hyper.get("use_amsgrad") for hyper in hypers) else STATE[:3]

    # --- a call ---

    def step(self, step: Step) -> None:
        for name, gradient in step.gradients.items():
            if gradient is not None:
                self.refuse(self.slots[name], gradient)
        changed = [{**hyper, **change} for hyper, change in zip(self.hypers, self.changes(step))]
        for hyper in changed:
            self.validate(hyper)
        self.hypers = changed
        self.number += 1
        self.begin(step)
        with np.errstate(all="ignore"):
            for slot, gradient in self.work(step):
                self.update(slot, gradient)
            self.end(step)

    def validate(self, hyper: Mapping[str, Any]) -> None:
        self.traits.validate(hyper)

    def refuse(self, slot: Slot, gradient: Any) -> None:
        form = form_of(gradient)
        if form not in self.traits.gradients:
            raise RuntimeError(f"{self.case.dialect} takes no gradient of the form {form}")
        if tuple(np.shape(gradient) if form == "dense" else gradient.shape) != slot.param.value.shape:
            raise ValueError("the gradient has another shape than its parameter")
        if form == "rows" and len(gradient.indices):
            self.refuse_rows(gradient.indices, len(slot.param.value))

    def refuse_rows(self, indices: np.ndarray, rows: int) -> None:
        if indices.min() < 0 or indices.max() >= rows:
            raise IndexError("a row number lies outside the table")

    def changes(self, step: Step) -> list[Mapping[str, Any]]:
        """What a schedule changes from this step on, per group."""
        return list(step.hyper) or [{} for _ in self.hypers]

    def begin(self, step: Step) -> None:
        self.calls += 1

    def work(self, step: Step) -> Iterator[tuple[Slot, Any]]:
        """The parameters that a call updates, with their gradients."""
        for name, slot in self.slots.items():
            if step.gradients.get(name) is not None:
                yield slot, step.gradients[name]

    def end(self, step: Step) -> None:
        """What happens after the last parameter: nothing."""

    def settings(self, slot: Slot) -> Settings:
        return Settings.of(self.hypers[slot.param.group])

    def count(self, slot: Slot, gradient: Any) -> int:
        """The step number that the bias corrections take."""
        slot.count += 1
        return self.calls if self.traits.counts_calls else slot.count

    # --- a parameter ---

    def update(self, slot: Slot, gradient: Any) -> None:
        call = self.call(slot, gradient)
        rows, values = self.occurrences(call, gradient)
        self.apply(call, rows, self.signed(call, values))

    def call(self, slot: Slot, gradient: Any) -> Call:
        form = form_of(gradient)
        value = slot.param.value
        rows = value.size if form == "elements" else len(value) if value.ndim else 1
        width = 1 if form == "elements" else int(np.prod(value.shape[1:]))
        call = Call(slot, form, (rows, width), self.settings(slot), self.count(slot, gradient))
        call.c1, call.c2 = self.corrections(call)
        return call

    def corrections(self, call: Call) -> tuple[float, float]:
        return 1 - self.power(call, call.s.beta1), 1 - self.power(call, call.s.beta2)

    def power(self, call: Call, beta: float) -> Any:
        return np.float64(beta) ** call.t

    def occurrences(self, call: Call, gradient: Any) -> tuple[np.ndarray, np.ndarray]:
        """Row numbers and values of shape (n, width); single elements are rows of width 1."""
        if call.form == "rows":
            return np.asarray(gradient.indices, np.int64), gradient.values.reshape(len(gradient.indices), call.shape[1])
        if call.form == "elements":
            return np.ravel_multi_index(gradient.coords, call.slot.param.value.shape), gradient.data.reshape(-1, 1)
        return np.arange(call.shape[0]), np.asarray(gradient).reshape(call.shape)

    def signed(self, call: Call, values: np.ndarray) -> np.ndarray:
        return -values if call.s.maximize else values

    def apply(self, call: Call, rows: np.ndarray, values: np.ndarray) -> None:
        if call.s.decoupled:
            self.shrink(call, rows)
        g = self.prepare(call, values, call.table("param")[rows])
        if self.traits.occurrences_apart and call.form == "rows":
            self.move_apart(call, rows, g)
        else:
            self.move(call, *self.touch(call, *self.merge(call, rows, g)))

    def shrink(self, call: Call, rows: np.ndarray) -> None:
        """Decoupled weight decay."""
        call.table("param")[...] *= call.scalar(1 - self.decay_rate(call))

    def decay_rate(self, call: Call) -> float:
        return call.s.lr * call.s.weight_decay

    def prepare(self, call: Call, values: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Each occurrence with its decay, without the loss scale, and centralized."""
        g = self.unscale(call, self.decay(call, values, p))
        return self.centralize(call, g) if call.s.centralization else g

    def decay(self, call: Call, values: np.ndarray, p: np.ndarray) -> np.ndarray:
        """Coupled weight decay, scaled up so that it survives the division by the loss scale."""
        if call.s.decoupled or not call.s.weight_decay:
            return values
        return values + p * call.scalar(call.s.weight_decay * call.s.loss_scale)

    def unscale(self, call: Call, g: np.ndarray) -> np.ndarray:
        return g if call.s.loss_scale == 1 else g / call.scalar(call.s.loss_scale)

    def centralize(self, call: Call, g: np.ndarray) -> np.ndarray:
        shape = call.slot.param.value.shape
        return g - g.mean(axis=1, keepdims=True) if len(shape) > 1 and shape[1] % 16 == 0 else g

    def merge(self, call: Call, rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each row once, with the sum of its occurrences."""
        if call.form == "dense":
            return rows, g
        distinct, slot = np.unique(rows, return_inverse=True)
        total = np.zeros((len(distinct), g.shape[1]), g.dtype)
        np.add.at(total, slot.reshape(-1), g)
        return distinct, total

    def touch(self, call: Call, rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows that move: the stored ones, or all of them where a sparse gradient counts as dense."""
        if not self.traits.moves_all_rows or call.form == "dense":
            return rows, g
        whole = np.zeros(call.shape, g.dtype)
        whole[rows] = g
        return np.arange(call.shape[0]), whole

    # --- rows that occur once ---

    def move(self, call: Call, rows: np.ndarray, g: np.ndarray) -> None:
        old = {array: call.table(array)[rows] for array in STATE}
        self.store(call, rows, self.advance(call, old, g))

    def move_apart(self, call: Call, rows: np.ndarray, g: np.ndarray) -> None:
        """Every occurrence starts from the old state; the changes add up, and the last occurrence's moments stay."""
        old = {array: call.table(array)[rows] for array in STATE}
        new = self.advance(call, old, g)
        p = call.table("param").copy()
        np.subtract.at(p, rows, new["change"])
        last = len(rows) - 1 - np.unique(rows[::-1], return_index=True)[1]
        self.store(call, rows[last], {**{array: new[array][last] for array in STATE[1:]}, "param": p[rows[last]]})

    def advance(self, call: Call, old: Arrays, g: np.ndarray) -> Arrays:
        """The new arrays of some rows, and by how much their parameters fall."""
        m = self.first_moment(call, old["exp_avg"], g)
        v = self.second_moment(call, old["exp_avg_sq"], g)
        largest, used = self.maximum(call, old["max_exp_avg_sq"], v)
        change = self.change(call, self.direction(call, old, m, g), used)
        return {
            "param": self.moved(call, old["param"], change),
            "exp_avg": m,
            "exp_avg_sq": v,
            "max_exp_avg_sq": largest,
            "change": change,
        }

    def moved(self, call: Call, p: np.ndarray, change: np.ndarray) -> np.ndarray:
        return p - change

    def first_moment(self, call: Call, m: np.ndarray, g: np.ndarray) -> np.ndarray:
        return self.average(call, m, g, call.s.beta1)

    def second_moment(self, call: Call, v: np.ndarray, g: np.ndarray) -> np.ndarray:
        return self.average(call, v, g * g, call.s.beta2)

    def average(self, call: Call, old: np.ndarray, new: np.ndarray, beta: float) -> np.ndarray:
        return old * call.scalar(beta) + new * call.scalar(1 - beta)

    def maximum(self, call: Call, largest: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """amsgrad's maximum, and the v that the step divides by."""
        if not call.s.amsgrad:
            return largest, v
        largest = np.maximum(largest, v)
        return largest, largest

    def direction(self, call: Call, old: Arrays, m: np.ndarray, g: np.ndarray) -> np.ndarray:
        return self.average(call, m, g, call.s.beta1) if call.s.nesterov else m

    def change(self, call: Call, d: np.ndarray, v: np.ndarray) -> np.ndarray:
        return d * call.scalar(self.step_size(call)) / self.denominator(call, v)

    def step_size(self, call: Call) -> Any:
        size = call.s.lr / call.c1
        return size if self.traits.eps_beside_corrected_root else size * np.sqrt(call.c2)

    def denominator(self, call: Call, v: np.ndarray) -> np.ndarray:
        root = self.root(call, v)
        if self.traits.eps_beside_corrected_root:
            root = root / call.scalar(np.sqrt(call.c2))
        return root + call.scalar(self.eps(call))

    def root(self, call: Call, v: np.ndarray) -> np.ndarray:
        return np.sqrt(v)

    def eps(self, call: Call) -> Any:
        return call.s.eps

    def store(self, call: Call, rows: np.ndarray, new: Arrays) -> None:
        for array in STATE:
            call.table(array)[rows] = new[array]


def form_of(gradient: Any) -> str:
    if isinstance(gradient, RowGradient):
        return "rows"
    return "elements" if hasattr(gradient, "coords") else "dense"
