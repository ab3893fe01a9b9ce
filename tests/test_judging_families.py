"""Families: what each hypothesis does to a case, and which cases it leaves as they are."""

from __future__ import annotations

import numpy as np
import pytest
from judging_runs import Core, computed, failing, hypothesis, some

from refimpl.dialects import dialect, dialects
from refimpl.gradients import RowGradient
from refimpl.judging._altered import clipped
from refimpl.judging.families import library, read_off
from refimpl.judging.families._limits import _clips_change, _times
from refimpl.oracle import bounded
from refimpl.reference import scheduled

TABLE = dialect("torch.SparseAdam")


@pytest.mark.parametrize("name", list(dialects()))
def test_every_hypothesis_has_a_name_words_and_a_family(name: str) -> None:
    for candidate in library(name):
        assert candidate.id
        assert candidate.about
        assert candidate.family in ("picks", "settings", "counters", "order", "calls", "formats", "merging", "limits")


def test_a_dense_dialect_has_no_hypothesis_about_merging() -> None:
    assert not any(candidate.family == "merging" for candidate in library("torch.Adam"))


def test_a_setting_that_is_not_read_has_its_default(core: Core) -> None:
    golden, plain = some(core, "basics/large-lr", "basics/five-steps")
    plan = hypothesis("lr-not-read").plan(golden.case, TABLE)
    assert plan is not None
    assert [groups[0]["lr"] for groups in scheduled(plan.case)] == [0.001] * len(golden.case.steps)
    assert hypothesis("lr-not-read").plan(plain.case, TABLE) is None


def test_settings_that_are_late_and_early_move_by_one_step(core: Core) -> None:
    (golden,) = some(core, "schedules/lr")
    rates = [groups[0]["lr"] for groups in scheduled(golden.case)]
    late = hypothesis("lr-last-step").plan(golden.case, TABLE)
    early = hypothesis("lr-next-step").plan(golden.case, TABLE)
    assert late is not None
    assert early is not None
    assert [groups[0]["lr"] for groups in scheduled(late.case)] == [golden.case.groups[0].hyper["lr"], *rates[:-1]]
    assert [groups[0]["lr"] for groups in scheduled(early.case)] == [*rates[1:], rates[-1]]


def test_every_group_may_read_the_first_groups_setting(core: Core) -> None:
    (golden,) = some(core, "groups/lr")
    plan = hypothesis("lr-first-group").plan(golden.case, TABLE)
    assert plan is not None
    assert {group["lr"] for groups in scheduled(plan.case) for group in groups} == {0.1}


def test_a_clock_concerns_the_cases_that_count_so_far(core: Core) -> None:
    ceiling = hypothesis("counter-ceiling", "stops at 1,000")
    long, short = some(core, "resumed/after-2048", "resumed/after-9")
    assert ceiling.plan(long.case, TABLE) is not None
    assert ceiling.plan(short.case, TABLE) is None


@pytest.mark.parametrize(
    ("words", "rows", "left"),
    [
        ("after the first 16 are dropped", list(range(20)), list(range(16))),
        ("of a row after its first 2 are dropped", [3, 3, 1, 3], [3, 3, 1]),
        ("is lost where the one before it is 2 or more away", [3, 1, 3, 3], [3, 1, 3]),
        ("of several blocks of 2", [], []),
        ("cut to 2 bits", [5, 1, 7], [1, 1, 3]),
        ("the last row of a gradient is dropped", [5, 1, 7, 5], [5, 1, 5]),
        ("the first row of a gradient is dropped", [5, 1, 7], [5, 7]),
        ("rows of even number are dropped", [4, 1, 7], [1, 7]),
        ("where their number is no multiple of 2", [5, 1, 7, 7], [5, 1]),
        ("where their number is no multiple of 2", [5], []),
        ("is larger than 2 and no multiple of it", [5, 7, 1], [5, 1]),
    ],
)
def test_occurrences_are_lost_or_moved_as_the_hypothesis_says(words: str, rows: list[int], left: list[int]) -> None:
    from refimpl.case import Case, Group, Param, Step

    values = np.arange(1.0, len(rows) + 1).reshape(-1, 1)
    gradient = RowGradient(np.array(rows, np.int64), values, (32, 1))
    group = Group(TABLE.defaults())
    case = Case("d/t/s", "", "torch.SparseAdam", (Param("w", np.zeros((32, 1))),), (group,), (Step({"w": gradient}),), (1,))
    candidates = [candidate for candidate in library("torch.SparseAdam") if candidate.family == "merging" and words in candidate.about]
    if not rows:
        assert all(candidate.plan(case, TABLE) is None for candidate in candidates)
        return
    plan = candidates[0].plan(case, TABLE)
    assert plan is not None
    changed = plan.case.steps[0].gradients["w"]
    assert changed.indices.tolist() == left


