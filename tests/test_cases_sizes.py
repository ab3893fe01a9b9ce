"""The themes `sizes` and `large`: what each case claims to be large is."""

from __future__ import annotations

import numpy as np
import pytest

from refimpl.case import Case
from refimpl.cases import drafts
from refimpl.cases._measures import MEASURES
from refimpl.dialects import dialect


def case(name: str, slug: str) -> Case:
    (case,) = [golden.case for theme in ("sizes", "large") for golden in drafts(dialect(name), theme) if golden.case.slug == slug]
    return case


@pytest.mark.parametrize(
    ("slug", "measure", "sizes"),
    [
        ("rows-around-256", "distinct rows in one gradient", {255, 256, 257}),
        ("elements-1-to-9", "distinct elements in one gradient", {1, 2, 3, 4, 5, 7, 8, 9}),
        ("rows-66529", "distinct rows in one gradient", {66529}),
        ("tensors-130", "tensors", {130}),
        ("occurrences-2000", "occurrences in one gradient", {2000}),
        ("multiplicities-1-to-70", "multiplicity of a row", set(range(1, 71))),
        ("far-apart", "distance between occurrences of a row", {1, 31, 32, 33, 1000}),
        ("colliding-rows", "rows that collide modulo 2^k", set(range(5, 17))),
        ("beyond-131072", "row number", {2**17 + 4}),
    ],
)
def test_a_case_is_as_large_as_its_name_says(slug: str, measure: str, sizes: set[int]) -> None:
    assert MEASURES[measure](case("torch.SparseAdam", slug)) == sizes


def test_an_offset_that_is_cut_to_20_bits_is_that_of_another_row() -> None:
    large = case("mindspore.LazyAdam", "offsets-beyond-2-to-20")
    gradient = large.steps[0].gradients["w"]
    rows, width = large.params[0].value.shape
    cut = gradient.indices * width % 2**20
    assert rows * width > 2**20
    assert (cut[:1] // width != gradient.indices[:1]).all()
    assert np.isin(gradient.indices * width, cut).any()


def test_elements_behind_the_last_whole_block_are_judged_for_every_block_size() -> None:
    """A count that no block size divides, for each of them; and one more than a whole number of blocks, for the usual ones."""
    counts = {
        n
        for slug in ("rows-around-256", "rows-around-1024", "rows-66529")
        for n in MEASURES["distinct rows in one gradient"](case("torch.SparseAdam", slug))
    }
    for block in range(2, 1025):
        assert any(n % block for n in counts if n > block), block
    usual = {2**k for k in range(1, 11)} | {3 * 2**k for k in range(9)} | {32 * k for k in (3, 7, 9, 11)}
    dense = {69_121}
    for block in usual:
        assert any(n % block == 1 for n in counts | dense), block
