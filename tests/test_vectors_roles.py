"""refimpl.vectors._roles: the manifest tells what a hyper-parameter is, in the words of the reference."""

from dataclasses import fields

import pytest

from refimpl.dialects import Hyper, dialects
from refimpl.errors import UsageError, VectorError
from refimpl.vectors import _schema as schema
from refimpl.vectors._roles import NONE, SWITCH, check_roles, roles_of


def test_the_roles_of_the_schema_are_the_numbers_of_the_reference() -> None:
    whole = schema.schema("manifest")
    assert whole["$defs"]["role"]["enum"] == [field.name for field in fields(Hyper) if field.type == "float"]
    assert whole["properties"]["roles"]["additionalProperties"]["additionalProperties"]["anyOf"][1]["enum"] == [SWITCH, NONE]


@pytest.mark.parametrize("name", dialects("full"))
def test_every_dialect_says_what_its_hyper_parameters_are(name: str) -> None:
    table = roles_of(name)
    numbers = [role for roles in table.values() for role in (roles if isinstance(roles, list) else [roles]) if role not in (SWITCH, NONE)]
    assert {"lr", "beta1", "beta2", "eps"} <= set(numbers)
    assert len(set(numbers)) == len(numbers)
    assert list(table) == list(dialects("full")[name].parameters)


def test_roles_are_numbers_switches_or_nothing() -> None:
    table = roles_of("mindspore.LazyAdam")
    assert (table["learning_rate"], table["use_nesterov"], table["use_locking"]) == ("lr", "switch", "none")
    assert roles_of("torch.SparseAdam")["betas"] == ["beta1", "beta2"]


def test_an_unknown_dialect_has_no_roles() -> None:
    with pytest.raises(UsageError, match=r"no dialect 'torch\.Sgd'"):
        roles_of("torch.Sgd")


def test_the_roles_of_an_unknown_dialect_are_taken_as_they_are_unless_one_is_there_twice() -> None:
    check_roles({"house.Adam": {"alpha": "lr", "b": ["beta1", "beta2"]}}, ["house.Adam"], "x")
    with pytest.raises(VectorError, match=r"x: roles\.house\.Adam: gives a role twice: lr, lr, beta2"):
        check_roles({"house.Adam": {"alpha": "lr", "b": ["lr", "beta2"]}}, ["house.Adam"], "x")
