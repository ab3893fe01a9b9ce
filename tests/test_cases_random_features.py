"""Random cases with what few implementations have: they are valid, come back from their file, and the reference passes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refimpl.arithmetic import CPU_CLASS
from refimpl.backends.execute import execute
from refimpl.backends.features import needed_features
from refimpl.backends.reference import factory as reference
from refimpl.case import Golden
from refimpl.cases.random_features import featured, with_parts
from refimpl.cases.random_sizes import sized_case
from refimpl.dialects import dialect
from refimpl.fuzz._judging import judged
from refimpl.fuzz._reductions import kept_along, simpler
from refimpl.gradients import RowGradient
from refimpl.judging.verdict import Status
from refimpl.vectors import roundtrip

FEATURES = ("mixed", "master", "grad_scale", "found_inf", "reload", "ranks", "rank_sum", "micro_batches", "micro_batch_mean")
NAMES = ("torch.SparseAdam", "torch.AdamW")
SMALL = 400


def drawn(number: int, features: tuple[str, ...] = FEATURES) -> Golden:
    name = NAMES[number % len(NAMES)]
    return sized_case(np.random.default_rng((7, number)), name, f"case-{number}", dialect(name).dtypes, features)


@pytest.fixture(scope="module")
def goldens() -> list[Golden]:
    return [drawn(number) for number in range(200)]


def test_every_feature_that_is_asked_for_is_drawn_and_most_cases_stay_plain(goldens: list[Golden]) -> None:
    needs = [set(needed_features(golden.case)) & set(FEATURES) for golden in goldens]
    assert set().union(*needs) == set(FEATURES)
    assert sum(not need for need in needs) > len(needs) / 4


def test_without_a_claim_none_is_drawn_and_no_number_either() -> None:
    for number in range(20):
        plain = drawn(number, ())
        assert not set(needed_features(plain.case)) & set(FEATURES)
        rng = np.random.default_rng(number)
        assert featured(rng, plain.case, (), ("float32",)) is plain.case
        assert rng.random() == np.random.default_rng(number).random()


def test_the_reference_passes_those_that_have_any(goldens: list[Golden]) -> None:
    def work(golden: Golden) -> int:
        return len(golden.case.steps) * sum(param.value.size for param in golden.case.params)

    having = [golden for golden in goldens if set(needed_features(golden.case)) & set(FEATURES) and work(golden) <= SMALL]
    assert len(having) > 10
    for golden in having:
        assert judged(golden, execute(reference(), golden), CPU_CLASS).status is Status.PASSED
        assert needed_features(roundtrip(golden).case) == needed_features(golden.case)


def test_rows_that_are_left_out_are_left_out_of_every_part(goldens: list[Golden]) -> None:
    for golden in (golden for golden in goldens if golden.case.has_ranks or golden.case.has_batches):
        param = golden.case.params[0]
        if param.value.ndim and len(param.value):
            few = kept_along(golden.case, param.name, 0, np.array([0]))
            for step in few.steps:
                for part in (step.gradients, *step.parts):
                    gradient: Any = part[param.name]
                    assert gradient is None or gradient.shape[0] == 1
            return
    raise AssertionError("no case has parts")


def test_shrinking_may_put_one_gradient_in_the_place_of_all_parts(goldens: list[Golden]) -> None:
    golden = next(golden for golden in goldens if golden.case.has_ranks or golden.case.has_batches)
    assert any(not (made.case.has_ranks or made.case.has_batches) for made in (change(golden) for change in simpler(golden)))


def test_parts_bring_together_all_occurrences() -> None:
    parts = tuple({"w": RowGradient(np.array([row]), np.full((1, 1), value), (2, 1))} for row, value in ((0, 1.0), (1, 2.0)))
    golden = drawn(0, ())
    step = with_parts(golden.case.steps[0], "batches", parts)
    gradient: Any = step.gradients["w"]
    assert gradient.indices.tolist() == [0, 1]
    assert len(step.batches) == 2
    assert not step.ranks
