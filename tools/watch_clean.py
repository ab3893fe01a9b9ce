"""Clean steps of PyTorch's optimizers under `refimpl.Watch`: how many are judged, and whether any is called wrong.

    python tools/watch_clean.py [--steps 500] [--minutes M] [--seed S]

Every optimizer, in float32, float64 and bfloat16 and in each of its implementations, trains a small model on random numbers, with a
learning rate that changes and gradients whose size changes by orders of magnitude. The first round has the settings of `VARIANTS`; with
`--minutes` more rounds follow, with learning rates, betas, eps, decays, schedules and sizes drawn at random, until the time is over.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch

from refimpl import Watch
from refimpl.common.cli import guarded, say
from refimpl.errors import NOT_CONFORMANT, OK

VARIANTS: dict[str, Sequence[dict[str, Any]]] = {
    "Adam": ({"foreach": False}, {"foreach": True, "amsgrad": True}, {"fused": True, "weight_decay": 0.1, "maximize": True}),
    "AdamW": ({"foreach": False, "amsgrad": True}, {"foreach": True}, {"fused": True}),
    "NAdam": ({"foreach": False}, {"foreach": True, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    "RAdam": ({"foreach": False}, {"foreach": True, "weight_decay": 0.1}),
    "Adamax": ({"foreach": False}, {"foreach": True, "weight_decay": 0.1}),
    "SparseAdam": ({}, {"maximize": True}),
}
DTYPES = (torch.float32, torch.float64, torch.bfloat16)
FEW = {torch.float64: 20, torch.bfloat16: 50}
"""Of the steps in these formats, which the proof judges, one in so many: it takes 25 ms and 75 ms for a call."""


SCHEDULES: dict[str, Callable[[Any, int], Any]] = {
    "cosine": lambda optimizer, steps: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps),
    "warm-up": lambda optimizer, steps: torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, 1.0, max(steps // 4, 1)),
    "steps": lambda optimizer, steps: torch.optim.lr_scheduler.StepLR(optimizer, 7, 0.9),
    "one-cycle": lambda optimizer, steps: torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, max(steps, 2), cycle_momentum=False),
    "restarts": lambda optimizer, steps: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 11),
}


@dataclass(frozen=True)
class Run:
    """One training. size: of the gradients of step k, a power of ten."""

    name: str
    dtype: Any
    options: dict[str, Any]
    schedule: str = "cosine"
    size: Callable[[int], float] = lambda k: k % 7 - 3
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.name} {self.dtype} {self.options} {self.schedule}"


def fixed() -> Iterator[Run]:
    for name, variants in VARIANTS.items():
        for dtype in DTYPES:
            for options in variants:
                yield Run(name, dtype, {"lr": 1e-2, **options}, seed=len(name))


def drawn(random: np.random.Generator) -> Iterator[Run]:
    """The same optimizers with settings at random, without end. NAdam judges no call whose betas change, so no schedule changes them."""
    while True:
        for run in fixed():
            betas = tuple(float(1 - 10 ** random.uniform(-4, -0.1)) for _ in range(2))
            options = {"lr": float(10 ** random.uniform(-6, 0)), "betas": betas, "eps": float(10 ** random.uniform(-12, -2))}
            decay = {"weight_decay": float(10 ** random.uniform(-4, 0))} if run.name != "SparseAdam" and random.random() < 0.5 else {}
            low, high = sorted(random.uniform(-9, 5, 2))
            schedule = str(random.choice(list(SCHEDULES)))
            size = lambda k, low=low, high=high: low + (high - low) * (k * 0.618 % 1)  # noqa: E731
            yield Run(run.name, run.dtype, {**run.options, **options, **decay}, schedule, size, int(random.integers(2**31)))


def watched(run: Run, steps: int) -> Any:
    torch.manual_seed(run.seed)
    sparse = run.name == "SparseAdam"
    net: Any = torch.nn.Embedding(64, 8, sparse=True) if sparse else torch.nn.Linear(8, 24)
    net = net.to(run.dtype)
    optimizer = getattr(torch.optim, run.name)(net.parameters(), **run.options)
    schedule = SCHEDULES[run.schedule](optimizer, steps)
    with Watch(optimizer, on_failure=lambda failure: say(str(failure)), every=FEW.get(run.dtype, 1)) as watch:
        for k in range(steps):
            optimizer.zero_grad()
            inputs = torch.randint(64, (24,)) if sparse else torch.randn(24, 8).to(run.dtype)
            (net(inputs).square().mean() * 10.0 ** run.size(k)).backward()
            optimizer.step()
            schedule.step()
    return watch


def run(options: argparse.Namespace) -> int:
    torch.set_num_threads(1)
    began = time.monotonic()
    totals = np.zeros(4, np.int64)
    more = drawn(np.random.default_rng(options.seed)) if options.minutes else iter(())
    for number, one in enumerate(chain(fixed(), more)):
        if options.minutes and time.monotonic() - began > 60 * options.minutes:
            break
        watch = watched(one, options.steps)
        report = watch.report()
        own = (len(report.judged), report.elements, report.left, watch.session.failing)
        totals += own
        if own[-1] or not options.minutes or number % 50 == 0:
            say(f"{one}: {own[0]} calls, {own[1]:,} elements, {own[3]} called wrong; {totals[0]:,} calls so far")
    calls, elements, left, wrong = totals.tolist()
    about = f"{calls:,} clean calls, {elements:,} elements judged, {left:,} left, {wrong} calls called wrong"
    print(f"{about}; torch {torch.__version__}; {time.monotonic() - began:.0f} s")
    return NOT_CONFORMANT if wrong else OK


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500, help="steps of each run (default 500)")
    parser.add_argument("--minutes", type=float, default=0.0, help="go on with settings at random for so long")
    parser.add_argument("--seed", type=int, default=0, help="of the settings at random")
    options = parser.parse_args(arguments)
    return guarded("watch_clean", lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
