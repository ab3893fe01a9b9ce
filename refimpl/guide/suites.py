"""The rules of other tools and suites, audited on a few vectors: for the chapter about tolerances."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from ..arithmetic import CPU_CLASS
from ..case import ARRAYS, Golden
from ..tolerances import Audit, Tightest, audited, is_compared, rules, sampled, tightest
from ..vectors import read_vectors
from ..vectors.places import here

DIALECT = "torch.SparseAdam"
THEMES = ("basics", "duplicates", "eps", "counters")
"""What shows the most mistakes in the least time: the whole set takes minutes."""


@cache
def goldens() -> tuple[Golden, ...]:
    """The float32 cases of these themes."""
    every = read_vectors(here(), [DIALECT], [f"{DIALECT}/{theme}/*" for theme in THEMES])
    return tuple(golden for golden in every if is_compared(golden.case, "float32"))


@cache
def audits() -> Mapping[str, Audit]:
    """Each rule on the smallest case of each theme that shows a mistake."""
    return dict(zip(rules(), audited(sampled(goldens()), list(rules().values()), CPU_CLASS)))


@cache
def needed(rtol: float, atol: float) -> tuple[Tightest, ...]:
    """The tightest tolerances beside an rtol and an atol that admit every correct implementation in all of the cases."""
    return tightest(goldens(), rtol, atol, ARRAYS, CPU_CLASS)
