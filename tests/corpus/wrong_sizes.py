"""Wrong only from some size on, or only where some things meet: what stored vectors of a few sizes may miss, and random ones must find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .dialects import ADAM, ALL, DENSIFIED, LAZY, SPARSE
from .hooks import Hooks, base, counts, keeps_occurrences, merged, stores, sums
from .implementation import Arrays, Call, Implementation, Slot

BY_ROWS = (SPARSE, LAZY)


@dataclass(frozen=True)
class Faulty:
    """One implementation. least: the fewest elements of a case that shows the fault; dialects: what it claims."""

    id: str
    about: str
    hooks: Hooks
    dialects: tuple[str, ...] = BY_ROWS
    least: int = 1


def unless(condition: Callable[[Call], bool]) -> Hooks:
    """Nothing is stored where a condition holds of a call."""

    def store(run: Implementation, call: Call, rows: np.ndarray, new: Arrays) -> None:
        if not condition(call):
            base.store(run, call, rows, new)

    return {"store": store}


def rows_kept(kept: Callable[[np.ndarray], np.ndarray]) -> Hooks:
    """Only the rows of some numbers are stored."""
    return stores(lambda call, rows: kept(rows)[:, None])


def eps_where(condition: Callable[[Implementation, Call], bool]) -> Hooks:
    """eps is doubled under a condition, which shows in the parameter alone."""
    return {"eps": lambda run, call: base.eps(run, call) * (2 if condition(run, call) else 1)}


def decays_once_more(condition: Callable[[Implementation, Slot], bool]) -> Hooks:
    """The first moment decays once more under a condition."""

    def first_moment(run: Implementation, call: Call, m: np.ndarray, g: np.ndarray) -> np.ndarray:
        new = base.first_moment(run, call, m, g)
        return new * call.scalar(0.9) if condition(run, call.slot) else new

    return {"first_moment": first_moment}


def nth_of_row_lost(n: int) -> Hooks:
    """The n-th occurrence of a row is lost."""

    def rank(rows: np.ndarray) -> np.ndarray:
        order = np.argsort(rows, kind="stable")
        counts_of = np.bincount(rows) if len(rows) else np.zeros(0, np.int64)
        ranks = np.empty(len(rows), np.int64)
        ranks[order] = np.arange(len(rows)) - np.repeat(np.cumsum(counts_of) - counts_of, counts_of)
        return ranks

    return keeps_occurrences(lambda rows: rank(rows) != n - 1)


def seen_by(state: str) -> Callable[[Implementation, Slot], bool]:
    return lambda run, slot: getattr(slot.param, state) is not None


def columns_kept(kept: Callable[[np.ndarray, int], np.ndarray]) -> Hooks:
    return stores(lambda call, rows: kept(np.arange(call.shape[1]), call.shape[1])[None, :])


def has_grown(run: Implementation, slot: Slot) -> bool:
    return any(step.gradients.get(slot.param.name) is None for step in run.case.steps[: run.number - 1])


def merged_in_16_bits(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers are taken modulo 2^16 while duplicates are merged."""
    return sums(np.where(rows >= 1 << 16, rows - (1 << 16), rows), g)


# fmt: off
SIZES: tuple[Faulty, ...] = (
    Faulty("rows-beyond-65536", "rows beyond 65536 are never updated", rows_kept(lambda rows: rows < 65536), least=65537),
    Faulty("rows-in-16-bits", "row numbers are taken modulo 2^16", merged(merged_in_16_bits), least=65537),
    Faulty("tall-tables-other-eps", "tables of more than 65536 rows take twice the eps", eps_where(lambda run, call: call.shape[0] > 65536), (*BY_ROWS, ADAM), least=65537),
    Faulty("occurrences-beyond-32768", "occurrences after 2^15 are lost", keeps_occurrences(lambda rows: slice(0, 1 << 15))),
    Faulty("crowded-calls-lost", "a gradient of more than 2^15 occurrences changes nothing", keeps_occurrences(lambda rows: slice(0, len(rows) if len(rows) <= 1 << 15 else 0))),
    Faulty("width-100", "rows of 100 columns are not updated", unless(lambda call: call.shape[1] == 100 and call.form != "elements"), (*BY_ROWS, DENSIFIED), least=100),
    Faulty("column-100-lost", "the 101st column is never updated", columns_kept(lambda column, width: column != 100), (*BY_ROWS, ADAM), least=101),
    Faulty("33rd-duplicate-lost", "the 33rd occurrence of a row is lost", nth_of_row_lost(33)),
    Faulty("65th-duplicate-lost", "the 65th occurrence of a row is lost", nth_of_row_lost(65)),
    Faulty("call-300", "the 300th call in a run changes nothing", {"work": lambda run, step: iter(()) if run.number == 300 else base.work(run, step)}, (*BY_ROWS, ADAM)),
    Faulty("calls-after-250", "after 250 calls the first moment decays once more", decays_once_more(lambda run, slot: run.number > 250), (SPARSE, ADAM)),
    Faulty("count-stuck-at-100", "the step number stays at 100", counts(lambda run, slot, t: min(t, 100)), (SPARSE, ADAM)),
    Faulty("resumed-decays-once-more", "after a resume the first moment decays once more", decays_once_more(seen_by("exp_avg")), ALL),
    Faulty("resumed-count-lost", "a loaded state counts from zero", {"first_count": lambda run, param: 0, "first_call": lambda run: 0}, ALL),
    Faulty("second-group-other-eps", "the second group takes twice the eps", eps_where(lambda run, call: call.group == 1), (*BY_ROWS, ADAM), least=2),
    Faulty("after-a-gap", "after a call without a gradient the first moment decays once more", decays_once_more(has_grown), (*BY_ROWS, ADAM)),
    Faulty("ninth-tensor-lost", "the ninth parameter is never updated", unless(lambda call: call.slot.place == 8), (*BY_ROWS, ADAM), least=9),
    Faulty("seventeenth-column-lost", "the last columns of rows of 17 and more are lost", columns_kept(lambda column, width: (width < 17) | (column < width - width % 16)), (*BY_ROWS, ADAM), least=17),
    Faulty("block-of-256-elements", "of dense gradients the elements after 256 take twice the eps", {"change": lambda run, call, d, v: base.change(run, call, d, v) * np.where(np.arange(call.shape[0] * call.shape[1]).reshape(call.shape) >= 256, call.scalar(0.5), call.scalar(1)) if call.form == "dense" else base.change(run, call, d, v)}, (ADAM,), least=257),
    Faulty("last-row-of-tall-lost", "the last row of tables of more than 4096 rows is lost", stores(lambda call, rows: ((rows < call.shape[0] - 1) | (call.shape[0] <= 4096))[:, None]), BY_ROWS, least=4097),
)
# fmt: on

EARLIER = (
    "last-wins", "averaged", "first-two-only", "blocks-of-64", "multiplicity-to-8", "one-ahead", "no-correction", "stuck-at-1", "missing-as-zeros",
    "second-parameter-lost", "later-groups-lost", "exp-avg-stays", "untouched-moments-decay", "last-row-lost", "lr-not-read", "eps-not-read",
    "moments-dropped-on-load", "third-call-lost", "zero-rows-skipped", "sorts-in-place",
)  # fmt: skip
"""Ids of rows of the other modules, which stored vectors find."""
