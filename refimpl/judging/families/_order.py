"""Order: a part of the step is not written to the state, or a part that should not be is, beyond the table of deviations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...dialects import Dialect
from ...reference import EVERY_ROW
from ...reference.hooks import Hooks, Updated
from .._hypothesis import Hypothesis, Plan, Planner

CHANGES = (
    ("params-not-updated", "the parameters are not updated; the moments are", ("p",)),
    ("exp-avg-not-updated", "the first moment is used, and not kept", ("m",)),
    ("exp-avg-sq-not-updated", "the second moment is used, and not kept", ("v",)),
    ("exp-avg-sq-not-updated", "the second moment and its maximum are used, and not kept", ("v", "v_max")),
    ("moments-not-updated", "the moments are used, and not kept", ("m", "v", "v_max")),
    ("moments-not-updated", "the moments are used, and not kept; the maximum of v is", ("m", "v")),
    ("nothing-moves", "nothing is updated", ("p", "m", "v", "v_max")),
)
"""The name, the words, and the arrays of the state that keep their old values once the update has been computed."""


def hypotheses(table: Dialect) -> Iterator[Hypothesis]:
    for id, words, fields in CHANGES:
        yield Hypothesis(id, "order", words, _keeps_old(fields), rank=3)
    words = "the corrected second moment is written into the state"
    yield Hypothesis("correction-in-second-moment", "order", words, lambda case, table: Plan(case, hooks=Hooks(after=_corrects_v)), rank=3)


def _keeps_old(fields: tuple[str, ...]) -> Planner:
    def after(updated: Updated) -> None:
        for field in fields:
            setattr(updated.new, field, getattr(updated.old, field))

    return lambda case, table: Plan(case, hooks=Hooks(after=after))


def _corrects_v(updated: Updated) -> None:
    """v / (1 - beta2^t), in the rows that the step has updated."""
    a = updated.arithmetic
    correction = a.meet(a.scalar(1.0) - a.power(a.scalar(updated.hyper.beta2), updated.tick.t))
    rows = np.arange(len(updated.new.v)) if updated.picks.touch in EVERY_ROW else np.unique(updated.rows)
    updated.new.v[rows] = a.store(updated.new.v[rows] / correction)
