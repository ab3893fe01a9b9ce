"""The cases: enough of them, well named, the same on every machine, and over the inputs that the evidence asks for."""

from __future__ import annotations

import re

import numpy as np
import pytest

from refimpl.case import Case, Golden
from refimpl.cases import SUITES, THEMES, drafts
from refimpl.cases.build import CaseBuilder, Source
from refimpl.dialects import dialect, dialects
from refimpl.errors import InvalidHyper
from refimpl.gradients import RowGradient, is_element_gradient

EVERY = {name: [golden for theme in SUITES["core"] for golden in drafts(dialect(name), theme)] for name in dialects()}


def row_gradients(case: Case) -> list[RowGradient]:
    return [gradient for step in case.steps for gradient in step.gradients.values() if isinstance(gradient, RowGradient)]


@pytest.mark.parametrize("name", list(dialects()))
def test_each_dialect_has_at_least_sixty_cases_with_unique_ids_and_one_sentence_each(name: str) -> None:
    goldens = EVERY[name]
    assert len(goldens) >= 60
    assert len({golden.case.id for golden in goldens}) == len(goldens)
    for golden in goldens:
        assert re.fullmatch(r"[A-Za-z.\-]+/[a-z]+/[a-z0-9]+(-[a-z0-9]+)*", golden.case.id)
        assert golden.case.about.endswith(".")


@pytest.mark.parametrize("name", list(dialects()))
def test_every_hyper_parameter_is_given_and_refused_only_in_error_cases(name: str) -> None:
    table = dialect(name)
    for golden in EVERY[name]:
        refused = False
        for group in golden.case.groups:
            assert set(group.hyper) == set(table.parameters)
            try:
                table.validate(group.hyper)
            except InvalidHyper:
                refused = True
        assert refused == (golden.case.error or "").startswith("invalid-"), golden.case.id


@pytest.mark.parametrize("name", [name for name in dialects() if dialect(name).gradients[0] == "rows"])
def test_sparse_dialects_cover_what_the_evidence_asks_for(name: str) -> None:
    cases = [golden.case for golden in EVERY[name]]
    gradients = [gradient for case in cases for gradient in row_gradients(case)]
    counts = [np.unique(gradient.indices, return_counts=True)[1].max(initial=0) for gradient in gradients]
    assert max(counts) >= 300
    assert any((np.diff(gradient.indices) < 0).any() for gradient in gradients)
    assert any(len(gradient.indices) == 0 for gradient in gradients)
    assert max(gradient.indices.max(initial=0) for gradient in gradients) > 2**16
    assert {257, 2048, 65536} <= {param.step for case in cases for param in case.params}
    assert any(len(case.steps) > 257 for case in cases)
    assert {golden.layout for golden in EVERY[name]} == {"contiguous", "strided", "read-only", "fortran"}
    assert {param.value.ndim for case in cases for param in case.params} >= {1, 2, 3, 4}
    widths = {param.value.shape[1] for case in cases for param in case.params if param.value.ndim == 2}
    assert {width % 16 for width in widths} >= set(range(10))


@pytest.mark.parametrize("name", list(dialects()))
def test_more_parameters_are_stepped_than_a_batch_of_eight_holds(name: str) -> None:
    assert max(len(golden.case.params) for golden in EVERY[name] if golden.case.theme == "counters") > 8


def test_a_row_is_untouched_for_one_to_five_steps() -> None:
    (gaps,) = [golden.case for golden in EVERY["torch.SparseAdam"] if golden.case.id.endswith("touched/gaps")]
    steps = [t for t, gradient in enumerate(row_gradients(gaps)) if 2 in gradient.indices]
    assert set(np.diff(steps) - 1) >= {1, 2, 3, 4}


def test_torch_sparse_adam_has_a_horizon_beyond_2049_and_single_elements() -> None:
    cases = [golden.case for golden in EVERY["torch.SparseAdam"]]
    assert max(len(case.steps) for case in cases) > 2049
    assert any(is_element_gradient(gradient) for case in cases for step in case.steps for gradient in step.gradients.values())


def test_recorded_training_has_repeated_rows() -> None:
    (training,) = [golden.case for golden in EVERY["torch.SparseAdam"] if golden.case.theme == "training"]
    assert any(len(np.unique(gradient.indices)) < len(gradient.indices) for gradient in row_gradients(training))


def test_numbers_come_from_the_seed_alone() -> None:
    # literal values: they must not change with the version of Python or NumPy
    assert Source("a").uniform((2,)).tolist() == [0.2720295377534757, 0.06733663088629693]
    first, second = (Source("theme/slug").normal((3, 2)) for _ in range(2))
    assert np.array_equal(first, second)


def same(left: Golden, right: Golden) -> bool:
    pairs = zip(left.case.params, right.case.params)
    return left.case.id == right.case.id and all(np.array_equal(a.value, b.value, equal_nan=True) for a, b in pairs)


@pytest.mark.parametrize("theme", list(THEMES))
def test_a_theme_is_the_same_each_time(theme: str) -> None:
    table = dialect("mindspore.LazyAdam")
    first, second = drafts(table, theme), drafts(table, theme)
    assert len(first) == len(second)
    assert all(same(left, right) for left, right in zip(first, second))


def test_a_bench_names_hyper_parameters_as_the_dialect_does() -> None:
    torch, mindspore = CaseBuilder(dialect("torch.SparseAdam"), "t"), CaseBuilder(dialect("mindspore.LazyAdam"), "t")
    assert torch.hyper(lr=0.5, beta2=0.25)["betas"] == (0.9, 0.25)
    assert mindspore.hyper(lr=0.5, beta2=0.25)["learning_rate"] == 0.5
    assert mindspore.changed(beta2=0.25) == {"beta2": 0.25}
