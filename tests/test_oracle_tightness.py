"""Computations that round in one direction stay inside the stored bounds and use most of them."""

import numpy as np
import pytest

from refimpl.arithmetic import CLASSES
from refimpl.case import ARRAYS
from refimpl.cases import drafts
from refimpl.cases.random_cases import Size, random_case
from refimpl.dialects import dialect
from refimpl.oracle import expectations
from refimpl.oracle.tightness import usage


@pytest.mark.parametrize("numerics_class", CLASSES)
def test_the_adversary_uses_a_large_part_of_the_bound_of_an_ordinary_case_and_stays_inside(numerics_class: str) -> None:
    case = next(draft.case for draft in drafts(dialect("torch.SparseAdam"), "basics"))
    used = usage(case, expectations(case), numerics_class, np.random.default_rng(0))
    assert set(used) == set(ARRAYS[:3])
    assert all(0.4 < ratio <= 1 for ratio in used.values()), used


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.sampled(3)
def test_the_adversary_stays_inside_the_bounds_of_random_cases(seed: int) -> None:
    rng = np.random.default_rng([31, seed])
    case = random_case(rng, ["torch.SparseAdam", "torch.Adam", "mindspore.LazyAdam"][seed % 3], Size(3, 16, 2))
    expected = expectations(case)
    for numerics_class in CLASSES:
        with np.errstate(all="ignore"):
            assert all(ratio <= 1 for ratio in usage(case, expected, numerics_class, rng).values())
