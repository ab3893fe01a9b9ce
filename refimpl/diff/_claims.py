"""The page that MindSpore has on torch.optim.SparseAdam and LazyAdam: each of its claims, judged by numbers computed here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..arithmetic import Float
from ..case import Case, Group, Param, Step
from ..dialects import Dialect, deviations, dialect
from ..gradients import RowGradient
from ..oracle import Recorded, expectations, recorded
from ._comparison import Comparison
from ._distances import Distance, compare, distance
from ._document import Block, Code, Items, Table, Text
from ._limits import limits
from ._measured import Measured, measured
from ._replay import DOUBLE, Target

PAGE = "https://gitee.com/mindspore/docs/blob/r2.3/docs/mindspore/source_en/note/api_mapping/pytorch_diff/SparseAdam.md"
TORCH, LAZY, DEFAULT = "torch.SparseAdam", "mindspore.LazyAdam", "mindspore.LazyAdam.default-target"


def corrections(found: Comparison) -> tuple[Block, ...]:
    """The claims of that page with what is true, for the pairs that it is about; nothing for others."""
    if {found.a.name, found.b.name} not in ({TORCH, LAZY}, {TORCH, DEFAULT}):
        return ()
    lazy = dialect(next(one.name for one in (found.a, found.b) if one.name != TORCH))
    return (
        Text(f'The page is "Differences with torch.optim.SparseAdam" of MindSpore r2.3, on torch 1.8.0: {PAGE}'),
        Table(("it says", "true?", "what was computed"), tuple(_claims(found, lazy))),
        Text("Its examples. The torch half stops at the first step:"),
        Code(RAISES),
        Text(
            f'It raises RuntimeError: "{dialect(TORCH).refusal("dense")}". torch.nn.Linear has dense gradients; SparseAdam wants '
            "a layer whose gradients are sparse, such as torch.nn.Embedding(..., sparse=True), and a Linear layer wants torch.optim.Adam. "
            "The MindSpore half runs, but what runs is dense Adam: nn.Dense has dense gradients too, for which LazyAdam computes "
            "what nn.Adam does. Neither half makes a sparse update; the examples below do."
        ),
        Code(WORKS),
        Items(
            (
                "maximize, which torch.optim.SparseAdam has today and had not in 1.8.0, is not on the page.",
                "grad_centralization, a key of MindSpore's parameter groups, is not on the page.",
            )
        ),
    )


RAISES = """import torch

model = torch.nn.Linear(2, 3)
optimizer = torch.optim.SparseAdam(model.parameters())
torch.nn.L1Loss(reduction="mean")(model(torch.ones(1, 2)), torch.ones(1, 3)).backward()
optimizer.step()  # RuntimeError
"""
WORKS = """import torch

