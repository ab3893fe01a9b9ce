"""The tables of dialects and deviations, compared with the real constructors where they are installed."""

import inspect
import math
import warnings
from dataclasses import fields
from typing import Any

import pytest
import torch

from refimpl.dialects import STAGES, Dialect, Picks, deviations, dialect, dialects, differing_stages
from refimpl.dialects._table import Deviation, Interval, Parameter, _picks
from refimpl.dialects.stages import Amsgrad, Decay, DecayRate, Direction, Objective, Unscale
from refimpl.errors import InvalidHyper, UsageError

REAL = {f"torch.{name}": getattr(torch.optim, name) for name in ("SparseAdam", "Adam", "AdamW", "NAdam", "RAdam", "Adamax")}
NAMES = list(dialects())


def real(name: str, **hyper: Any) -> Any:
    return REAL[name]([torch.nn.Parameter(torch.zeros(3, 2))], **hyper)


def test_the_dialects_are_those_of_the_two_frameworks() -> None:
    assert [*REAL, "mindspore.LazyAdam", "mindspore.LazyAdam.default-target", "mindspore.Adam"] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_dialect_picks_an_alternative_of_every_stage_and_cites_its_sources(name: str) -> None:
    table = dialect(name)
    for field in fields(Picks):
        assert isinstance(getattr(table.picks, field.name), STAGES[field.name])
    assert any("read" in source for source in table.sources)
    assert any("measured" in source for source in table.sources)
    assert set(table.gradients) | set(table.refuses) >= {"rows", "dense", "elements"}
    assert not set(table.gradients) & set(table.refuses)


@pytest.mark.parametrize("id", deviations())
def test_a_deviation_names_alternatives_of_stages_and_its_sources(id: str) -> None:
    deviation = deviations()[id]
    assert deviation.picks
    for stage, pick in deviation.picks.items():
        assert isinstance(pick, STAGES[stage])
    assert deviation.kind in {"B", "D"}
    assert deviation.about
    assert deviation.sources


@pytest.mark.parametrize("id", deviations())
def test_a_deviation_changes_some_dialect(id: str) -> None:
    assert any(
        any(differing_stages(table.resolve(hyper)[1], table.resolve(hyper, (deviations()[id],))[1]))
        for table in dialects().values()
        for hyper in ({}, _everything(table), {**_everything(table), "decoupled_weight_decay": False})
        if set(hyper) <= set(table.parameters)
    )


def _everything(table: Dialect) -> dict[str, Any]:
    """Every switch on, and numbers with which every stage has an effect."""
    switches = {name: True for name, parameter in table.parameters.items() if parameter.when_true}
    numbers = {name: 2.0 for name in ("weight_decay", "loss_scale") if name in table.parameters}
    return {**switches, **numbers}


def test_no_two_deviations_pick_the_same() -> None:
    picks = [
        (repr(deviation.where), *sorted((stage, pick.name) for stage, pick in deviation.picks.items()))
        for deviation in deviations().values()
    ]
    assert len(set(picks)) == len(picks)


def test_an_alternative_that_does_not_exist_is_refused_with_its_place() -> None:
    with pytest.raises(UsageError, match="here: no stage or alternative 'merge_sort'"):
        _picks({"merge_sort": "sum"}, "here")
    with pytest.raises(UsageError, match="here: no stage or alternative 'SUMS'"):
        _picks({"merge": "sums"}, "here")


def test_a_dialect_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(UsageError, match=r"no dialect 'torch\.Adama'") as caught:
        dialect("torch.Adama")
    assert "torch.Adam " in caught.value.hint


@pytest.mark.parametrize("name", REAL)
def test_names_and_defaults_are_those_of_the_real_constructor(name: str) -> None:
    signature = inspect.signature(REAL[name]).parameters
    for parameter, default in dialect(name).defaults().items():
        assert signature[parameter].default == default
    left_out = set(signature) - set(dialect(name).parameters) - {"params"}
    assert left_out <= {"foreach", "capturable", "differentiable", "fused"}  # routes, which compute the same


VALUES: dict[str, list[Any]] = {
    "lr": [0.0, -0.0, -1.0, math.nan, math.inf, 1e-3, 5],
    "eps": [0.0, -1e-8, math.nan, math.inf, 1],
    "betas": [(1.0, 0.9), (0.9, 1), (-0.1, 0.9), (0.9, math.nan), (0.0, 0.0), (1.5, 2.0)],
    "weight_decay": [-1, -0.1, math.nan, math.inf, 0, 1.5],
}


TRIED = [
    (name, parameter, value)
    for name in REAL
    for parameter in VALUES
    if parameter in dialect(name).parameters
    for value in VALUES[parameter]
]


@pytest.mark.parametrize(("name", "parameter", "value"), TRIED)
def test_a_value_is_refused_when_and_as_the_real_constructor_refuses_it(name: str, parameter: str, value: Any) -> None:
    try:
        real(name, **{parameter: value})
        message = None
    except ValueError as error:
        message = str(error)
    if message is None:
        dialect(name).validate({parameter: value})
        return
    with pytest.raises(InvalidHyper) as caught:
        dialect(name).validate({parameter: value})
    assert caught.value.message == message
    assert isinstance(caught.value, ValueError)
    assert caught.value.kind == parameter


