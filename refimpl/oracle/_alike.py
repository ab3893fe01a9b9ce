"""Alternatives that give the same numbers in a case, so that it is known without a computation that the case cannot distinguish them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..case import Case
from ..dialects import Hyper, Picks
from ..dialects.stages import Centralization, Clock, Counter, Decay, Eps, Moments, Resume, Touch, centralizes
from ..gradients import Array, is_element_gradient, laid_out
from ..reference.counters import is_empty


@dataclass(frozen=True)
class Alike:
    """The properties of a case that decide which of the alternatives below it can distinguish.

    sparse: a gradient that is not dense; empty: one without rows; zeros, cancelled: a stored row of zeros, and one whose values may
    add up to zero; counted_alike: every parameter has a gradient at every step, and they begin at the same count; centralizable: a
    shape that MindSpore's rule is for; plain_numbers: no beta and no learning rate is zero.
    """

    sparse: bool
    empty: bool
    zeros: bool
    cancelled: bool
    counted_alike: bool
    parameters: int
    centralizable: bool
    plain_numbers: bool

    @classmethod
    def of(cls, case: Case, hypers: Sequence[Hyper]) -> Alike:
        gradients = [step.gradients.get(param.name) for step in case.steps for param in case.params]
        sparse = [gradient for gradient in gradients if gradient is not None and not isinstance(gradient, (np.ndarray, np.generic))]
        sums = list(_stored_sums(case))
        return cls(
            sparse=bool(sparse),
            empty=any(map(is_empty, sparse)),
            zeros=any(bool((~(row_sums != 0).any(axis=1)).any()) for row_sums in sums),
            cancelled=any(bool((~(np.abs(row_sums.sum(axis=1)) > 1e-6 * np.abs(row_sums).sum(axis=1))).any()) for row_sums in sums),
            counted_alike=all(gradient is not None for gradient in gradients) and len({param.step for param in case.params}) == 1,
            parameters=len(case.params),
            centralizable=any(centralizes(param.value.shape) for param in case.params),
            plain_numbers=all(hyper.lr and hyper.beta1 and hyper.beta2 for hyper in hypers),
        )

    def simplified(self, picks: Picks) -> Picks:
        """The picks, with one alternative in place of all that give the same real numbers in the case."""
        same: dict[str, Any] = {
            "counter": self._counter(picks),
            "touch": self._touch(picks),
            "centralization": picks.centralization,
            "moments": picks.moments,
            "eps": picks.eps,
        }
        if not self.centralizable and picks.centralization in (Centralization.ROW_MEAN, Centralization.BEFORE_DECAY):
            same["centralization"] = Centralization.NONE
        if self.plain_numbers and picks.moments is Moments.DIVIDED:
            same["moments"] = Moments.EMA  # b1 (m + (1-b1) g / b1)
        if self.plain_numbers and picks.eps is Eps.OVER_STEP_SIZE and picks.clock is Clock.T:
            same["eps"] = Eps.PAPER  # its fraction is expanded by the step size
        return replace(picks, **same) if any(getattr(picks, stage) is not pick for stage, pick in same.items()) else picks

    def _counter(self, picks: Picks) -> Counter:
        counter = picks.counter
        if not self.empty:
            nonempty = {Counter.PARAMETER_NONEMPTY: Counter.PARAMETER}
            if self.counted_alike:  # else a call may bring no gradient at all
                nonempty[Counter.CALL_NONEMPTY] = Counter.CALL
            counter = nonempty.get(counter, counter)
        per_parameter = counter is Counter.PARAMETER or (counter is Counter.BUMPED_PER_PARAMETER and self.parameters == 1)
        return Counter.CALL if per_parameter and self.counted_alike and picks.resume is not Resume.STEP_DROPPED else counter

    def _touch(self, picks: Picks) -> Touch:
        touch = picks.touch
        if not self.sparse:
            return Touch.STORED
        if touch is Touch.ALL_UNLESS_EMPTY and not self.empty:
            return Touch.ALL
        skips = {Touch.NONZERO: self.zeros, Touch.NONZERO_SUM: self.cancelled}
        return Touch.STORED if picks.decay is not Decay.COUPLED_ALL and not skips.get(touch, True) else touch


def _stored_sums(case: Case) -> Iterator[Array]:
    """The sum of the occurrences of each row that a gradient stores, (rows, width), of every gradient that is not dense."""
    for param in case.params:
        gradients = [step.gradients.get(param.name) for step in case.steps]
        by_elements = any(is_element_gradient(gradient) for gradient in gradients)
        for gradient in gradients:
            if gradient is None or isinstance(gradient, (np.ndarray, np.generic)):
                continue
            rows = laid_out(gradient, param.value.shape)
            stored, slot = np.unique(rows.indices, return_inverse=True)
            total = np.zeros((len(stored), rows.layout[1]))
            np.add.at(total, slot.reshape(-1), rows.values)
            yield total.reshape(-1, 1) if by_elements else total
