from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from refimpl.arithmetic import Float
from refimpl.arithmetic.balls import Ball, midpoint
from refimpl.arithmetic.traced import Lockstep

NUMBERS = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=4)


def lockstep() -> Lockstep:
    return Lockstep(Float("float64"), Ball())


def column(numbers: Sequence[float]) -> np.ndarray:
    return np.reshape(numbers, (-1, 1))


@given(NUMBERS)
def test_every_system_computes_what_it_would_compute_alone(numbers: list[float]) -> None:
    a = lockstep()
    x = a.load(column(numbers))
    traced = (x * a.meet(a.scalar(0.9)) + a.sqrt(x * x)) / a.meet(a.power(a.scalar(2.0), 3)) - -x
    for system, values in zip(a.systems, traced.values):
        y = system.load(column(numbers))
        alone = (y * system.meet(system.scalar(0.9)) + system.sqrt(y * y)) / system.meet(system.power(system.scalar(2.0), 3)) - -y
        got, expected = (result if system is a.systems[0] else midpoint(result) for result in (values, alone))
        assert np.array_equal(got, expected)


def test_a_term_keeps_its_operation_and_its_operands() -> None:
    a = lockstep()
    x, y = a.load(column([1.0, 2.0])), a.load(column([3.0, 4.0]))
    term = (x * y + x).term
    assert term.operation == "+"
    assert [part.operation for part in term.parts] == ["*", "load"]
    assert term.parts[1] is x.term


def test_rows_that_are_written_change_the_number_and_no_term_that_was_made_before() -> None:
    a = lockstep()
    x = a.load(column([1.0, 2.0]))
    before = x[np.array([1])].term
    x[np.array([1])] = a.load(column([5.0]))
    assert x.values[0].tolist() == [[1.0], [5.0]]
    assert before.values[0].tolist() == [[2.0]]
    assert x.term.operation == "write"


def test_of_alternatives_the_first_is_written_down_and_the_others_are_joined() -> None:
    a = lockstep()
    x, y = a.load(column([1.0])), a.load(column([1.0]))
    joined = a.join([x + y, x * a.scalar(2.0), y * a.scalar(2.0)])
    assert joined.term.operation == "+"
    assert [float(joined.values[0][0, 0]), float(midpoint(joined.values[1])[0, 0])] == [2.0, 2.0]


def test_sums_means_and_maxima_are_those_of_the_systems() -> None:
    a = lockstep()
    x = a.load(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert a.sum_rows(x, np.array([0, 1, 0]), 2).values[0].tolist() == [[6.0, 8.0], [3.0, 4.0]]
    assert a.row_mean(x).values[0].tolist() == [[1.5], [3.5], [5.5]]
    assert a.maximum(x, a.load(np.full((3, 2), 3.5))).values[0].tolist() == [[3.5, 3.5], [3.5, 4.0], [5.0, 6.0]]
    assert a.lerp(x, a.load(np.zeros((3, 2))), a.scalar(0.5)).values[0][2].tolist() == [2.5, 3.0]
