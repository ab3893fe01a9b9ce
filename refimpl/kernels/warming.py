"""Compile beforehand what a step would compile when it comes."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from ..arithmetic import numpy_dtype
from .formats import FORMATS
from .places import unchecked
from .planning import look_over, stored
from .threads import threshold
from .updating import updater
from .working import Target, Values, run, work


def folder() -> str | None:
    """Where the machine code is kept, or None where it cannot be."""
    path: str | None = getattr(getattr(work, "_cache", None), "cache_path", None)
    return path


def compile_formats(param: str, moments: str, values: str, amsgrad: bool, changed: bool) -> None:
    """The kernel for these dtypes, by their names, and what every step needs beside it."""
    p, m, g = (_stored(name) for name in (param, moments, values))
    updater(changed, p, m, m, m if amsgrad else "", g)
    _launch()


def _stored(name: str) -> str:
    dtype = numpy_dtype(name)
    return (FORMATS[dtype].bits or dtype).char


def _launch() -> None:
    """One step of a few rows, on one thread and on all."""
    arrays: Any = (*(np.ones((4, 2), np.float32) for _ in range(3)), None)
    indices = np.array([2, 0, 2])
    values = Values.of(np.ones((3, 2), np.float32))
    todo = stored(indices, 2, look_over(indices))
    for threads in {1, int(numba.get_num_threads())}:
        run(Target(unchecked(arrays), np.ones(13)), values, 2, todo._replace(threads=threads))


def threads_line() -> str:
    """From which size on a step takes several threads."""
    threads = int(numba.get_num_threads())
    if threads == 1:
        return "one thread"
    return f"{threads} threads from {threshold(threads):,} elements on, a row counting 16 more than it has"
