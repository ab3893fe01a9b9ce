"""`python -m refimpl.check`: judge an implementation against golden vectors, and name the cause where it fails."""

from __future__ import annotations

import argparse
import platform
import shlex
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .arithmetic import CLASSES
from .backends import BUILTIN, BackendRun, judge_program, read_results, run_backend
from .backends.outcome import Outcome
from .case import Golden
from .command import guarded, output_file, say, version, write_text
from .dialects import dialect
from .errors import HarnessError, UsageError
from .judging.compare import judge
from .judging.diagnose import diagnose, leads_of
from .judging.error_profiles import profiles
from .judging.rerun import causes as rerun_causes
from .judging.rerun import run_again
from .judging.verdict import CaseVerdict, Report, Status
from .judging.waivers import read_waivers, waive
from .progress import watched
from .report import conclude, to_json, to_junit, to_text
from .selection import select
from .vectors import Vectors, read_manifest, write_inputs

EXAMPLES = """examples:
  python -m refimpl.check torch                                          the installed PyTorch on the CPU
  python -m refimpl.check torch --device cuda --junit verdict.xml        on the GPU, with a report for a CI server
  python -m refimpl.check my_module:make_backend --case '*/duplicates/*' your own backend, one theme
  python -m refimpl.check my_module:make_backend --html verdict.html     a page with every failure, drawn and explained
  python -m refimpl.check torch --option variant=fused --require exact-faithful
  python -m refimpl.check --program './verify --fast' --dialect torch.SparseAdam
  python -m refimpl.check --results results/ --dialect mindspore.LazyAdam

exit codes: 0 conformant; 1 not conformant, a waiver no longer applies, or the program failed after it had written results;
2 usage or bad input; 3 refimpl could not do its work, or nothing was run
"""

ACCELERATORS = ("cuda", "npu", "ascend", "gpu", "hip", "rocm", "xpu", "mps", "tpu", "mlu", "musa")
"""How the names of devices begin whose division and square root are not faithful (see --require)."""

PER_CASE, PER_PROGRAM = 60.0, 3600.0
"""Seconds that a backend may take for one case, and a program for all of them, unless --timeout says otherwise."""


@dataclass(frozen=True)
class Judged:
    """What there is to judge: who was run, the vectors that were selected, and the outcome of each as it comes.

    failure: how a program ended, where that was not well; run: the backend, where cases can be run again.
    """

    name: str
    version: str
    vectors: Vectors
    outcomes: Iterable[Outcome]
    failure: str = ""
    run: BackendRun | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    given = [options.backend, options.program, options.results]
    if sum(one is not None for one in given) != 1:
        parser.error("give one of BACKEND, --program and --results")
    if options.backend is None and not options.dialect:
        parser.error("--program and --results need --dialect NAME: which dialect to judge by")
    if options.backend is None and options.option:
        parser.error("--option is for a BACKEND; put a program's options into its command")
    return guarded("refimpl check", lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m refimpl.check",
        description="Judge an implementation against golden vectors, and name the cause where it fails.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what to judge (one of these)")
    what.add_argument("backend", nargs="?", metavar="BACKEND", help=f"{', '.join(BUILTIN)}, or package.module:factory")
    what.add_argument("--program", metavar="CMD", help="a program in any language, run once as CMD VECTORS_DIR RESULTS_DIR")
    what.add_argument("--results", type=Path, metavar="DIR", help="results that were made elsewhere: DIR/DIALECT/THEME.npz")
    how = parser.add_argument_group("how")
    how.add_argument("--vectors", type=Path, default=Path("vectors"), metavar="DIR", help="golden vectors (default: vectors)")
    how.add_argument("--dialect", action="append", default=[], metavar="NAME", help="only this dialect (may be repeated)")
    how.add_argument("--case", action="append", default=[], metavar="GLOB", help="only cases whose id matches (may be repeated)")
    how.add_argument("--device", metavar="D", help="handed to the backend's factory: cpu, cuda, npu:0 ...")
    how.add_argument(
        "--option", action="append", default=[], type=_option, metavar="KEY=VALUE", help="handed to the factory (may be repeated)"
    )
    how.add_argument(
        "--require",
        choices=CLASSES,
        metavar="CLASS",
        help=f"the class to satisfy, tightest first: {', '.join(CLASSES)} (default: tensor-faithful, on an accelerator tensor-approx)",
    )
    how.add_argument("--timeout", type=_seconds, metavar="S", help=f"seconds per case ({PER_CASE:g}), or per program ({PER_PROGRAM:g})")
    how.add_argument("--strict", action="store_true", help="exit with 1 where a selected case or an array of it was not judged")
    how.add_argument("--waivers", type=Path, metavar="FILE", help="known failures: a YAML list of {case, reason, link, [deviation]}")
    say_how = parser.add_argument_group("reports")
    say_how.add_argument("--json", type=output_file, metavar="FILE", help="the report as JSON (layout: refimpl/report/report.schema.json)")
    say_how.add_argument("--junit", type=output_file, metavar="FILE", help="the report as JUnit XML")
    say_how.add_argument("--html", type=output_file, metavar="FILE", help="the report as one page, for a browser; it needs no network")
    say_how.add_argument("--verbose", action="store_true", help="every failure in full, not only the first few")
    return parser


