"""Order: a part of the step is left out of the state, beyond what the table of deviations says."""

from __future__ import annotations

from collections.abc import Iterator

from ...dialects import Dialect
from ...reference.hooks import Hooks, Updated
from ..hypothesis import Hypothesis, Plan, Planner

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


def _keeps_old(fields: tuple[str, ...]) -> Planner:
    def after(updated: Updated) -> None:
        for field in fields:
            setattr(updated.new, field, getattr(updated.old, field))

    return lambda case, table: Plan(case, hooks=Hooks(after=after))
