"""What the text of the reference says while it runs, to a number system that listens; the others hear nothing."""

from __future__ import annotations

from typing import Any

from ..arithmetic import Arithmetic


def tell(a: Arithmetic, event: str, **what: Any) -> None:
    """Announce intermediate results by name: `begins` (a step of a parameter), `prepared` (its occurrences), `advanced` (its rows)."""
    hear = getattr(a, "hear", None)
    if hear is not None:
        hear(event, what)
