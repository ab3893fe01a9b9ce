"""What `catches` leaves out does not change its result: alternatives that compute the same, and columns."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from conftest import VECTORS

from refimpl.case import Golden
from refimpl.cases.claims import candidates
from refimpl.dialects import Picks, dialect
from refimpl.gradients import RowGradient
from refimpl.oracle import Expectations
from refimpl.oracle._alike import Alike
from refimpl.oracle._catches import catches
from refimpl.oracle._narrowing import WIDE, narrowed
from refimpl.vectors import read_vectors

catching = sys.modules["refimpl.oracle._catches"]  # the package has a function of this name


def expectations(golden: Golden) -> Expectations:
    return {name: dict(arrays) for name, arrays in golden.expected.items()}


LOOKS = {
    "every counter": ("torch.SparseAdam", "*/counters/empty*"),
    "rows of zeros": ("torch.SparseAdam", "*/touched/*zero*"),
    "beta1 of zero": ("torch.Adam", "*/betas/*beta1*"),
    "eps over the step size": ("torch.Adam", "*/basics/*"),
    "all rows, and none stored": ("mindspore.Adam", "*/touched/*"),
    "centralized widths": ("mindspore.LazyAdam", "*/options/*central*"),
    "resumed counts": ("torch.SparseAdam", "*/resumed/*"),
    "wide rows": ("torch.SparseAdam", "*/shapes/widths-to-33"),
}


def goldens(name: str) -> list[Golden]:
    """A few of the vectors of a kind."""
    dialect, glob = LOOKS[name]
    goldens = list(read_vectors(VECTORS, [dialect], [glob]).goldens)
    assert goldens
    return [golden for golden in goldens if golden.case.error is None][:4]


@pytest.mark.parametrize("name", LOOKS)
def test_what_is_left_out_changes_no_claim(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def same(alike: Alike, picks: Picks) -> Picks:
        return picks

    monkeypatch.setattr(Alike, "simplified", same)
    monkeypatch.setattr(catching, "narrowed", lambda case, expected: (case, expected))
    for golden in goldens(name):
        deviations = tuple(candidates(golden.case.theme))
        assert catches(golden.case, expectations(golden), deviations) == golden.case.catches


def test_the_columns_that_are_kept_are_those_of_the_case() -> None:
    (golden,) = goldens("wide rows")
    case, expected = narrowed(golden.case, expectations(golden))
    wide = [param for param in golden.case.params if param.value.shape[-1] >= WIDE]
    assert wide
    kept = {param.name: param.value for param in case.params}
    for param in wide:
        assert np.array_equal(kept[param.name], param.value[:, [0, -1]])
        for array, truth in expected[param.name].items():
            assert np.array_equal(truth.value, golden.expected[param.name][array].value[..., [0, -1]])
        for step, few in zip(golden.case.steps, case.steps):
            gradient, less = step.gradients[param.name], few.gradients[param.name]
            assert isinstance(gradient, RowGradient)
            assert isinstance(less, RowGradient)
            assert np.array_equal(less.values, gradient.values[:, [0, -1]])
            assert less.shape == (gradient.shape[0], 2)


def test_a_narrow_case_is_left_as_it_is() -> None:
    golden = goldens("eps over the step size")[0]
    assert narrowed(golden.case, expectations(golden))[0] is golden.case


def test_zero_settings_make_alternatives_differ() -> None:
    golden = goldens("eps over the step size")[0]
    hyper, picks = dialect("torch.Adam").resolve(golden.case.groups[0].hyper)
    stages = type(picks.moments), type(picks.eps)
    divided = replace(picks, moments=stages[0]["DIVIDED"], eps=stages[1]["OVER_STEP_SIZE"])
    assert Alike.of(golden.case, [hyper]).simplified(divided) == Alike.of(golden.case, [hyper]).simplified(picks)
    for zero in (replace(hyper, lr=0.0), replace(hyper, beta1=0.0)):
        assert Alike.of(golden.case, [zero]).simplified(divided).moments is stages[0]["DIVIDED"]
