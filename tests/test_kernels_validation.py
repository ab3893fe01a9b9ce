from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from backend_cases import elements

from refimpl import kernels
from refimpl.dialects import dialect
from refimpl.errors import InvalidGradient, RefimplError, UsageError
from refimpl.gradients import RowGradient


def table(**changes: Any) -> dict[str, Any]:
    return {**{name: np.ones((4, 3), np.float32) for name in ("param", "exp_avg", "exp_avg_sq")}, **changes}


def rows(indices: Any = (0, 2), values: Any = None, shape: tuple[int, ...] = (4, 3)) -> RowGradient:
    return RowGradient(
        np.array(indices, None if len(indices) else np.int64), np.ones((len(indices), 3), np.float32) if values is None else values, shape
    )


def frozen() -> np.ndarray:
    array = np.ones((4, 3), np.float32)
    array.setflags(write=False)
    return array


SHARED = np.ones((4, 3), np.float32)
STATES = {
    "list": (table(param=[[1.0]]), "param of 'w' is a list"),
    "quarter": (table(param=np.ones((4, 3), ml_dtypes.float8_e5m2)), "param of 'w' has dtype float8_e5m2"),
    "half-byte-order": (table(param=np.ones((4, 3), ">f2")), "has dtype >f2"),
    "half-beside-double": (table(exp_avg=np.ones((4, 3), np.float16), param=np.ones((4, 3))), "exp_avg of 'w' is float16 of shape"),
    "maximum-beside-v": (table(max_exp_avg_sq=np.ones((4, 3), np.float16)), "max_exp_avg_sq of 'w' is float16\n.*same dtype"),
    "double-beside-half": (table(exp_avg=np.ones((4, 3)), param=np.ones((4, 3), np.float16)), "both any of float32, float16 and bfloat16"),
    "integers": (table(param=np.ones((4, 3), np.int64)), "has dtype int64"),
    "byte-order": (table(param=np.ones((4, 3), ">f4")), "has dtype >f4"),
    "mixed": (table(exp_avg=np.ones((4, 3))), "exp_avg of 'w' is float64 of shape"),
    "moment-shape": (table(exp_avg_sq=np.ones((4, 2), np.float32)), "exp_avg_sq of 'w' is float32 of shape \\(4, 2\\)"),
    "read-only": (table(exp_avg=frozen()), "exp_avg of 'w' is read-only"),
    "strided": (table(param=np.ones((4, 6), np.float32)[:, ::2]), "param of 'w' is strided.*\n.*ascontiguousarray"),
    "fortran": (table(param=np.ones((4, 3), np.float32, order="F")), "Fortran order"),
    "unaligned": (table(param=np.zeros(49, np.uint8)[1:].view(np.float32).reshape(4, 3)), "not aligned"),
    "shared": (table(param=SHARED, exp_avg=SHARED), "param and exp_avg of 'w' share memory"),
}
GRADIENTS = {
    "rows-shape": (rows(shape=(5, 3)), "gradient-shape"),
    "rows-width": (rows(values=np.ones((2, 2), np.float32)), "gradient-shape"),
    "rows-range": (rows([0, 4]), "index-out-of-range"),
    "rows-negative": (rows([-1, 0]), "index-out-of-range"),
    "rows-index-dtype": (RowGradient(np.array([0.0]), np.ones((1, 3), np.float32), (4, 3)), "gradient-dtype"),
    "rows-index-axes": (RowGradient(np.array([[0]]), np.ones((1, 3), np.float32), (4, 3)), "gradient-dtype"),
    "rows-integers": (rows(values=np.ones((2, 3), np.int64)), "gradient-dtype"),
    "rows-complex": (rows(values=np.ones((2, 3), np.complex64)), "gradient-dtype"),
    "dense-shape": (np.ones((3, 4), np.float32), "gradient-shape"),
    "dense-objects": (np.full((4, 3), None), "gradient-dtype"),
    "elements-shape": (elements(([0], [0]), [1.0], shape=(4, 4)), "gradient-shape"),
}


@pytest.mark.parametrize("name", STATES)
def test_arrays_that_cannot_be_updated_in_place_are_refused_with_what_to_do(name: str) -> None:
    state, message = STATES[name]
    with pytest.raises(UsageError, match=message) as raised:
        kernels.check(**state, gradient=rows())
    assert raised.value.hint


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_that_do_not_fit_are_refused_by_check_and_by_step_with_nothing_written(name: str) -> None:
    gradient, kind = GRADIENTS[name]
    with pytest.raises(InvalidGradient, match="gradient of 'w'") as raised:
        kernels.check(**table(), gradient=gradient)
    assert raised.value.kind == kind
    state = table()
    hyper, picks = dialect("mindspore.Adam").resolve({})
    with pytest.raises(RefimplError):
        kernels.step(state["param"], state["exp_avg"], state["exp_avg_sq"], None, gradient, hyper, picks, 1)
    assert all((array == 1).all() for array in state.values())


def test_a_memory_mapped_table_that_was_opened_to_be_read_is_refused(tmp_path: Path) -> None:
    np.ones((4, 3), np.float32).tofile(tmp_path / "p")
    mapped = np.memmap(tmp_path / "p", np.float32, "r", shape=(4, 3))
    with pytest.raises(UsageError, match=r"param of 'w' is read-only.*\n.*mode='r\+'"):
        kernels.check(**table(param=mapped), gradient=rows())


@pytest.mark.parametrize("gradient", [rows(), rows([]), np.ones((4, 3)), elements(([3], [2]), [1.0])])
@pytest.mark.parametrize("dtype", ["float32", "float16", ml_dtypes.bfloat16])
def test_arguments_that_fit_are_accepted(gradient: Any, dtype: Any) -> None:
    state = table(exp_avg=np.ones((4, 3), dtype))
    kernels.check(**state, gradient=gradient)
    assert all((array == 1).all() for array in state.values())
