"""refimpl.vectors._encode and decode: a case comes back as it was, and nothing that does not fit together is taken."""

import builtins
import contextlib
import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_golden import HYPER, golden, refused, rows
from scipy.sparse import coo_array

from refimpl.arithmetic import CLASSES, numpy_dtype
from refimpl.case import ARRAYS, LAYOUTS, Expected, Golden, Group, Param, Step
from refimpl.errors import Unsupported, VectorError
from refimpl.gradients import RowGradient, is_element_gradient
from refimpl.vectors import _schema as schema
from refimpl.vectors import roundtrip
from refimpl.vectors._decode import decode
from refimpl.vectors._encode import encode, theme_text
from refimpl.vectors._members import Members, same_bits
from refimpl.vectors.text import load


def document(original: Golden) -> tuple[Any, dict[str, np.ndarray]]:
    """The entry of a case as a reader gets it, and its members."""
    entry, arrays = encode(original, "x")
    return load(theme_text("torch.SparseAdam", "basics", "", [entry]), "x")["cases"][0], arrays


def coded(original: Golden) -> Golden:
    entry, arrays = document(original)
    members = Members("x", arrays)
    decoded = decode(entry, members, "x")
    members.refuse_untaken()
    return decoded


def with_gradient(gradient: Any, **changes: Any) -> Golden:
    """One parameter of shape (4, 3), one step."""
    plain = golden()
    table = replace(plain.case.params[0], exp_avg=None, exp_avg_sq=None, step=0)
    case = replace(
        plain.case, params=(table,), groups=plain.case.groups[:1], steps=(Step({"table": gradient}, ({},)),), record=(1,), error="x"
    )
    return Golden(replace(case, **changes), {}, "step")


def assert_same_inputs(first: Golden, second: Golden) -> None:
    assert (first.kind, first.layout) == (second.kind, second.layout)
    a, b = first.case, second.case
    for field in ("id", "about", "dialect", "record", "catches", "error", "dtype"):
        assert getattr(a, field) == getattr(b, field)
    assert [group.hyper for group in a.groups] == [group.hyper for group in b.groups]
    assert [step.hyper for step in a.steps] == [step.hyper for step in b.steps]
    for p, q in zip(a.params, b.params, strict=True):
        assert (p.name, p.group, p.step, p.dtypes) == (q.name, q.group, q.step, q.dtypes)
        for array in ("value", *ARRAYS[1:]):
            one_array, other_array = getattr(p, array), getattr(q, array)
            assert one_array is other_array is None or same_bits(one_array, other_array)
    for s, t in zip(a.steps, b.steps, strict=True):
        assert s.gradients.keys() == t.gradients.keys()
        for name, gradient in s.gradients.items():
            assert_same_gradient(gradient, t.gradients[name])


def assert_same_gradient(first: Any, second: Any) -> None:
    assert type(first) is type(second)
    if isinstance(first, RowGradient):
        assert first.shape == second.shape
        assert same_bits(first.indices, second.indices)
        assert same_bits(first.values, second.values)
    elif isinstance(first, np.ndarray):
        assert same_bits(first, second)
    elif is_element_gradient(first):
        assert first.shape == second.shape
        assert same_bits(first.data, second.data)
        assert all(map(np.array_equal, first.coords, second.coords))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_case_comes_back_as_it_was(dtype: str, layout: str) -> None:
    original = golden(dtype=dtype, layout=layout)
    got = coded(original)
    assert_same_inputs(original, got)
    assert_same_expectations(original, got)


def assert_same_expectations(first: Golden, second: Golden) -> None:
    assert first.expected.keys() == second.expected.keys()
    for name, arrays in first.expected.items():
        assert list(arrays) == list(second.expected[name])
        for array, expected in arrays.items():
            got = second.expected[name][array]
            assert same_bits(expected.value, got.value)
            assert list(expected.bound) == list(got.bound) == list(CLASSES)
            assert all(same_bits(expected.bound[key], got.bound[key]) for key in CLASSES)
            assert got.allowed is expected.allowed is None or same_bits(got.allowed, expected.allowed)


dtypes = st.sampled_from(["float16", "bfloat16", "float32", "float64"])


