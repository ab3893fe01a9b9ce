"""Judging one random case: the rows that no gradient stores bit for bit, the others by a screen, and what that leaves open by the oracle.

A row of a lazily updated table that no gradient stores keeps its bits in every computation, so that it needs no arithmetic: one that the
backend left as it was is right, and one that it changed is judged with the rest. The rows that are left do not depend on each other
(`refimpl.oracle.restricted`), so that the oracle computes those alone that the screen does not let through.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..backends.features import dtypes_of, needed_features
from ..backends.outcome import End, Outcome
from ..case import ARRAYS, Case, Expected, Golden
from ..dialects import dialect
from ..dialects.stages import Decay, Touch
from ..gradients import Array
from ..judging.compare import judge
from ..judging.verdict import ArrayVerdict, CaseVerdict, Mismatch, Status
from ..oracle import Rows, expectations, quick_expectations, reduced, restricted, rows_of, screen
from ..reference import kept_arrays, scheduled

States = Mapping[str, Mapping[str, Array]]
Expectations = Mapping[str, Mapping[str, Expected]]

AT_ONCE, BALLS_AT_ONCE = 4096, 512
"""Element-steps that the oracle computes together: the first of many wrong ones decide a case. Balls are for a case in float64."""

BALLS = 20_000
"""Element-steps of a case that balls are computed for; a larger one has the quick expectations."""


def judged(golden: Golden, outcome: Outcome, required: str) -> CaseVerdict:
    """The verdict on a random case whose golden has no expectations: whether it satisfies the class `required`.

    Its ratios are those of that class alone, and upper bounds of the true ones where a screen was enough.
    """
    if outcome.end is not End.STATES:
        return judge(golden, outcome, required)
    shown = kept_arrays(golden.case)
    states = {name: {array: got for array, got in arrays.items() if array in shown[name]} for name, arrays in outcome.states.items()}
    hidden = tuple(array for array in ARRAYS if any(array in shown[name] and array not in states[name] for name in states))
    few = _Rows.of(golden.case, states)
    worst, open_rows = few.screened(required)
    verdict = CaseVerdict(
        golden.case.id,
        Status.FAILED if outcome.changed else Status.PASSED,
        golden.case.about,
        attained=required,
        arrays=_arrays(worst, required),
        reason="; ".join(outcome.changed),
        seconds=outcome.seconds,
        needs=(*needed_features(golden.case), *dtypes_of(golden.case)),
        not_shown=hidden,
    )
    for number, part in enumerate(few.parts(open_rows)):
        found = part.judged(golden, required, number == 0)
        worst = {key: max(size, found.worst.get(key, 0.0)) for key, size in worst.items()}
        verdict = replace(verdict, arrays=_arrays(worst, required))
        if found.verdict.mismatch is not None:
            return replace(verdict, status=Status.FAILED, attained=found.verdict.attained, mismatch=found.mismatch())
    return verdict


def truth(case: Case) -> Expectations:
    """The expectations of a case as vectors store them, if balls can be computed for it in a few seconds; else the quick ones."""
    few = reduced(case)
    exact = expectations if element_steps(few.case) <= BALLS else quick_expectations
    return few.expand(exact(few.case))


def element_steps(case: Case) -> int:
    """The elements of a case, each at each of its recorded steps: what a verdict compares of an array that every parameter has."""
    return len(case.record) * sum(param.value.size for param in case.params)


def _arrays(worst: Mapping[tuple[str, str], float], required: str) -> tuple[ArrayVerdict, ...]:
    return tuple(ArrayVerdict(name, array, {required: size}, required if size <= 1 else None) for (name, array), size in worst.items())


def _is_lazy(case: Case) -> bool:
    """Whether a row that no gradient stores keeps its bits."""
    table = dialect(case.dialect)
    picks = [table.resolve(hyper)[1] for hypers in scheduled(case) for hyper in hypers]
    return all(pick.touch is Touch.STORED and pick.decay not in (Decay.COUPLED_ALL, Decay.DECOUPLED_ALL) for pick in picks)


@dataclass(frozen=True, eq=False)
class _Found:
    verdict: CaseVerdict
    worst: Mapping[tuple[str, str], float]
    rows: Mapping[str, Array]
    original: Case
    layouts: Mapping[str, Rows]

    def mismatch(self) -> Mismatch:
        """The first mismatch, at its place in the case as it was."""
        mismatch = self.verdict.mismatch
        assert mismatch is not None
        if mismatch.param not in self.rows:
            return mismatch
        shape = next(param.value.shape for param in self.original.params if param.name == mismatch.param)
        layout = self.layouts[mismatch.param]
        row, column = mismatch.index[0], 0
        if len(mismatch.index) > 1:
            column = int(np.ravel_multi_index(mismatch.index[1:], shape[1:]))
        flat = int(self.rows[mismatch.param][row]) * layout.width + column
        return replace(mismatch, index=tuple(int(i) for i in np.unravel_index(flat, shape)) if shape else ())


@dataclass(frozen=True, eq=False)
class _Rows:
    """Some rows of a case: which of the original ones they are, the case that they make, and what the backend gave for them."""

    original: Case
    layouts: Mapping[str, Rows]
    rows: Mapping[str, Array]
    case: Case
    states: States

    @classmethod
    def of(cls, case: Case, states: States) -> _Rows:
        """All that arithmetic is needed for: the stored rows, and the first that changed without being stored, per array and step."""
        layouts = rows_of(case)
        everything = cls(case, layouts, {}, case, states)
        if not _is_lazy(case):
            return everything
        values = {param.name: param for param in case.params}
        kept = {}
        for name, layout in layouts.items():
            if layout.stored is None or len(layout.stored) == layout.count:
                continue
            at_start = {array: getattr(values[name], "value" if array == "param" else array) for array in ARRAYS}
            rest = np.ones(layout.count, bool)
            rest[layout.stored] = False
            changed = _changed(at_start, states.get(name, {}), layout, np.flatnonzero(rest))
            kept[name] = np.union1d(layout.stored, changed)
            if not len(kept[name]):
                kept[name] = np.zeros(1, np.int64)
        return everything.only(kept)

    def only(self, kept: Mapping[str, Array]) -> _Rows:
        """The same of some rows of it, as they are numbered in the original."""
        if not kept:
            return self
        places = {name: np.searchsorted(self.rows[name], rows) if name in self.rows else rows for name, rows in kept.items()}
        case = restricted(self.case, places)
        shapes = {param.name: param.value.shape for param in case.params}
        states = {
            name: {
                array: np.ascontiguousarray(got).reshape(len(got), -1, self.layouts[name].width)[:, places[name]].reshape(-1, *shapes[name])
                if name in places
                else got
                for array, got in arrays.items()
            }
            for name, arrays in self.states.items()
        }
        return _Rows(self.original, self.layouts, {**self.rows, **kept}, case, states)

    def screened(self, required: str) -> tuple[dict[tuple[str, str], float], dict[str, Array]]:
        """The largest ratio of each array among what the screen lets through, and the rows that it leaves open, the earliest first."""
        worst: dict[tuple[str, str], float] = {}
        steps = len(self.case.record)
        first: dict[str, Array] = {}
        for name, array, ratios in screen(self.case, self.states, required):
            let_through = ratios <= 1
            worst[name, array] = float(np.max(ratios, initial=0.0, where=let_through))
            width = self.layouts[name].width if name in self.layouts else max(1, ratios[0].size)
            closed = let_through.reshape(steps, -1, width).all(axis=2)
            when = np.where(closed.all(axis=0), steps, np.argmin(closed, axis=0)) if closed.size else np.zeros(0, np.int64)
            first[name] = np.minimum(first[name], when) if name in first else when
        order = {name: np.argsort(when, kind="stable") for name, when in first.items()}
        return worst, {name: order[name][: int(np.count_nonzero(when < steps))] for name, when in first.items() if (when < steps).any()}

    def parts(self, open_rows: Mapping[str, Array]) -> Iterator[_Rows]:
        """The open rows in parts that the oracle computes one after the other, each with the rows that its gradients need."""
        if open_rows.keys() - self.layouts.keys():  # rows and elements of one parameter
            yield self
            return
        part: dict[str, list[Array]] = {}
        room = BALLS_AT_ONCE if "float64" in self.case.computing else AT_ONCE
        for name, rows in open_rows.items():
            cost = max(1, self.layouts[name].width * len(self.case.record))
            numbers = self.rows[name][rows] if name in self.rows else rows
            while len(numbers):
                taken = max(1, room // cost)
                part.setdefault(name, []).append(numbers[:taken])
                room -= cost * len(numbers[:taken])
                numbers = numbers[taken:]
                if room < cost:
                    yield self._part(part)
                    part, room = {}, AT_ONCE
        if part:
            yield self._part(part)

    def _part(self, part: Mapping[str, Sequence[Array]]) -> _Rows:
        kept = {}
        for name, layout in self.layouts.items():
            rows = np.unique(np.concatenate([*part.get(name, ()), layout.needed])).astype(np.int64)
            kept[name] = rows if len(rows) else self._first(name)
        return self.only(kept)

    def _first(self, name: str) -> Array:
        return self.rows[name][:1] if name in self.rows else np.zeros(1, np.int64)

    def judged(self, golden: Golden, required: str, first: bool) -> _Found:
        """The verdict of the oracle on these rows, and their ratios in the class that is required.

        In float64 balls judge the first of the open rows; the others are refused where they are proven to be wrong, at twice the bound.
        """
        few = element_steps(self.case) <= 4 * BALLS_AT_ONCE
        exact = expectations if "float64" in self.case.computing and first and few else quick_expectations
        outcome = Outcome(self.case.id, End.STATES, self.states)
        verdict = judge(replace(golden, case=self.case, expected=exact(self.case)), outcome, required)
        worst = {(array.param, array.array): array.worst[required] for array in verdict.arrays}
        return _Found(verdict, worst, self.rows, self.original, self.layouts)


def _changed(at_start: Mapping[str, Array | None], states: Mapping[str, Array], layout: Rows, rest: Array) -> Array:
    """Of some rows, those that no longer hold what they held at the start: the first per array and step."""
    changed = set()
    for array, got in states.items():
        start = at_start[array]
        before = 0.0 if start is None else start.reshape(layout.count, layout.width)[rest]
        for values in got.reshape(len(got), layout.count, layout.width):
            differing = np.flatnonzero((values[rest] != before).any(axis=1))
            changed.update(rest[differing[:1]].tolist())
    return np.array(sorted(changed), np.int64)
