"""What can be done to the inputs of an optimizer so that it computes what another one means: the table of preparations.

They stand in the order of a step, in which they are applied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..dialects import Dialect, Picks
from ..dialects.stages import Centralization, Counter, Decay, DecayRate, Eps, Objective, Touch, Unscale
from ._call_adapters import DECOUPLED, decay_by_hand, drop_empty, fill, own_optimizers, rescale, skip_empty_calls
from ._gradient_adapters import (
    Prepare,
    add_decay,
    centralize,
    densify,
    each,
    elements_as_rows,
    merge_rows,
    negate,
    store_every_row,
    unscale,
)
from ._replay import Target, Transfer
from ._stages import where


@dataclass(frozen=True)
class Preparation:
    """One thing to do before a call: its id, a sentence that says how, and the transformation that proves it.

    holds: the picks of A for which it has something to do, where that depends on them.
    """

    id: str
    about: str
    apply: Prepare
    holds: Callable[[Picks], bool] = lambda picks: True


PREPARATIONS: dict[str, Preparation] = {
    one.id: one
    for one in (
        Preparation(
            "negate", "negate the gradient and leave {b} minimizing", each(negate), lambda picks: picks.objective is Objective.MAXIMIZE
        ),
        Preparation(
            "decay",
            "add the weight decay to the gradient, weight_decay{scaled} * p{rows}{no_decay}",
            each(add_decay),
            lambda picks: picks.decay in (Decay.COUPLED_OCCURRENCE, Decay.COUPLED_MERGED),
        ),
        Preparation("unscale", "divide the gradient by loss_scale{no_scale}", each(unscale)),
        Preparation(
            "centralize",
            "subtract from each row of the gradient its mean, where the parameter has two axes or more and shape[1] is a multiple of 16",
            each(centralize),
            lambda picks: picks.centralization is Centralization.ROW_MEAN,
        ),
        Preparation(
            "elements", "give {b} the parameter as a table of one column, and each single element as a row of it", elements_as_rows
        ),
        Preparation("merge", "merge repeated rows before the step: {merge}", each(merge_rows)),
        Preparation("every-row", "{every_row}", store_every_row),
        Preparation("densify", "give the gradient as a dense array, zeros in the rows that it does not store{lazy}", each(densify)),
        Preparation(
            "shrink",
            "decay by hand: multiply {decayed} by 1 - lr * weight_decay before the step{no_decay}",
            decay_by_hand,
            lambda picks: picks.decay in DECOUPLED,
        ),
        Preparation("fill", "where a parameter has no gradient, give an empty one, so that {b} counts the call", fill),
        Preparation("drop-empty", "give no gradient instead of an empty one, so that {b} does not count the call", drop_empty),
        Preparation("skip-calls", "do not call {b} at all when no parameter has a gradient", skip_empty_calls),
        Preparation("own", "make one {b} per parameter, and call it only when that parameter has a gradient", own_optimizers),
        Preparation("rescale", "before every call set {rescaled}{decay_kept}", rescale),
    )
}
"""Every preparation by id, in the order in which they are applied."""


def prepared(given: Transfer, ids: frozenset[str], b: Target) -> Transfer:
    """A transfer after these preparations, in the order of the table."""
    for id, preparation in PREPARATIONS.items():
        if id in ids:
            given = preparation.apply(given, b)
    return given


def in_words(id: str, a: Dialect, target: Target) -> str:
    """What to do, for a person who knows both classes, and with which settings of A."""
    preparation, b = PREPARATIONS[id], target.dialect
    found = where(a, preparation.holds)
    picks = found.picks if found else a.picks
    every = where(a, _moves_every_row)
    return (f"with {' or '.join(found.settings)}: " if found and found.settings else "") + preparation.about.format(
        a=a.name,
        b=b.name,
        merge=picks.merge.value,
        rows=ROWS.get(picks.decay, "") if "rows" in a.gradients else "",
        scaled=" * loss_scale" if picks.unscale is Unscale.DECAY_KEPT and _has(a, "loss_scale") else "",
        decayed="the touched rows" if picks.decay is Decay.DECOUPLED_TOUCHED else "the parameter",
        no_decay=f", and give {b.name} a weight decay of 0" if _has(b, "weight_decay") else "",
        no_scale=f", and leave {b.name} with 1" if _has(b, "loss_scale") else "",
        every_row=_every_row_words(a, b),
        lazy="" if every and every.always else LAZY.format(a=a.name, b=b.name),
        rescaled=_rescaled_words(Target(a, {}).picks, target.picks),
        decay_kept=DECAY_KEPT.format(b=b.name) if where(a, _decouples) and where(b, _decouples) else "",
    )


ROWS = {Decay.COUPLED_OCCURRENCE: "[row] for every occurrence", Decay.COUPLED_MERGED: "[row] for every row, once repeated rows are merged"}
LAZY = "; {b} then moves those rows too, which is what {a} means only where every row is stored"


DECAY_KEPT = ". Where {b} decays, set weight_decay to weight_decay * lr / (the lr that is set), so that their product stays"


def _decouples(picks: Picks) -> bool:
    return picks.decay in DECOUPLED and picks.decay_rate is DecayRate.LR


def _has(one: Dialect, role: str) -> bool:
    return any(role in each.roles for each in one.parameters.values())


def _moves_every_row(picks: Picks) -> bool:
    return picks.touch is Touch.ALL


def _every_row_words(a: Dialect, b: Dialect) -> str:
    every = where(a, _moves_every_row) if "rows" in a.gradients else None
    dense = ["give a dense gradient as one by rows that stores every row"] if {"dense"} & set(a.gradients) - set(b.gradients) else []
    if every is None:
        return "".join(dense)
    only = f"with {' or '.join(every.settings)} " if every.settings else ""
    return "; ".join([f"{only}store as zeros the rows that a gradient leaves out", *dense])


def _rescaled_words(a: Picks, b: Picks) -> str:
    same_count = (a.counter, a.clock, a.bias) == (b.counter, b.clock, b.bias)
    shared = {a.counter, b.counter} <= {Counter.CALL, Counter.CALL_NONEMPTY}
    each = "" if shared else "for each parameter, by its own count, "
    if same_count and (a.eps, b.eps) == (Eps.PAPER, Eps.HAT):
        return f"{each}eps to eps * sqrt(1 - beta2^t)"
    if same_count and (a.eps, b.eps) == (Eps.HAT, Eps.PAPER):
        return f"{each}eps to eps / sqrt(1 - beta2^t)"
    eps = {
        (Eps.PAPER, Eps.HAT): " and eps to eps * sqrt(1 - beta2^t)",
        (Eps.HAT, Eps.PAPER): " and eps to eps / sqrt(1 - beta2^s)",
        (Eps.PAPER, Eps.PAPER): " and eps to eps * sqrt((1 - beta2^t)/(1 - beta2^s))",
    }.get((a.eps, b.eps), "")
    return (
        f"{each}lr to lr * [sqrt(1 - beta2^t)/(1 - beta1^t)] / [sqrt(1 - beta2^s)/(1 - beta1^s)]{eps}, "
        f"where t is the count that is meant ({a.counter.value}; {a.clock.value}) and s the optimizer's own"
    )
