import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from backend_cases import case, elements, rows, table

from refimpl.backends._protocol import Capabilities, claims, outside_claim
from refimpl.backends.features import FEATURES, needed_features
from refimpl.case import Case
from refimpl.errors import UsageError


def within(made: Case, claim: Any) -> str | None:
    return outside_claim(made, claims({"torch.SparseAdam": claim}))


@pytest.mark.parametrize(
    ("claim", "read"),
    [
        (None, Capabilities((), ())),
        ({}, Capabilities((), ())),
        ({"dtypes": [np.float32, np.dtype("float64")]}, Capabilities(("float32", "float64"), ())),
        (SimpleNamespace(dtypes="float16", features=None), Capabilities(("float16",), ())),
        (SimpleNamespace(features={"rows"}), Capabilities((), ("rows",))),
        (Capabilities(), Capabilities(("float32", "float64"), ())),
    ],
)
def test_a_claim_is_read_in_whatever_form_it_is_written(claim: Any, read: Capabilities) -> None:
    assert claims({"torch.SparseAdam": claim}) == {"torch.SparseAdam": read}


def test_a_dtype_of_a_framework_is_read_by_its_last_name() -> None:
    class Foreign:
        def __str__(self) -> str:
            return "torch.bfloat16"

    assert claims({"torch.Adam": {"dtypes": [Foreign()]}})["torch.Adam"].dtypes == ("bfloat16",)


def test_names_alone_claim_dialects_whole() -> None:
    assert claims(["torch.Adam", "torch.SparseAdam"]) == dict.fromkeys(["torch.Adam", "torch.SparseAdam"], Capabilities((), ()))


def test_dialects_that_are_no_table_are_refused() -> None:
    with pytest.raises(TypeError, match="mapping"):
        claims(5)


def test_an_empty_claim_restricts_nothing() -> None:
    assert within(case(rows([0], dtype="float16"), params=[table(dtype="float16")]), None) is None


def test_a_dialect_that_is_not_claimed_is_outside() -> None:
    assert "claims no torch.SparseAdam; it claims torch.Adam" in str(outside_claim(case(rows([0])), claims(["torch.Adam"])))


def test_a_dtype_that_is_not_claimed_is_outside() -> None:
    assert "float32" in str(within(case(rows([0])), {"dtypes": ["float64"]}))


def test_any_parameter_may_bring_a_dtype_outside_the_claim() -> None:
    made = case(rows([0]), params=[table(), table("b", dtype="float64")])
    assert "float64" in str(within(made, {"dtypes": ["float32"]}))


def test_a_claim_with_a_known_feature_restricts_to_what_it_lists() -> None:
    assert within(case(rows([0])), {"features": ["rows"]}) is None
    assert "the case needs elements" in str(within(case(elements(([0], [0]), [1.0])), {"features": ["rows"]}))


@pytest.mark.parametrize(
    ("dialects", "message"),
    [
        ({"torch.SparseAdam": {"features": ["row"]}}, "no feature 'row'.*did you mean rows"),
        ({"torch.SparseAdam": {"features": ["rows", "fast"]}}, "no feature 'fast'"),
        ({"torch.SparseAdam": Capabilities(features=("groupes",))}, "no feature 'groupes'.*did you mean groups"),
        ({"torch.SparseAdam": {"dtypes": ["float23"]}}, "no dtype 'float23'.*did you mean float32"),
        ({"torch.SparseAdam": {"dtypes": [np.int64]}}, "no dtype 'int64'"),
        ({"torch.SparseAdam": {"dtypes": [dict]}}, "no dtype 'object'|is no dtype"),
        ({"torch.SparseAdam": {"feature": ["rows"]}}, "no key 'feature'.*did you mean features"),
        ({"torch.SparseAdam": ["rows"]}, "is no claim.*give None"),
        ({"torch.SparseAdam": "float32"}, "is no claim"),
        (["torch.optim.SparseAdam"], "no dialect 'torch.optim.SparseAdam'.*did you mean torch.SparseAdam"),
        ({"nn.LazyAdam": None}, "no dialect 'nn.LazyAdam'.*did you mean mindspore.LazyAdam"),
        ("Adam", "no dialect 'Adam'.*did you mean torch.Adam or mindspore.Adam"),
        ({7: None}, "no dialect 7"),
    ],
)
def test_a_claim_with_a_name_that_is_unknown_is_refused_with_the_one_that_was_meant(dialects: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        claims(dialects)
    assert re.search(message, str(caught.value), re.DOTALL)


def test_no_features_and_no_dtypes_restrict_nothing() -> None:
    assert within(case(elements(([0], [0]), [1.0], dtype="float64")), {"features": [], "dtypes": []}) is None


@pytest.mark.parametrize(
    ("made", "needed"),
    [
        (case(rows([0])), {"rows"}),
        (case(None), set()),
        (case(elements(([0], [0]), [1.0])), {"elements"}),
        (case(np.zeros((4, 3), np.float32), name="torch.Adam"), {"dense"}),
        (case(rows([0]), groups=({}, {})), {"rows", "groups"}),
        (case(rows([0]), changes={1: [{"lr": 0.5}]}), {"rows", "schedule"}),
        (case(rows([0]), params=[table(step=2)]), {"rows", "resume"}),
        (case(rows([0]), groups=({"maximize": True},)), {"rows", "maximize"}),
        (case(None, groups=({"amsgrad": True},), name="torch.Adam"), {"amsgrad"}),
        (case(None, groups=({"decoupled_weight_decay": True},), name="torch.Adam"), {"decoupled_weight_decay"}),
        (case(None, groups=({"decoupled_weight_decay": True, "weight_decay": 0.1},), name="torch.Adam"), {"decoupled_weight_decay"}),
        (case(None, groups=({"weight_decay": 0.1},), name="torch.Adam"), {"weight_decay"}),
        (case(None, groups=({"loss_scale": 8.0},), name="mindspore.LazyAdam"), {"loss_scale"}),
        (case(None, groups=({"use_nesterov": True},), name="mindspore.LazyAdam"), {"nesterov"}),
        (case(None, groups=({"grad_centralization": True},), name="mindspore.LazyAdam"), {"centralization"}),
    ],
)
def test_each_feature_is_needed_by_the_cases_that_use_it(made: Case, needed: set[str]) -> None:
    assert set(needed_features(made)) == needed
    assert needed <= FEATURES.keys()


def test_a_switch_that_a_schedule_turns_on_is_needed() -> None:
    assert "maximize" in needed_features(case(rows([0]), changes={1: [{"maximize": True}]}))


def test_needed_features_are_found_also_where_the_dialect_refuses_a_value() -> None:
    assert needed_features(case(rows([0]), groups=({"lr": "fast", "betas": 3, "speed": 1},), error="lr")) == ("rows",)
