"""Shrinking: the smallest case that still fails. Every candidate is judged anew, by the oracle and by the backend.

Deterministic: the same case and the same backend give the same shrunk case. The order is fixed, and the limit is a number of candidates,
never a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ..backends.outcome import Outcome
from ..case import Golden
from ..errors import HarnessError
from ..gradients import Array
from ..judging.verdict import CaseVerdict
from ._reductions import Axis, axes, is_valid, leaps, simpler, work

CANDIDATES = 700
"""How many cases are tried before the smallest so far is taken."""

WORK = 25_000_000
"""How much may be judged for it, as `work` counts: no more than half a minute, whatever the size of the case."""

ROUNDS = 3
FINEST = 32
"""Parts into which what is left along an axis is divided at most, where it is longer than this."""

Judge = Callable[[Golden], tuple[Outcome, CaseVerdict]]


@dataclass
class Shrinker:
    """The smallest failing case so far, and the candidates before it.

    Those that passed refute causes that do not depend on what was left out, and those that failed, causes that need what is plain now.
    """

    judge: Judge
    golden: Golden
    outcome: Outcome
    verdict: CaseVerdict
    tried: int = 0
    worked: int = 0
    passed: list[tuple[Golden, Outcome]] = field(default_factory=list)
    failed: list[tuple[Golden, Outcome]] = field(default_factory=list)

    def shrunk(self) -> Golden:
        for _ in range(ROUNDS):
            before = self.golden
            self._leap()
            for find in list(axes(self.golden.case)):
                axis = find(self.golden.case)
                if axis is not None and axis.count > 1:
                    self._along(axis)
            for change in list(simpler(self.golden)):
                self._try(change(self.golden))
            if self.golden is before or self._is_spent():
                break
        return self.golden

    def _is_spent(self) -> bool:
        return self.tried >= CANDIDATES or self.worked >= WORK

    def _leap(self) -> None:
        step = self.verdict.mismatch.step if self.verdict.mismatch else len(self.golden.case.steps)
        for golden in leaps(self.golden, self.outcome, step):
            self._try(golden)

    def _try(self, golden: Golden) -> bool:
        """Whether a candidate fails like the case before it; then it takes its place."""
        if golden.case is self.golden.case and golden.layout == self.golden.layout:
            return False
        if self._is_spent() or not is_valid(golden.case):
            return False
        self.tried += 1
        self.worked += work(golden.case)
        try:
            outcome, verdict = self.judge(golden)
        except HarnessError:  # a proof failed, or no worker starts: nothing is known of this candidate
            return False
        if _kind(verdict) != _kind(self.verdict):
            if verdict.status.value == "passed":
                self.passed.append((golden, outcome))
            return False
        self.failed.append((self.golden, self.outcome))
        self.golden, self.outcome, self.verdict = golden, outcome, verdict
        return True

    def _along(self, axis: Axis) -> None:
        """Keep as few as possible along an axis: one; the first or the last few, by halving; then all but a part."""
        if any(self._kept(axis, np.array([place])) for place in {0, axis.count - 1}):
            return
        left = self._fewest(axis, np.arange(axis.count), first=True)
        left = self._fewest(axis, left, first=False)
        part = len(left) // 2
        while part >= 1 and (len(left) <= FINEST or len(left) // part <= FINEST):
            start = 0
            while start < len(left):
                rest = np.concatenate([left[:start], left[start + part :]])
                if len(rest) and self._kept(axis, rest, left):
                    left = rest
                else:
                    start += part
            part //= 2

    def _fewest(self, axis: Axis, left: Array, first: bool) -> Array:
        """The shortest beginning, or end, that fails, if every longer one does too."""
        low, high = 0, len(left)
        shortest = left
        while high - low > 1:
            middle = (low + high) // 2
            some = left[:middle] if first else left[len(left) - middle :]
            if self._kept(axis, some, shortest):
                high, shortest = middle, some
            else:
                low = middle
        return shortest

    def _kept(self, axis: Axis, places: Array, now: Array | None = None) -> bool:
        """Try these places of the axis. now: those of them that the case of the moment still has, all where None."""
        if now is not None:
            places = np.searchsorted(now, places)
        return self._try(replace(self.golden, case=axis.keep(self.golden.case, places)))


def _kind(verdict: CaseVerdict) -> tuple[str, bool, str]:
    """What two failures have in common: status, whether numbers are wrong, and the kind of error."""
    kind = verdict.reason.partition(":")[0] if verdict.mismatch is None else ""
    return verdict.status.value, verdict.mismatch is not None, kind
