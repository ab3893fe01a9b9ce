"""Wrong: two faults at once. Each part is a row of its own elsewhere; together they may hide or resemble another."""

from __future__ import annotations

from .dialects import ADAM, LAZY, SPARSE
from .table import Answer, Row, wrong
from .wrong_calls import ROWS as CALLS
from .wrong_counters import ROWS as COUNTERS
from .wrong_formats import ROWS as FORMATS
from .wrong_merging import ROWS as MERGING
from .wrong_places import ROWS as PLACES
from .wrong_settings import ROWS as SETTINGS
from .wrong_stages import ROWS as STAGES

_BY_ID = {row.id: row for row in (*CALLS, *COUNTERS, *FORMATS, *MERGING, *PLACES, *SETTINGS, *STAGES)}


def both(first: str, second: str, *dialects: str) -> Row:
    """The row of two faults, which must replace different hooks. Right: any of their names, together or each in its cases; or none."""
    a, b = _BY_ID[first], _BY_ID[second]
    shared = a.hooks.keys() & b.hooks.keys()
    if shared:
        raise ValueError(f"{first} and {second} both replace {', '.join(shared)}")
    assert a.answer is not None
    assert b.answer is not None
    words = "|".join(filter(None, (a.answer.words, b.answer.words)))
    answer = Answer(a.answer.names | b.answer.names, words, none=True)
    about = f"{a.about}, and {b.about}"
    return wrong(
        f"{first}+{second}", about, "two at once", answer, {**a.hooks, **b.hooks}, dialects=dialects, cases=tuple({*a.cases, *b.cases})
    )


ROWS: tuple[Row, ...] = (
    both("averaged", "one-ahead", SPARSE),
    both("last-wins", "paper-eps", SPARSE, LAZY),
    both("no-correction", "lr-x-2", SPARSE, ADAM),
    both("per-call", "neighbours-only", SPARSE),
    both("per-call", "maximize-ignored", SPARSE),
    both("moments-in-bfloat16", "one-ahead", SPARSE, ADAM),
    both("lr-x-0.99", "root-in-float16", SPARSE),
    both("hat-eps", "decoupled-without-lr", ADAM),
    both("amsgrad-lost", "decoupled-lr-first-value", ADAM),
    both("schedule-ignored", "amsgrad-ignored", ADAM),
    both("skips-empty-calls", "nesterov-ignored", LAZY),
    both("first-call-lost", "no-correction", ADAM),
    both("columns-to-64", "one-ahead", SPARSE),
    both("gradient-halved", "eps-dropped", SPARSE),
    both("params-in-bfloat16", "no-momentum", ADAM),
    both("decay-decoupled-touched", "no-first-correction", LAZY),
)
