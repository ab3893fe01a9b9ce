"""Tables: the dtype of their moments, and use_locking: an interleaving that loses an update without the lock and cannot happen with it.

Without sleeping, the same in every run.
"""

from __future__ import annotations

import threading
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from optim_runs import rows

from refimpl import kernels
from refimpl.optim import LazyAdam
from refimpl.optim import _mindspore_style as style
from refimpl.optim._tables import Table, dtype_of_moments, held, lock_of

SHAPE = (4, 3)
GRADIENT = rows([1, 3], np.ones((2, 3)), SHAPE)
TIMEOUT = 20  # reached only by a test that fails


class SlowStep:
    """A prepared step that runs as `Interleaving.slow_step` does."""

    def __init__(self, interleaving: Interleaving, step: tuple[Any, ...]) -> None:
        self.interleaving, self.arguments = interleaving, step[:8]

    def run(self) -> None:
        self.interleaving.slow_step(*self.arguments)


class Interleaving:
    """Holds the first step between its reading and its writing until the second has come as far as it can.

    The second has come that far when it has updated the table whole, or when it has found the lock taken.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.first_has_read, self.second_has_come = threading.Event(), threading.Event()
        self.seen: list[str] = []
        self._prepare = kernels.prepare
        monkeypatch.setattr(kernels, "prepare", lambda *step, **options: SlowStep(self, step))
        real = lock_of
        monkeypatch.setattr(style, "lock_of", lambda array: WatchedLock(real(array), self.second_has_come))

    def slow_step(self, param: Any, exp_avg: Any, exp_avg_sq: Any, *rest: Any) -> None:
        """A step that reads all, computes apart, and writes all: what the kernel does, with a pause that can be arranged."""
        read = [array.copy() for array in (param, exp_avg, exp_avg_sq)]
        name = threading.current_thread().name
        self.seen.append(name)
        if name == "first":
            self.first_has_read.set()
            assert self.second_has_come.wait(TIMEOUT)
        self._prepare(*read, *rest).run()
        for array, new in zip((param, exp_avg, exp_avg_sq), read):
            array[...] = new
        if name == "second":
            self.second_has_come.set()

    def run(self, optimizers: tuple[LazyAdam, LazyAdam]) -> None:
        first = threading.Thread(target=optimizers[0].step, args=([GRADIENT],), name="first")
        second = threading.Thread(target=optimizers[1].step, args=([GRADIENT],), name="second")
        first.start()
        assert self.first_has_read.wait(TIMEOUT)
        second.start()
        for thread in (first, second):
            thread.join(TIMEOUT)
            assert not thread.is_alive()


class WatchedLock:
    """A lock that tells when somebody has found it taken."""

    def __init__(self, lock: threading.Lock, found_taken: threading.Event) -> None:
        self._lock, self._found_taken = lock, found_taken

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            self._found_taken.set()
            assert self._lock.acquire(timeout=TIMEOUT)

    def __exit__(self, *error: object) -> None:
        self._lock.release()


def in_sequence(steps: int) -> np.ndarray:
    w = np.ones(SHAPE, np.float32)
    optimizer = LazyAdam([w])
    for _ in range(steps):
        optimizer.step([GRADIENT])
    return w


def test_without_the_lock_a_concurrent_update_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    w = np.ones(SHAPE, np.float32)
    interleaving = Interleaving(monkeypatch)
    optimizer = LazyAdam([w], use_locking=False)
    interleaving.run((optimizer, optimizer))
    monkeypatch.undo()
    assert optimizer.global_step == 2
    np.testing.assert_array_equal(w, in_sequence(1))


def test_with_the_lock_no_concurrent_update_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    w = np.ones(SHAPE, np.float32)
    interleaving = Interleaving(monkeypatch)
    optimizer = LazyAdam([w], use_locking=True)
    interleaving.run((optimizer, optimizer))
    monkeypatch.undo()
    assert interleaving.seen == ["first", "second"]
    np.testing.assert_array_equal(w, in_sequence(2))


@pytest.mark.parametrize("locking", [False, True])
def test_two_optimizers_that_share_a_table_wait_for_each_other(monkeypatch: pytest.MonkeyPatch, locking: bool) -> None:
    w = np.ones(SHAPE, np.float32)
    interleaving = Interleaving(monkeypatch)
    interleaving.run((LazyAdam([w], use_locking=locking), LazyAdam([w[:]], use_locking=locking)))
    monkeypatch.undo()
    once = in_sequence(1)
    twice = once + (once - 1)  # each has moments of its own, so both make the same first step
    np.testing.assert_array_equal(w, twice if locking else once)


def test_threads_that_step_one_table_reach_what_one_thread_does() -> None:
    w = np.ones(SHAPE, np.float32)
    optimizer = LazyAdam([w], use_locking=True)
    start = threading.Barrier(4)

    def work() -> None:
        start.wait(TIMEOUT)
        for _ in range(25):
            optimizer.step([GRADIENT])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert optimizer.global_step == 100
    np.testing.assert_array_equal(w, in_sequence(100))


def test_a_failed_step_leaves_the_lock_free() -> None:
    w = np.ones(SHAPE, np.float32)
    optimizer = LazyAdam([w], use_locking=True)
    with pytest.raises(ValueError, match="outside the table"):
        optimizer.step([rows([9], np.ones((1, 3)), SHAPE)])
    assert not lock_of(w).locked()


@pytest.mark.parametrize("dtype", ["float64", "int8", "single precision", np.int32, ">f4", object(), ml_dtypes.float8_e5m2, 4])
def test_a_dtype_that_moments_cannot_have_is_refused(dtype: Any) -> None:
    with pytest.raises(ValueError, match=r"Invalid moment_dtype value: .*give one of float32, float16, bfloat16, or None"):
        dtype_of_moments(dtype, [])


def test_moments_of_a_float64_parameter_are_float64() -> None:
    table = Table("w", np.zeros(2))
    assert table.moments().exp_avg.dtype == np.float64
    with pytest.raises(ValueError, match="Invalid moment_dtype value: 'float32' for 'w', which is float64"):
        dtype_of_moments("float32", [table])


@pytest.mark.parametrize("dtype", ["float32", "f4", np.float32, np.dtype("float32"), "bfloat16", ml_dtypes.bfloat16, "float16"])
def test_moments_have_the_dtype_that_is_asked_for_in_any_spelling(dtype: Any) -> None:
    table = Table("w", np.zeros(2, np.float16), moment_dtype=dtype_of_moments(dtype, []))
    kept = table.moments(amsgrad=True)
    arrays = (kept.exp_avg, kept.exp_avg_sq, kept.max_exp_avg_sq)
    assert {array.dtype for array in arrays if array is not None} == {np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)}


def test_a_lock_belongs_to_the_memory() -> None:
    w, other = np.ones(SHAPE, np.float32), np.ones(SHAPE, np.float32)
    lock = lock_of(w)
    assert lock is lock_of(w[1:]) is lock_of(w.reshape(-1))
    assert lock is not lock_of(other)


def test_tables_that_share_a_lock_take_it_once_and_locks_are_taken_in_one_order() -> None:
    buffer, other = np.ones(12, np.float32), np.ones(6, np.float32)
    a, b, c = Table("a", buffer[:6]), Table("b", buffer[6:]), Table("c", other)
    for table in (a, b, c):
        table.lock = lock_of(table.param)
    taken: list[list[bool]] = []
    for tables in ((a, b, c), (c, b, a)):
        with held(tables):
            taken.append([lock_of(buffer).locked(), lock_of(other).locked()])
    assert taken == [[True, True]] * 2
    assert not lock_of(buffer).locked()
