"""refimpl.diff._conditions: the condition under which a recipe holds, and both of its sides."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from refimpl.dialects import dialect
from refimpl.diff._comparison import compared
from refimpl.diff._conditions import condition, in_words, traits_of
from refimpl.diff._distances import Distance, Refusal
from refimpl.diff._document import to_text
from refimpl.diff._measured import Measured, measured_cases
from refimpl.diff._page import conclusion, page

AGREES, DIFFERS = Distance(0.0, 0.5), Distance(1.0, 100.0)


@pytest.fixture(scope="module")
def decays() -> list[Measured]:
    """Cases of keras.Adam with and without a decay, groups, schedules."""
    return measured_cases(dialect("keras.Adam"), None, ("options", "basics"))


def having(cases: Sequence[Measured], *names: str) -> list[Measured]:
    return [case for case in cases if frozenset(names) in traits_of(case)]


def test_what_every_failing_case_has_and_no_other_is_the_condition(decays: list[Measured]) -> None:
    failing = {case.id for case in having(decays, "decoupled-decay")}
    assert 0 < len(failing) < len(decays)
    shared = condition(decays, {case.id: DIFFERS if case.id in failing else AGREES for case in decays})
    assert in_words(shared) == ("a decoupled decay that is not 0",)
    assert (shared.holds, shared.others, shared.fail) == (len(decays) - len(failing), len(failing), len(failing))


def test_two_features_that_fail_only_together_are_named_together(decays: list[Measured]) -> None:
    failing = {case.id for case in having(decays, "decoupled-decay", "amsgrad")}
    assert failing
    shared = condition(decays, {case.id: DIFFERS if case.id in failing else AGREES for case in decays})
    assert in_words(shared) == ("division by the largest v, beside a decoupled decay that is not 0",)


def test_where_all_agree_or_none_there_is_no_condition(decays: list[Measured]) -> None:
    assert condition(decays, {case.id: AGREES for case in decays}) is None
    assert condition(decays, {case.id: DIFFERS for case in decays}) is None


def test_what_is_refused_is_on_neither_side(decays: list[Measured]) -> None:
    failing = {case.id for case in having(decays, "amsgrad")}
    outcomes = {case.id: Refusal("setting", "no amsgrad") if case.id in failing else AGREES for case in decays}
    assert condition(decays, outcomes) is None


def test_a_recipe_that_holds_where_no_row_with_moments_is_left_out_says_so_and_both_sides_confirm_it() -> None:
    cases = measured_cases(dialect("torch.SparseAdam"), None, ("touched", "duplicates", "basics"))
    comparison = compared(dialect("torch.SparseAdam"), dialect("torch.Adam"), cases)
    assert in_words(comparison.condition) == ("a gradient that leaves out a row or element that has moments",)
    outcomes: Mapping[str, Any] = comparison.recipe.outcomes
    left_out = {case.id for case in having(cases, "rows left out")}
    assert all(outcomes[case.id].agrees for case in cases if case.id not in left_out)
    assert comparison.condition.fail == sum(not outcomes[id].agrees for id in left_out) > 0
    assert comparison.condition.holds == len(cases) - len(left_out) > 0
    assert "as long as no parameter has a gradient that leaves out a row or element that has moments" in conclusion(comparison)
    assert f"All {comparison.condition.holds} cases that meet this condition agree" in " ".join(to_text(page(comparison)).split())
