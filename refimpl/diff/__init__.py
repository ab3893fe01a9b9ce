"""`python -m refimpl.diff A B`: what differs between two dialects, how much, and how to make the second reproduce the first."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Callable, Sequence

from ..common.cli import command_parser, guarded, output_file, write_text
from ..common.progress import watched
from ..dialects import dialect, dialects
from ..errors import OK
from ._comparison import compared, to_json
from ._document import to_text
from ._html import to_html
from ._measured import measured_cases
from ._page import page, short_page

__all__ = ["main"]

EXAMPLES = """examples:
  python -m refimpl.diff torch.SparseAdam mindspore.LazyAdam
  python -m refimpl.diff torch.SparseAdam mindspore.LazyAdam.default-target --full --format md > differences.md
  python -m refimpl.diff torch.AdamW keras.AdamW --full --format html > differences.html
  python -m refimpl.diff mindspore.Adam torch.Adam --json differences.json

exit codes: 0 described, whether they differ or not; 2 usage or bad input; 3 a proof failed
"""

FORMATS: dict[str, Callable[[str], str]] = {"text": to_text, "md": str, "html": to_html}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(argv)
    return guarded("refimpl diff", lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(
        "diff",
        "What differs between two dialects, stage by stage, how much, and how to make B reproduce A.",
        f"dialects:\n{textwrap.fill(', '.join(dialects('full')), 100, initial_indent='  ', subsequent_indent='  ')}\n\n{EXAMPLES}",
    )
    parser.add_argument("a", metavar="A", help="the dialect to be reproduced")
    parser.add_argument("b", metavar="B", help="the dialect that is to reproduce it")
    parser.add_argument("--format", choices=tuple(FORMATS), default="text", help="how to print it (default: text)")
    parser.add_argument("--full", action="store_true", help="the whole page: parameters, gradients, sizes by theme, examples, sources too")
    parser.add_argument("--json", type=output_file, metavar="FILE", help="the comparison as JSON, every case with its distance")
    return parser


def _run(options: argparse.Namespace) -> int:
    a, b = dialect(options.a), dialect(options.b)
    cases = measured_cases(a, b, jobs=os.cpu_count() or 1, watch=lambda items, total: watched(items, total, sys.stderr))
    comparison = compared(a, b, cases)
    if options.json:
        write_text(options.json, to_json(comparison))
    print(FORMATS[options.format](page(comparison) if options.full else short_page(comparison)), end="")
    return OK