def test_rows_that_collide_get_the_sum_of_all_of_them() -> None:
    from refimpl.judging.families._collisions import _shared_sum

    rows, values = _shared_sum(4)(np.array([1, 5, 2, 1]), np.array([[1.0], [2.0], [4.0], [8.0]]))
    assert rows.tolist() == [1, 1, 1, 2, 5, 5, 5]
    assert values.ravel().tolist() == [1.0, 2.0, 8.0, 4.0, 1.0, 2.0, 8.0]


def test_a_missing_gradient_may_count_as_zeros_or_as_empty(core: Core) -> None:
    golden, whole = some(core, "counters/late-parameter", "basics/five-steps")
    zeros = hypothesis("missing-as-zeros").plan(golden.case, TABLE)
    empty = hypothesis("missing-as-empty").plan(golden.case, TABLE)
    assert zeros is not None
    assert empty is not None
    assert not zeros.case.steps[0].gradients["c"].values.any()
    assert len(zeros.case.steps[0].gradients["c"].indices) == len(golden.case.params[2].value)
    assert len(empty.case.steps[0].gradients["c"].indices) == 0
    assert hypothesis("missing-as-zeros").plan(whole.case, TABLE) is None


def test_a_narrower_format_concerns_wider_cases_only(core: Core) -> None:
    single, double = some(core, "basics/five-steps", "basics/five-steps-float64")
    kept = hypothesis("moments-in-float32")
    assert kept.plan(single.case, TABLE) is None
    assert kept.plan(double.case, TABLE) is not None


def test_a_gradient_of_zeros_may_count_as_missing_and_an_empty_one_too(core: Core) -> None:
    for slug in ("basics/zero", "counters/empty-alone"):
        (golden,) = some(core, slug)
        plan = hypothesis("zeros-as-missing").plan(golden.case, TABLE)
        assert plan is not None
        before, after = (sum(g is None for step in case.steps for g in step.gradients.values()) for case in (golden.case, plan.case))
        assert after > before


def test_repeated_rows_alone_are_summed_in_a_narrow_format_where_the_hypothesis_says_so(core: Core) -> None:
    (golden,) = some(core, "duplicates/pair")
    plan = hypothesis("sums-in-float16", "all others are left").plan(golden.case, TABLE)
    assert plan is not None
    for step, changed in zip(golden.case.steps, plan.case.steps):
        gradient, other = step.gradients["w"], changed.gradients["w"]
        for row in np.unique(gradient.indices):
            values = gradient.values[gradient.indices == row]
            total = np.zeros(values.shape[1], np.float16)
            for value in values:
                total = total + value.astype(np.float16)
            expected = values[0] if len(values) == 1 else total
            assert other.values[other.indices == row].tolist() == [expected.astype(np.float64).tolist()]


def test_a_limit_is_read_off_the_wrong_elements(core: Core) -> None:
    (golden,) = some(core, "resumed/far-above-root")
    wrong = computed(_clips_change("", lambda lr: _times(lr, 3.0)), golden)
    assert "the change of p is clipped to +-3 lr" in [candidate.about for candidate in read_off(failing(golden, wrong), TABLE)]


def test_a_clipped_bound_holds_every_clipped_number() -> None:
    a = bounded("float32")
    x = a.load(np.array([[-3.0, 0.5, 2.0]]))
    result = clipped(x, a.meet(a.scalar(1.5)))
    assert result.x.tolist() == [[-1.5, 0.5, 1.5]]
    assert (result.e >= x.e).all()
    assert np.asarray(clipped(np.array([-3.0, 0.5]), np.float64(1.5))).tolist() == [-1.5, 0.5]
