"""The cases that a pair of dialects is compared on, each with its truth, its bounds and its learning rates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..case import ARRAYS, Case, Golden, Group, Step
from ..cases import SUITES, drafts
from ..dialects import Dialect, dialect
from ..dialects.stages import Counter
from ..dialects.translate import Refused, Wanted, in_names_of
from ..errors import RefimplError
from ..gradients import Array, gradient_form
from ..oracle import Expectations, expectations
from ..reference import scheduled
from ._limits import check_gradients, check_settings
from ._mixtures import mixtures
from ._replay import Transfer, check_forms, transfer

LARGEST, LONGEST = 4_000, 100
"""Cases above this many elements times steps, or steps, are left out: they are about indices and horizons, not about semantics."""

VECTORS: Path | None = None
"""Where the expectations of cases that are stored are taken from, if the inputs are the same; None: where a command finds them."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A case of A with its truth and bound, ready to be compared with."""

    case: Case
    given: Transfer
    expected: Expectations
    rates: Array

    @property
    def id(self) -> str:
        return self.case.id

    @property
    def defaults(self) -> bool:
        """Whether every setting is at its default at every step."""
        plain = self.given.a.defaults()
        return all(hyper == plain for hypers in scheduled(self.case) for hyper in hypers)

    @property
    def forms(self) -> frozenset[str]:
        """The forms of gradient that it brings."""
        return frozenset(gradient_form(one) for step in self.case.steps for one in step.gradients.values() if one is not None)


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
    gradients = [step.gradients for step in case.steps]
    settings = [[hypers[param.group] for param in case.params] for hypers in scheduled(case)]
    try:
        check_gradients(a, gradients, settings)
        check_settings(a, gradients, settings)
    except Refused:
        return False
    return True


def _drafts(one: Dialect, themes: tuple[str, ...]) -> Iterator[Case]:
    for theme in themes or SUITES["core"]:
        for golden in drafts(one, theme):
            case = golden.case
            if case.error is None and case.dtype == "float32" and len(case.steps) <= LONGEST and _elements(case) <= LARGEST:
                yield case


def _elements(case: Case) -> int:
    return len(case.steps) * sum(param.value.size for param in case.params)


def _translated(case: Case, b: Dialect, a: Dialect) -> Case | None:
    """A case of B as one of A, which keeps its id; None where A has no such case."""
    if a.picks.counter in (Counter.CALL, Counter.CALL_NONEMPTY) and len({param.step for param in case.params}) > 1:
        return None  # a count for all parameters has one value
    try:
        check_forms([step.gradients for step in case.steps], a)
        groups = [tuple(in_names_of(a, Wanted(*b.resolve(hyper)), b, {}) for hyper in hypers) for hypers in scheduled(case)]
    except Refused:
        return None
    steps = tuple(Step(step.gradients, hypers) for step, hypers in zip(case.steps, groups))
    return replace(case, dialect=a.name, groups=tuple(map(Group, groups[0])), steps=steps)


def measured(case: Case, expected: Expectations) -> Measured:
    """A case with what is expected of it, and the learning rate of each parameter at each recorded step."""
    a = dialect(case.dialect)
    hypers = list(scheduled(case))
    rates = np.array([[a.resolve(hypers[step - 1][param.group])[0].lr for step in case.record] for param in case.params])
    return Measured(case, transfer(case, a), expected, rates)


def measured_cases(
    a: Dialect, b: Dialect | None = None, themes: Iterable[str] = (), jobs: int = 1, watch: Callable[..., Iterable[Any]] | None = None
) -> list[Measured]:
    """The cases of A that pairs are compared on, measured. jobs: processes that compute what is not stored; watch: shows progress."""
    cases = cases_of(a, b, themes)
    stored = _stored(a, cases)
    missing = [case for case in cases if case.id not in stored]
    found = _computed(missing, jobs)
    stored |= {case.id: expected for case, expected in zip(missing, watch(found, len(missing)) if watch else found)}
    return [measured(case, stored[case.id]) for case in cases]


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

    globs = sorted({f"{case.id.rsplit('/', 1)[0]}/*" for case in cases})
    directory = VECTORS or here()
    try:
        goldens = read_vectors(directory, [a.name], globs) if a.name in read_manifest(directory).dialects else ()
    except RefimplError:  # none there, or of another format
        return {}
    by_id: Mapping[str, Golden] = {golden.case.id: golden for golden in goldens}
    held = (case for case in cases if case.id in by_id and case.dialect == a.name)
    return {case.id: _as_computed(by_id[case.id]) for case in held if _same_inputs(case, by_id[case.id].case, a)}


def _as_computed(golden: Golden) -> Expectations:
    return {name: dict(of) for name, of in golden.expected.items()}


def _same_inputs(one: Case, other: Case, a: Dialect) -> bool:
    inputs, others = list(_inputs(one, a)), list(_inputs(other, a))
    same = (key == key_other and np.array_equal(x, y) for (key, x), (key_other, y) in zip(inputs, others))
    return one.record == other.record and len(inputs) == len(others) and all(same)


PARTS = {"rows": ("indices", "values"), "elements": ("row", "col", "data")}
"""The arrays of a gradient that is not an array itself."""


def _inputs(case: Case, a: Dialect) -> Iterator[tuple[Any, Any]]:
    """Everything that goes into a case: what it is, with its array where it has one."""
    for param in case.params:
        for array in ("value", *ARRAYS[1:]):
            yield (param.name, param.group, param.step, array), getattr(param, array)
    for step, hypers in zip(case.steps, scheduled(case)):
        yield [a.resolve(hyper) for hyper in hypers], None
        for name, gradient in step.gradients.items():
            form = "none" if gradient is None else gradient_form(gradient)
            for part in PARTS.get(form, ("",)):
                yield (name, form, part), getattr(gradient, part) if part else gradient
