"""What is watched of one call of an optimizer: a sample of each parameter, before and after. Plain arrays; no framework is known here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..arithmetic import numpy_dtype
from ..case import ARRAYS, Case, Group, Param, Step
from ..dialects import Picks
from ..dialects.stages import Decay, Touch
from ..gradients import Array, RowGradient


@dataclass(frozen=True)
class Fact:
    """Something that is wrong without any arithmetic: a count, or a bit of what must not change."""

    param: str
    array: str
    words: str


@dataclass(frozen=True, eq=False)
class Sample:
    """The sampled rows of one parameter around one call. A dense parameter is sampled by elements: rows of width 1.

    name, group; before, after: array of ARRAYS -> (n, width), the moments missing where there is no state yet; gradient: (k, width), the
    occurrences of the sampled rows, None where the parameter has no gradient; rows: (k,) the sampled row of each occurrence; places: (n,)
    which row or element of the parameter each is; updated: how many of them the gradient stores, which stand first;
    population: how many rows or elements the gradient stores, of which `drawn` were drawn by chance, each equally likely; counts: of the
    steps, before and after.
    """

    name: str
    group: int
    before: Mapping[str, Array]
    after: Mapping[str, Array]
    gradient: Array | None
    rows: Array
    places: Array
    updated: int
    population: int
    drawn: int
    counts: tuple[float, float]
    dense: bool = True

    @property
    def width(self) -> int:
        return int(self.before["param"].shape[1])


@dataclass(frozen=True, eq=False)
class Watched:
    """One call of an optimizer. number: the call, from 1; settings: per group, in the dialect's own names; skipped: found_inf was set.

    notes: what could not be judged, and why, a sentence each; facts: what the adapter has found to be wrong; formats: array -> the dtype
    that it is claimed to be kept in.
    """

    number: int
    dialect: str
    settings: tuple[Mapping[str, object], ...]
    samples: tuple[Sample, ...]
    grad_scale: float = 1.0
    skipped: bool = False
    notes: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    formats: Mapping[str, str] = field(default_factory=dict)

    def dtype_of(self, sample: Sample, array: str) -> str:
        """The dtype that an array of the state must be kept in: the one that was claimed, else its own."""
        own = sample.before.get(array, sample.after.get(array, sample.before["param"]))
        return self.formats.get(array, str(own.dtype))


def moves_everywhere(picks: Picks) -> bool:
    """Whether a sparse gradient may move rows that it does not store."""
    return picks.touch not in (Touch.STORED, Touch.NONZERO) or picks.decay in (Decay.DECOUPLED_ALL, Decay.COUPLED_ALL)


def case_of(watched: Watched, chosen: Mapping[str, Array], id: str, about: str) -> tuple[Case, dict[str, dict[str, Array]]]:
    """The case of some rows of some samples, and the states that were found after the step, (1, *shape) each.

    chosen: name of a parameter -> which rows of its sample. A parameter of rows of one element is a vector.
    """
    samples = [sample for sample in watched.samples if sample.name in chosen]
    step = Step(
        {sample.name: _gradient(sample, chosen[sample.name]) for sample in samples},
        grad_scale=watched.grad_scale,
        found_inf=watched.skipped,
    )
    case = Case(
        id=id,
        about=about,
        dialect=watched.dialect,
        params=tuple(_param(watched, sample, chosen[sample.name]) for sample in samples),
        groups=tuple(Group(settings) for settings in watched.settings),
        steps=(step,),
        record=(1,),
    )
    states = {
        sample.name: {array: _shaped(values[chosen[sample.name]])[None] for array, values in sample.after.items()} for sample in samples
    }
    return case, states


def _shaped(values: Array) -> Array:
    return values[:, 0] if values.shape[1] == 1 else values


def _param(watched: Watched, sample: Sample, rows: Array) -> Param:
    value = _shaped(sample.before["param"][rows])
    moments = {
        array: _shaped(values[rows]).astype(numpy_dtype(watched.dtype_of(sample, array)))
        for array, values in sample.before.items()
        if array != "param"
    }
    dtypes = {array: watched.dtype_of(sample, array) for array in ARRAYS[1:] if watched.dtype_of(sample, array) != str(value.dtype)}
    return Param(sample.name, value, sample.group, step=int(sample.counts[0]), dtypes=dtypes, **moments)


def _gradient(sample: Sample, rows: Array) -> Array | RowGradient | None:
    if sample.gradient is None:
        return None
    if sample.dense:
        dense: Array = sample.gradient[rows, 0]
        return dense
    place = np.full(len(sample.places), -1, np.int64)
    place[rows] = np.arange(len(rows))
    here = place[sample.rows] >= 0
    values = sample.gradient[here]
    shape = (len(rows), *values.shape[1:]) if sample.width > 1 else (len(rows),)
    return RowGradient(place[sample.rows[here]], np.ascontiguousarray(_shaped(values)), shape)
