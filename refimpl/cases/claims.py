"""Which deviations a case of a theme may claim to catch.

What shows in every case of a parameter that moves (no bias correction, betas exchanged, a step counter that is off by one) is claimed
by the themes of first steps. The many cases of `pairs`, `sizes` and `large` claim what their settings, rows and calls are about.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..dialects import Deviation, deviations
from .coverage import table

STAGES = {
    "pairs": (
        "objective",
        "resume",
        "schedule",
        "counter",
        "decay",
        "decay_rate",
        "decay_order",
        "centralization",
        "unscale",
        "merge",
        "touch",
        "amsgrad",
    ),
    "sizes": ("merge", "touch"),
    "large": ("merge", "touch"),
}
"""Theme to the stages that its claims are about; a theme that is not here claims every deviation."""


def candidates(theme: str) -> Iterator[Deviation]:
    """The deviations that a case of a theme may claim, in the order of their table; the proofs of coverage.yaml always."""
    proofs = {id for ids in table()["proofs"].values() for id in ids}
    for deviation in deviations().values():
        if theme not in STAGES or deviation.id in proofs or set(deviation.picks) & set(STAGES[theme]):
            yield deviation
