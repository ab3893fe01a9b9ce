"""refimpl.vectors.text: scalars come back exactly, and nothing outside the subset is read."""

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from refimpl.errors import VectorError
from refimpl.vectors.text import DEPTH_LIMIT, flow, load, quote, read_text

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=4), max_leaves=12
)


def same(first: object, second: object) -> bool:
    if isinstance(first, float) and isinstance(second, float):
        return (math.isnan(first) and math.isnan(second)) or (first == second and math.copysign(1, first) == math.copysign(1, second))
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same, first, second))
    if isinstance(first, dict) and isinstance(second, dict):
        return list(first) == list(second) and all(map(same, first.values(), second.values()))
    return type(first) is type(second) and first == second


@given(values)
def test_values_come_back_exactly(value: Any) -> None:
    assert same(load(f"key: {flow(value)}\n", "x")["key"], value)


@given(values)
def test_other_yaml_readers_read_the_same(value: Any) -> None:
    assert same(yaml.safe_load(f"key: {flow(value)}\n")["key"], value)


@given(values)
def test_a_value_is_one_line_of_ascii(value: Any) -> None:
    assert flow(value).isascii()
    assert len(flow(value).splitlines()) == 1


def test_small_doubles_have_a_dot_as_yaml_1_1_asks() -> None:
    assert flow({"eps": 1e-08, "lr": 5e-324, "big": 1e300}) == "{eps: 1.0e-08, lr: 5.0e-324, big: 1.0e+300}"


@pytest.mark.parametrize(
    "word", ["no", "on", "Yes", "null", "~", "true", "1e5", "0x10", "1:30", "2020-01-01", "-1", ".5", "", "<<", "a: b", "a #b"]
)
def test_strings_that_look_like_something_else_stay_strings(word: str) -> None:
    assert load(f"key: {flow(word)}\n", "x")["key"] == word
    assert yaml.safe_load(f"key: {flow(word)}\n")["key"] == word


def test_half_a_surrogate_pair_cannot_be_written() -> None:
    with pytest.raises(UnicodeEncodeError):
        quote("\ud800")


def test_an_object_cannot_be_written() -> None:
    with pytest.raises(TypeError, match="type object"):
        flow({"lr": object()})


REFUSED = {
    "alias": ("a: &x [1]\nb: *x\n", "anchors"),
    "merge key": ("a: {<<: {b: 1}}\n", "quote it"),
    "tag": ("a: !!python/object:os.system [1]\n", "tag"),
    "tagged scalar": ("a: !!float 1\n", "tag"),
    "repeated key": ("a: 1\nb: 2\na: 3\n", "line 3: key 'a' is repeated"),
    "number as key": ("1: 2\n", "not a string"),
    "list as key": ("? [1]\n: 2\n", "not a string"),
    "yes": ("a: yes\n", "quote it"),
    "octal": ("a: 010\n", "quote it"),
    "sexagesimal": ("a: 1:30\n", "quote it"),
    "date": ("a: 2020-01-01\n", "quote it"),
    "empty": ("a:\n", "quote it"),
    "many digits": (f"a: {'9' * 5000}\n", "too many digits"),
    "two documents": ("a: 1\n---\nb: 1\n", "2 YAML documents"),
    "no document": ("", "0 YAML documents"),
    "not YAML": ("a: [1\n", "is not YAML"),
    "control character": ("a: \x07\n", "is not YAML"),
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_outside_the_subset_is_refused_by_line(text: str, reason: str) -> None:
    with pytest.raises(VectorError) as caught:
        load(text, "theme.yaml")
    assert "theme.yaml" in str(caught.value)
    assert reason in str(caught.value)


NESTED = {"[": "]", "{a: ": "}", "- ": ""}


@pytest.mark.parametrize(("opens", "closes"), NESTED.items(), ids=["lists", "maps", "block lists"])
def test_nesting_beyond_the_limit_is_refused_by_line(opens: str, closes: str) -> None:
    assert load(f"{opens * DEPTH_LIMIT}1{closes * DEPTH_LIMIT}", "deep.yaml")
    with pytest.raises(VectorError, match=rf"deep\.yaml: line 1: .* more than {DEPTH_LIMIT} levels"):
        load(f"{opens * (DEPTH_LIMIT + 1)}1{closes * (DEPTH_LIMIT + 1)}", "deep.yaml")


@pytest.mark.parametrize("opens", NESTED)
def test_nesting_of_any_depth_is_refused_and_does_not_crash_the_process(opens: str) -> None:
    code = f"from refimpl.vectors.text import load; load({opens!r} * 100000, 'deep.yaml')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "VectorError: deep.yaml: " in done.stderr  # the reason is ours, or that of a YAML reader with a limit of its own


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and devices")
def test_what_may_have_no_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zeros.yaml").symlink_to("/dev/zero")
    (tmp_path / "folder.yaml").mkdir()
    for name in ("pipe", "zeros", "folder"):
        with pytest.raises(VectorError, match=rf"{name}\.yaml: is no regular file"):
            read_text(tmp_path / f"{name}.yaml")


def test_a_file_that_is_missing_or_not_utf8_is_named(tmp_path: Path) -> None:
    with pytest.raises(VectorError, match=r"none\.yaml: cannot be read"):
        read_text(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(VectorError, match=r"latin\.yaml: is not UTF-8"):
        read_text(tmp_path / "latin.yaml")
