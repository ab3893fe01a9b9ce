"""The vectors exercise what coverage.yaml asks of them, and every exemption in it is needed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import VECTORS

from refimpl.case import THEMES_FOR_FEW, Golden
from refimpl.cases import SUITES, coverage
from refimpl.cases._measures import MEASURES
from refimpl.cases.coverage import Coverage, Ladder, gaps, is_abridged, requirements
from refimpl.cases.features import features, rank_features
from refimpl.dialects import deviations, dialect, dialects
from refimpl.vectors import read_vectors


@pytest.fixture(scope="module", params=list(dialects()))
def vectors(request: pytest.FixtureRequest) -> tuple[str, tuple[Golden, ...]]:
    return request.param, read_vectors(VECTORS, [request.param]).goldens


@pytest.mark.sampled(3)
def test_every_pair_and_every_size_occurs_or_is_excused_and_no_excuse_is_superfluous(vectors: tuple[str, tuple[Golden, ...]]) -> None:
    name, goldens = vectors
    required = requirements(name)
    covered = coverage.coverage(goldens, required.proofs)
    assert gaps(required, covered) == []
    assert set(required.features) == covered.features.keys()


def test_eps_changes_a_result_in_every_theme_of_float32(vectors: tuple[str, tuple[Golden, ...]]) -> None:
    _, goldens = vectors
    themes = {golden.case.theme for golden in goldens if golden.case.error is None}
    shows = {
        golden.case.theme
        for golden in goldens
        if golden.case.dtype == "float32" and any("eps-visible" in own for own in features(golden).values())
    }
    assert themes - shows - set(THEMES_FOR_FEW) == set()
    assert themes <= set(SUITES["core"])


def test_eps_changes_a_result_in_the_last_of_many_tensors(vectors: tuple[str, tuple[Golden, ...]]) -> None:
    name, goldens = vectors
    if name == "torch.Adamax":
        pytest.skip("eps stands beside |g|, of which it is less than a hundredth there")
    number = 31 if is_abridged(name) else 130
    (golden,) = [golden for golden in goldens if golden.case.slug == f"tensors-{number}"]
    assert "eps-visible" in features(golden)[f"w{number - 1}"]


def test_the_cases_of_several_ranks_exercise_what_the_table_asks_of_them(vectors: tuple[str, tuple[Golden, ...]]) -> None:
    name, goldens = vectors
    of_ranks = [golden.case for golden in goldens if golden.case.theme == "ranks"]
    if not of_ranks:
        pytest.skip("its vectors have no theme of ranks")
    asked = coverage.table()["ranks"]
    by_rows = asked["by_rows"] if dialect(name).gradients[0] == "rows" else {}
    assert {feature for case in of_ranks for feature in rank_features(case)} == {*asked["every"], *by_rows}


def test_what_is_missing_is_named(vectors: tuple[str, tuple[Golden, ...]]) -> None:
    name, goldens = vectors
    if name != "torch.SparseAdam":
        pytest.skip("one dialect shows it")
    required = requirements(name)
    few = [golden for golden in goldens if golden.case.theme in ("basics", "sizes")]
    missing = gaps(required, coverage.coverage(few, required.proofs))
    assert "maximize and resume never meet" in missing
    assert "row number: no case of 131072" in missing
    assert any("rows that collide modulo 2^k" in line for line in missing)


def test_a_superfluous_excuse_is_named() -> None:
    required = replace(requirements("torch.SparseAdam"), lacks={"dense": "refused"}, excused={frozenset({"rows", "late"}): "never"})
    covered = Coverage({"dense": ("a/b/c",)}, {frozenset({"rows", "late"}): "a/b/d"}, {name: set() for name in MEASURES})
    lines = gaps(required, covered)
    assert "late and rows meet in a/b/d, and are excused" in lines
    assert "dense occurs in a/b/c, and stands under `lacks`" in lines


def test_a_feature_without_proof_does_not_count(vectors: tuple[str, tuple[Golden, ...]]) -> None:
    golden = next(golden for golden in vectors[1] if golden.case.slug.startswith("schedule-lr"))
    required = requirements(vectors[0])
    bare = replace(golden, case=replace(golden.case, catches=()))
    assert "schedule-lr" in coverage.coverage([golden], required.proofs).features
    assert "schedule-lr" not in coverage.coverage([bare], required.proofs).features


def test_the_table_names_features_and_measures_that_exist() -> None:
    text = coverage.table()
    known = {*text["features"], *text["sizes"]}
    assert set(text["sizes"]) == set(MEASURES)
    assert set(text["proofs"]) <= set(text["features"])
    assert {id for ids in text["proofs"].values() for id in ids} <= set(deviations())
    assert set(text["dialects"]) == set(dialects())
    for row in text["dialects"].values():
        assert set(row["lacks"]) <= known
        assert all(reason for reason in row["lacks"].values())
    for row in text["excused"]:
        assert {*row["these"], *row["those"]} <= set(text["features"])


def test_a_ladder_lists_the_sizes_that_it_lacks() -> None:
    ladder = Ladder((1, 2, 3), (100, 1000))
    assert ladder.missing({1, 3, 500}) == [2, 1000]
    assert ladder.missing(set(np.arange(1, 1001))) == []
