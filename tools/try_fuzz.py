"""Run `refimpl fuzz` against the corpus of faulty backends, each on one core for a minute at most: found or not, when, and how small.

    python tools/try_fuzz.py [--only GLOB]... [--seconds 60] [--patience 1] [--seed 1] [--json FILE]

Prints a line per backend: the seconds until the first failure was found and made small (a start of the backend included), the elements of
the shrunk case and the fewest that show the fault, its steps, and the cause that the diagnosis names. `small` asks for at most 12 elements
where the fault allows, else for what it needs. The seconds are those of one core; --patience lets each run for a multiple of them on the
clock, on a machine that others use too. Exit code 1 if one is not found in time or not small. The backends are those of
tests/corpus/fuzzing.py.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from refimpl.common.cli import guarded, output_file, write_text
from refimpl.errors import NOT_CONFORMANT, OK, UsageError

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from corpus.fuzzing import FAULTY  # noqa: E402  # it lies among the tests

SMALL = 12


@dataclass(frozen=True)
class Line:
    """What became of one backend. seconds: on the clock; cpu: of all processes together."""

    id: str
    found: bool
    small: bool
    seconds: float
    cpu: float
    elements: int
    least: int
    steps: int
    causes: tuple[str, ...]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="GLOB", help="backends by id")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S")
    parser.add_argument("--patience", type=float, default=1.0, metavar="K")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--json", type=output_file, metavar="FILE")
    options = parser.parse_args(arguments)
    ids = [id for id in FAULTY if not options.only or any(fnmatchcase(id, glob) for glob in options.only)]
    if not ids:
        raise UsageError("no backend is selected", f"there are {', '.join(FAULTY)}")
    lines = []
    for id in ids:
        line = attempt(id, options.seconds, options.patience, options.seed)
        print(text(line), flush=True)
        lines.append(line)
    found, small = sum(line.found for line in lines), sum(line.small for line in lines)
    print(
        f"{found} of {len(lines)} found, {small} of them made small; the slowest took {max(line.cpu for line in lines):.0f} s of one core"
    )
    if options.json:
        write_text(options.json, json.dumps([asdict(line) for line in lines], indent=1) + "\n")
    return OK if found == small == len(lines) else NOT_CONFORMANT


def attempt(id: str, seconds: float, patience: float, seed: int) -> Line:
    """Fuzz one backend until its first failure has been made small."""
    with tempfile.TemporaryDirectory(prefix="refimpl-") as scratch:
        report = Path(scratch, "report.json")
        words = ["corpus.fuzzing:factory", "--option", f"row={id}", "--minutes", str(seconds * patience / 60), "--seed", str(seed), "-x"]
        before, began = _cpu(), time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "refimpl.fuzz", *words, "--json", str(report)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            check=False,
        )
        taken, cpu = time.perf_counter() - began, _cpu() - before
        shrunk = json.loads(report.read_text())["fuzz"]["shrunk"] if report.exists() else []
    least = FAULTY[id].least
    if not shrunk:
        return Line(id, False, False, round(taken, 1), round(cpu, 1), 0, least, 0, ())
    first = shrunk[0]
    in_time = cpu <= seconds
    small = first["fails_again"] and first["elements"] <= max(SMALL, least)
    return Line(
        id, in_time, in_time and small, round(taken, 1), round(cpu, 1), first["elements"], least, first["steps"], tuple(first["causes"])
    )


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def text(line: Line) -> str:
    word = "small" if line.small else "LARGE" if line.found else "MISSED"
    sizes = f"{line.elements} elements (least {line.least}), {line.steps} steps" if line.found else "-"
    return f"{word:7} {line.id:28} {line.seconds:6.1f} s, {line.cpu:5.1f} s of a core  {sizes:44} {', '.join(line.causes) or '-'}"


if __name__ == "__main__":
    sys.exit(guarded(Path(__file__).name, main))
