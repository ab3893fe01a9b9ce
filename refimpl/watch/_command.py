"""`python -m refimpl.watch`: judge calls of an optimizer that `refimpl.watch.record` wrote elsewhere."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..arithmetic import CLASSES, CPU_CLASS
from ..common.cli import command_parser, guarded, output_file, write_text
from ..common.progress import watched as shown

EXAMPLES = """examples:
  python -m refimpl.watch call-17.npz                 one call that refimpl.watch.record wrote
  python -m refimpl.watch dumps/ --html report.html   every call in a directory, and a page
  python -m refimpl.watch dumps/ --save wrong         the calls that are wrong, as vectors for `check` and `explain`

exit codes: 0 every call is right; 1 some call is wrong; 2 usage or bad input; 3 nothing was judged
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(argv)
    return guarded("refimpl watch", lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    about = "Judge calls of an optimizer by the exact result and its bound: the states that refimpl.watch.record wrote."
    parser = command_parser("watch", about, EXAMPLES)
    parser.add_argument("dumps", nargs="+", type=Path, metavar="DUMP", help="NAME.npz with NAME.yaml beside it, or a directory of them")
    parser.add_argument(
        "--require", choices=CLASSES, default=CPU_CLASS, help=f"the numerics class that is asked for (default: {CPU_CLASS})"
    )
    parser.add_argument("--save", type=Path, metavar="DIR", help="write the calls that are wrong as vectors")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="write the report as JSON")
    parser.add_argument("--html", type=output_file, metavar="FILE", help="write the report as a page")
    return parser


def _run(options: argparse.Namespace) -> int:
    from ._dump import dumps, read  # here, since `refimpl.Watch` needs none of it
    from ._report import WatchReport
    from ._session import Session

    files = list(dumps(options.dumps))
    session = Session(f"{len(files)} dumps" if len(files) > 1 else str(files[0]), options.require, lambda failure: None, options.save)
    for file in shown(files, len(files), sys.stderr, what="calls"):
        session.calls += 1
        watched = read(file)
        session.take(watched, session.judge(watched))
    report = WatchReport.of(session)
    for file, text in ((options.json, report.to_json), (options.html, report.to_html)):
        if file:
            write_text(file, text())
    print(report, end="")
    return report.exit_code
