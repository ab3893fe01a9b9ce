"""refimpl.dialects.usage: how an optimizer is made and what its framework takes, as the tables of dialects say it."""

from typing import Any

import pytest

from refimpl.common.tables import read_table
from refimpl.dialects import dialect, dialects
from refimpl.dialects._table import CORE, _dialect, _peer_tables
from refimpl.dialects.usage import Limits, Usage
from refimpl.errors import UsageError

FRAMEWORK = {"home": "toy.optim", "limits": {"per_group": ["lr"], "per_step": []}}


def test_a_dialect_has_the_usage_of_its_framework_except_what_its_row_says() -> None:
    usage = Usage.parse(FRAMEWORK, {"about": "not of the usage", "home": "toy.sparse"}, "toy.Adam")
    assert usage == Usage("toy.sparse", None, Limits(frozenset({"lr"}), frozenset()))
    assert Usage.parse({}, {}, "toy.Adam") == Usage()


def test_a_dialect_does_not_take_the_usage_of_the_one_that_it_extends() -> None:
    assert dialect("mindspore.LazyAdam").usage.limits != dialect("mindspore.LazyAdam.default-target").usage.limits
    assert dialect("mindspore.LazyAdam.default-target").usage.limits == dialect("mindspore.AdamWeightDecay").usage.limits


@pytest.mark.parametrize(
    ("framework", "own", "message"),
    [
        ({"hom": "toy"}, {}, "toy.Adam: no key hom"),
        ({}, {"limits": {"per_group": [], "per_step": [], "nothing": "x"}}, "toy.Adam: limits: no key nothing"),
        ({}, {"limits": {"per_group": []}}, "toy.Adam: limits: per_step is missing"),
        ({"constructor": {"imports": "import toy"}}, {}, "toy.Adam: constructor: call is missing"),
        ({"constructor": {"import": "import toy", "call": "toy.Adam()"}}, {}, "toy.Adam: constructor: no key import"),
    ],
)
def test_a_key_that_is_unknown_or_missing_is_refused_with_its_place(framework: dict[str, Any], own: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}"):
        Usage.parse(framework, own, "toy.Adam")


def test_an_unknown_key_of_a_dialect_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"^toy\.Adam: no key limit") as caught:
        _dialect("toy.Adam", {"limit": {}}, {}, {}, "full")
    assert "limits" in caught.value.hint


def test_every_framework_of_the_tables_has_a_dialect() -> None:
    declared = [name for file in (*CORE, *_peer_tables()) for name in read_table("refimpl.dialects", file).get("frameworks", {})]
    assert len(set(declared)) == len(declared)
    assert set(declared) <= {table.framework for table in dialects("full").values()}
