"""The progress of a long run: a bar on a terminal, otherwise a line from time to time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO, TypeVar

T = TypeVar("T")

SECONDS, LONGEST = 10.0, 60.0
"""Without a terminal: the least seconds between two lines if another tenth is done; the seconds after which a line is due anyway."""


class Progress:
    """Counts what is done and what failed, and shows it on a stream: a bar where that is a terminal and rich is installed.

    what: the noun for the things that are counted. A stream that is closed or full is not written to any more.
    """

    def __init__(
        self,
        total: int,
        stream: TextIO,
        what: str = "cases",
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.total, self.what, self.done, self.failed = total, what, 0, 0
        self._stream: TextIO | None = stream
        self._seconds, self._clock = seconds, clock
        self._printed, self._printed_at = 0, clock()
        self._bar: Any = _bar(stream, what) if is_terminal(stream) and _has_rich() else None
        self._task: Any = None

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task("", total=self.total, failures="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, failed: bool = False) -> None:
        """One more is done."""
        self.done += 1
        self.failed += failed
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, failures=self._failures())
            return
        waited, tenth = self._clock() - self._printed_at, max(self.total // 10, 1)
        if waited >= self._seconds and (self.done - self._printed >= tenth or waited >= max(LONGEST, self._seconds)):
            self._print(f"{self.done} of {self.total} {self.what}{self._failures()}")
            self._printed, self._printed_at = self.done, self._clock()

    def say(self, line: str) -> None:
        """A line of its own, above the bar where there is one."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)
        else:
            self._print(line)

    def _failures(self) -> str:
        return f", {self.failed} failed" if self.failed else ""

    def _print(self, line: str) -> None:
        if self._stream is None:
            return
        try:
            print(line, file=self._stream, flush=True)
        except (OSError, ValueError):  # closed, or on a full disk: the verdict does not depend on it
            self._stream = None


def watched(
    items: Iterable[T],
    total: int,
    stream: TextIO,
    seconds: float = SECONDS,
    clock: Callable[[], float] = time.monotonic,
    what: str = "cases",
) -> Iterator[T]:
    """The same items, with their progress shown on `stream`."""
    with Progress(total, stream, what, seconds, clock) as progress:
        for item in items:
            yield item
            progress.advance()


def is_terminal(stream: Any) -> bool:
    """Whether a person may be looking at the stream."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # there is no stream, or it is closed
        return False


def _has_rich() -> bool:
    try:
        import rich.progress  # noqa: F401  # only asked for: the author of a backend may have nothing but NumPy and PyYAML
    except ImportError:
        return False
    return True


def _bar(stream: TextIO, what: str) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn(f"{what}{{task.fields[failures]}}", markup=False), TimeElapsedColumn())
    return Progress(*columns, console=Console(file=stream), transient=True)
