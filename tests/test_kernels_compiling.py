import io
import os
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from llvmlite.binding import get_host_cpu_features

from refimpl.kernels import compiling, updating

SCRIPT = Path(__file__).with_name("kernel_bits.py")
NEEDS = {"generic": "sse2", "haswell": "avx2", "skylake-avx512": "avx512f", "sandybridge": "avx", "nehalem": "sse4.2"}
"""A CPU target, and the feature by which a machine can run its code; the first four that it can are compared."""


def started(target: str, threads: tuple[str, ...]) -> subprocess.Popen[str]:
    """Each target has a cache of its own: two processes that write to one at a time lose what the other has written."""
    cache = Path(compiling.__file__).parent / "__pycache__" / target
    environment = {**os.environ, "NUMBA_CPU_NAME": target, "NUMBA_NUM_THREADS": "3", "NUMBA_CACHE_DIR": str(cache)}
    return subprocess.Popen([sys.executable, str(SCRIPT), *threads], env=environment, stdout=subprocess.PIPE, text=True)


def test_the_bits_are_the_same_for_four_cpu_targets_and_one_two_or_three_threads() -> None:
    have = get_host_cpu_features()
    targets = [target for target, feature in NEEDS.items() if have.get(feature)][:4]
    if not targets:
        pytest.skip("needs an x86-64 machine")
    processes = [started(target, ("1",) if number else ("1", "2", "3")) for number, target in enumerate(targets)]
    printed = [process.communicate()[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(targets)
    assert [target for target, *_ in printed] == targets  # and so each had the target that it was to have
    assert len({tuple(hashes) for _, *hashes in printed}) == 1


def test_a_product_and_a_sum_are_rounded_apart() -> None:
    @compiling.jit
    def both(a: Any, b: Any, c: Any) -> Any:
        return a * b + c

    above_one = np.float32(1 + 2**-12)
    assert both(above_one, above_one, np.float32(-1)) == np.float32(2**-11)  # fused, 2^-11 + 2^-24 would be left


def test_where_no_cache_can_be_written_a_kernel_is_compiled_nevertheless(monkeypatch: pytest.MonkeyPatch) -> None:
    real = numba.njit

    def njit(
        *function: Any, cache: bool = False, **options: Any
    ) -> Any:  # Numba decorates functions of its own with it, when it first compiles
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(*function, **options)

    monkeypatch.setattr(numba, "njit", njit)
    assert compiling.jit(lambda x: x + 1)(1) == 2


@pytest.mark.parametrize(("layer", "alone"), [("workqueue", True), (None, True), ("omp", False), ("tbb", False)])
def test_launches_are_kept_apart_where_the_thread_pool_allows_only_one(
    layer: str | None, alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def threading_layer() -> str:
        if layer is None:
            raise ValueError("Threading layer is not initialized.")
        return layer

    monkeypatch.setattr(numba, "threading_layer", threading_layer)
    held = compiling.launching()
    assert isinstance(held, type(threading.Lock()) if alone else nullcontext)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "seconds", "said"), [(Terminal(), 0.0, True), (Terminal(), 60.0, False), (io.StringIO(), 0.0, False)])
def test_a_person_at_a_terminal_is_told_of_a_compilation_that_takes_long(
    stream: io.StringIO, seconds: float, said: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(compiling, "PATIENCE", seconds)
    with compiling.told():
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer) and seconds == 0:
                thread.join()
    assert ("compiling, once" in stream.getvalue()) is said


def test_an_edit_to_any_module_of_the_kernels_makes_the_cache_of_each_stale() -> None:
    cache = updating.prepare._cache._cache_file  # in one module, while `formats`, whose code it contains, is another
    assert compiling.SOURCES in cache._source_stamp


@pytest.mark.parametrize("threads", [1, 7])
def test_each_number_is_taken_once(threads: int) -> None:
    counter = np.zeros(1, np.int64)

    @compiling.jit
    def taken(at: Any, count: Any) -> Any:
        total = 0
        for _ in range(count):
            total += compiling.fetch_add(at)
        return total, compiling.load_acquire(at)

    assert taken(counter.ctypes.data, threads) == (sum(range(threads)), threads)
