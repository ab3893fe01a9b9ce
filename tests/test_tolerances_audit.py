"""An audit: a mistake passes where every element that is compared is within the tolerance, in numbers that can be worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
import pytest
from conftest import VECTORS
from hypothesis import given, settings
from hypothesis import strategies as st

from refimpl.arithmetic import CLASSES, Float
from refimpl.case import ARRAYS, KINDS, Golden
from refimpl.dialects import deviations, dialect
from refimpl.oracle import LAST_STEP, recorded
from refimpl.tolerances import Audit, audited, elementwise, is_compared, rules, sampled, tightest
from refimpl.tolerances._compared import Compared, beginning, never_finite, wrong_kind
from refimpl.tolerances._tightest import atol_for, rtol_for
from refimpl.vectors import read_vectors

CLASS = "tensor-faithful"


@pytest.fixture(scope="module")
def some() -> list[Golden]:
    """A few small cases."""
    globs = ["*/duplicates/pair", "*/basics/one-step", "*/eps/eps-near-root"]
    return list(read_vectors(VECTORS, ["torch.SparseAdam"], globs).goldens)


@pytest.fixture(scope="module")
def pair(some: list[Golden]) -> Golden:
    (golden,) = [golden for golden in some if golden.case.slug == "pair"]
    return golden


def last_wins(golden: Golden) -> Golden:
    return replace(golden, case=replace(golden.case, catches=("duplicates-last-wins",)))


def audit(goldens: list[Golden], rtol: float, atol: float, arrays: tuple[str, ...] = ARRAYS) -> Audit:
    (made,) = audited(goldens, [elementwise(rtol, atol, arrays)], CLASS)
    return made


def largest_error_of_last_wins(golden: Golden, array: str) -> float:
    """By plain NumPy: SparseAdam whose last occurrence of a row replaces the others, against the one that sums."""
    (param,) = golden.case.params
    errors = []
    states = {"sum": [param.value.astype(float), 0.0 * param.value.astype(float), 0.0 * param.value.astype(float)]}
    states["last"] = [values.copy() for values in states["sum"]]
    hyper: Any = golden.case.groups[0].hyper
    lr, (b1, b2), eps = hyper["lr"], hyper["betas"], hyper["eps"]
    for t, step in enumerate(golden.case.steps, start=1):
        gradient: Any = step.gradients[param.name]
        rows, values = gradient.indices, gradient.values.astype(float)
        for way, (p, m, v) in states.items():
            merged = np.zeros_like(p)
            for row, value in zip(rows, values):
                merged[row] = value + (merged[row] if way == "sum" else 0)
            touched = np.unique(rows)
            m[touched] = b1 * m[touched] + (1 - b1) * merged[touched]
            v[touched] = b2 * v[touched] + (1 - b2) * merged[touched] ** 2
            size = lr * np.sqrt(1 - b2**t) / (1 - b1**t)
            p[touched] -= size * m[touched] / (np.sqrt(v[touched]) + eps)
        index = ["param", "exp_avg", "exp_avg_sq"].index(array)
        errors.append(np.abs(states["sum"][index] - states["last"][index]).max())
    return float(max(errors))


@pytest.mark.parametrize("array", ["param", "exp_avg", "exp_avg_sq"])
def test_a_mistake_passes_from_its_largest_error_on(pair: Golden, array: str) -> None:
    error = largest_error_of_last_wins(pair, array)
    for factor, passes in ((1.001, True), (0.999, False)):
        (mistake,) = audit([last_wins(pair)], 0, error * factor, (array,)).mistakes
        assert mistake.id == "duplicates-last-wins"
        assert mistake.passes_everywhere == passes
        assert mistake.tried[0].excess == pytest.approx(1 / factor, rel=1e-5)


def test_no_tolerance_at_all_refuses_every_mistake_and_every_correct_implementation(some: list[Golden]) -> None:
    made = audit(some, 0, 0)
    assert made.cases == len(some)
    assert not made.everywhere
    assert not made.somewhere
    assert {mistake.id for mistake in made.nowhere} == {id for golden in some for id in golden.case.catches}
    assert len(made.too_tight) == len(made.refused) == len(some)
    assert not made.holds


def test_a_huge_tolerance_lets_every_mistake_pass_whose_result_is_finite(some: list[Golden]) -> None:
    made = audit(some, 0, 1e300)
    refused = {(one.mistake, one.case) for mistake in made.mistakes for one in mistake.tried if one.excess > 1}
    not_finite = {(id, golden.case.id) for golden in some for id in golden.case.catches if not _is_finite(golden, id)}
    assert refused == not_finite
    assert not made.too_tight
    assert not made.refused
    assert not made.holds


def _is_finite(golden: Golden, mistake: str) -> bool:
    with np.errstate(all="ignore"):
        run = recorded(golden.case, Float("float64"), dialect(golden.case.dialect), (deviations()[mistake],))
    return all(np.isfinite(values).all() for values in run.values())


def test_wider_tolerances_let_no_fewer_mistakes_pass_and_refuse_no_more(some: list[Golden]) -> None:
    ladder = [elementwise(rtol, atol) for rtol, atol in ((0, 0), (1e-7, 0), (1e-6, 1e-9), (1e-5, 1e-6), (1e-2, 1e-3), (1, 1))]
    audits = audited(some, ladder, CLASS)
    for narrow, wide in pairwise(audits):
        assert passing(narrow) <= passing(wide)
        assert {one.case for one in wide.too_tight} <= {one.case for one in narrow.too_tight}
        assert {one.case for one in wide.refused} <= {one.case for one in narrow.refused}


def passing(made: Audit) -> set[tuple[str, str]]:
    return {(mistake.id, one.case) for mistake in made.mistakes for one in mistake.passing}


TOLERANCES = st.sampled_from([0.0, 1e-12, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.1])


@settings(max_examples=40, deadline=None)
@given(rtol=TOLERANCES, atol=TOLERANCES, which=st.integers(0, 2))
def test_the_tightest_tolerance_covers_every_bound_and_slightly_less_does_not(rtol: float, atol: float, which: int) -> None:
    golden = CASES()[which]
    overall = tightest([golden], rtol, atol, ARRAYS, CLASS)[0]
    compared = Compared.of(golden, ARRAYS, CLASS)
    for tight, less in (
        ((overall.rtol, atol), (overall.rtol * (1 - 1e-9), atol)),
        ((rtol, overall.atol), (rtol, overall.atol * (1 - 1e-9))),
    ):
        if 0 < max(tight) < inf and tight not in ((0, atol), (rtol, 0)):
            assert compared.most(elementwise(*tight)) <= 1
            assert compared.most(elementwise(*less)) > 1


_cases: list[Golden] = []


def CASES() -> list[Golden]:  # noqa: N802  # hypothesis does not take a fixture of this scope
    if not _cases:
        _cases.extend(read_vectors(VECTORS, ["torch.SparseAdam"], ["*/duplicates/pair", "*/eps/eps-one", "*/basics/large-lr"]).goldens)
    return _cases


def test_no_relative_tolerance_covers_a_bound_at_zero() -> None:
    assert rtol_for(np.zeros(1), np.array([1e-9]), 1e-10) == inf
    assert rtol_for(np.zeros(1), np.array([1e-9]), 1e-9) == 0
    assert atol_for(np.ones(1), np.array([0.5]), 0.25) == pytest.approx(0.25)
    assert atol_for(np.ones(1), np.array([0.5]), 1.0) == 0


def test_tightest_tolerances_name_the_cases_that_need_them(some: list[Golden]) -> None:
    overall, *arrays = tightest(some, 0, 0, ("param", "exp_avg"), CLASS)
    assert [one.array for one in arrays] == ["param", "exp_avg"]
    assert overall.rtol == max(one.rtol for one in arrays)
    assert overall.rtol_case in {golden.case.id for golden in some}
    alone = [golden for golden in some if golden.case.id == overall.rtol_case]
    assert tightest(alone, 0, 0, ("param", "exp_avg"), CLASS)[0].rtol == overall.rtol


def test_a_tighter_class_needs_no_wider_tolerance(some: list[Golden]) -> None:
    needed = [tightest(some, 0, 0, ARRAYS, name)[0] for name in CLASSES]
    assert all(a.rtol <= b.rtol and a.atol <= b.atol for a, b in pairwise(needed))


def test_a_mistake_that_the_compared_arrays_do_not_show_passes_any_tolerance(some: list[Golden]) -> None:
    made = audit(some, 0, 0, ("exp_avg",))
    (mistake,) = [mistake for mistake in made.everywhere if mistake.id == "eps-inside-root"]
    assert mistake.unseen == len(mistake.tried)
    assert mistake.shown_by is None


def test_the_case_that_shows_a_mistake_is_the_one_where_it_is_the_most_bounds_away(some: list[Golden]) -> None:
    for mistake in audit(some, 1e-2, 1e-2).mistakes:
        if mistake.passing and (shown := mistake.shown_by):
            assert shown.farthest is not None
            assert all(one.farthest is None or one.farthest.bounds <= shown.farthest.bounds for one in mistake.passing)
            assert shown.farthest.bounds > 1


def test_correct_computations_stay_within_what_the_bound_says(some: list[Golden]) -> None:
    for made in audited(some, [elementwise(0, 0), elementwise(1e-7, 0), *rules().values()], CLASS):
        assert all(one.excess <= one.most * (1 + 1e-9) for one in made.correct)
        assert {one.case for one in made.refused} <= {one.case for one in made.too_tight}


def test_a_refused_computation_is_shown_where_the_tolerance_refuses_it(some: list[Golden]) -> None:
    for one in audit(some, 1e-8, 0).refused:
        assert one.farthest is not None
        assert one.farthest.relative / 1e-8 == pytest.approx(one.excess)


def test_processes_do_not_change_an_audit(some: list[Golden]) -> None:
    one, two = (audited(some, [elementwise(1e-5, 1e-8)], CLASS, jobs) for jobs in (1, 2))
    assert repr(one) == repr(two)  # nan is not equal to nan


def test_elements_out_of_the_range_are_left_out_and_kinds_compared_where_none_is_finite() -> None:
    (golden,) = read_vectors(VECTORS, ["torch.SparseAdam"], ["*/ranges/nan"]).goldens
    compared = Compared.of(golden, ARRAYS, CLASS)
    known = sum(len(piece.places) for piece in compared.pieces)
    outside = sum(
        int((expected.allowed != KINDS["finite"]).sum())
        for arrays in golden.expected.values()
        for expected in arrays.values()
        if expected.allowed is not None
    )
    assert outside > 0
    assert known <= sum(expected.value.size for arrays in golden.expected.values() for expected in arrays.values()) - outside
    assert np.isfinite(compared.e).all()
    assert never_finite(golden, ARRAYS)
    with np.errstate(all="ignore"):
        right = recorded(golden.case, Float("float32"), dialect(golden.case.dialect))
    assert not wrong_kind(golden, right, ARRAYS)
    finite = {key: np.nan_to_num(values) for key, values in right.items()}
    assert wrong_kind(golden, finite, ARRAYS)
    assert wrong_kind(golden, {key: np.where(np.isnan(values), np.inf, values) for key, values in right.items()}, ARRAYS)


def test_a_long_case_is_tried_up_to_the_last_step_of_the_proofs() -> None:
    for golden in read_vectors(VECTORS, ["torch.SparseAdam"], ["*/horizons/*"]).goldens:
        short = beginning(golden)
        assert len(short.case.steps) <= LAST_STEP
        assert short.case.record == tuple(step for step in golden.case.record if step <= LAST_STEP)
        for arrays in short.expected.values():
            assert all(len(expected.value) == len(short.case.record) for expected in arrays.values())


def test_a_sample_tries_every_mistake_of_every_theme_in_its_smallest_case() -> None:
    goldens = [
        golden
        for golden in read_vectors(VECTORS, ["torch.AdamW"], ["*/options/*", "*/basics/*"]).goldens
        if is_compared(golden.case, "float32")
    ]
    sample = sampled(goldens)
    wanted = {(golden.case.theme, id) for golden in goldens for id in golden.case.catches}
    tried = [(golden.case.theme, id) for golden in sample for id in golden.case.catches]
    assert sorted(tried) == sorted(wanted)
    assert len(sample) < len(goldens)
    size = {golden.case.id: golden.case.params[0].value.size * len(golden.case.steps) for golden in goldens}
    for golden in sample:
        for id in golden.case.catches:
            same = [other for other in goldens if other.case.theme == golden.case.theme and id in other.case.catches]
            assert size[golden.case.id] == min(size[other.case.id] for other in same)


def test_cases_of_another_dtype_and_refusals_are_not_compared() -> None:
    goldens = read_vectors(VECTORS, ["torch.Adam"], ["*/storage/*", "*/refused/*", "*/half/*", "*/basics/*"]).goldens
    dtypes = {golden.case.id: is_compared(golden.case, "float32") for golden in goldens}
    assert dtypes["torch.Adam/storage/bfloat16-first-moment"] is False
    assert not any(taken for id, taken in dtypes.items() if "/refused/" in id or "/half/" in id)
    assert any(dtypes.values())
    assert sum(is_compared(golden.case, "all") for golden in goldens) > sum(dtypes.values())
