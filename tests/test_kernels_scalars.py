from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refimpl.dialects import Hyper, Picks, dialect
from refimpl.dialects.stages import Decay, Direction, Eps, Objective
from refimpl.kernels.scalars import Scalars, scalars, without_gradient
from refimpl.kernels.updating import rounded

HYPER = Hyper(lr=0.1, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.25, loss_scale=4.0)
PICKS = replace(dialect("torch.SparseAdam").picks, decay=Decay.NONE)


def named(picks: Picks, t: int = 1) -> dict[str, float]:
    return dict(zip(Scalars._fields, scalars(HYPER, picks, t).tolist()))


def test_scalars_are_computed_in_double() -> None:
    assert named(PICKS, 7)["rest2"] == 1 - 0.999  # and not 1 - float32(0.999), which is off by 1.3e-5 of it


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_kernel_rounds_them_once_and_what_overflows_is_infinite(dtype: Any) -> None:
    numbers = np.array([0.1, 1 - 0.999, 1e300, 1e-60])
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(rounded(numbers, np.empty(0, dtype)), numbers.astype(dtype))


def test_the_first_step_has_the_size_of_the_learning_rate() -> None:
    at_first = named(PICKS)
    assert at_first["step"] * at_first["rest1"] / np.sqrt(at_first["rest2"]) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"look_m": 1, "look_g": 0, "keep": 1, "sign": 1, "decay": 0, "unscale": 0.25, "late_decay": 0, "eps": 1e-8}),
        ({"eps": Eps.PAPER}, {"eps": pytest.approx(1e-8 * np.sqrt(0.001))}),
        ({"direction": Direction.NESTEROV}, {"look_m": 0.9, "look_g": pytest.approx(0.1)}),
        ({"objective": Objective.MAXIMIZE}, {"sign": -1}),
        ({"decay": Decay.COUPLED_OCCURRENCE}, {"decay": 1, "late_decay": 0, "keep": 1}),
        ({"decay": Decay.COUPLED_MERGED}, {"decay": 0, "late_decay": 0.25, "keep": 1}),
        ({"decay": Decay.DECOUPLED_ALL}, {"decay": 0, "late_decay": 0, "keep": 0.975}),
    ],
)
def test_each_pick_sets_its_scalars(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    numbers = named(replace(PICKS, **changes))
    assert {name: numbers[name] for name in expected} == expected


def test_rows_without_a_gradient_are_neither_decayed_per_occurrence_nor_unscaled() -> None:
    numbers = scalars(HYPER, replace(PICKS, decay=Decay.COUPLED_OCCURRENCE, objective=Objective.MAXIMIZE), 3)
    idle = dict(zip(Scalars._fields, without_gradient(numbers).tolist()))
    assert (idle["sign"], idle["decay"], idle["unscale"]) == (1, 0, 1)
    assert idle["step"] == numbers[Scalars._fields.index("step")]
