"""Wide: double inside, the dtype between steps."""

import numpy as np

from refimpl.arithmetic.wide import Wide


def test_nothing_is_rounded_before_it_is_stored() -> None:
    a = Wide("float32")
    x = a.load(np.array([[1.0]])) + a.load(np.array([[2.0**-40]]))
    assert x[0, 0] == 1 + 2.0**-40
    assert a.store(x)[0, 0] == 1
    assert a.meet(a.scalar(0.999)) == 0.999


def test_only_what_is_stored_overflows() -> None:
    a = Wide("float16")
    x = a.load(np.array([[60000.0]]))
    with np.errstate(over="ignore"):
        assert a.store(x * x)[0, 0] == np.inf
    assert a.store(x * x / x)[0, 0] == np.float16(60000.0)


def test_what_is_stored_can_be_calculated_with_in_double() -> None:
    a = Wide("bfloat16")
    kept = a.store(a.load(np.array([[0.1]])))
    assert kept.dtype == np.float64
    assert kept[0, 0] == 0.10009765625
