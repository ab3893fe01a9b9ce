"""How many threads a launch takes: all, or one where waking the others takes longer than they save.

From which size on they pay is measured once on a machine, in a few milliseconds, and kept beside the compiled code. The results do not
depend on it.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numba
import numpy as np
from llvmlite.binding import get_host_cpu_name

from ..common.files import replace_file
from ..errors import UsageError
from .merging import COUNTERS
from .places import unchecked
from .working import Target, Values, Work, run, work

VARIABLE = "REFIMPL_THREAD_THRESHOLD"
"""The environment variable that holds a threshold: nothing is measured then. It is read when this is imported."""

CHOSEN = os.environ.get(VARIABLE, "")

ROW = 16
"""What a row costs beside its elements, in elements: its places are computed, and it is fetched from wherever it lies."""

LEAST, MOST = 1 << 13, 1 << 19
"""Limits of what is measured, in elements: other programs may disturb a measurement, and no machine that was seen lies outside."""

MARGIN = 1.5
"""Threads must save more than waking them costs: they sleep more deeply between the steps of a training than while this is measured."""

ROWS, WIDTH, ROUNDS = 1024, 64, 15
"""What is measured: so many rows of so many elements, so often by one thread and by all."""


def threads_for(rows: int, width: int) -> int:
    """The number of threads for so many rows of a width."""
    elements = rows * (width + ROW)
    if elements < LEAST and not CHOSEN:
        return 1
    threads = int(numba.get_num_threads())
    return threads if threads > 1 and elements >= threshold(threads) else 1


@cache
def threshold(threads: int) -> int:
    """From how many elements on so many threads are quicker than one: as the environment says, as kept, or as measured now."""
    if CHOSEN:
        if not (CHOSEN.isascii() and CHOSEN.isdecimal()):
            raise UsageError(f"{VARIABLE} = {CHOSEN!r}", "give a number of elements from 0 on, or unset it")
        return int(CHOSEN)
    file = _file(threads)
    kept = _kept(file)
    if kept is not None:
        return kept
    measured = crossing(_seconds(threads), threads)
    if file is not None and measured < MOST:  # a machine under load shows no gain, which need not be so tomorrow
        with contextlib.suppress(OSError):
            replace_file(file, json.dumps({"threshold": measured}).encode(), 0o644)
    return measured


def crossing(seconds: tuple[float, float], threads: int) -> int:
    """Where both take the same time, with a margin and within the limits, given the seconds of one thread and of all for the same rows.

    alone(n) = c n;  together(n) = launch + c n / threads
    """
    alone, together = seconds
    per_element = alone / (ROWS * (WIDTH + ROW))
    launch = together - alone / threads
    elements = MARGIN * launch / (per_element * (1 - 1 / threads))
    return int(min(max(elements, LEAST), MOST))


def _seconds(threads: int) -> tuple[float, float]:
    """The least seconds that one thread and that all take, in turn; whatever else runs can only add to them."""
    p, m, v, values = (np.zeros(ROWS * WIDTH, np.float32) for _ in range(4))
    rows, scalars = np.random.default_rng(0).permutation(ROWS), np.ones(13)

    target, gradient = Target(unchecked((p, m, v, None)), scalars), Values.of(values)

    def steps(count: int) -> Callable[[], None]:
        todo = Work(rows, ROWS, count * 4, count, (0, 0, 1, 0, 0), np.empty(COUNTERS, np.int64), np.empty(0, np.int32))
        return lambda: run(target, gradient, WIDTH, todo)

    alone, together = steps(1), steps(threads)
    times = [(_timed(alone), _timed(together)) for _ in range(ROUNDS)]
    return min(first for first, _ in times), min(second for _, second in times)


def _timed(step: Callable[[], None]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def _file(threads: int) -> Path | None:
    """Where the threshold of this machine is kept; None where Numba keeps nothing."""
    folder = getattr(getattr(work, "_cache", None), "cache_path", None)
    return Path(folder) / f"threads-{get_host_cpu_name()}-{os.cpu_count()}-{threads}.json" if folder else None


def _kept(file: Path | None) -> int | None:
    """The threshold in a file; None where there is none, or anything else."""
    try:
        kept = json.loads(file.read_bytes())["threshold"] if file is not None else None
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return kept if isinstance(kept, int) and LEAST <= kept <= MOST else None
