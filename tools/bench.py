"""How fast a step is, compared with memory bandwidth and with PyTorch, as medians of paired runs in one process.

    python tools/bench.py [--quick] [--repeats 21] [--json FILE] [--plot FILE] [--mindspore PYTHON]
    python tools/bench.py --watch [--quick] [--repeats 21]

Every contestant of a cell works on the same arrays. A round runs each of them unmeasured for 20 ms at least, which brings the
caches into the state that it leaves and lets the threads of the one before become idle, and then once measured; a ratio is
taken within a round, and the table shows the median over the rounds.

limit      the kernel's reads and writes, in its order and with its prefetching and threads, and one addition for each: no Adam
stream     the same for each occurrence as it comes, where some rows repeat: what a gradient costs whose rows nobody has to find
kernel     refimpl's kernel, given what it needs: the rows, and which occurrences belong together
step       refimpl.kernels.step: validation, merging, kernel
optimizer  refimpl.SparseAdam or refimpl.Adam as a user calls it
torch...   torch.optim.SparseAdam, torch.optim.Adam (fused, foreach) over the same memory; the gradient is a tensor over it too
mindspore  with --mindspore PYTHON: the kernel FusedSparseLazyAdam, in a process of that Python, which takes its own time
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numba
import numpy as np
from bench_contestants import Cell, Run, contenders, contestants
from bench_output import Result, plot, table
from bench_watch import watch_lines
from numba.core.registry import cpu_target

from refimpl.common.cli import guarded, output_file, positive, say, write_text
from refimpl.errors import OK, UsageError

SETTLE = 0.02
"""Seconds. Idle OpenMP threads keep their core busy for some milliseconds, which would disturb the next measurement."""


SIZES = ((1_000_000, 64, 100_000), (1_000_000, 64, 5_000), (100_000, 128, 50_000), (5_000_000, 16, 200_000))
CELLS = (*(Cell(*size, duplicated) for size in SIZES for duplicated in (False, True)), Cell(12_800_000, 1, 0))
QUICK = (Cell(20_000, 64, 5_000), Cell(20_000, 64, 5_000, True), Cell(200_000, 1, 0))
GROWTH = {"small": Cell(100_000, 16, 50_000), "middle": Cell(3_000_000, 16, 50_000), "large": Cell(50_000_000, 16, 50_000)}
"""The same number of touched rows, where p, m and v take 19 MB, which many caches hold, 0.6 GB, which none does, and 10 GB."""

RATIOS = (
    ("limit", "kernel"),
    ("limit", "step"),
    ("stream", "step"),
    ("torch", "step"),
    ("torch", "optimizer"),
    ("torch fused", "step"),
    ("torch foreach", "step"),
    ("mindspore", "kernel"),
)
"""Pairs of contestants whose times are compared: the first divided by the second."""


def timed(run: Run) -> float:
    settled = time.perf_counter() + SETTLE
    run()
    while time.perf_counter() < settled:
        run()
    began = time.perf_counter()
    own = run()
    return own if isinstance(own, float) else time.perf_counter() - began


def measured(cell: Cell, repeats: int, seed: int, mindspore: str | None) -> Result:
    """The medians of a cell; each round starts with another contestant."""
    with contestants(cell, seed, mindspore) as runs:
        return _medians(cell, runs, repeats)


def _medians(cell: Cell, runs: Mapping[str, Run], repeats: int) -> Result:
    for run in runs.values():
        run()  # compiles
    rounds: list[dict[str, float]] = []
    for number in range(repeats):
        names = list(runs)
        turn = names[number % len(names) :] + names[: number % len(names)]
        rounds.append({name: timed(runs[name]) for name in turn})
    present = [(first, second) for first, second in RATIOS if first in runs and second in runs]
    return Result(
        cell,
        {name: float(np.median([first[name] for first in rounds])) for name in runs},
        {f"{first}/{second}": float(np.median([seconds[first] / seconds[second] for seconds in rounds])) for first, second in present},
    )


def growth(repeats: int, seed: int) -> Result:
    """The step, and the limit, in a large table against the same in smaller ones."""
    runs = {size: contenders(cell, seed) for size, cell in GROWTH.items()}
    names = ("limit", "step")
    rounds = [{name: {size: timed(made[name]) for size, made in runs.items()} for name in names} for _ in range(repeats)]
    seconds = {name: float(np.median([seconds_of[name]["large"] for seconds_of in rounds])) for name in names}
    ratios = {
        f"{name}, large/{size}": float(np.median([seconds_of[name]["large"] / seconds_of[name][size] for seconds_of in rounds]))
        for size in ("small", "middle")
        for name in names
    }
    return Result(GROWTH["large"], seconds, ratios)


def machine() -> dict[str, Any]:
    """Where and with what this was measured."""
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    versions = {name: metadata.version(name) for name in ("numpy", "numba", "torch") if find_spec(name)}
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    return {
        "cpu": names[0] if names else platform.processor(),
        "target": str(cpu_target.target_context.codegen().magic_tuple()[1]),
        "threads": int(numba.get_num_threads()),
        "load": load,
        "python": platform.python_version(),
        **versions,
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def run(options: argparse.Namespace) -> int:
    if options.plot and find_spec("matplotlib") is None:
        raise UsageError("--plot needs matplotlib, which is not installed", "pip install 'refimpl[plots]'")
    if find_spec("torch"):
        import torch

        torch.set_num_threads(numba.get_num_threads())
    about = machine()
    words = ", ".join(f"{name} {value}" for name, value in about.items())
    if options.watch:
        print("\n".join(watch_lines(options.repeats, options.quick)))
        print(f"\n{words}; {options.repeats} rounds")
        return OK
    results = []
    for cell in QUICK if options.quick else CELLS:
        say(cell.label)
        results.append(measured(cell, options.repeats, options.seed, options.mindspore))
    if not options.quick:
        say(f"{GROWTH['large'].label}, against the same in smaller tables")
        results.append(growth(options.repeats, options.seed))
    print("\n".join(table(results)))
    print(f"\n{words}; {options.repeats} rounds")
    if options.json:
        rows = [
            {**asdict(result.cell), "label": result.cell.label, "seconds": result.seconds, "ratios": result.ratios} for result in results
        ]
        write_text(options.json, json.dumps({"machine": about, "repeats": options.repeats, "cells": rows}, indent=2) + "\n")
    if options.plot:
        plot(results, words, options.plot)
    return OK


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small tables, in seconds: whether it works, not how fast it is")
    parser.add_argument("--repeats", type=positive, default=21, help="rounds per cell (default 21)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=output_file, metavar="FILE")
    parser.add_argument("--mindspore", metavar="PYTHON", help="the python of an environment with mindspore, whose fused kernel takes part")
    parser.add_argument("--watch", action="store_true", help="what refimpl.Watch costs, and nothing else")
    parser.add_argument("--plot", type=output_file, metavar="FILE", help="draw the table (.png or .svg; needs matplotlib)")
    options = parser.parse_args(arguments)
    return guarded("bench", lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
