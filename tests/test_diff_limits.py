"""refimpl.diff._limits: what a framework takes of the calls that a dialect describes."""

from typing import Any

import numpy as np
import pytest

from refimpl.dialects import dialect, dialects
from refimpl.dialects.translate import Refused
from refimpl.diff._limits import KINDS, check_calls, limits
from refimpl.gradients import RowGradient

DENSE = np.ones((2, 2), np.float32)
EMPTY = RowGradient(np.zeros(0, np.int64), np.zeros((0, 2), np.float32), (2, 2))


def refused(name: str, gradients: list[dict[str, Any]], settings: list[Any]) -> str | None:
    b = dialect(name)
    made = [[{**b.defaults(), **changes} for changes in call] for call in settings]
    try:
        check_calls(b, gradients, made)
    except Refused as refusal:
        return refusal.kind
    return None


def test_every_dialect_has_limits_whose_names_it_has() -> None:
    for table in dialects("full").values():
        roles = {role for parameter in table.parameters.values() for role in parameter.roles}
        assert limits(table).per_group <= {*roles, *table.parameters, *ROLES}
        assert "lr" in limits(table).per_step or table.name in FIXED


FIXED = ("autograd.adam",)
"""Dialects whose calls make all steps, with the same settings."""

ROLES = (
    *("eps_root", "weight_decay", "momentum_decay", "maximize", "decoupled_weight_decay", "amsgrad", "nesterov", "lazy_mode"),
    "grad_centralization",
)
"""What some dialect of a framework has, and its others have not."""


@pytest.mark.parametrize(
    ("name", "gradients", "settings", "kind"),
    [
        ("torch.Adam", [{"a": None, "b": None}], [({}, {})], None),
        ("torch.SparseAdam", [{"a": EMPTY}], [({},)], None),
        ("mindspore.Adam", [{"a": DENSE, "b": None}], [({}, {})], "none"),
        ("mindspore.LazyAdam", [{"a": EMPTY}], [({},)], "empty"),
        ("mindspore.LazyAdam.default-target", [{"a": EMPTY}], [({},)], None),
        ("keras.Adam", [{"a": DENSE, "b": None}], [({}, {})], None),
        ("keras.Adam", [{"a": None}], [({},)], "idle"),
        ("keras.Adam", [{"a": DENSE, "b": DENSE}], [({"learning_rate": 0.1}, {})], "group"),
        ("keras.Adam", [{"a": DENSE, "b": None}], [({"learning_rate": 0.1}, {})], None),  # what no call needs does not matter
        ("keras.Adam", [{"a": DENSE}] * 2, [({},), ({"learning_rate": 0.1},)], None),
        ("keras.Adam", [{"a": DENSE}] * 2, [({},), ({"epsilon": 0.1},)], "fixed"),
        ("torch.Adam", [{"a": DENSE}] * 2, [({},), ({"betas": (0.5, 0.6)},)], None),
        ("torch.Adam", [{"a": DENSE}] * 2, [({},), ({"amsgrad": True},)], "fixed"),
        ("paddle.Adam", [{"a": DENSE, "b": DENSE}], [({"learning_rate": 0.1}, {})], None),
        ("paddle.Adam", [{"a": DENSE, "b": DENSE}] * 2, [({"learning_rate": 0.1}, {}), ({"learning_rate": 0.2}, {})], "group"),
        ("paddle.Adam", [{"a": EMPTY}], [({},)], "empty"),
    ],
)
def test_what_a_framework_does_not_take_is_refused(
    name: str, gradients: list[dict[str, Any]], settings: list[Any], kind: str | None
) -> None:
    assert refused(name, gradients, settings) == kind
    assert kind is None or kind in KINDS


def test_paddle_refuses_a_decay_beside_rows() -> None:
    rows = RowGradient(np.array([1]), np.ones((1, 2), np.float32), (2, 2))
    assert refused("paddle.Adam", [{"a": rows}], [({"weight_decay": 0.1},)]) == "setting"
    assert refused("paddle.Adam", [{"a": DENSE}], [({"weight_decay": 0.1},)]) is None


def test_amsgrad_switched_on_later_fails_in_the_real_torch_too() -> None:
    torch = pytest.importorskip("torch")
    param = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.Adam([param])
    param.grad = torch.ones(2)
    optimizer.step()
    optimizer.param_groups[0]["amsgrad"] = True
    with pytest.raises(KeyError):
        optimizer.step()
