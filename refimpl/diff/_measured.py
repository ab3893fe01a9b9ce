"""The cases that a pair of dialects is compared on, each with its truth, its bounds and its learning rates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..case import ARRAYS, Case, Group, Step
from ..cases import SUITES, drafts
from ..dialects import Dialect, dialect
from ..dialects.stages import Counter
from ..dialects.translate import Refused, Wanted, in_names_of
from ..errors import RefimplError
from ..gradients import Array, gradient_form, laid_out
from ..oracle import Expectations, expectations
from ..reference import scheduled
from ._limits import check_calls, check_forms
from ._mixtures import mixtures
from ._replay import Transfer, transfer

LARGEST, LONGEST = 4_000, 100
"""Cases above this many elements times steps, or steps, are left out: they are about indices and horizons, not about semantics."""

VECTORS: Path | None = None
"""Where the expectations of cases that are stored are taken from, if the inputs are the same; None: where a command finds them."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A case of A with its calls, its truth and bound, and the learning rate of each parameter at each recorded step."""

    case: Case
    calls: Transfer
    expected: Expectations
    rates: Array

    @property
    def id(self) -> str:
        return self.case.id

    @property
    def defaults(self) -> bool:
        """Whether every setting is at its default at every step."""
        plain = self.calls.a.defaults()
        return all(hyper == plain for hypers in scheduled(self.case) for hyper in hypers)

    @property
    def forms(self) -> frozenset[str]:
        """The forms of gradient that it brings."""
        every = (gradient for step in self.case.steps for gradient in step.gradients.values())
        return frozenset(gradient_form(gradient) for gradient in every if gradient is not None)


def measured_cases(
    a: Dialect, b: Dialect | None = None, themes: Iterable[str] = (), jobs: int = 1, watch: Callable[..., Iterable[Any]] | None = None
) -> list[Measured]:
    """The cases of A that pairs are compared on, measured. jobs: processes that compute what is not stored; watch: shows progress."""
    cases = cases_of(a, b, themes)
    known = _stored(a, cases)
    missing = [case for case in cases if case.id not in known]
    computed = _computed(missing, jobs)
    known |= {case.id: expected for case, expected in zip(missing, watch(computed, len(missing)) if watch else computed)}
    return [measured(case, known[case.id]) for case in cases]


def measured(case: Case, expected: Expectations) -> Measured:
    """A case with what is expected of it."""
    a = dialect(case.dialect)
    hypers = list(scheduled(case))
    rates = np.array([[a.resolve(hypers[step - 1][param.group])[0].lr for step in case.record] for param in case.params])
    return Measured(case, transfer(case, a), expected, rates)


def cases_of(a: Dialect, b: Dialect | None = None, themes: Iterable[str] = ()) -> list[Case]:
    """The float32 cases that A and its framework take, that end in a result, and are of a size to be evaluated many times.

    Those of A's core themes; those of B's that A has not, with the settings in A's names; and, where no themes are chosen, mixtures.
    """
    themes = tuple(themes)
    own = list(_drafts(a, themes))
    known = {(case.theme, case.slug) for case in own}
    others = [_translated(case, b, a) for case in _drafts(b, themes) if (case.theme, case.slug) not in known] if b else []
    every = [*own, *(case for case in others if case), *(() if themes else mixtures(a))]
    return [case for case in every if is_taken(case, a)]


def is_taken(case: Case, a: Dialect) -> bool:
    """Whether the framework of the dialect takes such calls: what it does not take is nothing that another must reproduce."""
    settings = [[hypers[param.group] for param in case.params] for hypers in scheduled(case)]
    try:
        check_calls(a, [step.gradients for step in case.steps], settings)
    except Refused:
        return False
    return True


def _drafts(dialect: Dialect, themes: tuple[str, ...]) -> Iterator[Case]:
    for case in (golden.case for theme in themes or SUITES["core"] for golden in drafts(dialect, theme)):
        size = len(case.steps) * sum(param.value.size for param in case.params)
        plain = case.error is None and case.dtype == "float32" and not any(map(_has_event, case.steps))
        if plain and len(case.steps) <= LONGEST and size <= LARGEST:
            yield case


def _has_event(step: Step) -> bool:
    """Whether a loss scaler, a reload or other ranks take part in the call: what they do is the caller's, not the dialect's."""
    return step.found_inf or step.reload or step.grad_scale != 1.0 or bool(step.ranks)


def _translated(case: Case, b: Dialect, a: Dialect) -> Case | None:
    """A case of B as one of A, which keeps its id; None where A has no such case."""
    if a.picks.counter in (Counter.CALL, Counter.CALL_NONEMPTY) and len({param.step for param in case.params}) > 1:
        return None  # a count for all parameters has one value
    try:
        check_forms(a, [step.gradients for step in case.steps])
        groups = [tuple(in_names_of(a, Wanted(*b.resolve(hyper)), b, {}) for hyper in hypers) for hypers in scheduled(case)]
    except Refused:
        return None
    steps = tuple(replace(step, hyper=hypers) for step, hypers in zip(case.steps, groups))
    return replace(case, dialect=a.name, groups=tuple(map(Group, groups[0])), steps=steps)


def _computed(cases: Sequence[Case], jobs: int) -> Iterator[Expectations]:
    if jobs == 1 or len(cases) < 4 * jobs:
        yield from map(expectations, cases)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(expectations, cases, chunksize=2)


def _stored(a: Dialect, cases: Sequence[Case]) -> dict[str, Expectations]:
    """What the vectors that are at hand expect of those of these cases that they hold with the same inputs."""
    from ..vectors import read_manifest, read_vectors
    from ..vectors.places import here

    directory = VECTORS or here()
    try:
        if a.name not in read_manifest(directory).dialects:
            return {}
        goldens = read_vectors(directory, [a.name], sorted({f"{case.id.rsplit('/', 1)[0]}/*" for case in cases}))
    except RefimplError:  # none there, or of another format
        return {}
    by_id = {case.id: case for case in cases}
    return {
        golden.case.id: {name: dict(arrays) for name, arrays in golden.expected.items()}
        for golden in goldens
        if golden.case.id in by_id and _inputs(golden.case, a) == _inputs(by_id[golden.case.id], a)
    }


def _inputs(case: Case, a: Dialect) -> tuple[Any, ...]:
    """Everything that goes into the result of a case, as plain values that can be compared."""
    arrays = {param.name: [getattr(param, array) for array in ("value", *ARRAYS[1:])] for param in case.params}
    starts = [[None if array is None else array.tolist() for array in arrays[param.name]] for param in case.params]
    params = [(param.name, param.group, param.step) for param in case.params]
    shapes = {param.name: param.value.shape for param in case.params}
    gradients = [{name: _plain(gradient, shapes[name]) for name, gradient in step.gradients.items()} for step in case.steps]
    return case.record, params, starts, gradients, [[a.resolve(hyper) for hyper in hypers] for hypers in scheduled(case)]


def _plain(gradient: Any, shape: tuple[int, ...]) -> Any:
    if gradient is None:
        return None
    rows = laid_out(gradient, shape)
    return gradient_form(gradient), rows.indices.tolist(), rows.values.tolist()
