"""Rules of other tools: each says what the tool itself says, and none finds a correct result farther than it says it may be."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from refimpl.case import ARRAYS, WIDEST_FIRST
from refimpl.errors import UsageError
from refimpl.gradients import Array
from refimpl.tolerances import Rule, elementwise, rule, rules
from refimpl.tolerances.rules import ANY, KINDS, norm

Twin = Callable[[Array, Array], bool]


def torch_says(x: Array, e: Array) -> bool:
    try:
        torch.testing.assert_close(torch.tensor(x, dtype=torch.float32), torch.tensor(e, dtype=torch.float32))
    except AssertionError:
        return False
    return True


def numpy_says(rtol: float, atol: float) -> Twin:
    def says(x: Array, e: Array) -> bool:
        try:
            np.testing.assert_allclose(x, e, rtol=rtol, atol=atol)
        except AssertionError:
            return False
        return True

    return says


def apex_says(x: Array, e: Array) -> bool:
    with np.errstate(all="ignore"):
        relative = np.abs((e - x) / e)
    return bool(np.abs(e - x).max() <= 1e-3 and (np.where(np.isnan(relative), 0, relative) <= 1).all())


def deepspeed_says(x: Array, e: Array) -> bool:
    return bool(abs(np.linalg.norm(x) - np.linalg.norm(e)) <= np.linalg.norm(e) * 1e-2)


def msprobe_says(x: Array, e: Array) -> bool:
    if len(e) == 1:
        return True
    small = [np.linalg.norm(values) <= np.finfo(float).eps for values in (x, e)]
    cosine = 1.0 if all(small) else np.nan if any(small) else x @ e / (np.linalg.norm(x) * np.linalg.norm(e))
    error = np.abs(x - e).max()
    return not ((cosine < 0.99 and error > 0.001) or cosine < 0.9 or error > 1)


def padiff_says(x: Array, e: Array) -> bool:
    return bool(abs(x.mean() - e.mean()) <= 1e-7 * abs(e.mean()))


def reprod_log_says(x: Array, e: Array) -> bool:
    return bool(np.abs(x - e).mean() <= 1e-6)


TWINS: dict[str, Twin] = {
    "torch": torch_says,
    "numpy": numpy_says(1e-7, 0),
    "chex": numpy_says(1e-6, 0),
    "keras": numpy_says(1e-6, 1e-6),
    "bitsandbytes": numpy_says(1e-5, 1e-6),
    "torchrec": numpy_says(1e-3, 1e-3),
    "apex": apex_says,
    "deepspeed": deepspeed_says,
    "msprobe": msprobe_says,
    "padiff": padiff_says,
    "reprod_log": reprod_log_says,
}

NUMBERS = st.floats(-10, 10).map(lambda x: float(np.float32(x)))
OFF = st.sampled_from([0.0, 1e-9, 3e-8, 3e-7, 9e-7, 1.2e-5, 1e-4, 2e-3, 0.02, 0.3, 2.5])


@st.composite
def results(draw: st.DrawFn) -> tuple[Array, Array]:
    """Expected numbers, and others that are off by shares of very different sizes."""
    n = draw(st.integers(1, 6))
    e = draw(arrays(np.float64, n, elements=NUMBERS))
    off = draw(arrays(np.float64, n, elements=OFF)) * draw(arrays(np.float64, n, elements=st.sampled_from([-1.0, 1.0])))
    x = e + off * draw(st.sampled_from([1.0, 1e-3])) + off * e
    return x.astype(np.float32).astype(np.float64), e


def is_close_call(own: Rule, x: Array, e: Array) -> bool:
    """Whether the two ways to round could decide."""
    return abs(own.excess(x, e, "float32") - 1) < 1e-6 or (own.kind == "means" and abs(e.mean()) < 1e-9)


@pytest.mark.parametrize("name", TWINS)
@settings(max_examples=20, deadline=None)
@given(pair=results())
def test_a_rule_says_what_its_tool_says(name: str, pair: tuple[Array, Array]) -> None:
    own = rules()[name]
    if not is_close_call(own, *pair):
        assert (own.excess(*pair, "float32") <= 1) == TWINS[name](*pair)


def test_every_rule_has_a_twin_a_source_and_a_kind() -> None:
    assert list(TWINS) == list(rules())
    for own in rules().values():
        assert own.source
        assert own.about
        assert own.kind in KINDS
        assert own.arrays
        assert set(own.arrays) <= set(ARRAYS)
        assert set(own.by_dtype) <= {ANY, *WIDEST_FIRST}
        assert all(len(limits) == len(KINDS[own.kind].limits) for limits in own.by_dtype.values())
        assert all(limit >= 0 for limits in own.by_dtype.values() for limit in limits)


def test_the_defaults_are_those_of_the_installed_torch_and_numpy() -> None:
    from torch.testing._comparison import _DTYPE_PRECISIONS

    assert rules()["torch"].by_dtype == {name: _DTYPE_PRECISIONS[getattr(torch, name)] for name in WIDEST_FIRST}
    defaults = inspect.signature(np.testing.assert_allclose).parameters
    assert rules()["numpy"].by_dtype == {ANY: (defaults["rtol"].default, defaults["atol"].default)}


@pytest.mark.parametrize("name", TWINS)
@settings(max_examples=12, deadline=None)
@given(
    e=arrays(np.float64, 5, elements=NUMBERS),
    bound=arrays(np.float64, 5, elements=st.sampled_from([0.0, 1e-20, 1e-7, 1e-4, 0.01, 1.0])),
    share=arrays(np.float64, 5, elements=st.floats(-1, 1)),
)
def test_no_result_within_its_bound_has_a_larger_excess_than_the_rule_says(name: str, e: Array, bound: Array, share: Array) -> None:
    own = rules()[name]
    x = e + share * bound
    within = np.abs(x - e) <= bound  # the sum is rounded
    x = np.where(within, x, e)
    assert own.excess(x, e, "float32") <= own.most(e, bound, "float32") * (1 + 1e-9) + 1e-12


@settings(max_examples=20, deadline=None)
@given(pair=results(), tolerance=st.tuples(st.floats(0, 1e-2), st.floats(0, 1e-2)), more=st.tuples(st.floats(0, 1e-2), st.floats(0, 1e-2)))
def test_a_wider_tolerance_never_refuses_what_a_narrower_one_accepts(
    pair: tuple[Array, Array], tolerance: tuple[float, float], more: tuple[float, float]
) -> None:
    narrow, wide = elementwise(*tolerance), elementwise(tolerance[0] + more[0], tolerance[1] + more[1])
    assert wide.excess(*pair, "float64") <= narrow.excess(*pair, "float64")


def test_no_tolerance_accepts_what_is_equal_and_nothing_else() -> None:
    e = np.array([0.0, 1.0])
    assert elementwise(0, 0).excess(e, e, "float32") == 0
    assert elementwise(0, 0).excess(np.nextafter(e, 2), e, "float32") == np.inf


def test_a_tool_without_limits_for_a_dtype_says_nothing() -> None:
    own = Rule("own", "", "elements", {"float16": (0.0, 0.0)})
    assert own.excess(np.ones(1), np.zeros(1), "float32") == 0
    assert own.words("float32") == "no rule"
    assert own.words("float16") == "|x - e| <= 0 + 0 |e|"


def test_a_norm_neither_overflows_nor_underflows() -> None:
    assert norm(np.array([3e200, 4e200])) == pytest.approx(5e200)
    assert norm(np.array([3e-200, 4e-200])) == pytest.approx(5e-200)
    assert norm(np.zeros(2)) == 0


def test_an_unknown_preset_is_refused_with_names_that_may_be_meant() -> None:
    with pytest.raises(UsageError, match="no preset 'torhc'") as failed:
        rule("torhc")
    assert "did you mean torch" in failed.value.hint
