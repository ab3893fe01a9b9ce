"""Small problems that more than one place of the guide looks at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from .. import cases
from ..arithmetic import Float
from ..case import Case, Group, Param, Step
from ..dialects import dialect
from ..gradients import Array, RowGradient
from ..reference import trajectory
from .lab import History, StepGradient, alternatives, run

STEEP = 100.0


@cache
def bowl(steps: int = 150) -> dict[str, Array]:
    """The loss (x^2 + 100 y^2) / 2 from (1, 1): under gradient descent at its best rate, and under Adam."""
    best = 2 / (1 + STEEP)  # the rate at which both directions shrink by the same factor
    x, y = 1.0, 1.0
    descent = [_loss(x, y)]
    for _ in range(steps):
        x, y = x - best * x, y - best * STEEP * y
        descent.append(_loss(x, y))
    at = np.array([1.0, 1.0])
    adam = [_loss(*at)]
    gradients: list[Array] = []
    for _ in range(steps):
        gradients.append(at * (1.0, STEEP))
        at = run(gradients, rows=2, start=(1.0, 1.0), like="torch.Adam", lr=0.1).p[-1]
        adam.append(_loss(*at))
    return {"gradient descent, best rate": np.array(descent), "Adam, lr = 0.1": np.array(adam)}


def _loss(x: float, y: float) -> float:
    return (x * x + STEEP * y * y) / 2


def recorded() -> list[tuple[Array, Array]]:
    """Row numbers and values of the embedding's gradients in a real training: a model that guesses the next letter of a text."""
    path = resources.files(cases.__name__) / "data" / "bigram.npz"
    with resources.as_file(path) as file, np.load(file, allow_pickle=False) as arrays:
        count = sum(name.startswith("indices.") for name in arrays)
        return [(arrays[f"indices.{t}"], arrays[f"values.{t}"]) for t in range(count)]


def letters_touched() -> Array:
    """Which of the 27 rows each step of that training touches: booleans of shape (steps, rows)."""
    steps = recorded()
    touched = np.zeros((len(steps), 27), bool)
    for t, (rows, _) in enumerate(steps):
        touched[t, rows] = True
    return touched


def centralized() -> tuple[Array, Array]:
    """A row of sixteen gradients, and what MindSpore's rule makes of it: read off the first moment after one step."""
    row = np.round(0.6 + np.sin(np.arange(16) * 1.3), 2)
    table = dialect("mindspore.LazyAdam")
    hyper = {**table.defaults(), "grad_centralization": True}
    gradient = RowGradient(np.array([0]), row.reshape(1, 16), (1, 16))
    case = Case(
        "guide/lab/centralized", "", table.name, (Param("w", np.zeros((1, 16))),), (Group(hyper),), (Step({"w": gradient}, ({},)),), (1,)
    )
    (states,) = trajectory(case, Float("float64"), table)
    return row, np.asarray(states["w"].m)[0] / (1 - hyper["beta1"])


TOUCHED_TWICE: list[StepGradient] = [[(0, 1.0)], *[[] for _ in range(10)], [(0, 1.0)]]
"""A row that is touched, left out for ten steps, and touched again."""

SCALE = 1024.0


def unscaled() -> dict[str, History]:
    """A gradient that changes its sign at every step, scaled up, with weight decay: under each way to scale it down again."""
    picks = {
        "decay survives": "decay_kept",
        "decay shrinks with the gradient": "decay_shrunk",
        "not scaled down": "ignored",
        "scaled down twice": "twice",
    }
    gradients = [[(0, SCALE * (-1.0) ** t)] for t in range(80)]
    options: dict[str, Any] = {"like": "mindspore.LazyAdam", "start": 1.0, "learning_rate": 0.01}
    return alternatives("unscale", picks, gradients, weight_decay=0.3, loss_scale=SCALE, **options)


def decay_alone(steps: int = 60) -> dict[str, Array]:
    """A row of 1 with stored gradients of 0, under coupled and decoupled decay of two sizes."""
    picks = {"coupled": "coupled_merged", "decoupled": "decoupled_touched"}
    runs = {decay: _decayed([[(0, 0.0)]] * steps, picks, decay) for decay in (0.001, 1.0)}
    return {f"{label}, {decay:g}": runs[decay][label][:, 0] for label in picks for decay in runs}


def decayed_rows() -> dict[str, Array]:
    """Two rows of 1, the first touched in every fifth step by a gradient of 0: which of them decays, and how often."""
    gradients: list[StepGradient] = [[(0, 0.0)] if t % 5 == 0 else [] for t in range(60)]
    picks = {"decoupled, touched rows": "decoupled_touched", "decoupled, all rows": "decoupled_all", "coupled, all rows": "coupled_all"}
    return _decayed(gradients, picks, 0.5)


