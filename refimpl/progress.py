"""How far a long run has come: a bar on a terminal, otherwise a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO, TypeVar

T = TypeVar("T")


def watched(
    items: Iterable[T],
    total: int,
    stream: TextIO,
    seconds: float = 10.0,
    clock: Callable[[], float] = time.monotonic,
    what: str = "cases",
) -> Iterator[T]:
    """The same items, with progress shown on `stream`: a bar where it is a terminal and rich is installed. what: the items are called."""
    bar = _bar if stream.isatty() and _has_rich() else None
    return bar(items, total, stream, what) if bar else _lines(items, total, stream, what, seconds, clock)


def _has_rich() -> bool:
    try:
        import rich.progress  # noqa: F401  # only asked for: the author of a backend may have nothing but NumPy and PyYAML
    except ImportError:
        return False
    return True


def _bar(items: Iterable[T], total: int, stream: TextIO, what: str) -> Iterator[T]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), what, TimeElapsedColumn())
    with Progress(*columns, console=Console(file=stream), transient=True) as progress:
        yield from progress.track(items, total=total)


def _lines(items: Iterable[T], total: int, stream: TextIO, what: str, seconds: float, clock: Callable[[], float]) -> Iterator[T]:
    told = clock()
    for done, item in enumerate(items, start=1):
        yield item
        if clock() - told >= seconds:
            print(f"{done} of {total} {what}", file=stream, flush=True)
            told = clock()
