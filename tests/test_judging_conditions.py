"""Conditions: what failing cases have in common and passing ones lack, told with its alternatives."""

from __future__ import annotations

from collections.abc import Iterator

from judging_runs import Core, some

from refimpl.backends.execute import execute
from refimpl.backends.reference import factory
from refimpl.judging._conditions import condition_of, holding
from refimpl.judging._evidence import Judged


def judged(core: Core, *slugs: str) -> list[Judged]:
    return [Judged(golden, execute(factory(), golden), "tensor-faithful") for golden in some(core, *slugs)]


def test_what_holds_of_a_case_is_said_in_words(core: Core) -> None:
    (case,) = some(core, "layouts/fortran")
    assert {"gradients by rows", "arrays in Fortran order", "float32"} <= holding(case)


def test_one_condition_that_separates_the_cases_is_named(core: Core) -> None:
    inside = judged(core, "elements/matrix", "elements/gaps")
    assert condition_of(inside, judged(core, "basics/five-steps", "layouts/fortran")) == "gradients by element"


def test_alternatives_are_named_where_the_cases_do_not_decide(core: Core) -> None:
    told = condition_of(judged(core, "options/maximize"), judged(core, "resumed/after-9", "schedules/lr"))
    assert told == "maximize"
    told = condition_of(judged(core, "schedules/maximize"), judged(core, "basics/five-steps"))
    assert told == "a schedule, or maximize (the cases do not tell which)"


def test_there_is_no_condition_where_the_cases_are_alike(core: Core) -> None:
    assert condition_of(judged(core, "basics/five-steps"), judged(core, "basics/from-zero")) is None


def test_no_condition_is_needed_where_nothing_is_outside(core: Core) -> None:
    assert condition_of(judged(core, "basics/five-steps"), []) == ""


def test_passing_cases_are_read_no_further_than_needed(core: Core) -> None:
    read = []

    def outside() -> Iterator[Judged]:
        for case in judged(core, "basics/from-zero", "basics/growing"):
            read.append(case)
            yield case

    assert condition_of(judged(core, "basics/five-steps"), outside()) is None
    assert len(read) == 1