@st.composite
def parameters(draw: st.DrawFn, name: str) -> Param:
    """A parameter with any part of a state to start from, each array in a dtype of its own."""
    shape = tuple(draw(st.lists(st.integers(0, 3), max_size=3)))
    kind = draw(dtypes)
    odd = draw(st.dictionaries(st.sampled_from(ARRAYS[1:]), dtypes.filter(lambda dtype: dtype != kind)))
    announced = draw(st.integers(0, 2))  # nothing, the moments, the moments and the maximum
    numbers = st.integers(-9, 9)

    def filled(array: str) -> np.ndarray:
        return np.full(shape, draw(numbers), numpy_dtype(odd.get(array, kind)))

    state = {array: filled(array) for array in ARRAYS[1 : (1, 3, 4)[announced]]}
    return Param(name, filled("param"), draw(st.integers(0, 1)), step=draw(st.integers(0, 2**40)), dtypes=odd, **state)


@st.composite
def expectations(draw: st.DrawFn, params: tuple[Param, ...], records: int) -> dict[str, dict[str, Expected]]:
    """Expectations of every array, with or without a maximum, bounds that differ from class to class, and kinds that are allowed."""
    expected: dict[str, dict[str, Expected]] = {}
    for param in params:
        shape = (records, *param.value.shape)
        for array in ARRAYS if draw(st.booleans()) else ARRAYS[:3]:
            steps = np.cumsum(draw(st.lists(st.floats(0, 2.0**99, width=32), min_size=4, max_size=4)), dtype=np.float32)
            bound = {name: np.full(shape, step) for name, step in zip(CLASSES, steps)}
            kinds = draw(st.none() | st.integers(1, 15))
            allowed = None if kinds is None else np.full(shape, kinds, np.uint8)
            expected.setdefault(param.name, {})[array] = Expected(np.full(shape, draw(st.floats(-1e300, 1e300))), bound, allowed)
    return expected


@given(st.data(), st.sampled_from(LAYOUTS), dtypes)
def test_any_state_and_any_expectation_come_back(data: st.DataObject, layout: str, dtype: str) -> None:
    params = (data.draw(parameters("first")), data.draw(parameters("second.w")))
    gradients = {param.name: np.ones(param.value.shape, numpy_dtype(dtype)) for param in params}
    steps = (Step(gradients, ({}, {})), Step(dict.fromkeys(gradients), ({}, {"lr": 0.5})))
    case = replace(golden().case, params=params, steps=steps, record=(1, 2))
    original = Golden(case, data.draw(expectations(params, 2)), "trajectory", layout)
    got = coded(original)
    assert_same_inputs(original, got)
    assert_same_expectations(original, got)


def test_the_bounds_of_a_read_case_are_views_of_one_array() -> None:
    expected = coded(golden()).expected["table"]["exp_avg"]
    (base,) = {id(bound.base) for bound in expected.bound.values()}
    assert base == id(expected.bound[CLASSES[0]].base)
    assert expected.bound[CLASSES[0]].base.shape[:2] == (4, 2)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_arrays_of_a_case_lie_in_memory_as_its_layout_says(layout: str) -> None:
    got = coded(golden(layout=layout)).case
    table, gradient = got.params[0], got.steps[0].gradients["table"]
    for array in (table.value, table.exp_avg, table.exp_avg_sq, gradient.values):
        assert array.flags.c_contiguous is (layout in ("contiguous", "read-only"))
        assert array.flags.f_contiguous is (layout == "fortran")
        assert array.flags.writeable is (layout != "read-only")
    assert gradient.indices.flags.c_contiguous is (layout != "strided")


GRADIENTS = {
    "dense": np.linspace(0, 1, 12, dtype=np.float32).reshape(4, 3),
    "of int32 rows": RowGradient(np.array([3, 0], np.int32), np.ones((2, 3), np.float32), (4, 3)),
    "elements": coo_array((np.array([1.0, 0.0, 2.0], np.float32), (np.array([3, 0, 3]), np.array([1, 0, 1]))), shape=(4, 3)),
    "no elements": coo_array((4, 3), dtype=np.float32),
    "of another shape": rows([1], 2, (9, 2)),
    "with values of another shape": RowGradient(np.array([1, 2]), np.ones((5, 2), np.float32), (4, 3)),
    "dense of another shape": np.ones((4,), np.float32),
    "of another dtype": rows([1], 3, (4, 3), "float64"),
    "of a row outside": rows([4, -1], 3, (4, 3)),
    "missing": None,
}


