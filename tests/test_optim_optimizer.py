"""One call of an optimizer: applied completely or not at all; gradients in order or by name; numba only when it is needed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from optim_runs import rows

from refimpl.errors import InvalidGradient, UsageError
from refimpl.optim import Adam, LazyAdam, SparseAdam

SHAPE = (4, 3)
GOOD = rows([1, 3, 1], np.ones((3, 3)), SHAPE)
DENSE = np.ones(SHAPE, np.float32)


def mindspore_adam(params: Any) -> Adam:
    return Adam(params, dialect="mindspore.Adam")


def summing(params: Any) -> LazyAdam:
    optimizer = LazyAdam(params)
    optimizer.target = "CPU"
    return optimizer


FAULTY: dict[str, tuple[Any, type[Exception], str]] = {
    "row outside": (rows([4], np.ones((1, 3)), SHAPE), InvalidGradient, r"indices\[0\] = 4 is outside the table of 4 rows"),
    "negative row": (rows([1, -1], np.ones((2, 3)), SHAPE), InvalidGradient, "is outside the table"),
    "wrong width": (rows([1], np.ones((1, 2)), (4, 2)), InvalidGradient, "the parameter has shape"),
    "wrong shape": (np.ones((3, 3), np.float32), InvalidGradient, "the parameter has shape"),
    "integers": (np.ones(SHAPE, np.int64), InvalidGradient, "give floating-point numbers"),
}
OPTIMIZERS: dict[str, tuple[Callable[[Any], Any], Any, list[str]]] = {
    "SparseAdam": (SparseAdam, GOOD, ["row outside", "negative row", "wrong width"]),
    "Adam": (Adam, DENSE, ["wrong shape", "integers"]),
    "LazyAdam": (LazyAdam, GOOD, list(FAULTY)),
    "LazyAdam, target CPU": (summing, GOOD, list(FAULTY)),
    "Adam of MindSpore": (mindspore_adam, DENSE, list(FAULTY)),
}


def everything(optimizer: Any) -> list[Any]:
    """Parameters, moments and counters, as they can be compared."""
    state = optimizer.state_dict()["state"]
    flat = [(key, name, np.array(value).tolist()) for key, entry in state.items() for name, value in entry.items()]
    return [flat, [param.tolist() for param in optimizer.parameters], getattr(optimizer, "global_step", None)]


@pytest.mark.parametrize("after_steps", [0, 2])
@pytest.mark.parametrize(("name", "fault"), [(name, fault) for name, (_, _, faults) in OPTIMIZERS.items() for fault in faults])
def test_a_faulty_gradient_leaves_every_parameter_moment_and_counter_as_it_was(name: str, fault: str, after_steps: int) -> None:
    make, good, _ = OPTIMIZERS[name]
    gradient, kind, message = FAULTY[fault]
    optimizer = make([np.ones(SHAPE, np.float32), np.ones(SHAPE, np.float32)])
    for _ in range(after_steps):
        optimizer.step([good, good])
    before = everything(optimizer)
    with pytest.raises(kind, match=message):
        optimizer.step([good, gradient])
    assert everything(optimizer) == before
    optimizer.step([good, good])
    assert everything(optimizer) != before


def test_a_form_that_is_refused_on_the_second_parameter_leaves_the_first_as_it_was() -> None:
    optimizer = SparseAdam([np.ones(SHAPE, np.float32), np.ones(SHAPE, np.float32)])
    with pytest.raises(RuntimeError, match="dense gradients"):
        optimizer.step([GOOD, DENSE])
    assert (optimizer.parameters[0] == 1).all()
    assert optimizer.state_dict()["state"] == {}


@pytest.mark.parametrize(
    ("param", "message"),
    [
        (np.ones(SHAPE, np.int16), "dtype int16"),
        (np.ones((4, 6), np.float32)[:, ::2], "strided"),
        (np.broadcast_to(np.float32(1), SHAPE), "read-only"),
    ],
    ids=["integers", "strided", "read-only"],
)
def test_an_array_that_cannot_be_updated_in_place_is_refused_before_anything_changes(param: Any, message: str) -> None:
    other = np.ones(SHAPE, np.float32)
    optimizer = SparseAdam([other, param])
    with pytest.raises(UsageError, match=message):
        optimizer.step([GOOD, GOOD])
    assert (other == 1).all()
    assert optimizer.state_dict()["state"] == {}


def test_gradients_by_name_and_in_order_are_the_same() -> None:
    outcomes = []
    for gradients in ([None, GOOD], (None, GOOD), {"b": GOOD}, {"b": GOOD, "a": None}):
        a, b = np.ones(SHAPE, np.float32), np.ones(SHAPE, np.float32)
        SparseAdam([("a", a), ("b", b)]).step(gradients)
        outcomes.append((a.tolist(), b.tolist()))
    assert outcomes == [outcomes[0]] * 4
    assert outcomes[0][0] != outcomes[0][1]


@pytest.mark.parametrize(
    ("gradients", "kind", "message"),
    [
        ([GOOD], ValueError, "1 gradients for 2 parameters"),
        ({"c": GOOD}, ValueError, "no parameter is called 'c'; the parameters are a, b"),
        (DENSE, TypeError, r"for a single parameter: step\(\[gradient\]\)"),
        (GOOD, TypeError, "but got RowGradient"),
    ],
    ids=["too few", "unknown name", "array", "row gradient"],
)
def test_gradients_that_do_not_match_the_parameters_are_refused(gradients: Any, kind: type[Exception], message: str) -> None:
    optimizer = SparseAdam([("a", np.ones(SHAPE, np.float32)), ("b", np.ones(SHAPE, np.float32))])
    with pytest.raises(kind, match=message):
        optimizer.step(gradients)


def test_gradients_by_name_are_refused_where_a_name_is_ambiguous() -> None:
    optimizer = SparseAdam([("a", np.ones(SHAPE, np.float32)), ("a", np.ones(SHAPE, np.float32))])
    with pytest.raises(ValueError, match="two parameters have the same name"):
        optimizer.step({"a": GOOD})


def test_gradients_are_left_as_they_are() -> None:
    gradient, dense = rows([1, 3, 1], np.ones((3, 3)), SHAPE), DENSE.copy()
    LazyAdam([np.ones(SHAPE, np.float32), np.ones(SHAPE, np.float32)], loss_scale=2.0, weight_decay=0.1).step([gradient, dense])
    assert (gradient.values == 1).all()
    assert gradient.indices.tolist() == [1, 3, 1]
    assert (dense == 1).all()


def test_the_optimizer_count_advances_without_gradients_and_the_count_per_parameter_does_not() -> None:
    lazy, sparse = LazyAdam([np.ones(SHAPE, np.float32)]), SparseAdam([np.ones(SHAPE, np.float32)])
    for optimizer in (lazy, sparse):
        optimizer.step([None])
        optimizer.step([GOOD])
    assert [trained.state_dict()["state"][0]["step"] for trained in (lazy, sparse)] == [2, 1]


def test_views_and_memory_maps_are_updated_in_place(tmp_path: Any) -> None:
    plain = np.ones(SHAPE, np.float32)
    mapped = np.memmap(tmp_path / "table", np.float32, "w+", shape=SHAPE)
    mapped[:] = 1
    buffer = np.ones(20, np.float32)
    for param in (plain, mapped, buffer[4:16].reshape(SHAPE)):
        SparseAdam([param]).step([GOOD])
    np.testing.assert_array_equal(np.array(mapped), plain)
    np.testing.assert_array_equal(buffer[4:16].reshape(SHAPE), plain)
    assert (buffer[[3, 16]] == 1).all()


def test_numba_is_imported_by_the_first_step_only() -> None:
    program = """
import sys, numpy
from refimpl.optim import Adam, LazyAdam, SparseAdam
w = numpy.ones((4, 3), numpy.float32)
optimizer = LazyAdam([w]), SparseAdam([w]), Adam([w])
print('numba' in sys.modules, 'scipy' in sys.modules, 'torch' in sys.modules)
optimizer[0].step([numpy.ones((4, 3), numpy.float32)])
print('numba' in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "False", "True"]