@pytest.mark.parametrize("name", REAL)
def test_a_refused_form_of_gradient_is_refused_in_the_words_of_the_real_step(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces that invariants of sparse tensors are not checked
        sparse = torch.sparse_coo_tensor(torch.tensor([[0]]), torch.ones(1, 2), (3, 2))
    gradients = {"dense": torch.ones(3, 2), "rows": sparse}
    refused = {form: row for form, row in dialect(name).refuses.items() if form in gradients}
    assert refused
    for form, row in refused.items():
        optimizer = real(name)
        optimizer.param_groups[0]["params"][0].grad = gradients[form]
        with pytest.raises(RuntimeError) as caught:
            optimizer.step()
        assert row == {"error": "RuntimeError", "message": str(caught.value)}


MINDSPORE = [
    ("mindspore.LazyAdam", {"beta1": 0.0}, "For 'LazyAdam', the 'beta1' must be in range of (0.0, 1.0), but got 0.0 with type 'float'."),
    (
        "mindspore.LazyAdam.default-target",
        {"beta2": 1.0},
        "For 'LazyAdam', the 'beta2' must be in range of (0.0, 1.0), but got 1.0 with type 'float'.",
    ),
    ("mindspore.Adam", {"beta2": 1.5}, "For 'Adam', the 'beta2' must be in range of (0.0, 1.0), but got 1.5 with type 'float'."),
    ("mindspore.LazyAdam", {"eps": 0.0}, "For 'LazyAdam', the 'eps' must be float and must > 0, but got '0.0' with type 'float'."),
    (
        "mindspore.LazyAdam",
        {"loss_scale": -1.0},
        "For 'LazyAdam', the 'loss_scale' must be float and must > 0, but got '-1.0' with type 'float'.",
    ),
    (
        "mindspore.LazyAdam",
        {"weight_decay": -0.1},
        "For 'LazyAdam', the 'weight_decay' must be float and must >= 0, but got '-0.1' with type 'float'.",
    ),
]


@pytest.mark.parametrize(("name", "hyper", "message"), MINDSPORE)
def test_mindspore_messages_name_the_class_the_value_and_its_type(name: str, hyper: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidHyper) as caught:
        dialect(name).validate(hyper)
    assert caught.value.message == message


@pytest.mark.parametrize("parameter", ["beta1", "beta2", "eps", "use_nesterov", "use_locking"])
def test_mindspore_takes_no_integer_for_a_float_or_a_bool(parameter: str) -> None:
    with pytest.raises(InvalidHyper, match=f"the type of '{parameter}' should be"):
        dialect("mindspore.LazyAdam").validate({parameter: 1})


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_accepted(name: str) -> None:
    dialect(name).validate(dialect(name).defaults())


@pytest.mark.parametrize(
    ("hyper", "message"),
    [
        ({"momentum": 0.9}, "has no parameter 'momentum'"),
        ({"betas": 0.9}, "betas must be 2 numbers, got 0.9"),
        ({"betas": (0.9,)}, "betas must be 2 numbers"),
        ({"lr": "fast"}, "lr must be a number, got 'fast' of type str"),
    ],
)
def test_what_is_no_number_or_no_parameter_is_refused(hyper: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidHyper, match=message):
        dialect("torch.SparseAdam").validate(hyper)


def test_an_interval_takes_in_its_square_ends_only() -> None:
    half_open = Interval.parse("[0, 1)")
    assert 0.0 in half_open
    assert 0.999 in half_open
    assert 1.0 not in half_open
    assert -1e-9 not in half_open
    assert math.nan not in Interval.parse("[0, inf]")
    assert math.inf in Interval.parse("[0, inf]")
    assert math.inf not in Interval.parse("[0, inf)")
    with pytest.raises(ValueError, match="not an interval"):
        Interval.parse("0 to 1")


def test_switches_change_picks_and_numbers_become_hyper_parameters() -> None:
    hyper, picks = dialect("torch.Adam").resolve(
        {"lr": 1, "betas": (0.5, 0.25), "weight_decay": 0.1, "amsgrad": True, "maximize": True, "decoupled_weight_decay": True}
    )
    assert (hyper.lr, hyper.beta1, hyper.beta2, hyper.eps, hyper.weight_decay) == (1.0, 0.5, 0.25, 1e-8, 0.1)
    assert picks.amsgrad is Amsgrad.MAX_V
    assert picks.objective is Objective.MAXIMIZE
    assert picks.decay is Decay.DECOUPLED_ALL
    assert dialect("mindspore.LazyAdam").resolve({"use_nesterov": True})[1].direction is Direction.NESTEROV


def test_stages_that_the_numbers_make_idle_are_set_to_their_idle_alternative() -> None:
    every = tuple(deviations().values())
    picks = dialect("mindspore.LazyAdam").resolve({"weight_decay": 0.0, "loss_scale": 1.0}, every)[1]
    assert picks.decay is Decay.NONE
    assert picks.decay_rate is DecayRate.LR
    assert picks.unscale is Unscale.DECAY_KEPT


def test_a_deviation_overrules_a_switch() -> None:
    ignored = Deviation("x", "B", "", {"amsgrad": Amsgrad.OFF}, ())
    assert dialect("torch.Adam").resolve({"amsgrad": True}, (ignored,))[1].amsgrad is Amsgrad.OFF


def test_differing_stages_come_in_the_order_of_a_step() -> None:
    a, b = dialect("torch.SparseAdam").picks, dialect("mindspore.Adam").picks
    assert [stage for stage, _, _ in differing_stages(a, b)] == ["counter", "decay", "touch"]
    assert not list(differing_stages(a, a))


def test_every_parameter_has_a_message_where_it_has_a_range() -> None:
    parameters: list[Parameter] = [parameter for table in dialects().values() for parameter in table.parameters.values()]
    assert all(parameter.message for parameter in parameters if parameter.interval is not None)
