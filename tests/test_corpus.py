"""Implementations independent of the reference: right ones conform, wrong ones are refused, and named as their rows say or not at all.

`tools/try_corpus.py` runs all on all, and names every row. Here each row runs on the cases that matter to it and a few others, and a sample
of the rows is named as well.
"""

from __future__ import annotations

import pytest
from corpus import RIGHT, WRONG, Row
from corpus.choosing import cost, mattering, with_few_failing
from corpus.faults_2 import FAULTS_2, MISNAMED, PASSED
from corpus.running import Judged, naming, run

from refimpl.case import Golden
from refimpl.judging.verdict import Diagnosis, Status

Core = dict[str, list[Golden]]

ASKED, OTHERS = 24, 10
"""Cases of every theme in turn: so many of those that matter to a row, and of the others."""

DEAREST = 8_000
"""Elements times steps of a case that no row asks for."""

FAILING = 3
"""Failing cases from which the causes are named."""

LONG_TO_NAME = {
    "c1-for-both",
    "c1-off-after-10",
    "eps-after-1000",
    "no-eps-after-30",
    "offsets-in-20-bits",
    "reciprocal-root-in-float16",
    "tensors-to-16",
    "wide-rows-other-eps",
}
"""Rows whose diagnosis takes from 4 to 20 s: their cases are large or long."""

FIRST_OF_FAULTS = {ids[0] for table in (PASSED, MISNAMED) for ids in table.values()} - LONG_TO_NAME
NAMED = [*[row for row in WRONG if row.id in FIRST_OF_FAULTS][::3], *[row for row in WRONG if row.id not in FAULTS_2][::40]]


def dialect_of(row: Row) -> str:
    """One of the dialects of a row; the rows of a table are spread over all of them."""
    return row.dialects[sum(map(ord, row.id)) % len(row.dialects)]


def judged(row: Row, core: Core) -> Judged:
    return run(row, mattering(row, core[dialect_of(row)], ASKED, OTHERS, DEAREST))


def said_of(row: Row, cases: Judged) -> str:
    """The verdict's last line compared with the row's answer: the only use of the diagnosis in this file."""
    assert row.answer is not None
    named = naming(cases, row.answer, cases.diagnoses())
    return named.word if named.word in ("right", "placed") else f"{named.word}: {', '.join(named.causes)}"


def is_refused_by_its_numbers(row: Row, cases: Judged) -> bool:
    """By its own fault, not by an error that its author did not mean."""
    assert row.answer is not None
    return bool(cases.failing) and (bool(row.answer.reason) or all(verdict.status is Status.FAILED for verdict in cases.failing))


@pytest.mark.parametrize("row", NAMED, ids=lambda row: row.id)
@pytest.mark.sampled(6)
def test_a_wrong_implementation_is_named_as_its_row_says(row: Row, core: Core) -> None:
    assert said_of(row, with_few_failing(judged(row, core), FAILING, row)) in ("right", "placed")


@pytest.mark.parametrize("row", WRONG, ids=lambda row: row.id)
@pytest.mark.sampled(8)
def test_a_wrong_implementation_is_refused(row: Row, core: Core) -> None:
    assert is_refused_by_its_numbers(row, judged(row, core))


@pytest.mark.parametrize("row", RIGHT, ids=lambda row: row.id)
@pytest.mark.sampled(4)
def test_a_right_implementation_conforms(row: Row, core: Core) -> None:
    cases = judged(row, core)
    assert [verdict.case_id for verdict in (*cases.failing, *cases.unsupported)] == []


@pytest.mark.parametrize("row", NAMED[::4], ids=lambda row: row.id)
@pytest.mark.sampled(4)
def test_a_failing_case_has_the_same_causes_alone_and_among_all(row: Row, core: Core) -> None:
    """Its smallest case: a large one may take a minute, where every hypothesis has to be tried on it."""
    cases = with_few_failing(judged(row, core), FAILING, row)
    costs = {golden.case.id: cost(golden) for golden in cases.goldens}
    for cause in cases.diagnoses():
        alone = cases.only([min(cause.cases, key=costs.__getitem__)]).diagnoses()
        assert any(names(cause) & names(other) for other in alone)


def names(cause: Diagnosis) -> set[str]:
    """The name of a cause, and those of the others that give the same numbers."""
    return {cause.name, *cause.also}


def test_every_fault_of_the_evidence_is_a_row() -> None:
    assert {row.id for row in WRONG} >= FAULTS_2


def test_rows_have_names_of_their_own_and_there_are_as_many_as_promised() -> None:
    ids = [row.id for row in (*WRONG, *RIGHT)]
    assert len(ids) == len(set(ids))
    assert len(WRONG) >= 130
    assert len(RIGHT) >= 60


def test_scalars_in_float32_cost_the_exact_class(core: Core) -> None:
    (row,) = (row for row in RIGHT if row.id == "scalars-in-tensor")
    attained = {verdict.attained for verdict in run(row, core["torch.SparseAdam"]).verdicts}
    assert attained >= {"tensor-faithful", "exact-ieee"}
