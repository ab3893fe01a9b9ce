"""What a backend is given: a case with its parameters, groups and steps. Plain data, shared by every part of refimpl."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .gradients import Array, Gradients, dtype_name, gathered, values_of


@dataclass(frozen=True, eq=False)
class Param:
    """A parameter at the start: its value, its group, and, where training is resumed, its moments and the steps taken.

    max_exp_avg_sq: the running maximum of amsgrad, where training that keeps one is resumed; dtypes: array of the state (or
    MASTER, or COMPENSATION) -> dtype, where it is not the parameter's.
    """

    name: str
    value: Array
    group: int = 0
    exp_avg: Array | None = None
    exp_avg_sq: Array | None = None
    step: int = 0
    max_exp_avg_sq: Array | None = None
    dtypes: Mapping[str, str] = field(default_factory=dict)

    def dtype_of(self, array: str) -> str:
        """The dtype of an array of ARRAYS, of the MASTER copy or of the COMPENSATION: that of the parameter where there is none."""
        return self.dtypes[array] if array in self.dtypes else dtype_name(self.value.dtype)


@dataclass(frozen=True)
class Group:
    """Hyper-parameters in the dialect's own names, every one of them given."""

    hyper: Mapping[str, object]


@dataclass(frozen=True, eq=False)
class Step:
    """One call of the optimizer: a gradient (or None) per parameter name, and per group what changes from this step on.

    grad_scale: what the gradients were multiplied by, and are to be divided by; found_inf: some scaled gradient is not finite, so that
    the call is left out; reload: before the call, the state is saved and loaded, in the implementation's own way.
    ranks: the gradients of each rank, where there are several processes; batches: those of each micro-batch, in their order, where one call
    takes several. `gradients` then holds what they bring together, before any mean is taken (see `gathered`). There are never both. The
    number of ranks may change at a step that reloads.
    """

    gradients: Gradients
    hyper: tuple[Mapping[str, object], ...] = ()
    grad_scale: float = 1.0
    found_inf: bool = False
    reload: bool = False
    ranks: tuple[Gradients, ...] = ()
    batches: tuple[Gradients, ...] = ()

    @property
    def parts(self) -> tuple[Gradients, ...]:
        """The gradients of each rank, or of each micro-batch; none where there is one gradient alone."""
        return self.ranks or self.batches

    @classmethod
    def of_ranks(cls, ranks: Sequence[Gradients], hyper: tuple[Mapping[str, object], ...] = (), **events: Any) -> Step:
        """A step whose gradients come from several ranks. Raises InvalidGradient where they do not fit together."""
        return cls(gathered(ranks), hyper, ranks=tuple(ranks), **events)

    @classmethod
    def of_batches(cls, batches: Sequence[Gradients], hyper: tuple[Mapping[str, object], ...] = (), **events: Any) -> Step:
        """A step whose gradients come from several micro-batches. Raises InvalidGradient where they do not fit together."""
        return cls(gathered(batches, "micro-batches"), hyper, batches=tuple(batches), **events)


@dataclass(frozen=True, eq=False)
class Case:
    """A run of one optimizer: its inputs, and which steps (from 1) are recorded.

    error: the kind of error that is expected instead of a result (`start` or `step` must raise), or None.
    reduction: how the gradients of several ranks become one, of REDUCTIONS; accumulation: those of several micro-batches, of ACCUMULATIONS.
    """

    id: str
    about: str
    dialect: str
    params: tuple[Param, ...]
    groups: tuple[Group, ...]
    steps: tuple[Step, ...]
    record: tuple[int, ...]
    catches: tuple[str, ...] = ()
    error: str | None = None
    reduction: str = "mean"
    accumulation: str = "sum"

    @property
    def theme(self) -> str:
        return self.id.rsplit("/", 2)[-2]

    @property
    def slug(self) -> str:
        return self.id.rsplit("/", 1)[-1]

    @property
    def dtype(self) -> str:
        return dtype_name(self.params[0].value.dtype) if self.params else "float32"

    def computed_in(self, name: str) -> str:
        """The widest format of any array of a parameter: what its steps are computed in, or wider."""
        return self._computed_in[name]

    @cached_property
    def _computed_in(self) -> Mapping[str, str]:
        return {param.name: computed_format(self.formats(param)) for param in self.params}

    @cached_property
    def computing(self) -> tuple[str, ...]:
        """The formats that the steps of its parameters are computed in, the widest first, each once."""
        return tuple(sorted(set(self._computed_in.values()) or {self.dtype}, key=WIDEST_FIRST.index))

    @property
    def has_ranks(self) -> bool:
        """Whether the gradients of some step come from several ranks."""
        return any(step.ranks for step in self.steps)

    @property
    def has_batches(self) -> bool:
        """Whether the gradients of some step come from several micro-batches."""
        return any(step.batches for step in self.steps)

    def formats(self, param: Param) -> set[str]:
        """The dtypes of the arrays of a parameter: its state, a master copy and its gradients."""
        gradients = (step.gradients.get(param.name) for step in self.steps)
        dtypes = {dtype_name(values_of(gradient).dtype) for gradient in gradients if gradient is not None}
        return {dtype_name(param.value.dtype), *param.dtypes.values(), *(dtypes & set(WIDEST_FIRST))}


