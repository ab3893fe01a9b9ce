"""The plans of the theme `pairs`: complete, the same each time, and with few features that a backend may lack."""

from __future__ import annotations

import pytest

from refimpl.cases import drafts
from refimpl.cases._plans import CLAIMED, MOST_CLAIMS, closure, plans
from refimpl.cases.coverage import is_abridged, requirements
from refimpl.cases.features import features
from refimpl.dialects import dialect, dialects

NAMES = list(dialects())


@pytest.mark.parametrize("name", NAMES)
def test_every_pair_meets_in_some_plan(name: str) -> None:
    met = {pair for _, plan in plans(dialect(name)) for pair in plan.pairs()}
    assert requirements(name).pairs() - met == set()


@pytest.mark.parametrize("name", NAMES)
def test_a_plan_claims_few_features_and_has_a_slug_of_its_own(name: str) -> None:
    planned = list(plans(dialect(name)))
    most = MOST_CLAIMS if is_abridged(name) else 2
    assert all(len(plan.claims) <= most for _, plan in planned)
    assert len({slug for slug, _ in planned}) == len(planned)
    assert planned == list(plans(dialect(name)))


@pytest.mark.parametrize("name", NAMES)
def test_every_option_comes_alone_by_every_form_and_in_every_dtype(name: str) -> None:
    required = requirements(name)
    alone = {(plan.claims[0], plan.forms[0], plan.dtype) for _, plan in plans(dialect(name)) if len(plan.claims) == 1}
    for claim in (claim for claim in CLAIMED if claim in required.features):
        for form in dialect(name).gradients:
            for dtype in {"float32", "float64"} & set(required.features):
                excused = any(frozenset({form, feature}) in required.excused for feature in closure([claim]))
                assert excused or (claim, form, dtype) in alone


@pytest.mark.parametrize("name", NAMES)
def test_a_case_has_the_features_of_its_plan(name: str) -> None:
    goldens = {golden.case.slug: golden for golden in drafts(dialect(name), "pairs")}
    for slug, plan in plans(dialect(name)):
        of_params = features(goldens[slug])
        step = 2 if "groups" in plan.claims else 1
        for param, planned in zip("abc"[::step], plan.features()):
            assert of_params[param] - {"eps-visible"} == planned - {"eps-visible"}, slug  # the effect of eps is in the expectations


def test_a_schedule_of_the_decay_brings_a_decay() -> None:
    assert closure(["schedule-weight-decay"]) == {"schedule-weight-decay", "weight-decay"}
    assert closure(["schedule-weight-decay", "decoupled-decay"]) == {"schedule-weight-decay", "decoupled-decay"}
    assert closure(["schedule-decoupled"]) == {"schedule-decoupled", "decoupled-decay", "weight-decay"}
