"""What the page on torch.SparseAdam and LazyAdam says of MindSpore's page: its numbers computed again, its programs executed."""

import re
from typing import Any

import numpy as np
import pytest

from refimpl.arithmetic import Float
from refimpl.case import Case, Group, Param, Step
from refimpl.dialects import Dialect, deviations, dialect
from refimpl.diff._comparison import Comparison, compared
from refimpl.diff._distances import Distance, compare, distance
from refimpl.diff._measured import Measured, measured, measured_cases
from refimpl.diff._page import page
from refimpl.diff._replay import DOUBLE, Target
from refimpl.gradients import RowGradient
from refimpl.oracle import expectations, recorded

TORCH, LAZY, DEFAULT = "torch.SparseAdam", "mindspore.LazyAdam", "mindspore.LazyAdam.default-target"
HEADING = "## What MindSpore's page on this pair says, and what is true"


def section(comparison: Comparison) -> str:
    """The corrections of the page, empty where it has none."""
    return page(comparison).partition(HEADING)[2].partition("\n## ")[0]


@pytest.fixture(scope="module", params=(LAZY, DEFAULT))
def pair(request: pytest.FixtureRequest) -> tuple[Dialect, Comparison, str]:
    """LazyAdam of a target, its comparison with SparseAdam, and the corrections."""
    lazy, sparse = dialect(request.param), dialect(TORCH)
    comparison = compared(sparse, lazy, measured_cases(sparse, None, ("duplicates",)))
    return lazy, comparison, section(comparison)


def answer(text: str, claim: str) -> str:
    """The row of the table about a claim."""
    (row,) = (line for line in text.splitlines() if line.startswith(f"| {claim}"))
    return row


def case_of(table: Dialect, gradients: list[Any], start: float = 0.5, **changes: Any) -> Measured:
    """A table of 4 rows of 2 that is updated with these gradients."""
    steps = tuple(Step({"w": gradient}) for gradient in gradients)
    param = Param("w", np.full((4, 2), start, np.float32))
    groups = (Group({**table.defaults(), **changes}),)
    case = Case(f"{table.name}/page/case", "", table.name, (param,), groups, steps, tuple(range(1, len(steps) + 1)))
    return measured(case, expectations(case))


def rows_with_a_repeated_one() -> list[RowGradient]:
    values = np.array([[1, 2], [-1, 3], [0.5, -1]], np.float32)
    return [RowGradient(np.array([1, 3, 1]), values * np.float32(scale), (4, 2)) for scale in (1.0, 1e-2, 3.0)]


def test_other_pairs_have_no_corrections() -> None:
    lazy, default = dialect(LAZY), dialect(DEFAULT)
    cases = measured_cases(lazy, None, ("duplicates",))
    assert section(compared(lazy, default, cases)) == ""
    assert section(compared(lazy, dialect(TORCH), cases)) != ""


def test_with_default_parameters_they_agree_where_repeated_rows_are_summed(pair: tuple[Dialect, Comparison, str]) -> None:
    lazy, comparison, text = pair
    row = answer(text, "LazyAdam is consistent with SparseAdam")
    apart = [outcome for outcome in comparison.with_defaults().values() if not outcome.agrees]
    assert ("| no |" in row) == bool(apart) == (lazy.name == DEFAULT)
    total = len(comparison.with_defaults())
    assert (f"On {len(apart)} of {total} cases" if apart else f"no difference within any bound on {total} cases") in row


def test_for_a_dense_gradient_lazy_adam_computes_what_adam_does(pair: tuple[Dialect, Comparison, str]) -> None:
    lazy, _, text = pair
    values = np.array([[1, -2], [3, 0.5], [-1, 4], [2, 1]], np.float32)
    case = case_of(lazy, [values * np.float32(scale) for scale in (1.0, 1e-3, 0.1)])
    outcome = compare(case, case.calls, Target(dialect("mindspore.Adam"), {}))
    assert isinstance(outcome, Distance)
    assert outcome.agrees
    assert "| yes | no difference within any bound over 3 steps." in answer(text, "for a gradient that is not sparse")


def test_the_first_step_shows_where_eps_stands(pair: tuple[Dialect, Comparison, str]) -> None:
    lazy, _, text = pair
    tiny = [RowGradient(np.array([1]), np.full((1, 2), 1e-8, np.float32), (4, 2))]

    def moved(name: str, *changed: str) -> float:
        table = dialect(name)
        states = recorded(case_of(table, tiny, start=0.0).case, DOUBLE, table, tuple(deviations()[id] for id in changed))
        return float(np.max(np.abs(states["w", "param"])))

    case = case_of(lazy, tiny, start=0.0)
    in_float32 = recorded(case.case, Float("float32", tensor_scalars=True), lazy)
    row = answer(text, "eps: consistent function")
    assert "| yes | Both put it beside sqrt(v), not sqrt(v_hat). The first step with a gradient of 1e-8" in row
    assert f"moves: {TORCH} {moved(TORCH):.7g}, {lazy.name} {moved(lazy.name):.7g}, " in row
    assert f"and {np.max(np.abs(in_float32['w', 'param'])):.7g} where the hyper-parameters are rounded to float32" in row
    assert f"({distance(case, in_float32).bounds:.2f} of the bound)" in row
    assert f"with eps beside sqrt(v_hat), would move {moved(lazy.name, 'eps-beside-sqrt-v-hat'):.3g}." in row


@pytest.mark.parametrize("setting", [{"use_locking": True}, {"use_nesterov": True}, {"weight_decay": 0.1}, {"loss_scale": 1024.0}])
def test_what_a_setting_changes_is_what_the_page_says(pair: tuple[Dialect, Comparison, str], setting: dict[str, Any]) -> None:
    lazy, _, text = pair
    ((name, value),) = setting.items()
    gradients = rows_with_a_repeated_one()
    changed = case_of(lazy, gradients, **setting)
    apart = distance(case_of(lazy, gradients), recorded(changed.case, DOUBLE, lazy))
    size = f"p changes by up to {apart.rates:.3g} lr, and {apart.array} by {apart.bounds:.2g} bounds"
    size = "no difference within any bound" if apart.agrees else size
    assert f"With {name}={value!r}, over three steps: {size}." in answer(text, name)


def test_the_linear_layer_of_the_old_page_raises_and_the_corrected_one_runs(pair: tuple[Dialect, Comparison, str]) -> None:
    pytest.importorskip("torch")
    fails, works = re.findall(r"```python\n(.*?)```", pair[2], re.DOTALL)
    with pytest.raises(RuntimeError, match="does not support dense gradients"):
        exec(compile(fails, "page", "exec"), {})
    exec(compile(works, "page", "exec"), {})
