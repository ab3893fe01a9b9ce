"""SparseAdam written straight in NumPy, by someone who has never seen refimpl's reference: a right one, and ways to spoil it.

`Right` is one implementation with hooks. A right variant overrides a hook with the same mathematics; a wrong one with a fault.
Each class is a backend's Run; `backend(Variant)` makes the backend, and `variants:make_NAME` names its factory for `check`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from refimpl.backends import Capabilities, Case, Param, RowGradient, Step, Unsupported


class Right:
    """Per parameter: copies of p, m and v, and a step count. Scalars in double; sums with np.add.at; moments by lerp."""

    def __init__(self, case: Case) -> None:
        self.hypers = [dict(group.hyper) for group in case.groups]
        for hyper in self.hypers:
            self.validate(hyper)
        self.params = {param.name: param for param in case.params}
        self.p = {param.name: self.own(param.value) for param in case.params}
        self.m = {param.name: self.moment(param, param.exp_avg) for param in case.params}
        self.v = {param.name: self.moment(param, param.exp_avg_sq) for param in case.params}
        self.t = {param.name: self.start_count(param) for param in case.params}
        self.calls = 0

    # What faults are made of: each hook is one thing that an implementation does.
    def own(self, array: np.ndarray) -> np.ndarray:
        return np.array(array)

    def moment(self, param: Param, given: np.ndarray | None) -> np.ndarray:
        return np.zeros_like(param.value) if given is None else self.own(given)

    def start_count(self, param: Param) -> Any:
        return param.step

    def validate(self, hyper: dict[str, Any]) -> None:
        beta1, beta2 = hyper["betas"]
        if not (hyper["lr"] > 0 and hyper["eps"] > 0 and 0 <= beta1 < 1 and 0 <= beta2 < 1):
            raise ValueError(f"refused: {hyper}")

    def change(self, hyper: dict[str, Any], changes: dict[str, Any]) -> None:
        hyper.update(changes)

    def count(self, name: str, gradient: RowGradient) -> int:
        self.t[name] += 1
        return int(self.t[name])

    def merge(self, indices: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows, slot = np.unique(indices, return_inverse=True)
        total = np.zeros((len(rows), *values.shape[1:]), values.dtype)
        np.add.at(total, slot.reshape(-1), values)
        return rows, total

    def betas(self, hyper: dict[str, Any]) -> tuple[float, float]:
        return hyper["betas"][0], hyper["betas"][1]

    def eps(self, hyper: dict[str, Any], t: int) -> float:
        return float(hyper["eps"])

    def step_size(self, lr: float, beta1: float, beta2: float, t: int, dtype: np.dtype) -> Any:
        return lr * np.sqrt(1 - beta2**t) / (1 - beta1**t)

    def average(self, old: np.ndarray, new: np.ndarray, beta: float) -> np.ndarray:
        return old + (new - old) * old.dtype.type(1 - beta)

    def update(self, m: np.ndarray, v: np.ndarray, step_size: Any, eps: float) -> np.ndarray:
        return (m * m.dtype.type(step_size)) / (np.sqrt(v) + m.dtype.type(eps))

    def rows(self, name: str, rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return rows, g

    def store(self, name: str, rows: np.ndarray, p: np.ndarray, m: np.ndarray, v: np.ndarray) -> None:
        self.p[name][rows], self.m[name][rows], self.v[name][rows] = p, m, v

    def step(self, step: Step) -> None:
        for name, gradient in step.gradients.items():
            if gradient is not None:
                self.check(name, gradient)
        for hyper, changes in zip(self.hypers, step.hyper):
            self.change(hyper, dict(changes))
        self.calls += 1
        with np.errstate(all="ignore"):
            for name, gradient in step.gradients.items():
                if gradient is not None:
                    self.step_parameter(name, gradient)

    def check(self, name: str, gradient: Any) -> None:
        if not isinstance(gradient, RowGradient):
            if hasattr(gradient, "coords"):
                raise Unsupported("element gradients")
            raise TypeError("dense gradient")
        if len(gradient.indices) and (gradient.indices.min() < 0 or gradient.indices.max() >= len(self.p[name])):
            raise IndexError("row number")

    def step_parameter(self, name: str, gradient: RowGradient) -> None:
        hyper = self.hypers[self.params[name].group]
        t = self.count(name, gradient)
        values = -gradient.values if hyper["maximize"] else gradient.values
        rows, g = self.rows(name, *self.merge(gradient.indices, np.asarray(values)))
        beta1, beta2 = self.betas(hyper)
        m = self.average(self.m[name][rows], g, beta1)
        v = self.average(self.v[name][rows], g * g, beta2)
        size = self.step_size(hyper["lr"], beta1, beta2, t, m.dtype)
        p = self.p[name][rows] - self.update(m, v, size, self.eps(hyper, t))
        self.store(name, rows, p, m, v)

    def state(self) -> dict[str, dict[str, np.ndarray]]:
        return {name: {"param": self.p[name], "exp_avg": self.m[name], "exp_avg_sq": self.v[name]} for name in self.p}


@dataclass
class Variant:
    """A backend around a Run class."""

    run: Callable[[Case], Any]
    name: str = "variant"
    version: str = "1"
    dialects = {"torch.SparseAdam": Capabilities()}  # noqa: RUF012  # as an author would write it

    def start(self, case: Case) -> Any:
        if case.dtype not in ("float32", "float64"):
            raise Unsupported(case.dtype)
        return self.run(case)


# --- right ---


class Weighted(Right):
    def average(self, old, new, beta):
        return old * old.dtype.type(beta) + new * old.dtype.type(1 - beta)


class LateScaling(Right):
    def update(self, m, v, step_size, eps):
        return m / (np.sqrt(v) + m.dtype.type(eps)) * m.dtype.type(step_size)


class CorrectedMoments(Right):
    def step_size(self, lr, beta1, beta2, t, dtype):
        return lr, 1 - beta1**t, 1 - beta2**t

    def update(self, m, v, step_size, eps):
        lr, c1, c2 = step_size
        one = m.dtype.type
        return one(lr) * (m / one(c1)) / (np.sqrt(v / one(c2)) + one(eps / np.sqrt(c2)))


class Fused(Right):
    """Fused multiply-add, as far as a wider format shows it: the product is not rounded before the sum."""

    def average(self, old, new, beta):
        wide = np.float64 if old.dtype == np.float32 else np.longdouble
        return (old.astype(wide) + (new - old).astype(wide) * wide(old.dtype.type(1 - beta))).astype(old.dtype)


class PowersInFloat32(Right):
    """Beta powers in float32 where the table is; a running product."""

    def step_size(self, lr, beta1, beta2, t, dtype):
        one = dtype.type
        return one(lr) * np.sqrt(one(1) - one(beta2) ** one(t)) / (one(1) - one(beta1) ** one(t))

    def average(self, old, new, beta):
        one = old.dtype.type
        return old * one(beta) + new * (one(1) - one(beta))


class ReversedSums(Right):
    def merge(self, indices, values):
        return super().merge(indices[::-1], values[::-1])


class DoubleInside(Right):
    def merge(self, indices, values):
        return super().merge(indices, values.astype(np.float64))

    def step_parameter(self, name, gradient):
        kept = self.p[name], self.m[name], self.v[name]
        self.p[name], self.m[name], self.v[name] = (array.astype(np.float64) for array in kept)
        super().step_parameter(name, gradient)
        for table, array in zip((self.p, self.m, self.v), kept):
            table[name] = table[name].astype(array.dtype)


class NoMoments(Right):
    """Its moments cannot be reached from outside."""

    def state(self):
        return {name: {"param": of["param"]} for name, of in super().state().items()}


RIGHT = (Right, Weighted, LateScaling, CorrectedMoments, Fused, PowersInFloat32, ReversedSums, DoubleInside, NoMoments)


# --- wrong: counters ---


class CountsFromZero(Right):
    def count(self, name, gradient):
        return max(super().count(name, gradient) - 1, 1)


class SharedCounter(Right):
    def count(self, name, gradient):
        super().count(name, gradient)
        return self.params[name].step + self.calls


class StaticCounter(Right):
    """One count for all parameters that counts each of them."""

    def count(self, name, gradient):
        self.t = {key: value + 1 for key, value in self.t.items()}
        return self.t[name]


class EmptyNotCounted(Right):
    def count(self, name, gradient):
        return super().count(name, gradient) if len(gradient.indices) else max(self.t[name], 1)


class CounterIn8Bits(Right):
    def count(self, name, gradient):
        self.t[name] = (self.t[name] + 1) % 256
        return max(self.t[name], 1)


class CounterInHalf(Right):
    def count(self, name, gradient):
        self.t[name] = float(np.float16(self.t[name]) + np.float16(1))
        return self.t[name]


class CounterSaturates(Right):
    def count(self, name, gradient):
        return min(super().count(name, gradient), 1000)


# --- wrong: eps ---


class EpsOfThePaper(Right):
    def step_size(self, lr, beta1, beta2, t, dtype):
        self.root2 = np.sqrt(1 - beta2**t)
        return super().step_size(lr, beta1, beta2, t, dtype)

    def eps(self, hyper, t):
        return hyper["eps"] * self.root2


class EpsInside(Right):
    def update(self, m, v, step_size, eps):
        return m * m.dtype.type(step_size) / np.sqrt(v + m.dtype.type(eps))


class EpsSquaredInside(Right):
    def update(self, m, v, step_size, eps):
        return m * m.dtype.type(step_size) / np.sqrt(v + m.dtype.type(eps * eps))


class EpsAsMaximum(Right):
    def update(self, m, v, step_size, eps):
        return m * m.dtype.type(step_size) / np.maximum(np.sqrt(v), m.dtype.type(eps))


class EpsFixed(Right):
    def eps(self, hyper, t):
        return 1e-8


class EpsInHalf(Right):
    def eps(self, hyper, t):
        return float(np.float16(hyper["eps"]))


# --- wrong: merging ---


class MergesNeighboursOnly(Right):
    def merge(self, indices, values):
        if not len(indices):
            return indices, values
        starts = np.flatnonzero(np.r_[True, indices[1:] != indices[:-1]])
        return indices[starts], np.add.reduceat(values, starts, axis=0)


class MergesPairsOnly(Right):
    def merge(self, indices, values):
        rows, first = np.unique(indices, return_index=True)
        total = values[first].copy()
        for k, row in enumerate(rows):
            at = np.flatnonzero(indices == row)
            if len(at) > 1:
                total[k] += values[at[1]]
        return rows, total


class LastWins(Right):
    def merge(self, indices, values):
        rows, first = np.unique(indices[::-1], return_index=True)
        return rows, values[::-1][first]


class MeanInstead(Right):
    def merge(self, indices, values):
        rows, counts = np.unique(indices, return_counts=True)
        return rows, super().merge(indices, values)[1] / counts.reshape(-1, *(1,) * (values.ndim - 1)).astype(values.dtype)


class MergesInHalf(Right):
    def merge(self, indices, values):
        rows, total = super().merge(indices, values.astype(np.float16))
        return rows, total.astype(values.dtype)


class DropsCancelled(Right):
    def rows(self, name, rows, g):
        kept = (g != 0).reshape(len(rows), -1).any(axis=1)
        return rows[kept], g[kept]


class FixedBuffer(Right):
    """Room for 32 occurrences; what comes after is dropped."""

    def merge(self, indices, values):
        return super().merge(indices[:32], values[:32])


class RowZeroIsEmpty(Right):
    def rows(self, name, rows, g):
        return rows[rows != 0], g[rows != 0]


# --- wrong: betas ---


class Beta2InHalf(Right):
    def betas(self, hyper):
        return hyper["betas"][0], float(np.float16(hyper["betas"][1]))


class Beta1InHalf(Right):
    def betas(self, hyper):
        return float(np.float16(hyper["betas"][0])), hyper["betas"][1]


class BetasInFloat32(Right):
    """Right for float32 tables; a float64 table shows it."""

    def betas(self, hyper):
        return tuple(float(np.float32(beta)) for beta in hyper["betas"])


class BetasRounded(Right):
    def betas(self, hyper):
        return tuple(round(beta, 3) for beta in hyper["betas"])


class Beta2Fixed(Right):
    def betas(self, hyper):
        return hyper["betas"][0], 0.999


class SwappedBetas(Right):
    def betas(self, hyper):
        return hyper["betas"][1], hyper["betas"][0]


# --- wrong: tails of rows, row numbers ---


class TailOfFour(Right):
    block = 4

    def store(self, name, rows, p, m, v):
        if p.ndim != 2:
            return super().store(name, rows, p, m, v)
        width = p.shape[1] - p.shape[1] % self.block
        for table, new in ((self.p, p), (self.m, m), (self.v, v)):
            table[name][np.ix_(rows, np.arange(width))] = new[:, :width]


class TailOfSixteen(TailOfFour):
    """Only where a whole block came before: narrow rows are right."""

    block = 16

    def store(self, name, rows, p, m, v):
        return super().store(name, rows, p, m, v) if p.ndim == 2 and p.shape[1] > 16 else Right.store(self, name, rows, p, m, v)


class TailOf64(TailOfSixteen):
    block = 64

    def store(self, name, rows, p, m, v):
        return TailOfFour.store(self, name, rows, p, m, v) if p.ndim == 2 and p.shape[1] > 64 else Right.store(self, name, rows, p, m, v)


class OnlyFirst1024Columns(Right):
    def store(self, name, rows, p, m, v):
        for table, new in ((self.p, p), (self.m, m), (self.v, v)):
            table[name][rows, ..., :1024] = new[..., :1024]


class RowsIn16Bits(Right):
    def merge(self, indices, values):
        return super().merge(indices.astype(np.uint16).astype(np.int64), values)


class RowsIn15Bits(Right):
    def merge(self, indices, values):
        return super().merge(indices % 32768, values)


class RowsIn8Bits(Right):
    def merge(self, indices, values):
        return super().merge(indices.astype(np.uint8).astype(np.int64), values)


class LastRowOfBatchLost(Right):
    def rows(self, name, rows, g):
        return (rows[:-1], g[:-1]) if len(rows) % 8 == 1 and len(rows) > 8 else (rows, g)


# --- wrong: schedules, groups ---


class ScheduleIgnored(Right):
    def change(self, hyper, changes):
        pass


class ScheduleLate(Right):
    def __init__(self, case):
        super().__init__(case)
        self.waiting = [{} for _ in self.hypers]

    def step(self, step):
        changes, self.waiting = self.waiting, [dict(change) for change in step.hyper]
        super().step(Step(step.gradients, tuple(changes)))


class OnlyLrScheduled(Right):
    def change(self, hyper, changes):
        hyper.update({name: value for name, value in changes.items() if name == "lr"})


class BetasNotScheduled(Right):
    def change(self, hyper, changes):
        hyper.update({name: value for name, value in changes.items() if name != "betas"})


class FirstGroupForAll(Right):
    def step_parameter(self, name, gradient):
        hypers, self.hypers = self.hypers, [self.hypers[0]] * len(self.hypers)
        super().step_parameter(name, gradient)
        self.hypers = hypers


class FirstScheduleForAll(Right):
    def step(self, step):
        super().step(Step(step.gradients, (step.hyper[0],) * len(step.hyper)))


# --- wrong: empty gradients, resumed states ---


class StopsAtFirstEmpty(Right):
    """An empty gradient ends the loop over parameters."""

    def step(self, step):
        given = dict(step.gradients)
        for name, gradient in step.gradients.items():
            if isinstance(gradient, RowGradient) and not len(gradient.indices):
                given = {key: value for key, value in given.items() if list(step.gradients).index(key) <= list(step.gradients).index(name)}
                break
        super().step(Step({name: given.get(name) for name in step.gradients}, step.hyper))


class MissingCounts(Right):
    def step(self, step):
        super().step(step)
        for name, gradient in step.gradients.items():
            self.t[name] += gradient is None


class FirstEmptyLost(Right):
    """State is made at the first gradient; an empty first one makes none, and is not counted."""

    def count(self, name, gradient):
        if self.t[name] == 0 and not len(gradient.indices):
            return 1
        return super().count(name, gradient)


class StepNotResumed(Right):
    def start_count(self, param):
        return 0


class MomentsNotResumed(Right):
    def moment(self, param, given):
        return np.zeros_like(param.value)


class MomentsInHalf(Right):
    def moment(self, param, given):
        return super().moment(param, None if given is None else given.astype(np.float16).astype(given.dtype))


class MomentsExchanged(Right):
    def __init__(self, case):
        super().__init__(case)
        self.m, self.v = self.v, self.m


class FirstStepForAll(Right):
    def __init__(self, case):
        super().__init__(case)
        self.t = dict.fromkeys(self.t, case.params[0].step if case.params else 0)


# --- wrong: the caller's arrays ---


class NotCopied(Right):
    def own(self, array):
        return array


class MomentsNotCopied(Right):
    def moment(self, param, given):
        return np.zeros_like(param.value) if given is None else given


class NegatesInPlace(Right):
    def step_parameter(self, name, gradient):
        if self.hypers[self.params[name].group]["maximize"] and gradient.values.flags.writeable:
            np.negative(gradient.values, out=gradient.values)
            gradient = RowGradient(gradient.indices, -gradient.values, gradient.shape)
        super().step_parameter(name, gradient)


class SortsInPlace(Right):
    def step_parameter(self, name, gradient):
        if gradient.indices.flags.writeable and gradient.values.flags.writeable:
            order = np.argsort(gradient.indices, kind="stable")
            gradient.values[:] = gradient.values[order]
            gradient.indices[:] = gradient.indices[order]
        super().step_parameter(name, gradient)


class ScalesInPlaceAndBack(Right):
    """Doubled and halved: the same numbers, unless one is at the end of the range. Forgets the last row."""

    def step_parameter(self, name, gradient):
        if gradient.values.flags.writeable and len(gradient.values):
            gradient.values[:-1] *= 1
            gradient.values[-1:] = 0
        super().step_parameter(name, gradient)


class ForgetsStrides(Right):
    """Reads the buffer of a view as if it were contiguous."""

    def own(self, array):
        base = array.base if array.base is not None and not array.flags.c_contiguous else None
        return np.array(base.reshape(-1)[: array.size].reshape(array.shape)) if base is not None else np.array(array)


class ChangesHyper(Right):
    def __init__(self, case):
        super().__init__(case)
        for group in case.groups:
            group.hyper["lr"] = 1.0


class StateBelongsToTheClass(Right):
    """A cache of counts that outlives the run."""

    counts: dict[str, int] = {}  # noqa: RUF012  # the fault

    def count(self, name, gradient):
        type(self).counts[name] = type(self).counts.get(name, self.params[name].step) + 1
        return type(self).counts[name]


class AcceptsAnything(Right):
    def validate(self, hyper):
        pass


class RefusesHalfway(Right):
    """Refuses a dense gradient after it has moved."""

    def step(self, step):
        if any(isinstance(gradient, np.ndarray) for gradient in step.gradients.values()):
            for table in self.p.values():
                table += 1
        super().step(step)


class NoBiasCorrection(Right):
    def step_size(self, lr, beta1, beta2, t, dtype):
        return lr


class LrABitLarge(Right):
    def step_size(self, lr, beta1, beta2, t, dtype):
        return 1.0001 * super().step_size(lr, beta1, beta2, t, dtype)


class RootInHalf(Right):
    def update(self, m, v, step_size, eps):
        root = np.sqrt(v).astype(np.float16).astype(m.dtype)
        return m * m.dtype.type(step_size) / (root + m.dtype.type(eps))


class DecaysUntouched(Right):
    def store(self, name, rows, p, m, v):
        rest = np.setdiff1d(np.arange(len(self.m[name])), rows)
        self.m[name][rest] *= self.m[name].dtype.type(0.9)
        super().store(name, rows, p, m, v)


class NanBecomesZero(Right):
    def merge(self, indices, values):
        return super().merge(indices, np.nan_to_num(values))


class ClipsGradient(Right):
    def merge(self, indices, values):
        return super().merge(indices, np.clip(values, -100, 100))


WRONG = tuple(
    one
    for one in list(globals().values())
    if isinstance(one, type) and issubclass(one, Right) and one not in RIGHT and one.__module__ == __name__
)


def __getattr__(name: str) -> Callable[..., Variant]:
    """`variants:make_NAME` is a factory, as `check` wants one."""
    for one in (*RIGHT, *WRONG):
        if name == f"make_{one.__name__}":
            return lambda: Variant(one, name=one.__name__)
    raise AttributeError(name)