def _option(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds") from None
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and {threading.TIMEOUT_MAX:g} seconds")
    return seconds


def _run(options: argparse.Namespace) -> int:
    for name in options.dialect:
        dialect(name)  # raises UsageError with the names that may be meant
    waivers = read_waivers(options.waivers) if options.waivers else ()
    files = list(_files(options))
    required = options.require or default_class(options.device)
    with _judged(options) as judged:
        report = examine(judged, required, profiled=bool(options.html))
    verdicts, problems = waive(
        report.verdicts, waivers, report.diagnoses, narrowed=bool(options.case or (options.backend and options.dialect))
    )
    environment = {**_environment(), "command": _command(options)}
    device = options.device or ""
    report = replace(report, device=device, vectors=str(options.vectors), verdicts=verdicts, problems=problems, environment=environment)
    report = replace(report, narrowed=bool(options.case), strict=options.strict)
    for file, text in files:
        write_text(file, text(report))
    print(to_text(report, options.verbose), end="")
    return conclude(report).exit_code


def _files(options: argparse.Namespace) -> Iterator[tuple[Path, Callable[[Report], str]]]:
    """The reports to write; raises UsageError, before anything is run, where one cannot be made here."""
    if options.json:
        yield options.json, to_json
    if options.junit:
        yield options.junit, to_junit
    if options.html:
        try:
            from .report.html import to_html  # here, since only a page needs Jinja2
        except ModuleNotFoundError as error:
            raise UsageError(f"--html needs the Python package {error.name}", f"pip install {error.name}") from error
        yield options.html, to_html


def default_class(device: str | None) -> str:
    """The class that conformance asks for on a device."""
    return "tensor-approx" if (device or "").lower().startswith(ACCELERATORS) else "tensor-faithful"


def examine(judged: Judged, required: str, profiled: bool = False) -> Report:
    """Judge every outcome, and look for the causes of the failures. Cases that cannot be built here count as unsupported.

    profiled: the report says of every failure where its arrays are wrong.
    """
    goldens = judged.vectors.goldens
    outcomes = list(watched(judged.outcomes, len(goldens), sys.stderr))
    if [outcome.case_id for outcome in outcomes] != [golden.case.id for golden in goldens]:
        raise HarnessError(
            f"{judged.name}: {len(outcomes)} outcomes for {len(goldens)} cases, or in another order", "this is an error of refimpl"
        )
    verdicts = [judge(golden, outcome, required) for golden, outcome in zip(goldens, outcomes)]
    unreadable = (CaseVerdict(id, Status.UNSUPPORTED, reason=reason) for id, reason in judged.vectors.unreadable)
    rerun = run_again(judged.run, goldens, outcomes, verdicts, required) if judged.run else None
    causes = diagnose(goldens, outcomes, verdicts, required)
    leads = leads_of(goldens, outcomes, verdicts, causes, required)
    wrong = {
        verdict.case_id: profiles(golden, outcome, required)
        for golden, outcome, verdict in zip(goldens, outcomes, verdicts)
        if profiled and verdict.mismatch
    }
    return Report(
        backend=judged.name,
        version=judged.version,
        device="",
        required=required,
        vectors="",
        verdicts=(*verdicts, *unreadable),
        diagnoses=(*causes, *rerun_causes(rerun)),
        failure=judged.failure,
        profiles=wrong,
        rerun=rerun,
        leads=leads,
    )


@contextmanager
def _judged(options: argparse.Namespace) -> Iterator[Judged]:
    if options.backend:
        yield from _backend(options)
    elif options.program is not None:
        yield from _program(options)
    else:
        vectors = select(options.vectors, options.dialect, options.case)
        yield Judged(f"results in {options.results}", "", vectors, read_results(options.results, vectors))


def _backend(options: argparse.Namespace) -> Iterator[Judged]:
    goldens: list[Golden] = []  # filled below, before the run comes to it: what to read depends on what the backend claims
    with run_backend(options.backend, goldens, options.device, dict(options.option), options.timeout or PER_CASE) as run:
        vectors = _claimed(options, run.name, tuple(run.dialects))
        goldens += vectors
        yield Judged(run.name, run.version, vectors, run, run=run)


def _claimed(options: argparse.Namespace, name: str, claimed: Sequence[str]) -> Vectors:
    """The vectors of the dialects that were asked for, or of all that the backend claims."""
    for asked in options.dialect:
        if asked not in claimed:
            raise UsageError(f"{name} does not claim {asked}", f"it claims {', '.join(claimed) or 'no dialect'}")
    there = read_manifest(options.vectors).dialects
    missing = [one for one in claimed if one not in there]
    if missing and not options.dialect:
        say(f"{name} claims {', '.join(missing)}, of which {options.vectors} has no vectors")
    wanted = options.dialect or [one for one in claimed if one in there]
    return select(options.vectors, wanted, options.case) if wanted else Vectors(())


def _program(options: argparse.Namespace) -> Iterator[Judged]:
    vectors = select(options.vectors, options.dialect, options.case)
    with _terminated_in_order(), tempfile.TemporaryDirectory(prefix="refimpl-", ignore_cleanup_errors=True) as scratch:
        inputs, results = Path(scratch, "vectors"), Path(scratch, "results")
        write_inputs(inputs, vectors.goldens)
        run = judge_program(options.program, inputs, results, vectors.goldens, options.timeout or PER_PROGRAM)
        yield Judged(options.program, "", vectors, run.outcomes, run.failure)


@contextmanager
def _terminated_in_order() -> Iterator[None]:
    """While a program runs, SIGTERM ends it and clears away what it was handed, as an interrupt does."""
    if threading.current_thread() is not threading.main_thread():  # only there may Python set a handler
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _environment() -> dict[str, str]:
    return {"refimpl": version(), "python": platform.python_version(), "numpy": np.__version__, "platform": platform.platform()}


def _command(options: argparse.Namespace) -> str:
    """The command that judges all of this again; `--case` behind it selects one case."""
    words = ["refimpl", "check"]
    if options.backend:
        words.append(options.backend)
    else:
        words += ["--program", options.program] if options.program else ["--results", str(options.results)]
        words += [word for name in options.dialect for word in ("--dialect", name)]
    if options.vectors != Path("vectors"):
        words += ["--vectors", str(options.vectors)]
    for flag, value in (("--device", options.device), ("--require", options.require)):
        words += [flag, value] if value else []
    words += [word for key, value in options.option for word in ("--option", f"{key}={value}")]
    return shlex.join(words)


if __name__ == "__main__":
    raise SystemExit(main())
