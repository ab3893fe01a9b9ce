"""States: exchanged with the real torch.optim in both directions, in the middle of training, and refused where they do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from optim_runs import assert_within, expected, random_rows, ratio

from refimpl.arithmetic import numpy_dtype
from refimpl.case import Param
from refimpl.errors import InvalidState
from refimpl.optim import Adam, LazyAdam, SparseAdam

SHAPE = (6, 4)
BEFORE, AFTER = 4, 6


def sparse_tensor(gradient: Any) -> torch.Tensor:
    return torch.sparse_coo_tensor(
        torch.from_numpy(gradient.indices[None, :]), torch.from_numpy(gradient.values), gradient.shape, check_invariants=True
    )


SPARSE: dict[str, Any] = {"lr": 0.05, "betas": (0.8, 0.99), "eps": 1e-6}
DENSE = {**SPARSE, "amsgrad": True, "weight_decay": 0.01}
PAIRS: dict[str, Any] = {
    "torch.SparseAdam": (SparseAdam, torch.optim.SparseAdam, SPARSE),
    "torch.Adam": (Adam, torch.optim.Adam, DENSE),
}


class Training:
    """Two parameters and their gradients; the second has none in the first step, so that their counts differ."""

    def __init__(self, dialect: str) -> None:
        source = np.random.default_rng(9)
        self.dialect = dialect
        self.ours, self.real, self.options = PAIRS[dialect]
        self.start = {name: source.normal(size=SHAPE).astype(np.float32) for name in "ab"}
        self.steps: list[dict[str, Any]] = []
        for k in range(BEFORE + AFTER):
            draw = [random_rows(source, SHAPE, 5) if "Sparse" in dialect else source.normal(size=SHAPE).astype(np.float32) for _ in "ab"]
            self.steps.append({"a": draw[0], "b": draw[1] if k else None})

    def expected(self) -> Any:
        params = [Param(name, value) for name, value in self.start.items()]
        return expected(self.dialect, params, self.steps, self.options)

    def make_ours(self, arrays: dict[str, np.ndarray]) -> Any:
        return self.ours(list(arrays.items()), **self.options)

    def make_real(self, arrays: dict[str, np.ndarray]) -> tuple[Any, list[torch.nn.Parameter]]:
        params = [torch.nn.Parameter(torch.from_numpy(array.copy())) for array in arrays.values()]
        return self.real(zip(arrays, params), **self.options), params


def run_real(optimizer: Any, params: list[torch.nn.Parameter], steps: list[dict[str, Any]]) -> None:
    for step in steps:
        for param, gradient in zip(params, step.values()):
            param.grad = (
                None if gradient is None else sparse_tensor(gradient) if hasattr(gradient, "indices") else torch.from_numpy(gradient)
            )
        optimizer.step()


@pytest.mark.parametrize("dialect", PAIRS)
def test_training_that_a_real_optimizer_began_goes_on_here_within_the_bound(dialect: str) -> None:
    training = Training(dialect)
    real, params = training.make_real(training.start)
    run_real(real, params, training.steps[:BEFORE])
    arrays = {name: param.detach().numpy().copy() for name, param in zip(training.start, params)}
    ours = training.make_ours(arrays)
    ours.load_state_dict(real.state_dict())
    for step in training.steps[BEFORE:]:
        ours.step(step)
    assert_within(ours, training.expected())
    assert [int(state["step"]) for state in ours.state_dict()["state"].values()] == [BEFORE + AFTER, BEFORE + AFTER - 1]


@pytest.mark.parametrize("dialect", PAIRS)
def test_training_that_began_here_goes_on_in_the_real_optimizer_within_the_bound(dialect: str) -> None:
    training = Training(dialect)
    arrays = {name: value.copy() for name, value in training.start.items()}
    ours = training.make_ours(arrays)
    for step in training.steps[:BEFORE]:
        ours.step(step)
    real, params = training.make_real(arrays)
    real.load_state_dict(ours.state_dict(torch.from_numpy))
    run_real(real, params, training.steps[BEFORE:])
    expectation = training.expected()
    for name, param in zip(training.start, params):
        assert ratio(param.detach().numpy(), expectation[name]["param"]) <= 1
        for moment in ("exp_avg", "exp_avg_sq"):
            assert ratio(real.state[param][moment].numpy(), expectation[name][moment]) <= 1


def to_tensor(array: np.ndarray) -> torch.Tensor:
    """A tensor over the array; torch.from_numpy knows no bfloat16."""
    bits = array.dtype == numpy_dtype("bfloat16")
    return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16) if bits else torch.from_numpy(array)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_state_in_half_precision_goes_to_the_real_optimizer_and_comes_back_with_its_bits(dtype: str) -> None:
    source = np.random.default_rng(11)
    table = source.normal(size=SHAPE).astype(numpy_dtype(dtype))
    ours = Adam([table])
    for _ in range(3):
        ours.step([source.normal(size=SHAPE).astype(table.dtype)])
    saved = ours.state_dict()
    real = torch.optim.Adam([torch.nn.Parameter(to_tensor(table))])
    real.load_state_dict(ours.state_dict(to_tensor))
    again = Adam([table])
    again.load_state_dict(real.state_dict())
    for moment in ("exp_avg", "exp_avg_sq"):
        assert real.state_dict()["state"][0][moment].dtype is getattr(torch, dtype)
        assert saved["state"][0][moment].tobytes() == again.state_dict()["state"][0][moment].tobytes()


def test_moments_are_loaded_into_the_dtype_that_the_optimizer_keeps_as_the_real_one_does() -> None:
    """Rounded to that of the parameter, or as they are where wider ones are kept; refused where they are beyond its range."""
    saved = LazyAdam([np.ones(SHAPE, np.float32)]).state_dict()
    state = saved["state"][0]
    state["step"], state["exp_avg"][:], state["exp_avg_sq"][:] = 1, 0.1, 1e-9
    tables = {name: np.ones(SHAPE, numpy_dtype(name)) for name in ("float16", "bfloat16")}
    kept = {}
    for moment_dtype in (None, "float32"):
        for name, table in tables.items():
            optimizer = SparseAdam([table], moment_dtype=moment_dtype)
            optimizer.load_state_dict(saved)
            kept[name, moment_dtype] = optimizer.state_dict()["state"][0]
    for (name, moment_dtype), arrays in kept.items():
        for moment in ("exp_avg", "exp_avg_sq"):
            expected = state[moment].astype(numpy_dtype(moment_dtype or name))
            assert (arrays[moment].dtype, arrays[moment].tobytes()) == (expected.dtype, expected.tobytes())
    state["exp_avg_sq"][0, 0] = 1e5
    narrow = SparseAdam([tables["float16"]])
    with pytest.raises(InvalidState, match="exp_avg_sq of 'param0' has numbers beyond the range of float16, the dtype of the moments"):
        narrow.load_state_dict(saved)
    SparseAdam([tables["float16"]], moment_dtype="float32").load_state_dict(saved)


@pytest.mark.parametrize("dialect", PAIRS)
def test_the_layout_is_that_of_the_real_one(dialect: str) -> None:
    training = Training(dialect)
    real, params = training.make_real(training.start)
    run_real(real, params, training.steps[:2])
    ours = training.make_ours({name: value.copy() for name, value in training.start.items()})
    for step in training.steps[:2]:
        ours.step(step)
    our_state, real_state = ours.state_dict(), real.state_dict()
    assert our_state["param_groups"] == real_state["param_groups"]
    assert {key: list(state) for key, state in our_state["state"].items()} == {
        key: list(state) for key, state in real_state["state"].items()
    }
    for key, state in real_state["state"].items():
        assert type(our_state["state"][key]["step"]) is (int if isinstance(state["step"], int) else np.ndarray)
        assert our_state["state"][key]["step"] == state["step"]


def test_groups_are_taken_over_with_the_state() -> None:
    w = torch.nn.Parameter(torch.ones(SHAPE))
    real = torch.optim.SparseAdam([{"params": [w], "lr": 0.5}], betas=(0.5, 0.75), maximize=True)
    ours = SparseAdam([np.ones(SHAPE, np.float32)])
    ours.load_state_dict(real.state_dict())
    assert ours.param_groups[0]["params"][0] is ours.parameters[0]
    assert {name: ours.param_groups[0][name] for name in ("lr", "betas", "maximize")} == {"lr": 0.5, "betas": (0.5, 0.75), "maximize": True}
    ours.step([random_rows(np.random.default_rng(0), SHAPE, 3)])
    assert np.abs(ours.parameters[0] - 1).max() > 0.4


def test_what_is_saved_and_what_is_loaded_are_copies() -> None:
    source = np.random.default_rng(10)
    optimizer = SparseAdam([np.ones(SHAPE, np.float32)])
    optimizer.step([random_rows(source, SHAPE, 5)])
    saved = optimizer.state_dict()
    kept = saved["state"][0]["exp_avg"].copy()
    other = SparseAdam([np.ones(SHAPE, np.float32)])
    other.load_state_dict(saved)
    for trained in (optimizer, other):
        trained.step([random_rows(source, SHAPE, 5)])
        trained.param_groups[0]["lr"] = 9.0
    np.testing.assert_array_equal(saved["state"][0]["exp_avg"], kept)
    assert saved["param_groups"][0]["lr"] == 1e-3


def test_a_state_goes_from_sparse_adam_to_lazy_adam_and_back() -> None:
    source = np.random.default_rng(11)
    start = source.normal(size=SHAPE).astype(np.float32)
    steps = [{"param0": random_rows(source, SHAPE, 5)} for _ in range(6)]
    w = start.copy()
    first = SparseAdam([w], **SPARSE)
    lazy = LazyAdam([w], use_locking=True)
    lazy.target = "CPU"
    last = SparseAdam([w])
    for number, step in enumerate(steps):
        if number == 2:
            lazy.load_state_dict(first.state_dict())
        if number == 4:
            last.load_state_dict(lazy.state_dict())
        (first, lazy, last)[number // 2].step(step)
    assert_within(last, expected("torch.SparseAdam", [Param("param0", start)], steps, SPARSE))


def test_names_that_are_not_decayed_stay_in_one_group_and_in_one_state() -> None:
    gradient = random_rows(np.random.default_rng(15), SHAPE, 5)
    lazy = LazyAdam([("beta", W.copy()), ("w", W.copy())], weight_decay=0.1)
    lazy.step([gradient, gradient])
    other = LazyAdam([("beta", W.copy()), ("w", W.copy())])
    other.load_state_dict(lazy.state_dict())
    for trained in (lazy, other):
        for param in trained.parameters:
            param[:] = 1
        trained.step([gradient, gradient])
    np.testing.assert_array_equal(lazy.parameters, other.parameters)
    assert not np.array_equal(*lazy.parameters)


def test_lazy_adam_keeps_its_own_state_over_a_reload() -> None:
    source = np.random.default_rng(12)
    start, other = (source.normal(size=SHAPE).astype(np.float32) for _ in range(2))
    gradients = [[random_rows(source, SHAPE, 5), random_rows(source, SHAPE, 5)] for _ in range(4)]
    outcomes = []
    for reload in (False, True):
        a, b = start.copy(), other.copy()
        groups = [{"params": [a], "lr": [0.4, 0.3, 0.2, 0.1], "grad_centralization": True}, {"params": [b], "weight_decay": 1}]

        def make(groups: Any = groups, a: Any = a, b: Any = b) -> LazyAdam:
            return LazyAdam([*groups, {"order_params": [b, a]}], use_nesterov=True, loss_scale=2.0)

        optimizer = make()
        for number, step in enumerate(gradients):
            if reload and number == 2:
                saved = optimizer.state_dict()
                optimizer = LazyAdam([{"params": [a]}, {"params": [b]}, {"order_params": [b, a]}])
                optimizer.load_state_dict(saved)
            optimizer.step(step)
        outcomes.append((a.tolist(), b.tolist(), optimizer.global_step))
    assert outcomes[0] == outcomes[1]


def saved_by(optimizer: Any, **changes: Any) -> dict[str, Any]:
    """A state dict whose one group has other settings, and whose one state has other entries."""
    saved: dict[str, Any] = optimizer.state_dict()
    for target in (saved["param_groups"][0], saved["state"].get(0, {})):
        target.update({name: value for name, value in changes.items() if name in target or target is saved["param_groups"][0]})
    return saved


def stepped(optimizer: Any) -> Any:
    optimizer.step([random_rows(np.random.default_rng(13), SHAPE, 5)] * len(optimizer.parameters))
    return optimizer


W = np.ones(SHAPE, np.float32)


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        (lambda: SparseAdam([{"params": [W]}, {"params": [W.copy()]}]).state_dict(), "different number of parameter groups"),
        (lambda: SparseAdam([W, W.copy()]).state_dict(), "doesn't match the size of optimizer's group"),
        (
            lambda: stepped(SparseAdam([W.repeat(2, 0)[:6]])).state_dict() | {"param_groups": [{"params": ["x"]}]},
            "parameter 0, which is in none",
        ),
        (lambda: saved_by(stepped(SparseAdam([W.copy()])), exp_avg_sq=np.ones((6, 5))), r"exp_avg_sq of 'param0' of shape \(6, 5\)"),
        (lambda: saved_by(Adam([W]), weight_decay=0.1), "weight_decay = 0.1, which this optimizer does not have"),
        (lambda: saved_by(Adam([W]), amsgrad=True), "amsgrad = True, which this optimizer does not have"),
        (lambda: LazyAdam([W], use_nesterov=True).state_dict(), "use_nesterov = True, which this optimizer does not have"),
        (lambda: LazyAdam([W], learning_rate=lambda step: 0.1).state_dict(), "a schedule for lr"),
    ],
    ids=["groups", "size", "unknown", "shape", "decay", "amsgrad", "nesterov", "schedule"],
)
def test_a_state_that_does_not_fit_is_refused_and_nothing_is_taken_over(saved: Any, message: str) -> None:
    optimizer = stepped(SparseAdam([W.copy()]))
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(saved())
    after = optimizer.state_dict()
    assert str(after) == str(before)


def test_counts_that_differ_are_refused_where_there_is_one_count() -> None:
    a, b = W.copy(), W.copy()
    sparse = SparseAdam([a, b])
    gradient = random_rows(np.random.default_rng(14), SHAPE, 5)
    sparse.step([gradient, gradient])
    sparse.step([gradient, None])
    lazy = LazyAdam([a, b])
    with pytest.raises(ValueError, match=r"steps \[1, 2\], and LazyAdam keeps one count"):
        lazy.load_state_dict(sparse.state_dict())
    assert lazy.global_step == 0
