"""The command line of `python -m refimpl.fuzz`."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass
from pathlib import Path

from ..arithmetic import CLASSES
from ..backends import BUILTIN
from ..checking import default_class
from ..checking.options import PER_CASE, factory_option, seconds
from ..common.cli import command_parser, natural, output_file, positive, version
from ._campaign import Settings

EXAMPLES = """examples:
  python -m refimpl.fuzz torch                                     a minute of random cases
  python -m refimpl.fuzz my_module:make_backend --minutes 10 -x    stop at the first failure, made as small as possible
  python -m refimpl.fuzz my_module:make_backend --cases 500 --seed 7 --save found
                                                                   vectors of what fails, for check and explain
  python -m refimpl.fuzz torch --seed 7 --case torch.Adam/tall/seed-7-case-12
                                                                   one case again
  python -m refimpl.fuzz torch --cases 1000 --shard 1/2 --json a   on one machine, 2/2 on another; then
  python -m refimpl.fuzz --merge a b                               one report of both
  python -m refimpl.fuzz torch --cases 100000 --dask tcp://host:8786
                                                                   the same on a cluster (pip install 'refimpl[dask]')
  python -m refimpl.fuzz --self --element-steps 1000000            admissible computations against refimpl's own bounds

exit codes: 0 no failure; 1 a case failed; 2 usage or bad input, and shards that do not belong together; 3 refimpl could not do its
work, nothing was run, or a part of the campaign is missing
"""

MINUTES = 1.0
"""How long a campaign runs that is given neither --minutes nor --cases."""


@dataclass(frozen=True)
class Shard:
    """Part `index` (from 1) of `count` parts: the cases whose number leaves the rest index - 1."""

    index: int
    count: int


def parsed(argv: list[str] | None) -> argparse.Namespace:
    """The options of a call; ends the program, as argparse does, with exit code 2 where they do not fit together."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.merge:
        if options.backend:
            parser.error("--merge reads what shards have written, and runs no BACKEND")
    elif options.backend is None:
        parser.error("give a BACKEND, --merge FILE... or --self")
    if options.shard and options.json is None:
        parser.error("--shard needs --json FILE: the part that --merge reads")
    for other in ("shard", "dask"):
        if getattr(options, other) and options.case:
            parser.error(f"--case is a few cases, and --{other} is for many")
    if options.shard and (options.dask or options.fail_fast):
        parser.error(f"--shard does not go with {'--dask' if options.dask else '--fail-fast'}")
    if options.dask and options.cases is None:
        parser.error("--dask needs --cases N")
    if options.cases is None and options.minutes is None:
        options.minutes = MINUTES
    return options


def settings_of(options: argparse.Namespace) -> Settings:
    return Settings(
        backend=options.backend,
        dialects=tuple(options.dialect),
        device=options.device or "",
        options=tuple(options.option),
        required=options.require or default_class(options.device),
        seed=options.seed,
        cases=options.cases,
        timeout=options.timeout or PER_CASE,
        python=options.python or "",
    )


def command(settings: Settings, what: str = "fuzz") -> str:
    """The command of a campaign without its length; `--case ID` behind it runs one case again."""
    words = ["refimpl", what, settings.backend]
    if what == "fuzz":
        words += [word for name in settings.dialects for word in ("--dialect", name)]
    words += [word for key, value in settings.options for word in ("--option", f"{key}={value}")]
    for flag, value in (("--device", settings.device), ("--python", settings.python)):
        words += [flag, value] if value else []
    words += ["--require", settings.required] if settings.required != default_class(settings.device) else []
    return shlex.join([*words, *(("--seed", str(settings.seed)) if what == "fuzz" else ())])


def _parser() -> argparse.ArgumentParser:
    about = "Judge an implementation by random cases of every size and mixture of features; a failure is made small."
    parser = command_parser("fuzz", about, EXAMPLES)
    parser.add_argument("--version", action="version", version=f"refimpl {version()}")
    parser.add_argument("backend", nargs="?", metavar="BACKEND", help=f"{', '.join(BUILTIN)}, or package.module:factory")
    which = parser.add_argument_group("which cases")
    which.add_argument(
        "--dialect", action="append", default=[], metavar="NAME", help="only this dialect (may be repeated; default: all claimed)"
    )
    length = which.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=_minutes, metavar="M", help=f"go on for so long (default: {MINUTES:g})")
    length.add_argument("--cases", type=positive, metavar="N", help="go on for so many cases")
    length.add_argument("--case", action="append", default=[], metavar="ID", help="only this case, by the id that a report gives")
    which.add_argument(
        "--seed", type=natural, default=1, metavar="S", help="another seed gives other cases, the same the same (default: 1)"
    )
    which.add_argument("-x", "--fail-fast", action="store_true", help="stop at the first case that fails")
    how = parser.add_argument_group("how")
    how.add_argument("--device", metavar="D", help="passed to the backend's factory: cpu, cuda, npu:0 ...")
    how.add_argument("--option", action="append", default=[], type=factory_option, metavar="KEY=VALUE", help="passed to the factory")
    how.add_argument("--require", choices=CLASSES, metavar="CLASS", help=f"the class to satisfy, tightest first: {', '.join(CLASSES)}")
    how.add_argument("--python", metavar="PYTHON", help="run the backend in another environment, which has NumPy and PyYAML")
    how.add_argument("--timeout", type=seconds, metavar="S", help=f"seconds per case ({PER_CASE:g})")
    parts = parser.add_argument_group("a campaign in parts")
    parts.add_argument("--shard", type=_shard, metavar="I/N", help="only part I of N; --json FILE becomes a part for --merge")
    parts.add_argument(
        "--merge", nargs="+", type=Path, default=[], metavar="FILE", help="the report of all parts; a part that is missing is an error"
    )
    parts.add_argument("--dask", metavar="ADDRESS", help="run on the workers of a Dask cluster")
    reports = parser.add_argument_group("reports")
    reports.add_argument("--save", type=Path, metavar="DIR", help="write the shrunk cases as vectors, which check and explain read")
    reports.add_argument("--json", type=output_file, metavar="FILE", help="the report as JSON; with --shard, the part")
    reports.add_argument("--junit", type=output_file, metavar="FILE", help="the report as JUnit XML")
    return parser


def _shard(text: str) -> Shard:
    index, slash, count = text.partition("/")
    if not slash or not (index.isdecimal() and count.isdecimal()) or not 1 <= int(index) <= int(count):
        raise argparse.ArgumentTypeError(f"{text!r} is not I/N with I from 1 to N")
    return Shard(int(index), int(count))


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of minutes above 0")
    return value
