"""`python -m refimpl.warm`: compile the kernels behind the optimizers, and keep the machine code for every later process."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import product
from typing import NamedTuple

from .case import HALF
from .common.cli import command_parser, guarded, version
from .common.progress import watched
from .common.text import counted
from .errors import OK, RefimplError

EXAMPLES = """examples:
  python -m refimpl.warm                      every format of parameters and moments
  python -m refimpl.warm --dtype float32      float32 parameters alone
  NUMBA_CACHE_DIR=cache python -m refimpl.warm   into a directory of your own, as for a container

A first step in some format takes seconds without it. What is kept holds for this machine's kind of CPU, for this version of Numba, and
until refimpl changes. From which size on a step takes several threads is measured once, too, and kept beside it; REFIMPL_THREAD_THRESHOLD
says another one, in elements, a row counting 16 more than it has.

exit codes: 0 all is kept; 2 usage; 3 no directory for it can be written
"""

DTYPES = ("float32", "float64", *HALF)


class Formats(NamedTuple):
    """A combination that is compiled by itself. changed: for gradients that are changed before they are used, as by a decay."""

    param: str
    moments: str
    values: str
    amsgrad: bool
    changed: bool


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(argv)
    return guarded("refimpl warm", lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("warm", "Compile the kernels behind refimpl's optimizers, and keep the machine code.", EXAMPLES)
    parser.add_argument("--version", action="version", version=f"refimpl {version()}")
    parser.add_argument(
        "--dtype", action="append", default=[], choices=DTYPES, help="only for parameters of this dtype (may be repeated; default: all)"
    )
    return parser


def _run(options: argparse.Namespace) -> int:
    from .kernels import warming  # numba is slow to import, and --help needs none

    folder = warming.folder()
    if folder is None:
        raise RefimplError("no directory for the machine code can be written", "set NUMBA_CACHE_DIR to one that can")
    combinations = list(formats(options.dtype or DTYPES))
    began = time.perf_counter()
    for combination in watched(combinations, len(combinations), sys.stderr, what="kernels"):
        warming.compile_formats(*combination)
    print(f"{counted(len(combinations), 'kernel')} ready after {time.perf_counter() - began:.1f} s, kept in {folder}")
    print(warming.threads_line())
    return OK


def formats(dtypes: Sequence[str]) -> Iterator[Formats]:
    """The combinations for parameters of these dtypes: gradients in the same one, moments in it or beside a half also in float32."""
    for dtype in dtypes:
        for moments in (dtype, "float32") if dtype in HALF else (dtype,):
            for changed, amsgrad in product((False, True), repeat=2):
                yield Formats(dtype, moments, dtype, amsgrad, changed)


if __name__ == "__main__":
    raise SystemExit(main())