model = torch.nn.Linear(2, 3)
optimizer = torch.optim.Adam(model.parameters())  # dense gradients, as LazyAdam takes them for nn.Dense
torch.nn.L1Loss(reduction="mean")(model(torch.ones(1, 2)), torch.ones(1, 3)).backward()
optimizer.step()
"""


def _claims(found: Comparison, lazy: Dialect) -> Iterator[tuple[str, str, str]]:
    yield _consistent(found)
    yield (
        "for sparse gradients LazyAdam only supports CPU backends",
        "not judged here",
        "Other backends are not run by refimpl. On the CPU there are two routes: after target = 'CPU' repeated rows are summed "
        f"({LAZY}); with the target left alone every occurrence starts from the old state ({DEFAULT}).",
    )
    yield _dense(lazy)
    yield (
        "params: consistent function",
        "yes",
        f"Both refuse an empty list. A parameter without a gradient is another matter: {TORCH} leaves it as it is, "
        f"{lazy.name} {limits(lazy).none}.",
    )
    yield (
        "lr and learning_rate: same function, different names",
        "yes",
        f"Where eps and the counter agree, so do the steps. {_range('lr', lazy)}",
    )
    yield ("betas and beta1, beta2: same function, different names", "yes", _range("beta1", lazy))
    yield _eps(lazy)
    yield _switch("use_locking protects the update by a lock", "not judged here", "it changes no number", {"use_locking": True}, lazy)
    yield _switch(
        "use_nesterov uses NAG to update the gradient",
        "not quite",
        "the gradient stays, the direction becomes b1 m + (1-b1) g; the step size is not changed with it, so it is not Dozat's NAdam",
        {"use_nesterov": True},
        lazy,
    )
    yield _switch(
        "weight_decay: torch does not have it",
        "yes",
        "it is added to the gradient of touched rows only, once per occurrence: a row that occurs twice is decayed twice",
        {"weight_decay": 0.1},
        lazy,
    )
    yield _switch(
        "loss_scale is the gradient scaling factor", "the other way round", "the gradient is divided by it", {"loss_scale": 1024.0}, lazy
    )


def _consistent(found: Comparison) -> tuple[str, str, str]:
    taken = {key: one for key, one in found.recipe.plain.items() if isinstance(one, Distance)}
    ids = {key: one for key, one in taken.items() if key in found.plain_settings and key not in found.dense_cases}
    apart = {key: one for key, one in ids.items() if not one.agrees}
    claim = "LazyAdam is consistent with SparseAdam with default parameters when the gradient is sparse"
    if not apart:
        return claim, "yes", f"no difference within any bound on {len(ids)} cases with default parameters"
    worst = max(apart, key=lambda one: apart[one].rates)
    largest = apart[worst]
    pair = next((key for key in ids if key.endswith("/duplicates/pair")), "")
    twice = ids.get(pair)
    repeated = ""
    if twice:
        repeated = f" Repeated rows: {'the same' if twice.agrees else f'{twice.rates:.3g} lr apart'} in {pair}."
    return (
        claim,
        "no",
        (
            f"On {len(apart)} of {len(ids)} cases with default parameters and sparse gradients they differ, "
            f"by up to {largest.rates:.3g} lr ({largest.bounds:.2g} bounds): {worst}. {found.abouts[worst]}{repeated}"
        ),
    )


def _one_case(of: Dialect, gradients: list[object], changes: dict[str, object]) -> Case:
    steps = tuple(Step({"w": one}) for one in gradients)
    start = np.full((4, 2), 0.5, np.float32)
    return Case(
        f"{of.name}/page/case",
        "",
        of.name,
        (Param("w", start),),
        (Group({**of.defaults(), **changes}),),
        steps,
        tuple(range(1, len(steps) + 1)),
    )


def _measured(case: Case) -> Measured:
    return measured(case, expectations(case))


def _some_dense() -> list[object]:
    return [np.array([[1, -2], [3, 0.5], [-1, 4], [2, 1]], np.float32) * np.float32(scale) for scale in (1.0, 1e-3, 0.1)]


def _some_rows() -> list[object]:
    return [
        RowGradient(np.array([1, 3, 1]), np.array([[1, 2], [-1, 3], [0.5, -1]], np.float32) * np.float32(scale), (4, 2))
        for scale in (1.0, 1e-2, 3.0)
    ]


def _dense(lazy: Dialect) -> tuple[str, str, str]:
    one = _measured(_one_case(lazy, _some_dense(), {}))
    apart = compare(one, one.given, Target(dialect("mindspore.Adam"), {}))
    claim = "for a gradient that is not sparse LazyAdam executes mindspore.nn.Adam"
    assert isinstance(apart, Distance)
    same = f"no difference within any bound over {len(one.case.steps)} steps" if apart.agrees else f"{apart.rates:.3g} lr apart"
    return claim, "yes" if apart.agrees else "no", f"{same}. torch.optim.SparseAdam refuses such a gradient."


def _range(role: str, lazy: Dialect) -> str:
    one = next(parameter for parameter in dialect(TORCH).parameters.values() if role in parameter.roles)
    other = next(parameter for parameter in lazy.parameters.values() if role in parameter.roles)
    mine, theirs = (each.interval.text if each.interval else "anything" for each in (one, other))
    return f"{TORCH} accepts {one.name} in {mine}, {lazy.name} {other.name} in {theirs}."


def _eps(lazy: Dialect) -> tuple[str, str, str]:
    tiny = RowGradient(np.array([1]), np.full((1, 2), 1e-8, np.float32), (4, 2))
    moved = {of.name: _moved(of, tiny) for of in (dialect(TORCH), lazy)}
    documented = _moved(lazy, tiny, "eps-beside-sqrt-v-hat")
    rounded = _from_zero(lazy, tiny)
    scalars = recorded(rounded, Float("float32", tensor_scalars=True), lazy)
    share = distance(_measured(rounded), scalars).bounds
    same = len({f"{one:.6g}" for one in moved.values()}) == 1
    numbers = ", ".join(f"{name} {one:.7g}" for name, one in moved.items())
    return (
        "eps: consistent function",
        "yes" if same else "no",
        (
            f"Both put it beside sqrt(v), not sqrt(v_hat). The first step with a gradient of 1e-8 moves: {numbers}, "
            f"and {_farthest(scalars):.7g} where the hyper-parameters are rounded to float32 first, as MindSpore does "
            f"({share:.2f} of the bound); "
            f"the formula that MindSpore's own page gives, with eps beside sqrt(v_hat), would move {documented:.3g}. {_range('eps', lazy)}"
        ),
    )


def _moved(of: Dialect, gradient: object, deviation: str = "") -> float:
    changed = (deviations()[deviation],) if deviation else ()
    return _farthest(recorded(_from_zero(of, gradient), DOUBLE, of, changed))


def _from_zero(of: Dialect, gradient: object) -> Case:
    """One step from zero, where no digit of it is lost."""
    return replace(_one_case(of, [gradient], {}), params=(Param("w", np.zeros((4, 2), np.float32)),))


def _farthest(states: Recorded) -> float:
    return float(np.max(np.abs(states["w", "param"])))


def _switch(claim: str, verdict: str, does: str, changes: dict[str, object], lazy: Dialect) -> tuple[str, str, str]:
    """What a setting does to three steps on sparse gradients with a repeated row, in units of lr and of bounds."""
    plain = _measured(_one_case(lazy, _some_rows(), {}))
    changed = _one_case(lazy, _some_rows(), changes)
    states = recorded(changed, DOUBLE, lazy)
    apart = distance(plain, states)
    setting = ", ".join(f"{name}={value!r}" for name, value in changes.items())
    size = (
        "no difference within any bound"
        if apart.agrees
        else f"p changes by up to {apart.rates:.3g} lr, and {apart.array} by {apart.bounds:.2g} bounds"
    )
    return claim, verdict, f"{does}. With {setting}, over three steps: {size}."
