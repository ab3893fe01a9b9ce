"""Judging the steps of an optimizer in a real run: `Watch` for torch; `record` and `judge_dumps` for any framework."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._torch import Watch

__all__ = ["Watch"]


def __getattr__(name: str) -> Any:
    if name == "Watch":  # here, since only it needs torch
        from ._torch import Watch

        return Watch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
