"""refimpl.diff._conditions: the condition under which a recipe holds, and both of its sides."""

import pytest

from refimpl.dialects import dialect
from refimpl.diff._comparison import compared
from refimpl.diff._conditions import condition, in_words, traits_of
from refimpl.diff._distances import Distance, Refusal
from refimpl.diff._document import to_text
from refimpl.diff._measured import measured_cases
from refimpl.diff._page import conclusion, page

AGREES, DIFFERS = Distance(0.0, 0.5), Distance(1.0, 100.0)


@pytest.fixture(scope="module")
def decays():
    """Cases of keras.Adam with and without a decay, groups, schedules."""
    return measured_cases(dialect("keras.Adam"), None, ("options", "basics"))


def having(cases, *names):
    return [one for one in cases if frozenset(names) in traits_of(one)]


def test_what_every_failing_case_has_and_no_other_is_the_condition(decays):
    failing = {one.id for one in having(decays, "decoupled-decay")}
    assert 0 < len(failing) < len(decays)
    found = condition(decays, {one.id: DIFFERS if one.id in failing else AGREES for one in decays})
    assert in_words(found) == ("a decoupled decay that is not 0",)
    assert (found.holds, found.others, found.fail) == (len(decays) - len(failing), len(failing), len(failing))


def test_two_features_that_fail_only_together_are_named_together(decays):
    failing = {one.id for one in having(decays, "decoupled-decay", "amsgrad")}
    assert failing
    found = condition(decays, {one.id: DIFFERS if one.id in failing else AGREES for one in decays})
    assert in_words(found) == ("division by the largest v, beside a decoupled decay that is not 0",)


def test_where_all_agree_or_none_there_is_no_condition(decays):
    assert condition(decays, {one.id: AGREES for one in decays}) is None
    assert condition(decays, {one.id: DIFFERS for one in decays}) is None


def test_what_is_refused_is_on_neither_side(decays):
    failing = {one.id for one in having(decays, "amsgrad")}
    outcomes = {one.id: Refusal("setting", "no amsgrad") if one.id in failing else AGREES for one in decays}
    assert condition(decays, outcomes) is None


def test_a_recipe_that_holds_where_no_row_with_moments_is_left_out_says_so_and_both_sides_bear_it_out():
    cases = measured_cases(dialect("torch.SparseAdam"), None, ("touched", "duplicates", "basics"))
    found = compared(dialect("torch.SparseAdam"), dialect("torch.Adam"), cases)
    assert in_words(found.condition) == ("a gradient that leaves out a row or element that has moments",)
    outcomes = found.recipe.found
    left_out = {one.id for one in having(cases, "rows left out")}
    assert all(outcomes[one.id].agrees for one in cases if one.id not in left_out)
    assert found.condition.fail == sum(not outcomes[id].agrees for id in left_out) > 0
    assert found.condition.holds == len(cases) - len(left_out) > 0
    assert "as long as no parameter has a gradient that leaves out a row or element that has moments" in conclusion(found)
    assert f"All {found.condition.holds} cases that meet this condition agree" in " ".join(to_text(page(found)).split())
