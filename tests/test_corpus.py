"""Implementations that refimpl has never seen: right ones conform; wrong ones are refused, and named as their rows say or not at all."""

from __future__ import annotations

import pytest
from corpus import RIGHT, WRONG, Row
from corpus.choosing import mattering, with_few_failing
from corpus.running import Judged, naming, run

from refimpl.case import Golden

Core = dict[str, list[Golden]]

SAMPLE = 16
"""Cases of every theme in turn: so many of those that matter to a row, and of the others."""

DEAREST = 8_000
"""Elements times steps of a case that no row asks for."""

NAMED = 3
"""Failing cases from which the causes are named."""


def dialect_of(row: Row) -> str:
    """One of the dialects of a row; the rows of a table are spread over all of them."""
    return row.dialects[sum(map(ord, row.id)) % len(row.dialects)]


def judged(row: Row, core: Core) -> Judged:
    return run(row, mattering(row, core[dialect_of(row)], SAMPLE, DEAREST))


def said_of(row: Row, cases: Judged) -> str:
    """What the last line of the verdict comes to: the one place here that knows of the diagnosis."""
    assert row.answer is not None
    found = naming(cases, row.answer, cases.diagnoses())
    return found.word if found.word in ("right", "placed") else f"{found.word}: {', '.join(found.causes)}"


@pytest.mark.parametrize("row", WRONG, ids=lambda row: row.id)
def test_a_wrong_implementation_is_refused_and_named_as_its_row_says(row: Row, core: Core) -> None:
    cases = judged(row, core)
    assert cases.failing
    assert said_of(row, with_few_failing(cases, NAMED)) in ("right", "placed")


@pytest.mark.parametrize("row", RIGHT, ids=lambda row: row.id)
def test_a_right_implementation_conforms(row: Row, core: Core) -> None:
    cases = judged(row, core)
    assert [verdict.case_id for verdict in (*cases.failing, *cases.unsupported)] == []


def test_the_rows_have_names_of_their_own_and_are_as_many_as_promised() -> None:
    ids = [row.id for row in (*WRONG, *RIGHT)]
    assert len(ids) == len(set(ids))
    assert len(WRONG) >= 130
    assert len(RIGHT) >= 60


def test_scalars_in_float32_cost_the_exact_class(core: Core) -> None:
    (row,) = (row for row in RIGHT if row.id == "scalars-in-tensor")
    assert {verdict.attained for verdict in judged(row, core).verdicts} >= {"tensor-faithful", "exact-ieee"}


@pytest.mark.parametrize("row", WRONG[::12], ids=lambda row: row.id)
def test_a_failing_case_has_the_same_causes_alone_and_among_all(row: Row, core: Core) -> None:
    cases = with_few_failing(judged(row, core), NAMED)
    for cause in cases.diagnoses():
        alone = cases.only(cause.cases[:1]).diagnoses()
        assert any({cause.deviations, *cause.also} & {other.deviations, *other.also} for other in alone)
