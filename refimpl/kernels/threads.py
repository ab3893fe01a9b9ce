"""How many threads a launch takes, and the lock that Numba's thread pool may need."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numba

ROW = 16
"""What a row costs beside its elements, in elements: its places are computed, and it is fetched from wherever it lies."""

THRESHOLD = 1 << 15

_one_at_a_time = threading.Lock()


def launching() -> AbstractContextManager[Any]:
    """The lock to hold while a parallel kernel runs: Numba's own thread pool ends the process when two threads use it at once.

    OpenMP and TBB need no lock. The threading layer is known only after the first launch.
    """
    try:
        layer = numba.threading_layer()
    except ValueError:  # not launched yet
        layer = "workqueue"
    return _one_at_a_time if layer == "workqueue" else nullcontext()


def threads_for(rows: int, width: int) -> int:
    """The number of threads for so many rows: all, or 1 where it takes longer to wake the others. The result does not depend on it."""
    threads = int(numba.get_num_threads())
    return threads if threads > 1 and rows * (width + ROW) >= THRESHOLD else 1
