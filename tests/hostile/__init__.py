"""The corpus of hostile input: what a backend, a program, a file, a gradient or a state does that nobody should do.

A module per kind gives `entries()`. The tests run a part of them in the suite; `tools/try_hostile.py` runs all and prints the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One hostile input. run: tries it, and raises AssertionError, with what happened, where refimpl breaks a promise."""

    id: str
    kind: str
    run: Callable[[], None]
