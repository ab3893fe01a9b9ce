"""Run a campaign of `refimpl fuzz` against the corpus of faulty backends, for a minute of one core each: found or not, when, and how small.

    python tools/try_fuzz.py [--only GLOB]... [--seconds 60] [--seed 1] [--jobs 1] [--json FILE]

Prints a line per backend: the seconds of one core until the first failure was found, and until it had been made small and diagnosed, the
elements of the shrunk case and the fewest that show the fault, its steps, and the cause that the diagnosis names. `small` asks for at most
12 elements where the fault allows, else for what it needs. The backends run in this process, without a worker. Exit code 1 if one is not
found in time or not small. The backends are those of tests/corpus/fuzzing.py.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from refimpl.common.cli import guarded, output_file, write_text
from refimpl.errors import NOT_CONFORMANT, OK, UsageError
from refimpl.fuzz._campaign import FAILING

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from corpus.fuzzing import FAULTY, factory  # noqa: E402  # it lies among the tests
from fuzz_runs import SETTINGS, campaign  # noqa: E402  # as above

SMALL = 12

Task = tuple[str, float, int]
"""The id of a backend, seconds, and the seed."""


@dataclass(frozen=True)
class Line:
    """What became of one backend. cases: until it was found; found_after, seconds: of one core, until found and until made small."""

    id: str
    found: bool
    small: bool
    cases: int
    found_after: float
    seconds: float
    elements: int
    least: int
    steps: int
    causes: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="GLOB", help="backends by id")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--jobs", type=int, default=1, metavar="N")
    parser.add_argument("--json", type=output_file, metavar="FILE")
    options = parser.parse_args(arguments)
    tasks = [
        (id, options.seconds, options.seed) for id in FAULTY if not options.only or any(fnmatchcase(id, glob) for glob in options.only)
    ]
    if not tasks:
        raise UsageError("no backend is selected", f"there are {', '.join(FAULTY)}")
    lines = []
    for line in _lines(tasks, options.jobs):
        print(text(line), flush=True)
        lines.append(line)
    print(summary(lines))
    if options.json:
        write_text(options.json, json.dumps([asdict(line) for line in lines], indent=1) + "\n")
    return OK if all(line.small for line in lines) else NOT_CONFORMANT


def _lines(tasks: Sequence[Task], jobs: int) -> Iterator[Line]:
    if jobs == 1:
        yield from map(attempt, tasks)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(attempt, tasks)


def attempt(task: Task) -> Line:
    """Fuzz one backend until its first failure has been made small, or the time is over."""
    id, seconds, seed = task
    session = campaign(factory(id), replace(SETTINGS, dialects=(), seed=seed, cases=None))
    began, number, least = time.process_time(), 0, FAULTY[id].least
    while session.result(number).verdict.status not in FAILING:
        number += 1
        if time.process_time() - began > seconds:
            return Line(id, False, False, number, 0.0, round(time.process_time() - began, 1), 0, least, 0, ())
    found_after = time.process_time() - began
    shrunk = session.shrunk(number)
    taken = time.process_time() - began
    small = shrunk.again and shrunk.elements <= max(SMALL, least) and taken <= seconds
    causes = tuple(diagnosis.name for diagnosis in shrunk.diagnoses)
    return Line(
        id, taken <= seconds, small, number + 1, round(found_after, 1), round(taken, 1), shrunk.elements, least, shrunk.steps, causes
    )


def text(line: Line) -> str:
    """A line of the table."""
    word = "small" if line.small else "LARGE" if line.found else "MISSED"
    sizes = f"{line.elements} elements (least {line.least}), {line.steps} steps" if line.steps else "-"
    times = f"case {line.cases:3}, {line.found_after:5.1f} s, small after {line.seconds:5.1f} s"
    return f"{word:7} {line.id:26} {times}  {sizes:42} {', '.join(line.causes) or '-'}"


def summary(lines: Sequence[Line]) -> str:
    """How many were found and made small, and the slowest."""
    found, small = sum(line.found for line in lines), sum(line.small for line in lines)
    slowest = max(line.seconds for line in lines)
    return f"{found} of {len(lines)} found, {small} of them made small; the slowest took {slowest:.0f} s of one core"


if __name__ == "__main__":
    sys.exit(guarded(Path(__file__).name, main))
