"""What the text of the reference says while it runs, to a number system that listens; the others hear nothing."""

from __future__ import annotations

from typing import Any

from ..arithmetic import Arithmetic, Number


def tell(a: Arithmetic, event: str, **what: Any) -> None:
    """Announce intermediate results by name: `begins` (a step of a parameter), `prepared` (its occurrences), `advanced` (its rows)."""
    hear = getattr(a, "hear", None)
    if hear is not None:
        hear(event, what)


def altered(a: Arithmetic, name: str, number: Number, lr: Number | None = None) -> Number:
    """An intermediate result as an arithmetic with `alter(name, number, lr)` changes it; as it is in all others.

    The change may be a narrower format, or a limit. lr: the learning rate as it meets tensors, where there is one.
    """
    alter = getattr(a, "alter", None)
    return number if alter is None else alter(name, number, lr)
