"""Cases of several ranks: their files, the mistakes that they catch, and that these are named."""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar

import numpy as np
import pytest
from judging_runs import causes, deviating

from refimpl.backends import Capabilities
from refimpl.backends._channel import CODEC
from refimpl.backends.execute import execute
from refimpl.backends.features import FEATURES, RANKS
from refimpl.backends.reference import factory as reference
from refimpl.case import Golden, Step
from refimpl.cases import drafts
from refimpl.dialects import deviations, dialect
from refimpl.errors import VectorError
from refimpl.gradients import RowGradient
from refimpl.judging.compare import judge
from refimpl.judging.verdict import Status
from refimpl.oracle import reduced
from refimpl.vectors import read_vectors, roundtrip
from refimpl.vectors._encode import encode, theme_text
from refimpl.vectors._read import decode_theme, parse_theme
from refimpl.vectors.places import here

NAMES = ("torch.SparseAdam", "torch.Adam", "torch.AdamW")
MISTAKES = [id for id, deviation in deviations().items() if "reduction" in deviation.picks]


@cache
def goldens(name: str) -> tuple[Golden, ...]:
    return tuple(read_vectors(here(), [name], ["*/ranks/*"]))


def golden_of(slug: str) -> Golden:
    (golden,) = [golden for golden in goldens("torch.SparseAdam") if golden.case.slug == slug]
    return golden


@pytest.mark.parametrize("name", NAMES)
def test_every_mistake_is_caught_in_each_dialect(name: str) -> None:
    assert set(MISTAKES) <= {id for golden in goldens(name) for id in golden.case.catches}


def test_no_case_without_ranks_claims_to_catch_a_wrong_reduction() -> None:
    for golden in read_vectors(here(), ["torch.SparseAdam"], ["*/basics/*", "*/duplicates/*", "*/events/*"]):
        assert not set(MISTAKES) & set(golden.case.catches)


@pytest.mark.parametrize("id", MISTAKES)
def test_a_mistake_fails_every_case_that_claims_to_catch_it(id: str) -> None:
    claiming = [golden for golden in goldens("torch.SparseAdam") if id in golden.case.catches]
    for golden, outcome in zip(claiming, deviating(id, claiming)):
        assert judge(golden, outcome, "tensor-faithful").status is Status.FAILED, golden.case.id


CAUGHT_IN = {
    "ranks-averaged": "summed",
    "ranks-averaged-by-holders": "duplicates",
    "ranks-last-wins": "duplicates",
    "ranks-world-of-first-step": "another-number",
    "ranks-averaged-in-first-parameter": "several",
}
"""The mistakes that the case `idle` does not show, or not apart from others."""


@pytest.mark.parametrize("id", MISTAKES)
def test_a_mistake_is_named_by_one_case(id: str) -> None:
    golden = golden_of(CAUGHT_IN.get(id, "idle"))
    (cause,) = causes([golden], deviating(id, [golden]))
    assert cause.deviations == (id,)


def test_the_moments_show_a_scale_that_the_parameter_hides() -> None:
    """With a tiny eps, twice the gradient moves the parameter as far: only the moments tell the sum from the mean."""
    golden = golden_of("two")
    hyper = {**golden.case.groups[0].hyper, "eps": 1e-30}
    case = replace(golden.case, groups=(replace(golden.case.groups[0], hyper=hyper),))
    right, wrong = (execute(reference(deviations=ids), replace(golden, case=case)).states["w"] for ids in ("", "ranks-summed"))
    assert np.allclose(right["param"], wrong["param"], rtol=1e-6, atol=0)
    assert np.allclose(2 * right["exp_avg"], wrong["exp_avg"], rtol=1e-6, atol=0)


AVERAGINGS = ("divided", "multiplied", "each_divided", "each_multiplied", "ranks_divided", "ranks_multiplied")


@pytest.mark.parametrize("name", NAMES)
def test_every_way_to_take_the_mean_conforms(name: str) -> None:
    for averaging in AVERAGINGS:
        for golden in goldens(name):
            outcome = execute(reference(averaging=averaging, reverse="yes"), golden)
            assert judge(golden, outcome, "exact-ieee").status is Status.PASSED, (averaging, golden.case.id)


@pytest.mark.parametrize("slug", [golden.case.slug for golden in drafts(dialect("torch.SparseAdam"), "ranks")])
def test_a_case_comes_back_from_its_file_and_from_the_channel(slug: str) -> None:
    golden = replace(golden_of(slug), expected={})
    stream = io.BytesIO()
    CODEC.send(stream, golden)
    stream.seek(0)
    for back in (roundtrip(golden), CODEC.receive(stream, 1 << 20)):
        assert back.case.reduction == golden.case.reduction
        for left, right in zip(back.case.steps, golden.case.steps):
            assert (len(left.ranks), left.reload) == (len(right.ranks), right.reload)
            for gradients, others in zip((left.gradients, *left.ranks), (right.gradients, *right.ranks)):
                assert gradients.keys() == others.keys()
                assert all(_same(gradients[key], others[key]) for key in gradients)


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, RowGradient):
        return np.array_equal(left.indices, right.indices) and np.array_equal(left.values, right.values)
    return left is right is None or np.array_equal(left, right)


