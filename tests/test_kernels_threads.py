from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numba
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.errors import UsageError
from refimpl.kernels import threads
from refimpl.kernels.threads import LEAST, MOST, crossing, threads_for, threshold


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the threshold is kept in a test; nothing is measured, and what is known is forgotten before and after."""
    monkeypatch.setattr(threads, "CHOSEN", "")
    monkeypatch.setattr(threads, "_file", lambda count: tmp_path / "threads.json")
    monkeypatch.setattr(threads, "_seconds", lambda count: (1e-4, 8e-5))
    threshold.cache_clear()
    yield tmp_path / "threads.json"
    threshold.cache_clear()


def test_what_was_measured_is_kept_and_not_measured_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = threshold(2)
    assert json.loads(file.read_text()) == {"threshold": measured}
    threshold.cache_clear()
    monkeypatch.setattr(threads, "_seconds", lambda count: pytest.fail("measured again"))
    assert threshold(2) == measured


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"threshold": "9000"}', '{"threshold": 3}', '{"threshold": 1e9}'])
def test_a_file_with_anything_else_is_measured_anew(content: str, file: Path) -> None:
    file.write_text(content)
    assert threshold(2) == crossing((1e-4, 8e-5), 2)


def test_where_threads_save_nothing_the_result_is_not_kept(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_seconds", lambda count: (1e-4, 9e-3))
    assert threshold(2) == MOST
    assert not file.exists()


@pytest.mark.parametrize("place", [None, Path("/proc/none/threads.json")])
def test_where_nothing_can_be_kept_it_is_measured_in_each_process(place: Path | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_file", lambda count: place)
    assert threshold(2) == crossing((1e-4, 8e-5), 2)


def test_the_environment_decides_without_a_measurement(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "CHOSEN", "1000")
    monkeypatch.setattr(numba, "get_num_threads", lambda: 3)
    assert threads_for(10, 84) == 3
    assert threads_for(10, 83) == 1
    assert not file.exists()


@pytest.mark.parametrize("chosen", ["-1", "1e5", "many", "٣"])
def test_an_environment_that_holds_no_number_is_refused(chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "CHOSEN", chosen)
    with pytest.raises(UsageError, match="REFIMPL_THREAD_THRESHOLD"):
        threshold(2)


@given(st.floats(1e-6, 1e-1), st.floats(1e-6, 1e-1), st.integers(2, 64))
def test_a_threshold_lies_within_its_limits_and_rises_with_what_threads_cost(alone: float, together: float, count: int) -> None:
    assert LEAST <= crossing((alone, together), count) <= crossing((alone, 2 * together), count) <= MOST


def test_half_the_time_on_two_threads_makes_the_least_threshold() -> None:
    assert crossing((1e-4, 5e-5), 2) == LEAST


def test_one_thread_does_all_where_there_is_one_or_little_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    assert threads_for(10, 1) == 1
    monkeypatch.setattr(numba, "get_num_threads", lambda: 1)
    assert threads_for(10**6, 64) == 1


def test_a_measurement_takes_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    alone, together = threads._seconds(1)
    assert alone > 0
    assert together > 0