@pytest.mark.parametrize("gradient", GRADIENTS.values(), ids=GRADIENTS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_gradient_comes_back_even_if_it_does_not_fit(gradient: Any, layout: str) -> None:
    original = replace(with_gradient(gradient), layout=layout)
    assert_same_inputs(original, coded(original))


def test_element_gradients_of_any_rank_come_back() -> None:
    for shape, coords in (((5,), [[4, 0]]), ((2, 3, 4), [[1, 0], [2, 0], [3, 1]])):
        gradient = coo_array((np.ones(2, np.float32), tuple(np.array(coords))), shape=shape)
        original = with_gradient(gradient, params=(Param("table", np.ones(shape, np.float32)),))
        assert_same_inputs(original, coded(original))


def test_a_numpy_scalar_comes_back_as_an_array_without_dimensions() -> None:
    got = coded(with_gradient(np.float32(2), params=(Param("table", np.ones((), np.float32)),))).case.steps[0].gradients["table"]
    assert (type(got), got.shape, got.dtype, float(got)) == (np.ndarray, (), np.float32, 2.0)


def test_scalars_empty_tables_and_no_parameters_come_back() -> None:
    empty = with_gradient(np.full((), 2, np.float32), params=(Param("table", np.ones((), np.float32)),))
    assert_same_inputs(empty, coded(empty))
    empty = with_gradient(rows([], 3, (0, 3)), params=(Param("table", np.ones((0, 3), np.float32)),))
    assert_same_inputs(empty, coded(empty))
    empty = with_gradient(None, params=(), steps=(), record=())
    assert_same_inputs(empty, coded(empty))


def test_thousands_of_steps_that_look_alike_are_one_line() -> None:
    step = Step({"table": rows([1], 3, (4, 3))}, ({},))
    original = with_gradient(None, steps=(step,) * 2050, record=(2050,))
    entry, _ = document(original)
    assert entry["steps"] == [{"repeat": 2050, "gradients": {"table": "rows"}}]
    assert len(coded(original).case.steps) == 2050


odd = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.lists(st.floats(), max_size=3).map(tuple)
)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), odd, max_size=4))
def test_any_hyper_parameter_comes_back_with_its_type(hyper: dict[str, Any]) -> None:
    got = coded(with_gradient(None, groups=(Group(hyper),))).case.groups[0].hyper
    assert list(got) == list(hyper)
    for name, value in hyper.items():
        assert type(got[name]) is type(value)
        assert repr(got[name]) == repr(value)


def test_nan_and_wrong_types_among_hyper_parameters_come_back() -> None:
    got: Mapping[str, Any] = coded(refused("odd", lr=math.nan, eps="1e-8", betas=(0.9, 2), maximize=1)).case.groups[0].hyper
    assert math.isnan(got["lr"])
    assert (got["eps"], got["betas"], got["maximize"]) == ("1e-8", (0.9, 2), 1)
    assert got["maximize"] is not True


def test_allowed_kinds_come_back() -> None:
    original = golden()
    expected = dict(original.expected["table"])
    value = expected["param"].value.copy()
    value[0, 0, 0] = np.inf
    bound = {key: np.full(value.shape, np.inf, np.float32) for key in expected["param"].bound}
    expected["param"] = Expected(value, bound, np.full(value.shape, 7, np.uint8))
    got = coded(replace(original, expected={**original.expected, "table": expected})).expected["table"]["param"]
    assert same_bits(got.value, value)
    assert same_bits(got.allowed, np.full(value.shape, 7, np.uint8))


def test_roundtrip_gives_the_inputs_and_no_expectations() -> None:
    original = golden(layout="strided", dtype="bfloat16")
    got = roundtrip(original)
    assert_same_inputs(original, got)
    assert got.expected == {}


