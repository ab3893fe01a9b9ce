from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from backend_cases import case, elements, golden, rows, table

from refimpl.arithmetic import CLASSES, Bounded, numpy_dtype
from refimpl.backends.execute import execute
from refimpl.backends.outcome import End
from refimpl.case import Case
from refimpl.dialects import dialect
from refimpl.errors import UsageError
from refimpl.reference import ALL, trajectory

torch = pytest.importorskip("torch")

from refimpl.backends.torch import VARIANTS, factory  # noqa: E402  # it needs torch


@pytest.fixture(autouse=True, scope="module")
def torch_as_it_was() -> Iterator[None]:
    """The factory sets the threads and the checks of the whole process."""
    threads, checks = torch.get_num_threads(), torch.sparse.check_sparse_tensor_invariants.is_enabled()
    yield
    torch.set_num_threads(threads)
    (torch.sparse.check_sparse_tensor_invariants.enable if checks else torch.sparse.check_sparse_tensor_invariants.disable)()


def dense(seed: int = 0, shape: tuple[int, ...] = (4, 3), dtype: str = "float32") -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape)).astype(numpy_dtype(dtype))


def moments(dtype: str = "float32", shape: tuple[int, ...] = (4, 3), step: int = 7) -> dict[str, Any]:
    return {"exp_avg": dense(5, shape, dtype), "exp_avg_sq": np.square(dense(6, shape, dtype)), "step": step}


COARSE = {"betas": (0.5, 0.75), "eps": 0.125}
"""Values that half precision has: with beta2 = 0.999 the class `tensor` computes 1 - beta2 = 0 in bfloat16, and bounds nothing."""

SPARSE = {
    "duplicates": case(rows([2, 0, 2, 2], seed=1), rows([3, 3], seed=2), rows([0], seed=3)),
    "elements": case(elements(([0, 2, 0], [1, 2, 1]), [0.5, -1.0, 0.25]), elements(([2], [2]), [3.0])),
    "elements-of-a-vector": case(elements(([4, 0, 4],), [0.5, -1.0, 0.25], (5,)), params=[table(shape=(5,))]),
    "missing": case(rows([0]), None, rows([0]), record=(1, 2, 3)),
    "missing-first": case(None, rows([1])),
    "empty": case(rows([0]), rows([]), rows([0, 1])),
    "resumed": case(rows([0, 1, 0]), rows([1]), params=[table(**moments())]),
    "schedule": case(rows([0]), rows([0]), rows([0, 1]), changes={2: [{"lr": 0.5}], 3: [{"betas": (0.5, 0.25), "eps": 0.125}]}),
    "maximize": case(rows([0, 0]), rows([1]), groups=({"maximize": True},)),
    "groups": case(
        {"w": rows([0]), "b": rows([1, 1], shape=(3,))},
        {"w": None, "b": rows([0], shape=(3,))},
        params=[table(), table("b", (3,), group=1)],
        groups=({"lr": 0.25}, {"betas": (0.25, 0.5)}),
        changes={2: [{}, {"lr": 0.125}]},
    ),
    "blocks": case(rows([1, 1, 0], shape=(2, 3, 2)), params=[table(shape=(2, 3, 2))]),
    "table-without-rows": case(rows([], shape=(0, 1)), params=[table(shape=(0, 1))]),
    "float64": case(rows([0, 0], dtype="float64"), rows([0], dtype="float64"), params=[table(dtype="float64")]),
    "bfloat16": case(rows([0, 1], dtype="bfloat16"), rows([0], dtype="bfloat16"), params=[table(dtype="bfloat16")], groups=(COARSE,)),
    "float16": case(rows([0, 1], dtype="float16"), rows([0], dtype="float16"), params=[table(dtype="float16")], groups=(COARSE,)),
}

DENSE = {
    "plain": case(dense(1), dense(2), None, dense(3), name="torch.Adam"),
    "decayed": case(dense(1), dense(2), groups=({"weight_decay": 0.125, "lr": 0.5},), name="torch.Adam"),
    "decoupled": case(dense(1), dense(2), groups=({"weight_decay": 0.125, "decoupled_weight_decay": True, "lr": 0.5},), name="torch.Adam"),
    "amsgrad": case(dense(1), dense(2) / 64, groups=({"amsgrad": True, "maximize": True},), name="torch.Adam"),
    "amsgrad-resumed": case(dense(1), params=[table(**moments())], groups=({"amsgrad": True},), name="torch.Adam"),
    "resumed": case(dense(1), dense(2), params=[table(**moments())], name="torch.Adam"),
    "schedule": case(dense(1), dense(2), changes={2: [{"lr": 0.5, "weight_decay": 0.25}]}, name="torch.Adam"),
    "scalar": case(dense(1, ()), dense(2, ()), params=[table(shape=(), **moments(shape=()))], name="torch.Adam"),
    "nothing": case(dense(1, (0, 1)), params=[table(shape=(0, 1))], name="torch.Adam"),
    "float64": case(dense(1, dtype="float64"), params=[table(dtype="float64", **moments("float64"))], name="torch.Adam"),
    "bfloat16": case(dense(1, dtype="bfloat16"), params=[table(dtype="bfloat16")], groups=(COARSE,), name="torch.Adam"),
    "float16": case(dense(1, dtype="float16"), params=[table(dtype="float16")], groups=(COARSE,), name="torch.Adam"),
}


