"""Judging the steps of an optimizer in a real run: `Watch` for torch, `optax`, `keras`; `record` for any framework, and its command."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ._command import main

if TYPE_CHECKING:
    from ._dump import record
    from ._keras import keras
    from ._optax import optax
    from ._session import WatchError, WatchWarning
    from ._torch import Watch

_LAZY = {
    "Watch": "_torch",
    "WatchError": "_session",
    "WatchWarning": "_session",
    "keras": "_keras",
    "optax": "_optax",
    "record": "_dump",
}
"""Name to the module that it is imported from when it is first used: each framework is imported by its own adapter alone."""

__all__ = ["Watch", "WatchError", "WatchWarning", "keras", "main", "optax", "record"]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