def _refusal(change: Any) -> str:
    """What the reader says to the file of a case whose entry was changed."""
    entry, arrays = encode(replace(golden_of("two"), expected={}), "made")
    change(entry, arrays)
    text = theme_text("torch.SparseAdam", "ranks", "", [entry])
    with pytest.raises(VectorError) as raised:
        list(decode_theme(parse_theme(text, "torch.SparseAdam/ranks", "made"), arrays, "made", {entry["id"]}, expects=False))
    return str(raised.value)


def test_a_step_with_both_gradients_and_ranks_or_with_neither_is_refused() -> None:
    assert "has both gradients and ranks" in _refusal(lambda entry, arrays: entry["steps"][0].update(gradients={"w": "rows"}))
    assert "ranks: is missing" in _refusal(lambda entry, arrays: entry["steps"][0].pop("ranks"))


def test_ranks_whose_gradients_do_not_fit_together_are_refused() -> None:
    def dense(entry: Any, arrays: dict[str, Any]) -> None:
        entry["steps"] = [{"ranks": [{"w": "rows"}, {"w": "dense"}]}]
        entry["record"] = [1]
        arrays["two/rank.1.grad.1.w.dense"] = np.ones((5, 2), np.float32)

    assert "differ between ranks" in _refusal(dense)


def test_a_missing_array_an_unknown_parameter_and_an_unknown_reduction_are_refused() -> None:
    assert "two/rank.1.grad.1.w.values" in _refusal(lambda entry, arrays: arrays.pop("two/rank.1.grad.1.w.values"))
    assert "gradients of ['v']" in _refusal(lambda entry, arrays: entry["steps"][0].update(ranks=[{"v": "rows"}]))
    assert "'max' is none of sum, occurrences" in _refusal(lambda entry, arrays: entry.update(reduction="max"))
    assert "has fewer items than 1" in _refusal(lambda entry, arrays: entry["steps"][0].update(ranks=[]))


def test_a_gradient_of_no_parameter_on_one_rank_is_not_written() -> None:
    golden = golden_of("two")
    step = Step.of_ranks([{"w": None}, {"v": None}])
    with pytest.raises(VectorError, match="no parameter"):
        encode(replace(golden, expected={}, case=replace(golden.case, steps=(step,), record=(1,))), "made")


def test_the_published_schema_holds_the_theme() -> None:
    text = (here() / "torch.SparseAdam" / "ranks.yaml").read_text(encoding="utf-8")
    assert len(parse_theme(text, "torch.SparseAdam/ranks", "made")["cases"]) == len(goldens("torch.SparseAdam"))


def test_features_of_ranks_are_needed_where_there_are_ranks_alone() -> None:
    needs = {golden.case.slug: {name for name in RANKS if FEATURES[name](golden.case)} for golden in goldens("torch.SparseAdam")}
    assert needs["two"] == {"ranks"}
    assert needs["summed"] == {"ranks", "rank_sum"}
    assert needs["by-occurrences"] == {"ranks", "rank_occurrences"}
    (plain,) = read_vectors(here(), ["torch.SparseAdam"], ["*/basics/one-step"])
    assert not any(FEATURES[name](plain.case) for name in RANKS)


class _Changing:
    """A right backend that writes into the gradient of the last rank."""

    name, version = "changing", "1"
    dialects: ClassVar[dict[str, Capabilities]] = {"torch.SparseAdam": Capabilities()}

    def start(self, case: Any) -> Any:
        run = reference().start(case)

        class Run:
            state = staticmethod(run.state)

            def step(self, step: Step) -> None:
                run.step(step)
                step.ranks[-1]["w"].values[0] = 7.0  # type: ignore[union-attr]  # by rows

        return Run()


def test_a_gradient_of_a_rank_that_comes_back_changed_is_seen() -> None:
    outcome = execute(_Changing(), golden_of("two"))
    assert any("gradient of 'w' at step 1 of rank 1: values" in change for change in outcome.changed)


def test_a_large_case_with_ranks_is_not_reduced_to_classes_of_rows() -> None:
    zeros = np.zeros((400, 1), np.float32)
    golden = golden_of("two")
    gradients = [RowGradient(np.array([rank]), np.ones((1, 1), np.float32), zeros.shape) for rank in (0, 1)]
    steps = (Step.of_ranks([{"w": gradient} for gradient in gradients]),)
    case = replace(golden.case, params=(replace(golden.case.params[0], value=zeros),), steps=steps, record=(1,))
    assert reduced(case).whole
