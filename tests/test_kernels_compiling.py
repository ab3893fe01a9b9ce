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

from refimpl.kernels import compiling

SCRIPT = Path(__file__).with_name("kernel_bits.py")
NEEDS = {"generic": "sse2", "haswell": "avx2", "skylake-avx512": "avx512f"}


def bits(target: str, threads: int) -> str:
    """The target and the number of threads that a process really had, and the hash of its results."""
    environment = {**os.environ, "NUMBA_CPU_NAME": target, "NUMBA_NUM_THREADS": str(threads)}
    done = subprocess.run([sys.executable, str(SCRIPT)], env=environment, capture_output=True, text=True, check=True)
    name, count, digest = done.stdout.split()
    assert (name, int(count)) == (target, threads)
    return digest


def test_the_bits_are_the_same_for_every_target_and_any_number_of_threads() -> None:
    have = get_host_cpu_features()
    targets = [target for target, feature in NEEDS.items() if have.get(feature)]
    if not targets or (os.cpu_count() or 1) < 2:
        pytest.skip("needs an x86-64 machine with two cores")
    assert len({bits(targets[0], 1), *(bits(target, 2) for target in targets)}) == 1


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


@pytest.mark.parametrize(("items", "elements", "threads", "parts"), [(9, 10, 2, 1), (9, 2**20, 1, 1), (9, 2**20, 2, 8), (3, 2**20, 2, 3)])
def test_small_work_is_left_whole_and_large_work_is_split(
    items: int, elements: int, threads: int, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba, "get_num_threads", lambda: threads)
    assert compiling.chunks(items, elements) == parts
