"""The table of deviations against every dialect: each is caught where it changes something, and called by its name."""

from __future__ import annotations

import pytest

from refimpl.backends.execute import execute
from refimpl.backends.reference import factory
from refimpl.case import Golden
from refimpl.dialects import deviations, dialects
from refimpl.judging.compare import judge
from refimpl.judging.diagnose import diagnose
from refimpl.judging.verdict import Status
from refimpl.oracle import changes

# Deviations that pick something else than a dialect and compute the same, each with the reason.
SAME_NUMBERS = {
    "torch.NAdam": dict.fromkeys(
        ("correction-in-first-moment", "no-first-bias-correction"), "its look-ahead has corrections of its own, and leaves m uncorrected"
    )
} | {
    name: {"divides-by-beta1": "it divides by zero at beta1 = 0 alone, which the dialect refuses"}
    for name in ("mindspore.LazyAdam", "mindspore.LazyAdam.default-target", "mindspore.Adam")
}

SHORT = 20
"""Steps of the cases that are run: a horizon takes as long as all others together."""

ENOUGH = 2
"""How many of the cases that catch a deviation are run, beside one that resumes: the attribution has to do with these."""

OTHERS = 60
"""Of the cases that the deviation passes, every n-th is run: they contradict a cause that explains too much."""


def catching(id: str, goldens: list[Golden]) -> list[Golden]:
    """The cases that catch a deviation, the small ones that catch little else first."""
    vectors = [golden for golden in goldens if id in golden.case.catches and len(golden.case.steps) < SHORT]
    return sorted(vectors, key=lambda golden: (sum(param.value.size for param in golden.case.params) > 200, len(golden.case.catches)))


@pytest.mark.parametrize("name", list(dialects()))
@pytest.mark.sampled(3)
def test_a_deviation_is_caught_by_some_case_if_it_changes_any(name: str, core: dict[str, list[Golden]]) -> None:
    caught = {id for golden in core[name] for id in golden.case.catches}
    goldens = [golden for golden in core[name] if not golden.case.error and len(golden.case.steps) < SHORT]
    changing = {id for id, deviation in deviations().items() if any(changes(golden.case, (deviation,)) for golden in goldens)}
    assert changing - caught == set(SAME_NUMBERS.get(name, {}))
    assert caught <= changing | {id for golden in core[name] if len(golden.case.steps) >= SHORT for id in golden.case.catches}


# A division by zero gives nan, and a nan that matches a nan is evidence of nothing: no number shows this deviation.
@pytest.mark.parametrize("id", [id for id in deviations() if id != "divides-by-beta1"])
@pytest.mark.sampled(8)
def test_a_backend_with_the_deviation_fails_and_the_deviation_is_named(id: str, core: dict[str, list[Golden]]) -> None:
    name = next(name for name in dialects() if catching(id, core[name]))
    vectors = catching(id, core[name])
    # A counter that starts at 0 gives only nan where it is not resumed, and a nan is evidence of nothing.
    telling = vectors[:ENOUGH] + [golden for golden in vectors[ENOUGH:] if golden.case.theme == "resumed"][:1]
    passing = [
        golden for golden in core[name] if id not in golden.case.catches and len(golden.case.steps) < SHORT and not golden.case.error
    ]
    goldens = telling + passing[::OTHERS]
    backend = factory(deviations=id)
    outcomes = [execute(backend, golden) for golden in goldens]
    verdicts = [judge(golden, outcome, "tensor-faithful") for golden, outcome in zip(goldens, outcomes)]
    assert {verdict.status for verdict in verdicts[: len(telling)]} == {Status.FAILED}
    causes = diagnose(goldens, outcomes, verdicts)
    assert id in (*causes[0].deviations, *causes[0].also)
