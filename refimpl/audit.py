"""`python -m refimpl.audit`: which known mistakes a tolerance lets pass, and which correct results it refuses."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .arithmetic import CLASSES, CPU_CLASS
from .backends.processes import terminated_in_order
from .case import ARRAYS, WIDEST_FIRST, Golden
from .common.cli import command_parser, guarded, output_file, say, version, write_text
from .common.json import strict
from .common.progress import watched
from .dialects import dialect
from .errors import NOT_CONFORMANT, OK, HarnessError, UsageError
from .oracle import LAST_STEP
from .tolerances import Rule, Tightest, audited, elementwise, is_compared, rule, rules, sampled, tightest
from .tolerances.report import Ground, Report, rounded_up, table, to_data, to_text
from .vectors.places import here
from .vectors.selection import select

EXAMPLES = """examples:
  python -m refimpl.audit --rtol 1e-5 --atol 1e-8                    a tolerance, in a minute or two
  python -m refimpl.audit --rtol 1e-5 --atol 1e-8 --all              the same on every float32 case: some minutes
  python -m refimpl.audit --rtol 1e-4 --atol 1e-4 --arrays param     where only parameters are compared
  python -m refimpl.audit --preset torch --dialect torch.AdamW       the defaults of torch.testing.assert_close
  python -m refimpl.audit --presets --dialect torch.SparseAdam       every preset, in a table

A mistake passes in a case where every compared element is within the tolerance. An element that is within the bound of a
correct implementation counts as what is expected: no test may refuse it. Elements that some correct computation takes out of
the range of the format are left out; where none is finite, the kinds are compared (nan, inf).

Without --all, a mistake is tried in the smallest case of each theme and dialect that shows it. The tightest tolerances are always
those of all selected cases.

exit codes: 0 it refuses every known mistake wherever one shows, and admits every correct implementation; 1 it does not;
2 usage or bad input; 3 refimpl could not do its work, or nothing was tried
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    tolerance = options.rtol is not None or options.atol is not None
    if tolerance + (options.preset is not None) + options.presets != 1:
        parser.error("give one of --rtol and --atol, --preset NAME, or --presets")
    return guarded("refimpl audit", lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    about = (
        "Which known mistakes a tolerance lets pass, with the vector that shows each; which correct results it refuses;\n"
        "and the tightest tolerance that admits every correct implementation."
    )
    parser = command_parser("audit", about, f"presets:\n{_listed_presets()}\n\n{EXAMPLES}")
    parser.add_argument("--version", action="version", version=f"refimpl {version()}")
    what = parser.add_argument_group("what to audit")
    what.add_argument("--rtol", type=_tolerance, metavar="R", help="|x - e| <= atol + rtol |e|; 0 where only --atol is given")
    what.add_argument("--atol", type=_tolerance, metavar="A", help="0 where only --rtol is given")
    what.add_argument("--preset", metavar="NAME", help="the rule of a tool or of a test suite")
    what.add_argument("--presets", action="store_true", help="all of them")
    what.add_argument(
        "--arrays", type=_arrays, metavar="A,B", help=f"what is compared, of {','.join(ARRAYS)} (default: all, or what the preset compares)"
    )
    which = parser.add_argument_group("on which cases")
    which.add_argument("--vectors", type=Path, metavar="DIR", help="golden vectors (default: ./vectors, else those that refimpl brings)")
    which.add_argument("--all", action="store_true", help="every case that shows a mistake, not only the smallest of each theme")
    which.add_argument("--dialect", action="append", default=[], metavar="NAME", help="only this dialect (may be repeated)")
    which.add_argument("--case", action="append", default=[], metavar="GLOB", help="only cases whose id matches (may be repeated)")
    which.add_argument("--dtype", choices=(*WIDEST_FIRST, "all"), default="float32", help="of parameters and moments (default: float32)")
    how = parser.add_argument_group("how")
    how.add_argument("--require", choices=CLASSES, default=CPU_CLASS, metavar="CLASS", help=f"what is correct (default: {CPU_CLASS})")
    how.add_argument("-j", "--jobs", type=_jobs, default=os.cpu_count() or 1, metavar="N", help="processes (default: one per core)")
    how.add_argument("--json", type=output_file, metavar="FILE", help="the audit as JSON, with every case")
    how.add_argument("--verbose", action="store_true", help="every mistake that passes with its cases, not only the first few")
    return parser


def _listed_presets() -> str:
    return "\n".join(f"  {name:<13} {preset.about}" for name, preset in rules().items())


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0")
    return value


def _arrays(text: str) -> tuple[str, ...]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in ARRAYS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(ARRAYS)}")
    return tuple(array for array in ARRAYS if array in names)


