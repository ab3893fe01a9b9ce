"""The command line of `python -m refimpl.check`."""

from __future__ import annotations

import argparse
import os
import shlex
import threading
from pathlib import Path

from ..arithmetic import CLASSES
from ..backends import BUILTIN
from ..common.cli import command_parser, output_file, version
from ..vectors.places import here

EXAMPLES = """examples:
  python -m refimpl.check torch                                          the installed PyTorch on the CPU
  python -m refimpl.check torch --device cuda --junit verdict.xml        on the GPU, with a report for a CI server
  python -m refimpl.check my_module:make_backend --case '*/duplicates/*' your own backend, one theme
  python -m refimpl.check my_module:make_backend -x                      stop at the first failure
  python -m refimpl.check my_module:make_backend --last-failed -j 2      what failed last time, in two workers
  python -m refimpl.check my_module:make_backend --html verdict.html     a page with every failure, drawn and explained
  python -m refimpl.check my_module:make_backend --nearest               which dialects it is nearest to, and where it differs
  python -m refimpl.check mindspore --python ~/envs/mindspore/bin/python a framework that is installed in another environment
  python -m refimpl.check torch --option variant=fused --require exact-faithful
  python -m refimpl.check --program './verify --fast' --dialect torch.SparseAdam
  python -m refimpl.check --results results/ --dialect mindspore.LazyAdam

exit codes: 0 conformant; 1 not conformant, a waiver no longer applies, or the program failed after it had written results;
2 usage or bad input; 3 refimpl could not do its work, or nothing was run
"""

PER_CASE, PER_PROGRAM = 60.0, 3600.0
"""Seconds that a backend may take for one case, and a program for all of them, unless --timeout says otherwise."""

MOST_JOBS = 256


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """The options of a call; ends the program, as argparse does, with exit code 2 where they do not fit together."""
    parser = _parser()
    options = parser.parse_args(argv)
    subjects = [options.backend, options.program, options.results]
    named = sum(subject is not None for subject in subjects)
    if named > 1 or (named == 0 and not options.list):
        parser.error("give one of BACKEND, --program and --results")
    if named and options.backend is None and not options.dialect:
        parser.error("--program and --results need --dialect NAME: which dialect to judge by")
    if options.backend is None:
        for name in FOR_A_BACKEND:
            if getattr(options, name) not in (None, False, [], 1):
                parser.error(f"--{name} is for a BACKEND; put a program's options into its command")
    options.default_vectors = options.vectors is None
    options.vectors = options.vectors or here()
    return options


FOR_A_BACKEND = ("option", "python", "jobs", "nearest")


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(
        "check",
        "Judge an implementation against golden vectors, and name the cause where it fails.",
        EXAMPLES,
    )
    parser.add_argument("--version", action="version", version=f"refimpl {version()}")
    what = parser.add_argument_group("what to judge (one of these)")
    what.add_argument("backend", nargs="?", metavar="BACKEND", help=f"{', '.join(BUILTIN)}, or package.module:factory")
    what.add_argument("--program", metavar="CMD", help="a program in any language, run once as CMD VECTORS_DIR RESULTS_DIR")
    what.add_argument("--results", type=Path, metavar="DIR", help="results that were made elsewhere: DIR/DIALECT/THEME.npz")
    which = parser.add_argument_group("which cases")
    which.add_argument(
        "--vectors", type=Path, metavar="DIR", help="golden vectors (default: ./vectors where it stands, else those that refimpl brings)"
    )
    which.add_argument("--dialect", action="append", default=[], metavar="NAME", help="only this dialect (may be repeated)")
    which.add_argument("--case", action="append", default=[], metavar="GLOB", help="only cases whose id matches (may be repeated)")
    which.add_argument("--last-failed", action="store_true", help="only the cases that failed last time; all, where none did")
    which.add_argument("--list", action="store_true", help="print the selected cases and judge nothing")
    how = parser.add_argument_group("how")
    how.add_argument("-x", "--fail-fast", action="store_true", help="stop at the first case that fails")
    how.add_argument("-j", "--jobs", type=_jobs, default=1, metavar="N", help="workers at once; auto: one per core (default: 1)")
    how.add_argument("--python", metavar="PYTHON", help="run the backend in another environment, which has NumPy and PyYAML")
    how.add_argument("--device", metavar="D", help="passed to the backend's factory: cpu, cuda, npu:0 ...")
    how.add_argument(
        "--option", action="append", default=[], type=factory_option, metavar="KEY=VALUE", help="passed to the factory (may be repeated)"
    )
    how.add_argument(
        "--require",
        choices=CLASSES,
        metavar="CLASS",
        help=f"the class to satisfy, tightest first: {', '.join(CLASSES)} (default: tensor-faithful, on an accelerator tensor-approx)",
    )
    how.add_argument("--timeout", type=seconds, metavar="S", help=f"seconds per case ({PER_CASE:g}), or per program ({PER_PROGRAM:g})")
    how.add_argument("--strict", action="store_true", help="exit with 1 where a selected case or an array of it was not judged")
    how.add_argument("--waivers", type=Path, metavar="FILE", help="known failures: a YAML list of {case, reason, link, [deviation]}")
    how.add_argument("--nearest", action="store_true", help="judge by nothing; say which dialects the backend is nearest to")
    reports = parser.add_argument_group("reports")
    reports.add_argument("--json", type=output_file, metavar="FILE", help="the report as JSON (layout: refimpl/report/report.schema.json)")
    reports.add_argument("--junit", type=output_file, metavar="FILE", help="the report as JUnit XML")
    reports.add_argument("--html", type=output_file, metavar="FILE", help="the report as one page, for a browser; it needs no network")
    reports.add_argument("--github", action="store_true", help="annotations for GitHub Actions, and the summary of the step")
    reports.add_argument("--verbose", action="store_true", help="every failure and every unsupported case, not only the first few")
    return parser


def factory_option(text: str) -> tuple[str, str]:
    """An argparse type: KEY=VALUE."""
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def _jobs(text: str) -> int:
    count = (os.cpu_count() or 1) if text == "auto" else int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= count <= MOST_JOBS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MOST_JOBS}, nor auto")
    return count


def seconds(text: str) -> float:
    """An argparse type: a time that a thread can wait for."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not 0 < value <= threading.TIMEOUT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and {threading.TIMEOUT_MAX:g} seconds")
    return value


def command(options: argparse.Namespace) -> str:
    """The command that judges all of this again; `--case` behind it selects one case."""
    words = ["refimpl", "check"]
    if options.backend:
        words.append(options.backend)
    else:
        words += ["--program", options.program] if options.program else ["--results", str(options.results)]
        words += [word for name in options.dialect for word in ("--dialect", name)]
    if not options.default_vectors:
        words += ["--vectors", str(options.vectors)]
    for flag, value in (("--python", options.python), ("--device", options.device), ("--require", options.require)):
        words += [flag, value] if value else []
    words += [word for key, value in options.option for word in ("--option", f"{key}={value}")]
    return shlex.join(words)