@dataclass(frozen=True, eq=False)
class Expected:
    """What one array of one parameter must be at the recorded steps.

    value: (T, *shape) float64, the exact result rounded to the nearest double; bound: class -> (T, *shape) float32, rounded up;
    allowed: (T, *shape) uint8, the sum of the KINDS that are admissible, or None where every element must be finite.
    """

    value: Array
    bound: Mapping[str, Array]
    allowed: Array | None = None


@dataclass(frozen=True, eq=False)
class Golden:
    """A case with its expectations (parameter name -> array name -> Expected), as a vector file holds it.

    kind: "step" (one step from a given state) or "trajectory"; layout: how the arrays lie in memory when they are handed out.
    """

    case: Case
    expected: Mapping[str, Mapping[str, Expected]]
    kind: str = "trajectory"
    layout: str = "contiguous"


THEMES_FOR_FEW = ("half", "storage", "events", "ranks", "batches", "compensated")
"""Themes of what few implementations have: their cases are only for those who claim it by name, or ask for them."""

REDUCTIONS = {
    "mean": "mean over the ranks, idle ones counted",
    "sum": "sum over the ranks",
    "occurrences": "mean over the occurrences of a row on all ranks; of a dense gradient, over the ranks that give one",
}
"""How the gradients of several ranks become one."""

ACCUMULATIONS = {"sum": "sum over the micro-batches", "mean": "mean over the micro-batches, those without a gradient counted"}
"""How the gradients of several micro-batches become one."""

LAYOUTS = ("contiguous", "strided", "read-only", "fortran")
KINDS = {"finite": 1, "nan": 2, "+inf": 4, "-inf": 8}
"""Kinds of a floating-point number, as bits of `Expected.allowed`."""

ARRAYS = ("param", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
"""The arrays of a parameter's state that are compared, in the order in which a verdict lists them."""

MASTER = "master"
"""What else may have a dtype of its own: a wider copy of the parameter, which is updated in its place."""

COMPENSATION = "compensation"
"""What else may have one: a number c beside each of the parameter p, such that p + c is what is trained (Kahan summation)."""

COMPARED = (*ARRAYS, COMPENSATION)
"""What a verdict is about, in its order: for the compensation, p + c is compared."""

WIDEST_FIRST = ("float64", "float32", "float16", "bfloat16")
HALF = WIDEST_FIRST[2:]


def computed_format(formats: Set[str]) -> str:
    """The narrowest format that holds every number of these: of both half formats, it is float32."""
    return "float32" if formats == set(HALF) else min(formats, key=WIDEST_FIRST.index)


ALWAYS_KEPT = ARRAYS[:3]
"""What every dialect keeps; the last array exists where amsgrad is on."""


def kinds(x: Array) -> Array:
    """The kind of each element, as a bit of KINDS."""
    x = np.asarray(x, np.float64)
    inf = np.where(x > 0, KINDS["+inf"], KINDS["-inf"])
    return np.where(np.isfinite(x), KINDS["finite"], np.where(np.isnan(x), KINDS["nan"], inf)).astype(np.uint8)


def compared(got: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays of a parameter as they are compared: p + c, added in double, in the place of a compensation c."""
    if COMPENSATION not in got or "param" not in got:
        return dict(got)
    with np.errstate(all="ignore"):
        return {**got, COMPENSATION: got["param"].astype(np.float64) + got[COMPENSATION].astype(np.float64)}


def ratios(got: Array, expected: Expected, numerics_class: str) -> Array:
    """|got - expect| / bound of each element; 0 where they are equal or of an allowed kind, inf where they are not.

    got: (T, *shape) in any float dtype. An element that is not finite is judged by its kind alone.
    """
    return ratios_by_class(got, expected, [numerics_class])[numerics_class]


def ratios_by_class(got: Array, expected: Expected, classes: Iterable[str]) -> dict[str, Array]:
    """`ratios` in each of these classes."""
    got = got.astype(np.float64)
    kind = kinds(got)
    is_finite = kind == KINDS["finite"]
    not_allowed = ~is_finite if expected.allowed is None else (kind & expected.allowed) == 0
    by_class = {}
    with np.errstate(all="ignore"):
        error = np.abs(got - expected.value)
        for name in classes:
            bound = expected.bound[name].astype(np.float64)
            ratio = np.where((error == 0) | np.isinf(bound) | ~is_finite, 0.0, error / bound)
            by_class[name] = np.where(not_allowed, np.inf, ratio)
    return by_class
