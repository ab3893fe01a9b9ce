"""The probability that a sample misses a fault, against counting."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.watch._chance import missed, missed_always
from refimpl.watch._sampling import Sampler


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_missing_is_hypergeometric(population: int, drawn: int, faults: int) -> None:
    drawn, faults = min(drawn, population), min(faults, population)
    assert missed(population, drawn, faults) == pytest.approx(comb(population - faults, drawn) / comb(population, drawn), abs=1e-12)


def test_large_populations() -> None:
    assert missed(12_800_000, 4096, 1) == pytest.approx(1 - 4096 / 12_800_000)
    assert missed(12_800_000, 4096, 10_000) == pytest.approx((1 - 4096 / 12_800_000) ** 10_000, rel=2e-3)
    assert missed(10, 10, 1) == 0
    assert missed_always([(100, 10), (100, 50)], 1) == pytest.approx(0.45)
    assert missed_always([(100, 100)], 1) == 0


def test_every_number_is_drawn_as_often_and_none_twice() -> None:
    sampler, n, population, rounds = Sampler(None, 0), 4, 12, 6000
    drawn = np.array([sampler.choose(population, n) for _ in range(rounds)])
    assert (np.diff(drawn, axis=1) > 0).all()
    times = np.bincount(drawn.reshape(-1), minlength=population)
    share = n / population
    deviation = np.sqrt(rounds * share * (1 - share))
    assert (abs(times - rounds * share) < 5 * deviation).all()
    pairs = np.bincount(drawn[:, 0] * population + drawn[:, 1], minlength=population**2)
    first = rounds * comb(population - 2, n - 2) / comb(population, n)  # the smallest two are 0 and 1
    assert abs(pairs[1] - first) < 5 * np.sqrt(first)
