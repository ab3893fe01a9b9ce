"""Running a campaign, or a part of it, in this process: numbers one after the other, until they or the time end."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable

from ..common.cli import say
from ._campaign import FAILING, SHRUNK, Result, Session, Settings, Shrunk, session
from ._options import Shard
from ._parts import Part

SECONDS = 10.0
"""Between two lines of progress."""

INTERRUPTED, FIRST_FAILURE = "interrupted", "stopped at the first failure"


class Speed:
    """Cases and element-steps so far, and per second; a line on stderr from time to time."""

    def __init__(self, total: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self._clock = total, clock
        self._began = self._said = clock()
        self.cases = self.element_steps = self.failed = 0

    def take(self, result: Result) -> None:
        self.cases += 1
        self.element_steps += result.element_steps
        self.failed += result.verdict.status in FAILING
        if self._clock() - self._said >= SECONDS:
            self.tell()

    def tell(self) -> None:
        self._said = self._clock()
        seconds = max(self._said - self._began, 1e-9)
        of = f" of {self.total:,}" if self.total else ""
        speed = f"{self.cases / seconds:.1f} cases/s, {self.element_steps / seconds:.2g} element-steps/s"
        say(f"{self.cases:,}{of} cases, {self.element_steps:,} element-steps, {self.failed} failed ({speed})")


def run(settings: Settings, shard: Shard, minutes: float | None, fail_fast: bool, only: Iterable[int] = ()) -> Part:
    """Run a part of a campaign and shrink its first failures. only: these numbers instead of all.

    An interrupt ends it: what was judged by then is in the part, which is not complete.
    """
    until = time.monotonic() + 60 * minutes if minutes is not None and settings.cases is None and not only else None
    results: list[Result] = []
    shrunk: list[Shrunk] = []
    stopped = ""
    with session(settings) as campaign:
        identity = campaign.identity()
        numbers = only or _numbers(settings, shard)
        speed = Speed(None if settings.cases is None else len(range(shard.index - 1, settings.cases, shard.count)))
        try:
            for number in numbers:
                if until is not None and time.monotonic() >= until:
                    break
                result = campaign.result(number)
                results.append(result)
                speed.take(result)
                if fail_fast and speed.failed:
                    stopped = FIRST_FAILURE
                    break
            speed.tell()
            shrunk = _shrunk(campaign, results)
        except KeyboardInterrupt:
            speed.tell()
            stopped = INTERRUPTED
    return Part(identity, shard.index, shard.count, tuple(results), tuple(shrunk), stopped)


def _numbers(settings: Settings, shard: Shard) -> Iterable[int]:
    if settings.cases is None:
        return itertools.count(shard.index - 1, shard.count)
    return range(shard.index - 1, settings.cases, shard.count)


def _shrunk(campaign: Session, results: Iterable[Result]) -> list[Shrunk]:
    failing = [result for result in results if result.verdict.status in FAILING][:SHRUNK]
    shrunk = []
    for result in failing:
        say(f"making {result.verdict.case_id} smaller")
        shrunk.append(campaign.shrunk(result.number))
    return shrunk
