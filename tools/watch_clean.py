"""Clean steps of PyTorch's optimizers under `refimpl.Watch`: how many are judged, and whether any is called wrong.

    python tools/watch_clean.py [--steps 500]

Every optimizer, in float32, float64 and bfloat16 and in each of its implementations, trains a small model on random numbers, with a
learning rate that changes and gradients whose size changes by orders of magnitude.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

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
FEW = 20
"""Of the steps in float64, which only the proof can judge, one in so many."""


def runs(steps: int) -> Iterator[tuple[str, int, int, int]]:
    """What was run, judged calls, judged elements, and calls that are called wrong."""
    for name, variants in VARIANTS.items():
        for dtype in DTYPES:
            for options in variants:
                torch.manual_seed(len(name))
                watch = _run(name, dtype, options, steps)
                report = watch.report()
                yield f"{name} {dtype} {options}", len(report.judged), report.elements, watch.session.failing


def _run(name: str, dtype: Any, options: dict[str, Any], steps: int) -> Any:
    sparse = name == "SparseAdam"
    net: Any = torch.nn.Embedding(64, 8, sparse=True) if sparse else torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Linear(16, 4))
    net = net.to(dtype)
    optimizer = getattr(torch.optim, name)(net.parameters(), lr=1e-2, **options)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    with Watch(optimizer, on_failure=lambda failure: say(str(failure)), every=FEW if dtype is torch.float64 else 1) as watch:
        for k in range(steps):
            optimizer.zero_grad()
            inputs = torch.randint(64, (24,)) if sparse else torch.randn(24, 8).to(dtype)
            (net(inputs).square().mean() * 10.0 ** (k % 7 - 3)).backward()
            optimizer.step()
            schedule.step()
    return watch


def run(options: argparse.Namespace) -> int:
    torch.set_num_threads(1)
    calls = elements = wrong = 0
    for words, own, judged, failing in runs(options.steps):
        say(f"{words}: {own} calls, {judged:,} elements, {failing} called wrong")
        calls, elements, wrong = calls + own, elements + judged, wrong + failing
    print(f"{calls:,} clean calls, {elements:,} elements judged, {wrong} calls called wrong; torch {torch.__version__}")
    return NOT_CONFORMANT if wrong else OK


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500, help="steps of each run (default 500)")
    options = parser.parse_args(arguments)
    return guarded("watch_clean", lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