CANNOT = {
    "a hyper-parameter that is an object": (lambda: with_gradient(None, groups=(Group({"lr": object()}),)), "type object"),
    "a gradient that is a list": (lambda: with_gradient([1.0]), "type list"),
    "a gradient of a stranger": (lambda: with_gradient(None, steps=(Step({"stranger": None}, ({},)),)), "no parameter"),
    "rows numbered in floats": (lambda: with_gradient(RowGradient(np.ones(1), np.ones((1, 3), np.float32), (4, 3))), "dtype float64"),
    "integers": (lambda: with_gradient(None, params=(Param("table", np.ones(3, np.int64)),)), "int64"),
    "a class without a bound": (lambda: with_bounds(CLASSES[:3]), "the format has exact-ieee"),
    "a class that is unknown": (lambda: with_bounds((*CLASSES, "sloppy")), "bounds for the classes"),
    "a maximum and no moments": (
        lambda: with_gradient(None, params=(Param("table", np.ones(3), max_exp_avg_sq=np.ones(3)),)),
        "a maximum and no moments",
    ),
    "a moment of another dtype": (
        lambda: with_gradient(None, params=(Param("table", np.ones(3), 0, np.ones(3, np.float32), np.ones(3)),)),
        "dtype float32",
    ),
    "a moment of another dtype than announced": (
        lambda: with_gradient(None, params=(Param("table", np.ones(3), 0, np.ones(3), np.ones(3), dtypes={"exp_avg": "float16"}),)),
        "dtype float64",
    ),
    "an array of the state that does not exist": (
        lambda: with_gradient(None, params=(Param("table", np.ones(3), dtypes={"momentum": "float16"}),)),
        "momentum",
    ),
    "a dtype that does not exist": (
        lambda: with_gradient(None, params=(Param("table", np.ones(3), dtypes={"exp_avg": "float8"}),)),
        "float8",
    ),
    "one moment": (lambda: with_gradient(None, params=(Param("table", np.ones(3), exp_avg=np.ones(3)),)), "not the other"),
    "moments of another shape": (lambda: with_gradient(None, params=(Param("table", np.ones(3), 0, np.ones(2), np.ones(3)),)), "shape"),
    "an error and arrays": (lambda: replace(golden(), case=replace(golden().case, error="x")), "an error and arrays"),
}


def with_bounds(classes: Iterable[str]) -> Golden:
    """A case whose expectations have bounds for these classes."""
    plain = golden()
    bound = np.ones((2, 4, 3), np.float32)
    expected = {array: replace(expectation, bound=dict.fromkeys(classes, bound)) for array, expectation in plain.expected["table"].items()}
    return replace(plain, expected={**plain.expected, "table": expected})


@pytest.mark.parametrize(("make", "reason"), CANNOT.values(), ids=CANNOT)
def test_what_the_format_cannot_hold_is_refused_by_case(make: Callable[[], Any], reason: str) -> None:
    with pytest.raises(VectorError, match=r"torch\.SparseAdam/basics/two-steps: cannot be written") as caught:
        encode(make(), "x")
    assert reason in str(caught.value)


def broken(change: Callable[..., object]) -> None:
    entry, arrays = document(golden())
    change(entry, arrays)
    members = Members("basics.npz", arrays)
    decode(entry, members, "basics.npz")
    members.refuse_untaken()


def put(key: str, value: Any) -> Callable[[Any, dict[str, np.ndarray]], None]:
    return lambda entry, arrays: arrays.__setitem__(f"two-steps/{key}", value)


def stacked(*bounds: float) -> np.ndarray:
    """Bounds of shape (4, 2, 4, 3), a constant per class."""
    return np.stack([np.full((2, 4, 3), bound, np.float32) for bound in bounds])


