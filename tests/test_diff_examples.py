"""The programs and recipes that a page prints, executed: with the real torch, and with refimpl's LazyAdam for MindSpore's."""

from typing import Any

import numpy as np
import pytest

from refimpl import LazyAdam, RowGradient
from refimpl.case import Case, Group, Param, Step, ratios
from refimpl.dialects import dialect, dialects
from refimpl.dialects.stages import Decay, DecayRate
from refimpl.diff._examples import Example, examples_of
from refimpl.oracle import expectations


def executed(code: str) -> Any:
    names: dict[str, Any] = {}
    exec(compile(code, "example", "exec"), names)
    return np.array(names["table"]) if "table" in names else None


def runs(example: Example) -> bool:
    if example.runs == "mindspore":
        return False
    if example.runs == "torch":
        pytest.importorskip("torch")
    return True


@pytest.mark.parametrize("name", dialects("full"))
def test_each_example_runs_and_moves_the_rows_that_were_looked_up(name: str) -> None:
    tables = [executed(example.code) for example in examples_of(dialect(name)) if runs(example)]
    assert tables
    for table in tables:
        assert (table[[1, 3]] < 0.5).all()
        np.testing.assert_allclose(table[[0, 2]], 0.5 * (1 - decay_of_every_row(name)), rtol=1e-6)


def decay_of_every_row(name: str) -> float:
    """What the default decay takes from a row that nobody looks up: a decoupled one acts on every row."""
    table = dialect(name)
    hyper, picks = table.resolve(table.defaults())
    rate = LR if picks.decay_rate is DecayRate.LR else 1.0
    return rate * hyper.weight_decay if picks.decay is Decay.DECOUPLED_ALL else 0.0


def test_the_examples_of_the_pair_agree_where_repeated_rows_are_summed_and_differ_by_a_step_where_not() -> None:
    pytest.importorskip("torch")
    torch, lazy, default = (
        executed(next(example.code for example in examples_of(dialect(name)) if example.runs != "mindspore"))
        for name in ("torch.SparseAdam", "mindspore.LazyAdam", "mindspore.LazyAdam.default-target")
    )
    np.testing.assert_allclose(torch, lazy, rtol=0, atol=1e-6)
    np.testing.assert_allclose(torch[1] - default[1], 0.1, rtol=1e-3)


def test_mindspore_programs_are_python_that_names_the_real_class() -> None:
    for name in ("mindspore.LazyAdam", "mindspore.LazyAdam.default-target"):
        (real,) = (example for example in examples_of(dialect(name)) if example.runs == "mindspore")
        compile(real.code, "example", "exec")
        assert "nn.LazyAdam(" in real.code


LR = 0.1


def inputs(missing: bool) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """Two tables over four steps: repeated rows, and where `missing` says so no gradient at all."""
    rng = np.random.default_rng(7)
    start = {name: rng.normal(size=(5, 2)).astype(np.float32) for name in "ab"}
    steps = []
    for t in range(4):
        gradients = {name: RowGradient(rng.integers(0, 5, 4), rng.normal(size=(4, 2)).astype(np.float32), (5, 2)) for name in "ab"}
        steps.append(gradients | dict.fromkeys("b" if missing and t % 2 else ""))
    return start, steps


def judged(name: str, start: dict[str, np.ndarray], steps: list[dict[str, Any]], got: Any) -> float:
    """The largest |error|/bound of tables against the truth of a dialect."""
    table = dialect(name)
    lr = next(key for key, parameter in table.parameters.items() if "lr" in parameter.roles)
    params = tuple(Param(key, value) for key, value in start.items())
    case = Case(f"{name}/recipe/run", "", name, params, (Group({**table.defaults(), lr: LR}),), tuple(map(Step, steps)), (len(steps),))
    expected = expectations(case)
    return max(float(ratios(got[key][None], expected[key]["param"], "tensor-faithful").max()) for key in start)


def by_torch(start: dict[str, np.ndarray], steps: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    torch = pytest.importorskip("torch")
    tables = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in start.items()}
    optimizer = torch.optim.SparseAdam(tables.values(), lr=LR)
    for step in steps:
        for name, table in tables.items():
            g = step[name]
            table.grad = (
                None
                if g is None
                else torch.sparse_coo_tensor(torch.tensor(g.indices)[None], torch.tensor(g.values), g.shape, check_invariants=True)
            )
        optimizer.step()
    return {name: table.detach().numpy() for name, table in tables.items()}


def by_lazy_adam(start: dict[str, np.ndarray], steps: list[dict[str, Any]], target: str | None, own: bool = False) -> dict[str, np.ndarray]:
    tables = {name: value.copy() for name, value in start.items()}
    groups = [[name] for name in tables] if own else [list(tables)]
    for names in groups:
        optimizer = LazyAdam([tables[name] for name in names], learning_rate=LR)
        if target:
            optimizer.target = target
        for step in steps:
            if not own or step[names[0]] is not None:
                optimizer([step[name] for name in names])
    return tables


def merged(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    done = []
    for step in steps:
        made = {}
        for name, g in step.items():
            if g is not None:
                rows, slot = np.unique(g.indices, return_inverse=True)
                values = np.zeros((len(rows), 2), np.float32)
                np.add.at(values, slot, g.values)
                g = RowGradient(rows, values, g.shape)
            made[name] = g
        done.append(made)
    return done


def filled(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    empty = RowGradient(np.zeros(0, np.int64), np.zeros((0, 2), np.float32), (5, 2))
    return [{name: empty if g is None else g for name, g in step.items()} for step in steps]


def test_lazy_adam_reproduces_sparse_adam_by_an_optimizer_per_parameter() -> None:
    start, steps = inputs(missing=True)
    assert judged("torch.SparseAdam", start, steps, by_torch(start, steps)) <= 1
    assert judged("torch.SparseAdam", start, steps, by_lazy_adam(start, steps, "CPU")) > 10
    assert judged("torch.SparseAdam", start, steps, by_lazy_adam(start, steps, "CPU", own=True)) <= 1


def test_the_default_target_reproduces_sparse_adam_once_rows_are_merged() -> None:
    start, steps = inputs(missing=False)
    assert judged("torch.SparseAdam", start, steps, by_lazy_adam(start, steps, None)) > 10
    assert judged("torch.SparseAdam", start, steps, by_lazy_adam(start, merged(steps), None)) <= 1


def test_sparse_adam_reproduces_lazy_adam_by_empty_gradients() -> None:
    start, steps = inputs(missing=True)
    assert judged("mindspore.LazyAdam", start, steps, by_lazy_adam(start, steps, "CPU")) <= 1
    assert judged("mindspore.LazyAdam", start, steps, by_torch(start, steps)) > 10
    assert judged("mindspore.LazyAdam", start, steps, by_torch(start, filled(steps))) <= 1
