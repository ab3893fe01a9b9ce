"""The faulty backends for `refimpl fuzz`: 20 that are wrong from some size on, and 20 of the other modules."""

from __future__ import annotations

from refimpl.backends import Capabilities

from . import WRONG
from .implementation import Implementation
from .running import Backend
from .wrong_sizes import EARLIER, SIZES, Faulty


def _earlier(id: str) -> Faulty:
    row = next(row for row in WRONG if row.id == id)
    return Faulty(row.id, row.about, row.hooks, row.dialects)


FAULTY: dict[str, Faulty] = {faulty.id: faulty for faulty in (*SIZES, *map(_earlier, EARLIER))}


def factory(row: str) -> Backend:
    """The backend of a row, as `refimpl fuzz corpus.fuzzing:factory --option row=ID` makes it."""
    faulty = FAULTY[row]
    run = type(faulty.id, (Implementation,), dict(faulty.hooks))
    return Backend(run, faulty.id, {dialect: Capabilities() for dialect in faulty.dialects})