def worst_ratio(made: Case, states: Any) -> float:
    """The largest |torch - exact| / bound of the class that a CPU must satisfy."""
    faithful = CLASSES.index("tensor-faithful")
    bounds = trajectory(made, Bounded(made.dtype), dialect(made.dialect), (), ALL)
    kept = [dict(copied(state)) for number, state in enumerate(bounds, start=1) if number in made.record]
    worst = 0.0
    for name, arrays in states.items():
        for array, field in (("param", 0), ("exp_avg", 1), ("exp_avg_sq", 2)):
            for got, state in zip(arrays[array], kept, strict=True):
                x, e = state[name][field]
                error = np.abs(got.astype(np.float64).reshape(x.shape) - x)
                assert np.isfinite(e).all()
                ratio = np.divide(error, e[: faithful + 1].max(axis=0), out=np.where(error > 0, np.inf, 0.0), where=e.max(axis=0) > 0)
                worst = max(worst, ratio.max(initial=0.0))
    return worst


def copied(state: Any) -> Iterator[tuple[str, list[tuple[np.ndarray, np.ndarray]]]]:
    for name, numbers in state.items():
        yield name, [(part.x.copy(), part.e.copy()) for part in (numbers.p, numbers.m, numbers.v)]


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_adam_lies_within_the_bound(name: str) -> None:
    outcome = execute(factory(), golden(SPARSE[name], "read-only"))
    assert (outcome.end, outcome.message, outcome.changed) == (End.STATES, "", ())
    assert worst_ratio(SPARSE[name], outcome.states) <= 1


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", DENSE)
def test_adam_lies_within_the_bound_in_every_variant(name: str, variant: str) -> None:
    outcome = execute(factory(variant=variant), golden(DENSE[name], "strided"))
    assert (outcome.end, outcome.message, outcome.changed) == (End.STATES, "", ())
    assert worst_ratio(DENSE[name], outcome.states) <= 1


def test_wrong_numbers_are_outside_the_bound() -> None:
    states = execute(factory(), golden(SPARSE["duplicates"])).states
    states["w"]["param"][1, 2] += np.float32(1e-5)
    assert worst_ratio(SPARSE["duplicates"], states) > 1


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (case(rows([0]), groups=({"lr": -1.0},), error="lr"), "ValueError: Invalid learning rate: -1.0"),
        (case(rows([0]), groups=({"betas": (0.5, 1.0)},), error="betas"), "ValueError: Invalid beta parameter at index 1: 1.0"),
        (case(rows([0]), groups=({"speed": 1.0},), error="unknown"), "TypeError: "),
        (case(rows([1]), dense(), error="dense-gradient"), "RuntimeError: SparseAdam does not support dense gradients"),
        (case(dense(), rows([1]), error="rows-gradient", name="torch.Adam"), "RuntimeError: Adam does not support sparse gradients"),
        (case(rows([1]), rows([4]), error="index-out-of-range"), "RuntimeError: "),
        (case(rows([1]), rows([-1]), error="index-out-of-range"), "RuntimeError: "),
        (case(rows([1], shape=(5, 3)), error="gradient-shape"), "RuntimeError: "),
    ],
)
def test_errors_are_those_of_torch_and_leave_everything_as_it_was(made: Case, message: str) -> None:
    outcome = execute(factory(), golden(made))
    assert (outcome.end, outcome.changed) == (End.RAISED, ())
    assert outcome.message.startswith(message)


def test_a_variant_claims_the_optimizers_that_have_it() -> None:
    backend = factory(variant="fused")
    assert list(backend.dialects) == ["torch.Adam", "torch.AdamW"]
    assert backend.name == "torch fused"
    assert execute(backend, golden(SPARSE["duplicates"])).end is End.UNSUPPORTED


def test_other_dialects_are_unsupported() -> None:
    assert execute(factory(), golden(case(rows([0]), name="mindspore.LazyAdam"))).end is End.UNSUPPORTED


def test_the_version_is_that_of_the_library() -> None:
    assert factory().version == torch.__version__


@pytest.mark.parametrize(
    ("options", "message"),
    [({"variant": "fast"}, "no variant 'fast'"), ({"device": "tpu"}, "no device 'tpu'")],
)
def test_an_unknown_option_is_refused_with_the_choices(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        factory(**options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="only where there is no CUDA device can its absence be told")
def test_a_cuda_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="sees no CUDA device"):
        factory(device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", SPARSE)
def test_sparse_adam_on_a_cuda_device_gives_states(name: str) -> None:
    outcome = execute(factory(device="cuda"), golden(SPARSE[name]))
    assert (outcome.end, outcome.changed) == (End.STATES, ())
