"""Learning rates and weight decays that change: which value each step takes, and what is left alone where there is none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optim_runs import assert_within, expected, random_rows

from refimpl.case import Param
from refimpl.optim import LazyAdam

VALUES = [0.5, 0.125, 0.25]
SHAPE = (5, 3)


@pytest.mark.parametrize(
    "rate",
    [VALUES, tuple(VALUES), iter(VALUES), np.array(VALUES), lambda step: VALUES[step], lambda step: np.array([VALUES[step]])[0]],
    ids=["list", "tuple", "iterator", "array", "schedule", "schedule of numpy"],
)
def test_step_t_takes_entry_t_minus_1(rate: Any) -> None:
    source = np.random.default_rng(7)
    w = source.normal(size=SHAPE).astype(np.float32)
    start = w.copy()
    steps = [{"param0": random_rows(source, SHAPE, 4)} for _ in VALUES]
    optimizer = LazyAdam([w], learning_rate=rate)
    optimizer.target = "CPU"
    for step in steps:
        optimizer.step(step)
    changes = [({"learning_rate": value},) for value in VALUES]
    assert_within(optimizer, expected("mindspore.LazyAdam", [Param("param0", start)], steps, {}, changes=changes))


@pytest.mark.parametrize("rate", [0.25, np.array(0.25), [0.25] * 3, lambda step: 0.25], ids=["number", "0-d array", "list", "schedule"])
def test_a_rate_is_the_same_in_every_form(rate: Any) -> None:
    w, plain = np.ones(SHAPE, np.float32), np.ones(SHAPE, np.float32)
    for array, setting in ((w, rate), (plain, 0.25)):
        LazyAdam([array], learning_rate=setting).step([np.ones(SHAPE, np.float32)])
    np.testing.assert_array_equal(w, plain)


def test_a_schedule_of_the_decay_is_read_like_one_of_the_rate_in_and_outside_groups() -> None:
    source = np.random.default_rng(8)
    start = source.normal(size=SHAPE).astype(np.float32)
    steps = [{"param0": random_rows(source, SHAPE, 4)} for _ in VALUES]
    changes = [({"weight_decay": value},) for value in VALUES]
    expectation = expected("mindspore.LazyAdam", [Param("param0", start)], steps, {}, changes=changes)
    asked: list[int] = []

    def decay(step: int) -> float:
        asked.append(step)
        return VALUES[step]

    for grouped in (True, False):
        w = start.copy()
        optimizer = LazyAdam([{"params": [w], "weight_decay": decay}]) if grouped else LazyAdam([w], weight_decay=decay)
        optimizer.target = "CPU"
        for step in steps:
            optimizer.step(step)
        assert_within(optimizer, expectation)
    assert asked == [0, 1, 2] * 2


def test_an_array_that_has_run_out_and_a_schedule_that_fails_leave_everything_as_it_was() -> None:
    def failing(step: int) -> float:
        raise ZeroDivisionError("no rate")

    gradient = np.ones(SHAPE, np.float32)
    for rate, kind in (([], RuntimeError), (failing, ZeroDivisionError)):
        w = np.ones(SHAPE, np.float32)
        optimizer = LazyAdam([w], learning_rate=rate)
        with pytest.raises(kind, match=r"has 0 entries|no rate"):
            optimizer.step([gradient])
        assert (w == 1).all()
        assert optimizer.global_step == 0
        assert not optimizer.state_dict()["state"][0]["exp_avg"].any()
