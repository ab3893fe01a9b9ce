"""What every runner of a framework shares. A runner is a file `run_FRAMEWORK.py` beside this one that ends with

    ROUTES = {"lazy": LazyRun, ...}      # a route is one way to use the framework: name -> class, or anything that makes a run

    if __name__ == "__main__":
        main(ROUTES)

(never `FRAMEWORK.py`: it would hide the framework from its own import). A run is

    class LazyRun:
        dialects = ("paddle.Adam",)      # optional: cases of other dialects are passed over
        def __init__(self, case): ...    # raises Unsupported("reason") for what the framework has no way to do
        def step(self, step): ...        # one call of the optimizer
        def state(self): ...             # {name: {"param": ndarray, "exp_avg": ndarray, "exp_avg_sq": ndarray}}

`state` may leave out a moment that cannot be reached, and gives "max_exp_avg_sq", too, where amsgrad keeps one. Any other exception is
the framework's refusal and becomes SLUG/error.
Every array that a run is given is a fresh copy: gradients must stay as they are, all else is the run's own. bfloat16, which
NumPy lacks, comes as float32 that holds it exactly, and may be given back as that; `Param.dtype` tells.

    python run_FRAMEWORK.py --route NAME VECTORS_DIR RESULTS_DIR [--dialect D]... [--case GLOB]... [--limit SECONDS]

runs each case in a worker process, which is this program once more, and writes RESULTS_DIR/DIALECT/THEME.npz, whole, when a theme is
done. A case whose worker dies or outlasts its limit, whose run changes a gradient, or that refuses and leaves a changed state behind
gets no result, and the reason stands in RESULTS_DIR/lost.json; the others stand. After a case with a row number outside its table
the worker is replaced. Needs NumPy, PyYAML and the framework, and Python 3.7 or newer; nothing of refimpl.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Container
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from common_cases import STATE, Case, Elements, Param, Rows, Step, Unsupported, outside, read_theme
from common_worker import LostError, serve

__all__ = ["STATE", "Case", "Elements", "Param", "Rows", "Step", "Unsupported", "main"]

CASE_LIMIT, FIRST_LIMIT, START_LIMIT = 60.0, 180.0, 300.0
"""Seconds for a case, for the first case of a worker (frameworks load and compile much at first use), and for its imports."""

START_ATTEMPTS = 3
"""After so many workers in a row that could not start, the runner gives up."""


def main(routes: dict) -> None:
    """Run the cases of VECTORS_DIR by a route, and write their results; see the top of this file."""
    parser = argparse.ArgumentParser(description="Run golden vectors on a framework, and write what it computes.")
    parser.add_argument("vectors", nargs="?", type=Path, metavar="VECTORS_DIR")
    parser.add_argument("results", nargs="?", type=Path, metavar="RESULTS_DIR")
    parser.add_argument("--route", required=True, choices=tuple(routes), help=f"the way to use the framework: {', '.join(routes)}")
    parser.add_argument("--dialect", action="append", default=[], metavar="D", help="only this dialect (may be repeated)")
    parser.add_argument("--case", action="append", default=[], metavar="GLOB", help="only cases whose id matches (may be repeated)")
    parser.add_argument("--limit", type=float, default=CASE_LIMIT, metavar="S", help=f"seconds per case (default: {CASE_LIMIT:g})")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        serve(routes[options.route])
        return
    if options.vectors is None or options.results is None:
        parser.error("give VECTORS_DIR and RESULTS_DIR")
    if not options.vectors.is_dir():
        parser.error(f"no directory {options.vectors}; write one with `python -m refimpl.gen`")
    _supervise(options, options.dialect or getattr(routes[options.route], "dialects", ()))


def _supervise(options: argparse.Namespace, dialects: Container) -> None:
    worker, lost = _Worker(options.route, options.limit), {}
    options.results.mkdir(parents=True, exist_ok=True)
    try:
        for file in sorted(options.vectors.glob("*/*.yaml")):
            if file.with_suffix(".npz").is_file() and (not dialects or file.parent.name in dialects):
                _run_theme(file, worker, options, lost)
    finally:
        worker.close()


def _run_theme(file: Path, worker: _Worker, options: argparse.Namespace, lost: dict) -> None:
    began, members, ends = time.monotonic(), {}, Counter()
    for case in read_theme(file):
        if options.case and not any(fnmatchcase(case.id, glob) for glob in options.case):
            continue
        try:
            result = worker.run(case)
        except LostError as reason:
            lost[case.id] = str(reason)
            print(f"{case.id}: no result: {reason}", file=sys.stderr, flush=True)
            ends["without result"] += 1
            continue
        members.update({f"{case.slug}/{name}": array for name, array in result.items()})
        ends[next((end for end in ("error", "unsupported") if end in result), "ran")] += 1
    if ends:
        folder = options.results / file.parent.name
        folder.mkdir(exist_ok=True)
        _replace(folder / f"{file.stem}.npz", lambda stream: np.savez_compressed(stream, **members))
        _replace(options.results / "lost.json", lambda stream: stream.write(json.dumps(lost, indent=1).encode()))
        counts = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
        print(f"{file.parent.name}/{file.stem}: {counts} ({time.monotonic() - began:.1f} s)", file=sys.stderr, flush=True)


def _replace(file: Path, write: Callable) -> None:
    """Write a file under its name only when it is whole."""
    part = file.with_name(f".{file.name}.part")
    with part.open("wb") as stream:
        write(stream)
    os.replace(part, file)


class _Worker:
    """A process that runs cases: started when the first is due, ended when one goes wrong."""

    def __init__(self, route: str, limit: float) -> None:
        self.command = [sys.executable, sys.argv[0], "--route", route, "--worker"]
        self.limit = limit
        self.process = None

    def run(self, case: Case) -> dict:
        """The members of a case's result. Raises LostError where there is none."""
        limit = self.limit
        if self.process is None:
            self._start()
            limit = max(limit, FIRST_LIMIT)
        with contextlib.suppress(OSError):  # a worker that is gone gives no answer either, and that says why
            pickle.dump(case, self.process.stdin, protocol=4)
            self.process.stdin.flush()
        answer = self._answer(limit)
        if outside(case):
            self.close()  # it may have written outside its memory: nothing that it says later could be trusted
        if isinstance(answer, str):
            raise LostError(answer)
        return answer

    def _start(self) -> None:
        for _ in range(START_ATTEMPTS):
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            try:
                self._answer(START_LIMIT)
                return
            except LostError as reason:
                print(f"no worker: {reason}", file=sys.stderr, flush=True)
        raise SystemExit(3)

    def _answer(self, limit: float) -> object:
        """What the worker says within the limit (in seconds); else it is ended, and LostError says why."""
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self.process.kill()

        timer = threading.Timer(limit, expire)
        timer.start()
        try:
            return pickle.load(self.process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            status = self.close()
            raise LostError(f"no answer within {limit:g} s" if expired.is_set() else _in_words(status)) from None
        finally:
            timer.cancel()
            timer.join()

    def close(self) -> int:
        """End the process, where there is one, and give its exit status."""
        if self.process is None:
            return 0
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        status, self.process = self.process.returncode, None
        return status


def _in_words(status: int) -> str:
    if status >= 0:
        return f"the worker ended with exit status {status}"
    names = {int(one): one.name for one in signal.Signals}
    return f"the worker was killed by {names.get(-status, f'signal {-status}')}"
