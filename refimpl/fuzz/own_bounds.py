"""`refimpl fuzz --self`: many random computations compared with the bounds: no admissible computation may leave its bound.

    python -m refimpl.fuzz --self [--element-steps 10000000] [--seed 1] [--jobs 2] [--json FILE]

Prints per dialect and class how many element-steps were checked (one element, updated by one step, in one computation) and
the largest |error| / bound of p, m, v and the maximum of v, as vectors store them; below, where each class came nearest. Exit code
1 if a bound was left. The same seed gives the same table, whatever --jobs is. The cases are those of
refimpl/cases/random_cases.py, the property is refimpl/oracle/bound_usage.py.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from ..arithmetic import CLASSES
from ..case import ARRAYS
from ..cases.random_cases import Size, mixed_case, random_case
from ..common.cli import guarded, natural, output_file, positive, say, write_text
from ..dialects import dialects
from ..errors import NOT_CONFORMANT, OK
from ..oracle.bound_usage import Margin, computations, margins

SIZES = (Size(32, 32, 4), Size(32, 32, 4), Size(64, 16, 2), Size(8, 32, 30))
DRAWN = (random_case, mixed_case)  # by turns: one parameter of any magnitude, and every feature of the table of coverage
BATCH = 40  # cases between two looks at the total; a constant, so that --jobs does not change which cases are run


@dataclass
class Row:
    """What is known of one dialect in one class."""

    element_steps: int = 0
    cases: int = 0
    worst: dict[str, Margin] = field(default_factory=dict)
    seeds: dict[str, tuple[int, int]] = field(default_factory=dict)


Rows = dict[tuple[str, str], Row]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign of refimpl's own bounds and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m refimpl.fuzz --self", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--element-steps", type=positive, default=10_000_000)
    parser.add_argument("--seed", type=natural, default=1)
    parser.add_argument("--jobs", type=positive, default=2)
    parser.add_argument("--json", type=output_file, metavar="FILE")
    options = parser.parse_args(arguments)
    return guarded("refimpl fuzz", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    rows, left = campaign(options.seed, options.element_steps, options.jobs)
    print(table(rows))
    if options.json:
        write_text(options.json, as_json(rows, options.seed) + "\n")
    for seed, margin in left:
        print(f"outside: {margin} (seed {seed[0]}, case {seed[1]})")
    return NOT_CONFORMANT if left else OK


def campaign(seed: int, wanted: int, jobs: int) -> tuple[Rows, list[tuple[tuple[int, int], Margin]]]:
    """Run cases until that many element-steps have been checked; also every margin above 1."""
    rows: Rows = {(name, numerics_class): Row() for name in dialects() for numerics_class in CLASSES}
    left, total, number = [], 0, 0
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:  # spawned alike on every platform, nothing inherited
        while total < wanted:
            tasks = [(seed, number + k) for k in range(BATCH)]
            for task, case_margins in zip(tasks, pool.imap(run, tasks)):
                total += _record(rows, task, case_margins)
                left += [(task, margin) for margin in case_margins if margin.ratio > 1]
            number += BATCH
            say(f"{total:,} of {wanted:,} element-steps, {number} cases, {len(left)} outside")
    return rows, left


def run(task: tuple[int, int]) -> list[Margin]:
    """The margins of one case: its number and the seed of the campaign are all that it depends on."""
    rng = np.random.default_rng(task)
    names = list(dialects())
    name, size = names[task[1] % len(names)], SIZES[rng.integers(len(SIZES))]
    case = DRAWN[task[1] // len(names) % len(DRAWN)](rng, name, size)
    return margins(case, list(computations(case, rng, per_class=4)))


def _record(rows: Rows, task: tuple[int, int], case_margins: Sequence[Margin]) -> int:
    for margin in case_margins:
        row = rows[margin.case.split("/")[0], margin.numerics_class]
        if margin.array == ARRAYS[0]:
            row.element_steps += margin.element_steps
            row.cases += 1
        if not margin.param:
            continue  # the case keeps no such array
        if margin.array not in row.worst or margin.ratio > row.worst[margin.array].ratio:
            row.worst[margin.array], row.seeds[margin.array] = margin, task
    return sum(margin.element_steps for margin in case_margins if margin.array == ARRAYS[0])


def table(rows: Rows) -> str:
    """The rows as text: figures per dialect and class, then where each class came nearest to its bound."""
    head = ("dialect", "class", "computations", "element-steps", "p", "m", "v", "max v")
    body = [
        (name, numerics_class, f"{row.cases:,}", f"{row.element_steps:,}", *(_ratio(row, array) for array in ARRAYS))
        for (name, numerics_class), row in rows.items()
        if row.worst
    ]
    widths = [max(len(line[k]) for line in (head, *body)) for k in range(len(head))]
    lines = [
        "  ".join(text.ljust(width) if k < 2 else text.rjust(width) for k, (text, width) in enumerate(zip(line, widths)))
        for line in (head, *body)
    ]
    return "\n".join([*lines, "", *_nearest(rows)])


def _ratio(row: Row, array: str) -> str:
    return f"{row.worst[array].ratio:.3f}" if array in row.worst else "-"


def _nearest(rows: Rows) -> Iterator[str]:
    for numerics_class in CLASSES:
        for array in ARRAYS:
            candidates = [row for (_, row_class), row in rows.items() if row_class == numerics_class and array in row.worst]
            if not candidates:
                continue
            row = max(candidates, key=lambda row: row.worst[array].ratio)
            worst, seed = row.worst[array], row.seeds[array]
            yield (
                f"{numerics_class}, {array}: {worst.ratio:.4f} in {worst.case}, {worst.computation}, step {worst.step}, "
                f"element {worst.index} of {worst.param} (seed {seed[0]}, case {seed[1]})"
            )


def as_json(rows: Rows, seed: int) -> str:
    return json.dumps(
        {
            "seed": seed,
            "element_steps": sum(row.element_steps for row in rows.values()),
            "rows": [
                {
                    "dialect": name,
                    "class": numerics_class,
                    "element_steps": row.element_steps,
                    "worst": {array: {**asdict(margin), "seed": row.seeds[array]} for array, margin in row.worst.items()},
                }
                for (name, numerics_class), row in rows.items()
            ],
        },
        indent=1,
    )
