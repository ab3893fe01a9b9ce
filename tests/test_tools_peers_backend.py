"""tools/peers/peer_backend.py: what a case will ask for is known before its first step, and a route is found by its name."""

import sys
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from make_golden import golden
from toy_peer import TOOLS

from refimpl.case import Case, Step
from refimpl.errors import Unsupported, UsageError

sys.path.insert(0, str(TOOLS / "peers"))
kit = import_module("peer_backend")
sys.path.remove(str(TOOLS / "peers"))


class Lazy:
    dialects = ("torch.SparseAdam",)

    def __init__(self, case: Case) -> None:
        self.case = case


factory = kit.peer_factory("numpy", {"lazy": Lazy})


def case(**changes: Any) -> Case:
    return replace(golden().case, **changes)


def test_a_route_makes_runs_of_its_class_and_shows_the_version_of_the_framework() -> None:
    backend = factory(route="lazy")
    made = case()
    assert backend.start(made).case is made
    assert (backend.name, backend.version, tuple(backend.dialects)) == ("numpy lazy", np.__version__, Lazy.dialects)


def test_a_route_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="numpy: no route 'quick'") as caught:
        factory(route="quick")
    assert caught.value.hint == "choose from lazy"


def test_a_state_in_another_dtype_than_its_parameter_is_unsupported() -> None:
    param = replace(case().params[0], dtypes={"exp_avg": "float64"})
    with pytest.raises(Unsupported, match="another dtype"):
        factory(route="lazy").start(case(params=(param,)))


def test_the_forms_of_gradients_are_those_of_every_step() -> None:
    made = case()
    name = made.params[0].name
    rows, dense, missing = (Step({name: gradient}, made.steps[0].hyper) for gradient in (made.steps[0].gradients[name], np.ones(3), None))
    made = replace(made, params=made.params[:1], steps=(rows, missing, dense))
    assert kit.forms(made) == {"rows", "none", "dense"}
    assert kit.forms(made, "another") == set()


def test_changes_are_those_of_any_step_and_group() -> None:
    made = case()
    steps = (Step(made.steps[0].gradients, ({"lr": 1.0}, {})), Step(made.steps[0].gradients, ({}, {"eps": 1.0})))
    assert kit.changes(replace(made, steps=steps)) == {"lr", "eps"}


@pytest.mark.parametrize(("fields", "resumed"), [({}, False), ({"step": 3}, True), ({"exp_avg": np.zeros(3)}, True)])
def test_a_case_is_resumed_with_a_count_or_a_moment(fields: dict[str, Any], resumed: bool) -> None:
    param = replace(case().params[0], **{"step": 0, "exp_avg": None, **fields})
    assert kit.is_resumed(case(params=(param,))) is resumed
