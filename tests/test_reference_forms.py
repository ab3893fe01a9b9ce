"""Formulations: which are admissible with which betas, and what the refused ones compute."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refimpl.arithmetic import CLASSES, Float
from refimpl.case import Case, ratios
from refimpl.cases import drafts
from refimpl.dialects import dialect
from refimpl.oracle import expectations, recorded
from refimpl.reference import ONE, Forms, each
from refimpl.reference.forms import FROM_NEW, Mean, Scale, Square, admissible, refused


@pytest.fixture(scope="module")
def ordinary() -> Case:
    return next(draft.case for draft in drafts(dialect("torch.SparseAdam"), "basics") if len(draft.case.steps) > 2)


def used(case: Case, forms: Forms, numerics_class: str, **how: bool) -> dict[str, float]:
    """The largest |error| / bound by array."""
    run = recorded(case, Float(case.dtype, **how), dialect(case.dialect), (), forms)
    return {array: float(ratios(run["w", array], truth, numerics_class).max()) for array, truth in expectations(case)["w"].items()}


def test_every_refused_form_leaves_the_bound_of_the_moments_and_keeps_that_of_the_parameter(ordinary: Case) -> None:
    some = list(refused(0.9, 0.999))
    assert {form for forms in some for form in (*forms.mean, *forms.square)} == set(FROM_NEW)
    for forms in some:
        ratio = used(ordinary, forms, CLASSES[-1], tensor_scalars=True)
        assert max(ratio["exp_avg"], ratio["exp_avg_sq"]) > 1
        assert ratio["param"] < 10


def test_averages_from_the_new_value_are_inside_at_small_betas(ordinary: Case) -> None:
    case = replace(ordinary, groups=(replace(ordinary.groups[0], hyper={**ordinary.groups[0].hyper, "betas": (0.5, 0.3)}),))
    for mean, square in ((Mean.LERP_FROM_NEW, Square.NEW_MINUS_SCALED), (Mean.NEW_MINUS_SCALED, Square.LERP_FROM_NEW)):
        assert max(used(case, replace(ONE, mean=(mean,), square=(square,)), CLASSES[0]).values()) <= 1
    assert not list(refused(0.5, 0.3))


def test_a_form_that_is_refused_is_computed_where_it_is_asked_for_alone() -> None:
    assert admissible((Mean.WEIGHTED, Mean.LERP_FROM_NEW), 0.9) == [Mean.WEIGHTED]
    assert admissible((Mean.LERP_FROM_NEW,), 0.9) == [Mean.LERP_FROM_NEW]


def test_the_admissible_forms_contain_none_that_is_refused() -> None:
    assert not {form for forms in each(0.9, 0.999) for form in (*forms.mean, *forms.square)} & set(FROM_NEW)


def test_fused_moments_are_inside(ordinary: Case) -> None:
    forms = replace(ONE, mean=(Mean.FUSED,), square=(Square.FUSED,))
    assert max(used(ordinary, forms, "tensor-faithful", tensor_scalars=True).values()) <= 1


@pytest.mark.parametrize("scale", [Scale.LR_FIRST, Scale.LR_ON_M_HAT])
@pytest.mark.parametrize("name", ["torch.SparseAdam", "torch.Adam"])
def test_the_learning_rate_first_is_inside_down_to_where_it_underflows(name: str, scale: Scale) -> None:
    table = dialect(name)
    case = next(draft.case for draft in drafts(table, "basics") if len(draft.case.steps) > 2)
    for size in (1.0, 1e-28, 1e-36):
        params = tuple(replace(param, value=(param.value * np.float32(size))) for param in case.params)
        steps = tuple(replace(step, gradients={"w": _scaled(step.gradients["w"], size)}) for step in case.steps)
        small = replace(case, params=params, steps=steps)
        with np.errstate(all="ignore"):
            assert max(used(small, replace(ONE, scale=(scale,)), CLASSES[0]).values()) <= 1


def _scaled(gradient: Any, size: float) -> Any:
    if isinstance(gradient, np.ndarray):
        return gradient * np.float32(size)
    return replace(gradient, values=gradient.values * np.float32(size))
