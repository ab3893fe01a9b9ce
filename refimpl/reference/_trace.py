"""Optional trace events, for arithmetics that implement `on_event`, and named intermediate results, for those that implement `alter`."""

from __future__ import annotations

from typing import Any

from ..arithmetic import Arithmetic, Number


def emit(a: Arithmetic, event: str, **values: Any) -> None:
    """Hand intermediate results to the arithmetic, by name.

    Events: `begins` (a step of a parameter), `prepared` (its occurrences), `advanced` (its rows).
    """
    on_event = getattr(a, "on_event", None)
    if on_event is not None:
        on_event(event, values)


def altered(a: Arithmetic, name: str, number: Number, lr: Number | None = None) -> Number:
    """An intermediate result as an arithmetic with `alter(name, number, lr)` changes it; as it is in all others.

    The change may be a narrower format, or a limit. lr: the learning rate as it meets tensors, where there is one.
    """
    alter = getattr(a, "alter", None)
    return number if alter is None else alter(name, number, lr)
