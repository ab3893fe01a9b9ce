"""What the adapters of frameworks without step hooks share: a session, which calls are due, and samples of dense parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arithmetic import ACCELERATOR_CLASS
from ..case import WIDEST_FIRST
from ..dialects import dialect as dialect_named
from ..errors import InvalidHyper, UsageError
from ..gradients import Array
from ._judge import Judgement
from ._least import DIALECTS
from ._report import WatchReport
from ._sampling import Sampler
from ._session import Reaction, Session, check_options, known
from ._step import Fact, Sample, Watched

Taken = Callable[[Any, Array], Array]
"""Reads an array of a framework: (array, numbers of elements in C order) -> a copy of them as NumPy, flat."""


@dataclass(frozen=True, eq=False)
class Parameter:
    """A dense parameter around a call. arrays: of ARRAYS, as the framework has them; group: index into the settings of the call."""

    name: str
    size: int
    dtype: str
    arrays: Mapping[str, Any]
    gradient: Any
    group: int = 0


@dataclass(frozen=True, eq=False)
class Copied:
    """The sample of a parameter before a call. by_chance: how many of its elements were drawn with equal chances."""

    parameter: Parameter
    places: Array
    by_chance: int
    arrays: Mapping[str, Array]
    gradient: Array


class Calls:
    """A watch that an adapter feeds: `due` counts a call, `copy` reads samples before it, and `judge_call` compares them with those after.

    every, sample, on_failure, save, require, seed: as for `refimpl.Watch`. Raises UsageError for what they cannot be.
    """

    def __init__(
        self,
        subject: str,
        dialect: str,
        take: Taken,
        *,
        every: int = 1,
        sample: int | None = 4096,
        on_failure: Reaction = "warn",
        save: Any = None,
        require: str | None = None,
        seed: int = 0,
    ) -> None:
        check_options(every, sample, require)
        self.table = dialect_named(dialect)
        # XLA and TensorFlow flush subnormal numbers on the CPU, too, which only this class admits.
        self.session = Session(subject, require or ACCELERATOR_CLASS, **known({"on_failure": on_failure, "save": save}))
        self.every = every
        self._take = take
        self._sampler = Sampler(sample, seed)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the watch; the report stays."""

    def report(self) -> WatchReport:
        """What was judged so far, as text, JSON and HTML."""
        return WatchReport.of(self.session)

    def due(self) -> bool:
        """Count a call, and say whether it is judged."""
        self.session.calls += 1
        return (self.session.calls - 1) % self.every == 0

    def not_watched(self, name: str, dtype: str) -> bool:
        """Whether a parameter is left out, as the dialect says nothing of its format; that is noted."""
        if dtype in self.table.dtypes and dtype in WIDEST_FIRST:
            return False
        self.session.note(f"not watched: {name!r}, {self.table.name} is not described in {dtype}")
        return True

    def copy(self, parameters: Sequence[Parameter]) -> list[Copied]:
        """A sample of the elements of all parameters together: of each gradient, and of each array before the call."""
        parameters = [parameter for parameter in parameters if parameter.size]
        is_fast = self.table.name in DIALECTS and all(parameter.dtype != "float64" for parameter in parameters)
        chosen = self._sampler.elements([parameter.size for parameter in parameters], is_fast)
        return [
            Copied(parameter, places, by_chance, self.read(parameter.arrays, places), self._column(parameter.gradient, places))
            for parameter, (places, by_chance) in zip(parameters, chosen)
        ]

    def read(self, arrays: Mapping[str, Any], places: Array) -> dict[str, Array]:
        return {name: self._column(values, places) for name, values in arrays.items()}

    def _column(self, values: Any, places: Array) -> Array:
        return self._take(values, places).reshape(-1, 1)

    def judge_call(
        self,
        copied: Sequence[Copied],
        after: Sequence[Mapping[str, Array]],
        settings: Sequence[Mapping[str, object]],
        counts: tuple[float, float],
        facts: Sequence[Fact] = (),
    ) -> Judgement:
        """Judge a call. after: per copied parameter, the same elements now, (n, 1) each; counts: of the steps, before and after."""
        samples = [
            Sample(
                name=own.parameter.name,
                group=own.parameter.group,
                before=own.arrays,
                after=arrays,
                gradient=own.gradient,
                rows=np.arange(len(own.places)),
                places=own.places,
                updated=len(own.places),
                population=own.parameter.size,
                drawn=own.by_chance,
                counts=counts,
            )
            for own, arrays in zip(copied, after)
        ]
        watched = Watched(self.session.calls, self.table.name, tuple(settings), tuple(samples), facts=tuple(facts))
        judgement = self.session.judge(watched)
        self.session.take(watched, judgement)
        return judgement

    def settings(self, stated: Mapping[str, object]) -> dict[str, object]:
        """Settings in the dialect's own names, what is left out by its default. Raises UsageError for what the dialect has not."""
        hyper = {name: stated.get(name, parameter.default) for name, parameter in self.table.parameters.items()}
        try:
            self.table.validate({**hyper, **{name: value for name, value in stated.items() if name not in hyper}})
        except InvalidHyper as error:
            raise UsageError(f"{self.table.name}: {error.message}", error.hint) from None
        return hyper


def readable(name: str) -> str:
    """A parameter's name as a vector may hold it."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_.-") or "param"
