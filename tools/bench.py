"""How fast a step is, compared with what memory allows and with PyTorch, as medians of paired runs in one process.

    python tools/bench.py [--quick] [--repeats 21] [--json FILE] [--plot FILE] [--mindspore PYTHON]
    python tools/bench.py --page                 all of it: tools/bench/MACHINE.json, tools/BENCH.md and tools/bench.png
    python tools/bench.py --watch [--quick] [--repeats 21]

Every contestant of a cell works on the same arrays. A round runs each of them unmeasured for 20 ms at least, which brings the
caches into the state that it leaves and lets the threads of the one before become idle, and then once measured; a ratio is
taken within a round, and the tables show the median over the rounds.

limit      a plain program with the step's reads and writes, and one addition for each: no Adam, nothing of the kernel. Of those in
           `bench_limits.py` the quickest on this machine, over every number of threads and order; which rows repeat is given to it
kernel     refimpl's kernel, given the rows that are stored: it finds out which occurrences belong together, and computes
step       refimpl.kernels.step: validation and kernel
serial     the part of it that one thread does alone; of the time of a step on more threads, by Amdahl's law
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
from bench_cells import CELLS, GROWTH, QUICK, TINY, Cell
from bench_contestants import Contest, Run, contest, contestants
from bench_limits import bandwidths
from bench_output import Result, plot, table
from bench_page import write_page
from bench_watch import watch_lines
from numba.core.registry import cpu_target

from refimpl.common.cli import guarded, output_file, positive, say, write_text
from refimpl.errors import OK, UsageError

SETTLE = 0.02
"""Seconds. Idle OpenMP threads keep their core busy for some milliseconds, which would disturb the next measurement."""


MORE_THREADS = (4, 8)

RATIOS = (
    ("limit", "kernel"),
    ("limit", "step"),
    ("serial", "step"),
    ("torch", "step"),
    ("torch", "optimizer"),
    ("torch", "limit"),
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
    with contestants(cell, seed, mindspore) as made:
        return _medians(cell, made, repeats)


def _medians(cell: Cell, made: Contest, repeats: int) -> Result:
    runs = made.runs
    for run in runs.values():
        run()  # compiles
    rounds: list[dict[str, float]] = []
    for number in range(repeats):
        names = list(runs)
        turn = names[number % len(names) :] + names[: number % len(names)]
        rounds.append({name: timed(runs[name]) for name in turn})
    present = [(first, second) for first, second in RATIOS if first in runs and second in runs]
    ratios = {f"{first}/{second}": _median([seconds[first] / seconds[second] for seconds in rounds]) for first, second in present}
    count = int(numba.get_num_threads())
    if "serial" in runs:
        ratios |= {f"serial on {more}": _median([_serial(seconds, count, more) for seconds in rounds]) for more in MORE_THREADS}
    return Result(cell, {name: _median([seconds[name] for seconds in rounds]) for name in runs}, ratios, made.limit)


def _serial(seconds: Mapping[str, float], threads: int, more: int) -> float:
    """The serial part of a step on more threads, if the rest of it were shared among them all (Amdahl)."""
    alone = seconds["serial"]
    return alone / (alone + max(seconds["step"] - alone, 0.0) * threads / more)


def _median(numbers: Sequence[float]) -> float:
    return float(np.median(numbers))


def overhead(repeats: int, seed: int) -> dict[str, float]:
    """Microseconds of the kernel, of a step and of an optimizer's call on 16 rows, and what the call takes beyond the kernel."""
    runs = contest(TINY, seed).runs
    rounds = [{name: min(timed(runs[name]) for _ in range(3)) for name in ("kernel", "step", "optimizer")} for _ in range(repeats + 1)][1:]
    beyond = _median([1e6 * (seconds["optimizer"] - seconds["kernel"]) for seconds in rounds])
    return {**{name: 1e6 * _median([seconds[name] for seconds in rounds]) for name in rounds[0]}, "optimizer - kernel": beyond}


def growth(repeats: int, seed: int) -> Result:
    """The step, and the limit, in a large table against the same in smaller ones."""
    runs = {size: contest(cell, seed).runs for size, cell in GROWTH.items()}
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
    if (options.plot or options.page) and find_spec("matplotlib") is None:
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
    say("memory")
    memory = bandwidths(2 if options.quick else 256)
    say(TINY.label)
    calls = overhead(options.repeats, options.seed)
    results = []
    for cell in QUICK if options.quick else CELLS:
        say(cell.label)
        results.append(measured(cell, options.repeats, options.seed, options.mindspore))
    if not options.quick:
        say(f"{GROWTH['large'].label}, against the same in smaller tables")
        results.append(growth(options.repeats, options.seed))
    print("\n".join(table(results)))
    print("\n" + ", ".join(f"{name} {rate:.3g} GB/s" for name, rate in memory.items()))
    print("; ".join(f"{name} {microseconds:.3g} us" for name, microseconds in calls.items()) + f" ({TINY.label})")
    print(f"\n{words}; {options.repeats} rounds")
    rows = [{**asdict(result.cell), "label": result.cell.label, **_figures(result)} for result in results]
    document = {"machine": about, "repeats": options.repeats, "memory": memory, "overhead": calls, "cells": rows}
    if options.json:
        write_text(options.json, json.dumps(document, indent=1) + "\n")
    if options.plot:
        plot(results, words, options.plot)
    if options.page:
        write_page(document)
        plot(results, words, Path(__file__).with_name("bench.png"))
    return OK


def _figures(result: Result) -> dict[str, Any]:
    return {"limit": result.limit, "seconds": result.seconds, "ratios": result.ratios}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small tables, in seconds: whether it works, not how fast it is")
    parser.add_argument("--repeats", type=positive, default=21, help="rounds per cell (default 21)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=output_file, metavar="FILE")
    parser.add_argument("--mindspore", metavar="PYTHON", help="the python of an environment with mindspore, whose fused kernel takes part")
    parser.add_argument("--page", action="store_true", help="write tools/bench/MACHINE.json, tools/BENCH.md and tools/bench.png")
    parser.add_argument("--watch", action="store_true", help="what refimpl.Watch costs, and nothing else")
    parser.add_argument("--plot", type=output_file, metavar="FILE", help="draw the table (.png or .svg; needs matplotlib)")
    options = parser.parse_args(arguments)
    return guarded("bench", lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
