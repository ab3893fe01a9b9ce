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

# Deviations that leave a dialect as it is, each with the reason. All others must be caught by some case of the dialect.
IDLE = {
    "torch.SparseAdam": {
        "is what it does": {"duplicates-summed", "counter-per-parameter", "dense-as-lazy", "eps-beside-sqrt-v"},
        "it has no weight decay": {
            "decay-per-occurrence",
            "decay-after-merging",
            "decay-coupled-all-rows",
            "decay-decoupled-touched",
            "decay-decoupled-all-rows",
            "decay-ignored",
            "decay-without-lr",
            "decay-times-step-size",
        },
        "it has no loss scale": {"decay-divided-by-loss-scale", "loss-scale-ignored", "loss-scale-twice"},
        "it has no such option": {"centralization-ignored", "amsgrad-ignored", "nesterov-ignored"},
        "a maximum of 0 and v is v": {"amsgrad-lost"},
    },
    "torch.Adam": {
        "its gradients are dense, each row occurs once": {
            "duplicates-in-sequence",
            "duplicates-from-old-state",
            "duplicates-averaged",
            "duplicates-first-wins",
            "duplicates-last-wins",
            "duplicates-adjacent-only",
            "duplicates-squared-apart",
            "duplicates-summed",
            "counter-per-row",
            "counter-skips-empty",
            "sparse-as-dense",
            "dense-as-lazy",
            "zero-rows-skipped",
            "catch-up",
            "catch-up-off-by-one",
            "empty-gradient-skipped",
            "eps-beside-sqrt-v-in-other-rows",
        },
        "is what it does": {"counter-per-parameter", "eps-beside-sqrt-v-hat"},
        "it has no such option": {
            "decay-divided-by-loss-scale",
            "loss-scale-ignored",
            "loss-scale-twice",
            "centralization-ignored",
            "nesterov-ignored",
        },
    },
    "mindspore.LazyAdam": {
        "is what it does": {"duplicates-summed", "decay-per-occurrence", "counter-per-optimizer", "dense-as-lazy", "eps-beside-sqrt-v"},
        "it has no such option": {"amsgrad-ignored", "maximize-ignored"},
        "it refuses beta1 = 0": {"divides-by-beta1"},
        "its tables are float32": {"scalars-in-float32"},
        "a maximum of 0 and v is v": {"amsgrad-lost"},
    },
    "mindspore.LazyAdam.default-target": {
        "is what it does": {
            "duplicates-from-old-state",
            "decay-per-occurrence",
            "counter-per-optimizer",
            "dense-as-lazy",
            "eps-beside-sqrt-v",
        },
        "occurrences stay apart, so decay after merging is decay per occurrence": {"decay-after-merging"},
        "it has no such option": {"amsgrad-ignored", "maximize-ignored"},
        "it refuses beta1 = 0": {"divides-by-beta1"},
        "its tables are float32": {"scalars-in-float32"},
        "a maximum of 0 and v is v": {"amsgrad-lost"},
    },
    "mindspore.Adam": {
        "is what it does": {"duplicates-summed", "decay-per-occurrence", "counter-per-optimizer", "sparse-as-dense", "eps-beside-sqrt-v"},
        "it has no such option": {"maximize-ignored"},
        "it refuses beta1 = 0": {"divides-by-beta1"},
        "its tables are float32": {"scalars-in-float32"},
    },
}

PAIRS = [(name, id) for name in dialects() for id in deviations() if not any(id in idle for idle in IDLE.get(name, {}).values())]
ENOUGH = 3
"""How many of the cases that catch a deviation are run: the attribution has to do with these."""


@pytest.mark.parametrize(("name", "id"), PAIRS)
def test_a_backend_with_the_deviation_fails_and_is_told_its_name(name: str, id: str, core: dict[str, list[Golden]]) -> None:
    catching = [golden for golden in core[name] if id in golden.case.catches and len(golden.case.steps) < 100]
    assert catching, f"no case of {name} catches {id}"
    telling = sorted(catching, key=lambda golden: (len(golden.case.catches), golden.case.id))[:ENOUGH]
    passing = [golden for golden in core[name] if id not in golden.case.catches and len(golden.case.steps) < 100 and not golden.case.error]
    goldens = telling + passing[::15]
    backend = factory(deviations=id)
    outcomes = [execute(backend, golden) for golden in goldens]
    verdicts = [judge(golden, outcome, "tensor-faithful") for golden, outcome in zip(goldens, outcomes)]
    assert {verdict.status for verdict in verdicts[: len(telling)]} == {Status.FAILED}
    causes = diagnose(goldens, outcomes, verdicts)
    assert id in (*causes[0].deviations, *causes[0].also)


@pytest.mark.parametrize("name", list(dialects()))
def test_a_deviation_that_is_called_idle_is_caught_by_no_case(name: str, core: dict[str, list[Golden]]) -> None:
    idle = set().union(*IDLE[name].values())
    assert idle.isdisjoint({id for golden in core[name] for id in golden.case.catches})
    assert idle <= set(deviations())