BREAKS = {
    "missing member": (lambda entry, arrays: arrays.pop("two-steps/grad.1.table.values"), "two-steps/grad.1.table.values: is missing"),
    "missing bound": (
        lambda entry, arrays: arrays.pop("two-steps/bound.param.table"),
        "bound.param.table: is missing",
    ),
    "extra member": (put("surprise", np.zeros(1)), "two-steps/surprise: belongs to no case"),
    "member of another case": (lambda entry, arrays: arrays.update({"other/param.w": np.zeros(1)}), "other/param.w: belongs to no case"),
    "moments that are not announced": (
        lambda entry, arrays: entry["params"][0].pop("moments"),
        "two-steps/exp_avg.table: belongs to no case",
    ),
    "wrong shape": (put("param.table", np.zeros((3, 4), np.float32)), "has shape (3, 4) and must have (4, 3)"),
    "wrong rank": (put("grad.1.table.indices", np.zeros((3, 1), np.int64)), "must have (n)"),
    "values that do not fit the indices": (put("grad.1.table.indices", np.zeros(2, np.int64)), "must have (2, 3)"),
    "wrong number of records": (put("expect.param.table", np.zeros((3, 4, 3))), "must have (2, 4, 3)"),
    "wrong dtype": (put("param.table", np.zeros((4, 3))), "has dtype float64 and must have float32"),
    "expectation in float32": (put("expect.param.table", np.zeros((2, 4, 3), np.float32)), "must have float64"),
    "bounds that are not stacked": (put("bound.param.table", np.ones((2, 4, 3), np.float32)), "must have (4, 2, 4, 3)"),
    "bounds of three classes": (put("bound.param.table", np.ones((3, 2, 4, 3), np.float32)), "must have (4, 2, 4, 3)"),
    "bounds of format 1": (put("bound.exact-ieee.param.table", np.ones((2, 4, 3), np.float32)), "belongs to no case"),
    "negative bound": (put("bound.param.table", stacked(1, 1, 1, -1)), "negative or not a number"),
    "bound of nan": (put("bound.param.table", stacked(1, 1, 1, np.nan)), "negative or not a number"),
    "classes in another order": (put("bound.param.table", stacked(1, 3, 2, 4)), "a class is tighter than one before it"),
    "nothing is allowed": (put("allow.param.table", np.zeros((2, 4, 3), np.uint8)), "allow.param.table: an element allows nothing"),
    "an unknown kind is allowed": (put("allow.param.table", np.full((2, 4, 3), 17, np.uint8)), "or an unknown kind"),
    "expectation of nan": (put("expect.param.table", np.full((2, 4, 3), np.nan)), "expect.param.table: an expectation is not finite"),
    "bound of an array that is not expected": (put("bound.max_exp_avg_sq.table", stacked(1, 1, 1, 1)), "belongs to no case"),
    "expectation without a bound": (put("expect.max_exp_avg_sq.table", np.ones((2, 4, 3))), "bound.max_exp_avg_sq.table: is missing"),
    "maximum that is not announced": (put("max_exp_avg_sq.table", np.ones((4, 3), np.float32)), "belongs to no case"),
    "maximum that is not there": (
        lambda entry, arrays: entry["params"][0].update(maximum=True),
        "two-steps/max_exp_avg_sq.table: is missing",
    ),
    "maximum without moments": (lambda entry, arrays: entry["params"][1].update(maximum=True), "a maximum is given, and no moments"),
    "moment in another dtype than announced": (
        lambda entry, arrays: entry["params"][0].update(dtypes={"exp_avg": "float64"}),
        "two-steps/exp_avg.table: has dtype float32 and must have float64",
    ),
    "no such group": (lambda entry, arrays: entry["params"][1].update(group=5), "there is no group 5"),
    "same name twice": (lambda entry, arrays: entry["params"].append(entry["params"][0]), "same name"),
    "gradient of a stranger": (lambda entry, arrays: entry["steps"][0]["gradients"].update(w="none"), "step 1: gradients of"),
    "gradient left out": (lambda entry, arrays: entry["steps"][2]["gradients"].pop("table"), "step 3: gradients of"),
    "changes of one group": (lambda entry, arrays: entry["steps"][1].update(hyper=[{}]), "hyper changes 1 groups, and there are 2"),
    "record beyond the steps": (lambda entry, arrays: entry.update(record=[1, 9]), "record: [1, 9] must ascend"),
    "record that descends": (lambda entry, arrays: entry.update(record=[3, 1]), "must ascend"),
    "nothing recorded": (lambda entry, arrays: entry.update(record=[]), "nothing would be compared"),
    "endless gradients": (
        lambda entry, arrays: entry.update(
            params=[{**entry["params"][1], "name": f"p{k}"} for k in range(100)],
            steps=[{"repeat": 50_000, "gradients": {f"p{k}": "none" for k in range(100)}}],
        ),
        "more than 1000000 gradients",
    ),
    "endless steps": (lambda entry, arrays: entry["steps"].append({"repeat": 99_999, "gradients": {}}), "more than 100000 steps"),
}


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document but the whole, as the keys that lead there."""
    children = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


ENTRY, ARRAYS_OF_ENTRY = document(golden())
FORMS = [
    "rows",
    "elements",
    "dense",
    "none",
    {"form": "elements", "shape": []},
    {"form": "rows", "shape": []},
    {"form": "dense", "values": [1]},
]
LISTS = [[], [0], [3], [1, 2, 3], [[]], [0] * 32, [{}], [{}, {}]]
JUNK = st.sampled_from([*FORMS, *LISTS, 0, 1, 2, 67108864, True, "w", "float16", "bfloat16", "x", {}, {"table": "rows"}]).map(copy.deepcopy)
SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)


@given(st.lists(st.tuples(st.sampled_from(list(places(ENTRY))), JUNK), max_size=3), st.data())
def test_a_changed_case_is_a_case_or_refused(changes: list[tuple[tuple[Any, ...], Any]], data: st.DataObject) -> None:
    entry, arrays = copy.deepcopy(ENTRY), dict(ARRAYS_OF_ENTRY)
    for path, junk in changes:
        with contextlib.suppress(KeyError, IndexError, TypeError):  # an earlier change took that place away
            place = entry
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = junk
    for name in data.draw(st.lists(st.sampled_from(sorted(arrays)), max_size=2)):
        dtype = data.draw(st.sampled_from(["float32", "float64", "int64", "uint8", "U3"]))
        arrays[name] = np.zeros(data.draw(SHAPES), dtype)
    with contextlib.suppress(VectorError):
        schema.check({"format": 2, "dialect": "torch.SparseAdam", "theme": "basics", "cases": [entry]}, "theme", "x")
        members = Members("x", arrays)
        assert isinstance(decode(entry, members, "x"), Golden)
        members.refuse_untaken()


def test_a_number_that_bfloat16_does_not_have_is_refused() -> None:
    entry, arrays = document(golden(dtype="bfloat16"))
    arrays["two-steps/exp_avg.table"][1, 2] = np.float32(1 / 3)
    with pytest.raises(VectorError, match=r"two-steps/exp_avg\.table: holds a number that bfloat16 does not have"):
        decode(entry, Members("x", arrays), "x")


def test_nan_and_infinity_in_bfloat16_come_back() -> None:
    value = np.array([np.nan, np.inf, -np.inf, -0.0], numpy_dtype("bfloat16"))
    got = coded(with_gradient(None, params=(Param("table", value),))).case.params[0].value
    assert np.array_equal(np.isnan(got), np.isnan(value))
    assert same_bits(got[1:], value[1:])


@pytest.mark.parametrize(("change", "reason"), BREAKS.values(), ids=BREAKS)
def test_an_entry_and_arrays_that_do_not_fit_together_are_refused(change: Callable[..., object], reason: str) -> None:
    with pytest.raises(VectorError) as caught:
        broken(change)
    assert str(caught.value).startswith("basics.npz: ")
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    ("original", "package"),
    [(golden(dtype="bfloat16"), "ml_dtypes"), (with_gradient(GRADIENTS["elements"]), "scipy")],
    ids=["bfloat16", "elements"],
)
def test_a_case_that_needs_a_missing_package_is_unsupported(original: Golden, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry, arrays = document(original)
    real = builtins.__import__

    def without(name: str, *rest: Any) -> ModuleType:
        if name.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Unsupported, match=f"needs {package}"):
        decode(entry, Members("x", arrays), "x")


def test_the_default_group_is_the_first() -> None:
    assert coded(golden()).case.groups[0].hyper == HYPER
