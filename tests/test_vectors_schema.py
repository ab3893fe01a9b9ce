"""refimpl.vectors._schema: the interpreter says what jsonschema says, and names the key."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refimpl.case import LAYOUTS
from refimpl.errors import VectorError
from refimpl.vectors import _schema as schema
from refimpl.vectors._decode import STEP_LIMIT
from refimpl.vectors._members import GRADIENT_MEMBERS, STORED

THEME = {
    "format": 2,
    "dialect": "torch.SparseAdam",
    "theme": "basics",
    "cases": [
        {
            "id": "torch.SparseAdam/basics/one",
            "about": "One.",
            "kind": "step",
            "dtype": "float32",
            "layout": "contiguous",
            "params": [{"name": "w", "shape": [2, 3], "moments": True, "maximum": True, "dtypes": {"exp_avg": "float64"}, "step": 3}],
            "groups": [{"lr": 0.1, "betas": [0.9, 0.999]}],
            "steps": [{"repeat": 2, "gradients": {"w": "rows"}}, {"gradients": {"w": {"form": "dense", "shape": [1]}}, "hyper": [{}]}],
            "record": [1, 2],
            "catches": ["x"],
        }
    ],
}


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a document, as the keys that lead there."""
    yield path
    children = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def accepts(document: Any) -> bool:
    try:
        schema.check(document, "theme", "x")
    except VectorError:
        return False
    return True


def changed(path: tuple[Any, ...], change: Callable[[Any, Any], object]) -> Any:
    document: Any = copy.deepcopy(THEME)
    place = document
    for key in path[:-1]:
        place = place[key]
    change(place, path[-1])
    return document


def test_the_example_is_accepted() -> None:
    schema.check(THEME, "theme", "x")


junk: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, -1, 0, 2, 10**9, 0.5, "", "rows", "no such word", "a\n", [], [[]], ["w"], {}, {"form": "rows"}, {"lr": "x"}]
)


@given(st.sampled_from([path for path in places(THEME) if path]), junk)
def test_a_changed_place_is_judged_as_by_jsonschema(path: tuple[Any, ...], value: Any) -> None:
    document = changed(path, lambda place, key: place.__setitem__(key, value))
    if value != "a\n":  # `$` of Python's re, which jsonschema uses, also stands before a last newline; ours does not let it
        assert accepts(document) is jsonschema.Draft202012Validator(schema.schema("theme")).is_valid(document)


@given(st.sampled_from([path for path in places(THEME) if path]))
def test_a_removed_place_is_judged_as_by_jsonschema(path: tuple[Any, ...]) -> None:
    document = changed(path, lambda place, key: place.pop(key))
    assert accepts(document) is jsonschema.Draft202012Validator(schema.schema("theme")).is_valid(document)


def closed(path: tuple[Any, ...]) -> bool:
    place: Any = THEME
    for key in path:
        place = place[key]
    return isinstance(place, dict) and (
        not path or (path[-1] not in ("gradients", "groups") and "groups" not in path and "hyper" not in path)
    )


@pytest.mark.parametrize("path", [path for path in places(THEME) if closed(path)], ids=str)
def test_an_unknown_key_is_refused_everywhere(path: tuple[Any, ...]) -> None:
    document = changed((*path, "unheard"), lambda place, key: place.__setitem__(key, 1))
    with pytest.raises(VectorError, match="unheard"):
        schema.check(document, "theme", "x")


def test_the_error_names_file_key_and_value() -> None:
    document = changed(("cases", 0, "params", 0, "shape", 1), lambda place, key: place.__setitem__(key, -4))
    with pytest.raises(VectorError, match=r"basics\.yaml: cases\[0\]\.params\[0\]\.shape\[1\]: -4 is below 0"):
        schema.check(document, "theme", "basics.yaml")


def test_a_name_that_ends_in_a_newline_is_refused() -> None:
    assert not accepts(changed(("theme",), lambda place, key: place.__setitem__(key, "basics\n")))


@pytest.mark.parametrize("name", schema.NAMES)
def test_the_schemas_are_schemas_and_use_nothing_that_is_not_interpreted(name: str) -> None:
    whole = schema.schema(name)
    jsonschema.Draft202012Validator.check_schema(whole)

    def parts(part: Any) -> Iterator[Any]:
        yield part
        for key in ("properties", "$defs"):
            for child in part.get(key, {}).values():
                yield from parts(child)
        for key in ("items", "additionalProperties", "propertyNames"):
            if isinstance(part.get(key), dict):
                yield from parts(part[key])
        for alternative in part.get("anyOf", []):
            yield from parts(alternative)

    for part in parts(whole):
        assert part.keys() <= schema.KEYWORDS.keys()
        if part.get("type") == "object":
            assert "additionalProperties" in part, f"{part} is not closed"


def test_the_words_of_the_schema_are_those_of_the_code() -> None:
    words = schema.schema("theme")["$defs"]
    assert tuple(words["case"]["properties"]["layout"]["enum"]) == LAYOUTS
    assert sorted(words["dtype"]["enum"]) == sorted(STORED)
    assert sorted(words["gradient"]["anyOf"][0]["enum"]) == sorted(GRADIENT_MEMBERS)
    assert words["step"]["properties"]["repeat"]["maximum"] == STEP_LIMIT
