"""Which cases of what few implementations have a backend is given."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from refimpl.backends import Capabilities
from refimpl.case import THEMES_FOR_FEW, Golden
from refimpl.cases import drafts
from refimpl.checking.claimed import claimed_by_name, without_unclaimed
from refimpl.dialects import dialect
from refimpl.vectors import Vectors

NAME = "torch.SparseAdam"
GOLDENS: tuple[Golden, ...] = tuple(golden for theme in ("basics", *THEMES_FOR_FEW) for golden in drafts(dialect(NAME), theme))


def themes(claim: Capabilities | None, globs: Sequence[str] = ()) -> dict[str, int]:
    """Theme to how many of its cases are given."""
    kept = without_unclaimed(Vectors(GOLDENS), globs, claimed_by_name({} if claim is None else {NAME: claim}))
    counts: dict[str, int] = {}
    for golden in kept:
        counts[golden.case.theme] = counts.get(golden.case.theme, 0) + 1
    return counts


BASICS = sum(golden.case.theme == "basics" for golden in GOLDENS)


@pytest.mark.parametrize("claim", [None, Capabilities(), Capabilities((), ()), Capabilities(("float32",), ("rows",))], ids=str)
def test_a_claim_that_does_not_name_them_is_given_none_of_these_cases(claim: Capabilities | None) -> None:
    assert themes(claim) == {"basics": BASICS}


def test_a_claim_is_given_what_it_names_and_no_more() -> None:
    assert themes(Capabilities(("float32", "float16"))).keys() == {"basics", "half"}
    both = themes(Capabilities(("float32", "float16", "bfloat16")))
    assert both["half"] == sum(golden.case.theme == "half" for golden in GOLDENS)
    assert themes(Capabilities(("float32",), ("reload",)))["events"] == sum(
        any(step.reload for step in golden.case.steps) for golden in GOLDENS if golden.case.theme == "events"
    )


def test_a_pattern_with_the_name_of_a_theme_asks_for_the_cases_that_it_matches() -> None:
    assert themes(None, ["*/half/*"]).keys() == {"basics", "half"}
    assert themes(None, ["*"]) == {"basics": BASICS}
    assert themes(None, [f"{NAME}/*", "*/half/ordinary-*"]) == {"basics": BASICS, "half": 2}


def test_a_case_that_cannot_be_read_is_unsupported_for_those_who_claim_what_it_needs() -> None:
    unreadable = ((f"{NAME}/half/ordinary-bfloat16", "needs ml_dtypes"), (f"{NAME}/elements/pair", "needs scipy"))
    vectors = Vectors((), unreadable)
    assert without_unclaimed(vectors, (), claimed_by_name({})).unreadable == unreadable[1:]
    claims = claimed_by_name({NAME: Capabilities(("bfloat16",))})
    assert without_unclaimed(vectors, (), claims).unreadable == unreadable
