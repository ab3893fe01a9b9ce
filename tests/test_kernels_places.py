import gc
import warnings
from typing import Any
from weakref import ref

import ml_dtypes
import numpy as np
import pytest

from refimpl.errors import UsageError
from refimpl.kernels import places
from refimpl.kernels.places import address, placed


def arrays(shape: Any = (4, 3), dtype: Any = np.float32, amsgrad: bool = False) -> Any:
    made = [np.ones(shape, dtype) for _ in range(3 + amsgrad)]
    return (*made, None) if not amsgrad else tuple(made)


def test_the_same_arrays_are_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    state = arrays()
    place = placed(state)
    monkeypatch.setattr(places, "check_state", lambda *_: pytest.fail("checked again"))
    assert placed(state) is place


@pytest.mark.parametrize("amsgrad", [False, True])
def test_a_place_says_where_each_array_lies(amsgrad: bool) -> None:
    state = arrays(amsgrad=amsgrad)
    place = placed(state)
    assert place.addresses == tuple(0 if array is None else array.ctypes.data for array in state)
    assert place.formats == ("f", "f", "f", "f" if amsgrad else "")
    assert (place.size, place.layout) == (12, (4, 3))


def test_an_array_that_has_become_read_only_is_refused() -> None:
    state = arrays()
    placed(state)
    state[1].setflags(write=False)
    with pytest.raises(UsageError, match="exp_avg of 'w' is read-only"):
        placed(state)


def test_an_array_of_another_shape_than_before_is_checked_again() -> None:
    state = arrays()
    placed(state)
    state[0].shape = (3, 4)
    with pytest.raises(UsageError, match="must have the same shape"):
        placed(state)


def test_an_array_whose_dtype_has_become_another_one_in_place_is_refused() -> None:
    state = arrays()
    placed(state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # later versions of NumPy may not allow it
        state[1].dtype = np.int32
    with pytest.raises(UsageError, match="exp_avg of 'w' has dtype int32"):
        placed(state)


def test_an_array_whose_strides_have_become_others_in_place_is_refused() -> None:
    state = arrays((4, 4))
    placed(state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        state[0].strides = state[0].strides[::-1]
    with pytest.raises(UsageError, match="is strided"):
        placed(state)


def test_a_place_keeps_no_array_alive_and_no_array_can_be_resized() -> None:
    state = arrays()
    placed(state)
    with pytest.raises(ValueError, match="resize"):
        state[0].resize((8, 3), refcheck=False)
    watched = ref(state[0])
    del state
    gc.collect()
    assert watched() is None


def test_an_array_at_the_identity_of_a_dead_one_is_checked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    state, other = arrays(), arrays((2, 2))
    place = placed(state)
    monkeypatch.setitem(places._PLACES, tuple(map(id, other)), place)
    assert placed(other).addresses[0] == other[0].ctypes.data


def test_the_places_that_are_remembered_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "MOST", 3)
    kept = [arrays() for _ in range(9)]
    for state in kept:
        placed(state)
    assert len(places._PLACES) <= 3


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3)])
def test_an_address_is_that_of_the_first_element(dtype: Any, shape: Any) -> None:
    array = np.zeros(shape, dtype)
    assert address(array) == array.ctypes.data
    assert placed(arrays((2, 3), dtype)).formats[0] in {"f", "d", "h", "H"}
