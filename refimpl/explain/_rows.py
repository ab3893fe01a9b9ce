"""Which rows a step touches, and why, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..case import Param
from ..common.text import counted, listed
from ..dialects.stages import Counter, Decay, Touch
from ..gradients import Array, row_layout
from ._tracing import Trace

LISTED = 8
"""Row numbers are listed up to here, and counted beyond."""

COUNT_ON = (Counter.CALL, Counter.CALL_NONEMPTY, Counter.BUMPED_PER_PARAMETER)
"""Counters that another parameter's gradient advances."""

TIMES = {1: "once", 2: "twice"}


def touched(trace: Trace, param: Param, row: int) -> Iterator[str]:
    """What the gradient stores, what is updated and why, and what that means for this row (of the layout of the trace)."""
    given, picks = trace.given, trace.picks
    if given is None:
        others = "; what t counts may go on without it" if picks.counter in COUNT_ON else ""
        yield f"none: {param.name!r} has no gradient at this step{others}."
        return
    noun = "row" if given.layout == row_layout(param.value.shape) else "element"
    name = f"{noun} {row}" if noun == "row" else f"element {tuple(int(i) for i in np.unravel_index(row, param.value.shape))}"
    yield _which(trace, noun)
    times = int(np.sum(given.indices == row))
    if times > 1:
        yield f"{name} is stored {TIMES.get(times, f'{times} times')}. Repeated {noun}s: {picks.merge.value}."
    if row not in trace.updated:
        decays = "p only decays" if picks.decay is Decay.DECOUPLED_ALL else "p stays too"
        yield f"{name} is not touched: its m and v stay, and {decays}."


def _which(trace: Trace, noun: str) -> str:
    assert trace.given is not None  # asked for by `touched`, where there is one
    given, picks, updated = trace.given, trace.picks, trace.updated
    rows, stored = given.layout[0], np.unique(given.indices)
    if given.dense:
        return f"{_all(rows, noun)}: the gradient is dense."
    if not len(updated) and not len(stored):
        return f"none: the gradient stores no {noun}."
    if len(updated) == len(stored):
        rest = "" if len(stored) == rows else f"; the {f'other {rows - len(stored)} stay' if rows - len(stored) > 1 else 'other one stays'}"
        return f"{_some(updated, noun)} of {rows}: what the gradient stores{rest}."
    reason = picks.decay.value if picks.touch is Touch.STORED else picks.touch.value
    which = _all(rows, noun) if len(updated) == rows else f"{_some(updated, noun)} of {rows}" if len(updated) else "none"
    return f"{which}: {reason}. The gradient stores {_some(stored, noun) if len(stored) else 'nothing'}."


def _all(rows: int, noun: str) -> str:
    return f"all {rows} {noun}s" if rows > 1 else f"the only {noun}"


def _some(rows: Array, noun: str) -> str:
    if noun != "row" or len(rows) > LISTED:
        return counted(len(rows), noun)
    return f"{noun}{'s' if len(rows) > 1 else ''} {listed([str(row) for row in rows])}"