def _jobs(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 256")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    for name in options.dialect:
        dialect(name)  # raises UsageError with similar names
    chosen = _rules(options)
    directory = options.vectors or here()
    selected, left_out = _selected(options, directory)
    goldens = selected if options.all else sampled(selected)
    ground = Ground(
        vectors=str(directory),
        dialects=tuple(dict.fromkeys(golden.case.dialect for golden in goldens)),
        dtype=options.dtype,
        numerics_class=options.require,
        selected=len(selected),
        long=sum(len(golden.case.steps) > LAST_STEP for golden in goldens),
        left_out=left_out,
    )
    with terminated_in_order():
        measured = [Measured(one) if options.presets else _measured(one, selected, ground) for one in chosen]
        reports = _reports(goldens, measured, ground, options.jobs)
    if options.json:
        data: Any = [to_data(report) for report in reports] if options.presets else to_data(reports[0])
        write_text(options.json, json.dumps(strict(data), indent=1) + "\n")
    print(table(reports) if options.presets else to_text(reports[0], options.verbose), end="")
    return OK if all(report.audit.holds for report in reports) else NOT_CONFORMANT


def _rules(options: argparse.Namespace) -> list[Rule]:
    """The rules to audit, each with the arrays that it compares of those that were asked for."""
    if not options.presets:
        asked = rule(options.preset) if options.preset else elementwise(options.rtol or 0.0, options.atol or 0.0)
        return [_narrowed(asked, options)]
    taken = [narrow for preset in rules().values() if (narrow := _if_fitting(preset, options))]
    if not taken:
        raise UsageError("no preset has limits for these arrays and this dtype", "leave out --arrays or --dtype")
    return taken


def _if_fitting(preset: Rule, options: argparse.Namespace) -> Rule | None:
    """The preset with its arrays; None, and a message, where it does not fit what was asked for."""
    try:
        return _narrowed(preset, options)
    except UsageError as error:
        say(f"left out: {error.message}")
        return None


def _narrowed(chosen: Rule, options: argparse.Namespace) -> Rule:
    for dtype in WIDEST_FIRST if options.dtype == "all" else (options.dtype,):
        if chosen.limits(dtype) is None:
            raise UsageError(
                f"{chosen.name} has no limits for {dtype}", f"it has some for {', '.join(chosen.by_dtype)}: choose with --dtype"
            )
    arrays = tuple(array for array in chosen.arrays if array in (options.arrays or ARRAYS))
    if not arrays:
        words = f"{chosen.name} compares {', '.join(chosen.arrays)}, and none of --arrays"
        raise UsageError(words, "name one of them, or leave --arrays out")
    return replace(chosen, arrays=arrays)


def _selected(options: argparse.Namespace, directory: Path) -> tuple[list[Golden], int]:
    """The cases to try, and how many cannot be built here."""
    vectors = select(directory, options.dialect, options.case)
    goldens = [golden for golden in vectors if is_compared(golden.case, options.dtype)]
    if not any(golden.case.catches for golden in goldens):
        which = "" if options.dtype == "all" else f" in {options.dtype}"
        raise HarnessError(f"{directory}: no case{which} that shows a mistake was selected", "`refimpl check --list` prints every id")
    return goldens, len(vectors.unreadable)


@dataclass(frozen=True)
class Measured:
    """A rule; the tightest tolerances beside its rtol and atol (0 where it has none), and these as rules, where they are finite."""

    rule: Rule
    beside: tuple[float, float] = (0.0, 0.0)
    tightest: tuple[Tightest, ...] = ()
    as_rules: tuple[Rule, ...] = ()


def _measured(one: Rule, goldens: Sequence[Golden], ground: Ground) -> Measured:
    limits = one.limits(ground.dtype) if one.kind == "elements" else None
    rtol, atol = limits or (0.0, 0.0)
    tight = tightest(goldens, rtol, atol, one.arrays, ground.numerics_class)
    pairs = [(tight[0].rtol, atol), (rtol, tight[0].atol)]
    others = (
        replace(elementwise(*pair, one.arrays), about=f"rtol = {rounded_up(pair[0])}, atol = {rounded_up(pair[1])}")
        for pair in pairs
        if pair[0] < math.inf
    )
    return Measured(one, (rtol, atol), tight, tuple(others))


def _reports(goldens: Sequence[Golden], measured: Sequence[Measured], ground: Ground, jobs: int) -> list[Report]:
    """An audit of each rule, and of its tightest tolerances."""
    every = [any_rule for one in measured for any_rule in (one.rule, *one.as_rules)]
    audits = iter(audited(goldens, every, ground.numerics_class, jobs, lambda items, total: watched(items, total, sys.stderr)))
    return [Report(next(audits), one.tightest, tuple(next(audits) for _ in one.as_rules), one.beside, ground) for one in measured]


if __name__ == "__main__":
    raise SystemExit(main())