def _decayed(gradients: Sequence[StepGradient], picks: Mapping[str, str], decay: float) -> dict[str, Array]:
    options: dict[str, Any] = {"like": "mindspore.LazyAdam", "rows": 2, "start": 1.0, "learning_rate": 0.01, "weight_decay": decay}
    return {label: history.p for label, history in alternatives("decay", picks, gradients, **options).items()}


@cache
def first_steps() -> dict[str, tuple[Array, Array]]:
    """When a row is first touched (t of the optimizer), and how long its first step is, in units of lr, under two counters."""
    at = np.unique(np.round(np.logspace(0, 4, 60)).astype(int))
    turn = {int(t): row for row, t in enumerate(at)}
    gradients: list[StepGradient] = [[(turn[t], 1.0)] if t in turn else [] for t in range(1, int(at[-1]) + 1)]
    counters = {"one clock for all rows": "parameter", "a clock for each row": "row"}
    return {label: (at, -history.p[-1]) for label, history in alternatives("counter", counters, gradients, rows=len(at), lr=1.0).items()}


@cache
def corrected_in_float32(steps: int = 3000) -> dict[str, tuple[Array, Array]]:
    """The relative error of sqrt(1 - beta2^t) / (1 - beta1^t) at each t, by how the powers are computed."""
    t = np.arange(1, steps + 1)
    shown = np.unique(np.round(np.logspace(0, np.log10(steps), 70)).astype(int)) - 1
    exact = np.sqrt(-np.expm1(t * np.log(BETA2))) / -np.expm1(t * np.log(BETA1))  # expm1: no digit is lost in 1 - b^t
    single = np.float32
    power1, power2 = np.full(steps, single(BETA1)).cumprod(dtype=single), np.full(steps, single(BETA2)).cumprod(dtype=single)
    product = np.sqrt(single(1) - power2) / (single(1) - power1)
    double = np.sqrt(1 - BETA2**t) / (1 - BETA1**t)
    ways = {"running product in float32": product, "powers in double, rounded once": double.astype(single)}
    return {label: (t[shown], np.abs(way / exact - 1)[shown]) for label, way in ways.items()}


BETA1, BETA2 = 0.9, 0.999


def turning() -> dict[str, History]:
    """A gradient of 1 that turns to -1 after ten steps, under each direction."""
    gradients = [[(0, 1.0)]] * 10 + [[(0, -1.0)]] * 15
    picks = {"m": "m", "Nesterov (MindSpore, TensorFlow 1)": "nesterov", "NAdam (Dozat)": "nadam"}
    return alternatives("direction", picks, gradients, lr=1.0)


COUNTEREXAMPLE = 3.0


def counterexample(steps: int = 600) -> dict[str, History]:
    """Gradients 3, -1, -1 over and over: their mean is positive, so p should fall (after Reddi et al., 2018)."""
    gradients = [np.array([COUNTEREXAMPLE if t % 3 == 0 else -1.0]) for t in range(steps)]
    betas = (0.0, 1 / (1 + COUNTEREXAMPLE**2))
    return {
        label: run(gradients, like="torch.Adam", lr=0.01, betas=betas, amsgrad=on) for label, on in (("Adam", False), ("amsgrad", True))
    }


def by_schedule() -> dict[str, History]:
    """A constant gradient under a learning rate that is halved at steps 5 and 9."""
    picks = {"as given": "as_given", "one step early": "early", "one step late": "late", "ignored": "ignored"}
    return alternatives("schedule", picks, [[(0, 1.0)]] * 12, lr=0.4, schedule={5: {"lr": 0.2}, 9: {"lr": 0.1}})


def resumed(before: int = 200, after: int = 60) -> dict[str, tuple[Array, Array]]:
    """A run whose gradients shrink from 1 to 0.02, saved and loaded between: with the whole state, and with parts of it lost."""
    first = run([[(0, 1.0)]] * before, lr=0.01)
    state = (float(first.m[-1, 0]), float(first.v[-1, 0]), before)
    picks = {"whole state": "as_given", "moments lost": "moments_dropped", "step count lost": "step_dropped"}
    runs = alternatives("resume", picks, [[(0, 0.02)]] * after, start=float(first.p[-1, 0]), lr=0.01, resumed=state)
    return {label: (np.arange(before, before + after + 1), history.p[:, 0]) for label, history in runs.items()}
