"""What the themes are made of: a stable source of numbers, hyper-parameters by role, and drafts of vectors."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arithmetic import numpy_dtype
from ..case import Case, Golden, Group, Param, Step
from ..dialects import Dialect
from ..errors import InvalidHyper
from ..gradients import Array, RowGradient
from .coverage import is_abridged

SHAPES = {"a": (4, 2), "b": (3, 3), "c": (5, 1)}
"""Of the parameters of cases that have several."""

VISIBLE_EPS = {"lr": 0.01, "eps": 0.01}
"""By role: beside sqrt(v) after a few ordinary gradients, so that where and in which format eps is added shows everywhere."""


class Source:
    """Numbers that are the same with every version of Python and NumPy: sums of `random.Random(seed).random()`."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def uniform(self, shape: tuple[int, ...], low: float = 0.0, high: float = 1.0) -> Array:
        flat = [self._random.random() for _ in range(math.prod(shape))]
        return low + (high - low) * np.array(flat, np.float64).reshape(shape)

    def normal(self, shape: tuple[int, ...], scale: float = 1.0, dtype: str = "float32") -> Array:
        """Nearly normal (a sum of twelve uniform numbers), which takes no logarithm: its bits would depend on the platform."""
        total = np.zeros(shape)
        for uniform in self.uniform((12, *shape)):
            total += uniform
        values: Array = ((total - 6.0) * scale).astype(numpy_dtype(dtype))
        return values

    def rows(self, n: int, among: int) -> Array:
        """n different row numbers, unsorted."""
        return np.array(self._random.sample(range(among), n), np.int64)


def row_gradient(indices: Sequence[int] | Array, values: Array, shape: tuple[int, ...]) -> RowGradient:
    return RowGradient(np.asarray(indices, np.int64), values, shape)


@dataclass(frozen=True)
class CaseBuilder:
    """Where the cases of one theme of one dialect are made."""

    dialect: Dialect
    theme: str

    @property
    def sparse(self) -> bool:
        """Whether row gradients are this dialect's main use (they come first in its table)."""
        return self.dialect.gradients[0] == "rows"

    def takes(self, form: str) -> bool:
        return form in self.dialect.gradients

    def has(self, *names: str) -> bool:
        """Whether the dialect has parameters of these names, or that play these roles."""
        known = {*self.dialect.parameters, *(role for one in self.dialect.parameters.values() for role in one.roles)}
        return known.issuperset(names)

    def dtypes(self, *wanted: str) -> list[str]:
        """Those of the dtypes that the dialect has; of an abridged dialect, float64 in the first steps and in pairs alone."""
        in_float32 = is_abridged(self.dialect.name) and self.theme not in ("basics", "pairs", "half")
        return [dtype for dtype in wanted if dtype in self.dialect.dtypes and not (in_float32 and dtype == "float64")]

    def hyper(self, **changes: Any) -> dict[str, Any]:
        """Every parameter in the dialect's names; `changes` by role (lr, beta1, ...) or by the dialect's own name."""
        given = self.dialect.defaults()
        for parameter in self.dialect.parameters.values():
            if len(parameter.roles) > 1:
                pairs = zip(parameter.roles, parameter.default)
                given[parameter.name] = tuple(changes.pop(role, default) for role, default in pairs)
            elif parameter.roles and parameter.roles[0] in changes:
                given[parameter.name] = changes.pop(parameter.roles[0])
        return {**given, **changes}

    def changed(self, **changes: Any) -> dict[str, Any]:
        """Only what changes, in the dialect's names: an entry of a schedule."""
        whole, plain = self.hyper(**changes), self.hyper()
        return {name: value for name, value in whole.items() if value != plain[name]}

    def named(self, **changes: Any) -> dict[str, Any]:
        """What `changes` sets, in the dialect's names, whether or not it is the default: an entry of a schedule that switches off."""
        whole = self.hyper(**changes)
        return {
            name: whole[name]
            for name, parameter in self.dialect.parameters.items()
            if name in changes or changes.keys() & set(parameter.roles)
        }

    def switch(self, stage: str) -> str | None:
        """The name of the dialect's switch over a stage (amsgrad, direction, ...), or None."""
        return next((name for name, parameter in self.dialect.parameters.items() if stage in parameter.when_true), None)

    def accepts(self, hyper: Mapping[str, Any]) -> bool:
        try:
            self.dialect.validate(hyper)
        except InvalidHyper:
            return False
        return True

    def golden(
        self,
        slug: str,
        about: str,
        params: Sequence[Param],
        gradients: Sequence[Mapping[str, Any]],
        hyper: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
        *,
        schedule: Mapping[int, Sequence[Mapping[str, Any]]] | None = None,
        record: Sequence[int] = (),
        layout: str = "contiguous",
        error: str | None = None,
    ) -> Golden:
        """A vector without its expectations. schedule: step (from 1) to what changes per group; record: all steps if empty."""
        groups = [hyper or self.hyper()] if hyper is None or isinstance(hyper, Mapping) else list(hyper)
        changes = schedule or {}
        steps = tuple(
            Step({param.name: given.get(param.name) for param in params}, tuple(changes.get(t, [{}] * len(groups))))
            for t, given in enumerate(gradients, start=1)
        )
        resumed = any(param.exp_avg is not None for param in params)
        case = Case(
            id=f"{self.dialect.name}/{self.theme}/{slug}",
            about=about,
            dialect=self.dialect.name,
            params=tuple(params),
            groups=tuple(Group(group) for group in groups),
            steps=steps,
            record=tuple(record) or tuple(range(1, len(steps) + 1)),
            error=error,
        )
        return Golden(case, {}, "step" if resumed and len(steps) == 1 else "trajectory", layout)

    def source(self, slug: str) -> Source:
        """A source per case, the same in every dialect, so that dialects can be compared on equal inputs."""
        return Source(f"{self.theme}/{slug}")

    def gradient(
        self, source: Source, shape: tuple[int, ...], dtype: str, scale: float = 1.0, rows: Sequence[int] | Array | None = None
    ) -> Any:
        """A gradient in the dialect's main form; rows: the occurrences (sparse only), by default half of the rows, unsorted."""
        if not self.sparse:
            return source.normal(shape, scale, dtype)
        picked = source.rows(max(1, shape[0] // 2), shape[0]) if rows is None else np.asarray(rows, np.int64)
        return row_gradient(picked, source.normal((len(picked), *shape[1:]), scale, dtype), shape)

    def plain(
        self,
        slug: str,
        about: str,
        hyper: Mapping[str, Any] | None = None,
        *,
        shape: tuple[int, ...] = (5, 3),
        steps: int = 4,
        scale: float | Sequence[float] = 1.0,
        start: float = 1.0,
        dtype: str = "float32",
        layout: str = "contiguous",
    ) -> Golden:
        """One parameter, a few steps of random gradients in the main form. scale: of the gradients, or one per step."""
        name = slug if dtype == "float32" else f"{slug}-{dtype}"
        source = self.source(slug)
        scales = [scale] * steps if isinstance(scale, (int, float)) else list(scale)
        param = Param("w", source.normal(shape, start, dtype))
        gradients = [{"w": self.gradient(source, shape, dtype, one)} for one in scales]
        return self.golden(name, about, [param], gradients, hyper or self.hyper(), layout=layout)
