"""What can be done to the inputs of an optimizer so that it computes what another one means: the table of preparations.

They stand in the order of a step, in which they are applied.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from ..dialects import Dialect, Picks
from ..dialects.stages import Centralization, Decay, Objective, Touch
from ._call_adapters import DECOUPLED, decay_by_hand, decays_by_lr, fill, own_optimizers, rescale, skip_empty_calls
from ._gradient_adapters import (
    Prepare,
    add_decay,
    centralize,
    densify,
    drop_empty,
    each,
    elements_as_rows,
    merge_rows,
    negate,
    store_every_row,
    unscale,
)
from ._replay import Target, Transfer
from ._stages import where
from ._words import environment, words


@dataclass(frozen=True)
class Preparation:
    """What can be done before a call: its id, by which words.yaml says what to do, and the transformation that proves it.

    holds: the picks of A for which it has something to do, where that depends on them.
    """

    id: str
    apply: Prepare
    holds: Callable[[Picks], bool] = lambda picks: True


PREPARATIONS: dict[str, Preparation] = {
    preparation.id: preparation
    for preparation in (
        Preparation("negate", each(negate), lambda picks: picks.objective is Objective.MAXIMIZE),
        Preparation("decay", each(add_decay), lambda picks: picks.decay in (Decay.COUPLED_OCCURRENCE, Decay.COUPLED_MERGED)),
        Preparation("unscale", each(unscale)),
        Preparation("centralize", each(centralize), lambda picks: picks.centralization is Centralization.ROW_MEAN),
        Preparation("elements", elements_as_rows),
        Preparation("merge", each(merge_rows)),
        Preparation("every-row", store_every_row),
        Preparation("densify", each(densify)),
        Preparation("shrink", decay_by_hand, lambda picks: picks.decay in DECOUPLED),
        Preparation("fill", fill),
        Preparation("drop-empty", each(drop_empty)),
        Preparation("skip-calls", skip_empty_calls),
        Preparation("own", own_optimizers),
        Preparation("rescale", rescale),
    )
}
"""Every preparation by id, in the order in which they are applied."""


def prepared(transfer: Transfer, ids: Collection[str], b: Target) -> Transfer:
    """A transfer after these preparations, in the order of the table."""
    return prepared_by(transfer, ids, b)[0]


def prepared_by(transfer: Transfer, ids: Collection[str], b: Target) -> tuple[Transfer, frozenset[str]]:
    """The same, and which of these preparations had something to do: those alone give the same transfer."""
    effective = set()
    for id in (id for id in PREPARATIONS if id in ids):
        after = PREPARATIONS[id].apply(transfer, b)
        if after is not transfer:
            effective.add(id)
        transfer = after
    return transfer, frozenset(effective)


def in_words(id: str, a: Dialect, target: Target) -> str:
    """What to do, for a reader who has used both classes, and with which settings of A."""
    b, meant = target.dialect, where(a, PREPARATIONS[id].holds)
    phrase = environment().from_string(words()["preparations"][id])
    rendered = phrase.render(
        a=a,
        b=b,
        picks=meant.picks if meant else a.picks,
        mine=Target(a, {}).picks,
        theirs=target.picks,
        every_row=where(a, lambda picks: picks.touch is Touch.ALL),
        decays=all(where(dialect, decays_by_lr) for dialect in (a, b)),
        has=lambda dialect, role: any(role in parameter.roles for parameter in dialect.parameters.values()),
    )
    return f"with {' or '.join(meant.settings)}: {rendered}" if meant and meant.settings else rendered
