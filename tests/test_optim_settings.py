from typing import Any

import numpy as np
import pytest

from refimpl import LazyAdam, RowGradient, SparseAdam
from refimpl.errors import InvalidHyper
from refimpl.optim import _torch_style
from refimpl.optim._settings import Unchanged


def counted(values: list[Any], again: list[Any]) -> int:
    """How often something is computed for two lists of values."""
    calls: list[int] = []
    unchanged: Unchanged[int] = Unchanged()

    def compute() -> int:
        calls.append(1)
        return len(calls)

    for each in (values, again):
        assert unchanged.get(each, compute) == len(calls)
    return len(calls)


NUMBER = 0.1


@pytest.mark.parametrize("same", [[NUMBER], [NUMBER, "a", None, True], [(NUMBER, (NUMBER, 3))], []])
def test_what_follows_from_the_same_constants_is_computed_once(same: list[Any]) -> None:
    assert counted(same, list(same)) == 1


@pytest.mark.parametrize(
    ("values", "again"), [([1], [1.0]), ([1], [True]), ([NUMBER], [NUMBER, NUMBER]), ([0.5], [float("0.5")]), ([np.ones(1)] * 2, [])]
)
def test_another_object_is_another_value_even_where_it_is_equal(values: list[Any], again: list[Any]) -> None:
    assert counted(values, again) == 2


@pytest.mark.parametrize("changing", [np.array(0.1), [0.9, 0.999], (0.9, np.array(0.999)), object()])
def test_what_may_change_in_place_is_looked_at_every_time(changing: Any) -> None:
    assert counted([changing], [changing]) == 2


def stepped(optimizer: Any) -> None:
    optimizer.step([RowGradient(np.array([0]), np.ones((1, 2), np.float32), (3, 2))])


def test_a_setting_that_is_changed_holds_from_the_next_step_on() -> None:
    table = np.zeros((3, 2), np.float32)
    optimizer = SparseAdam([table], lr=0.5)
    stepped(optimizer)
    optimizer.param_groups[0]["lr"] = 0.0
    before = table.copy()
    stepped(optimizer)
    np.testing.assert_array_equal(table, before)
    optimizer.param_groups[0]["lr"] = "fast"
    with pytest.raises(InvalidHyper, match="lr = 'fast'"):
        stepped(optimizer)


def test_a_learning_rate_in_an_array_may_be_changed_in_place() -> None:
    table, lr = np.zeros((3, 2), np.float32), np.array(0.5)
    optimizer = SparseAdam([table], lr=lr)
    stepped(optimizer)
    lr[...] = 0
    before = table.copy()
    stepped(optimizer)
    np.testing.assert_array_equal(table, before)


def test_settings_are_checked_once_as_long_as_they_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = SparseAdam([np.zeros((3, 2), np.float32)])
    stepped(optimizer)
    monkeypatch.setattr(_torch_style, "checked", lambda *_: pytest.fail("checked again"))
    stepped(optimizer)


def test_a_target_that_is_set_later_changes_the_next_step() -> None:
    tables = [np.zeros((3, 2), np.float32) for _ in range(2)]
    optimizers = [LazyAdam([table], learning_rate=0.5) for table in tables]
    twice = RowGradient(np.array([0, 0]), np.ones((2, 2), np.float32), (3, 2))
    for optimizer in optimizers:
        optimizer.step([twice])
    optimizers[1].target = "CPU"
    for optimizer in optimizers:
        optimizer.step([twice])
    assert (tables[0] != tables[1]).any()
