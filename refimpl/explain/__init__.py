"""`python -m refimpl.explain`: the update of one element, stage by stage, in the notation of the paper.

In order: `_selection` chooses the element (`_numbers` makes a case of numbers), `_tracing` runs the reference and records what it
computes, `_formulas` reads expressions back from that trace, `_derivation` and `_rows` put the lines of one element together as
`_data`, `_api` handles refusals and the dialect to compare with; `_text`, `_side_by_side` and `_plot` print the result.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..arithmetic import CLASSES, CPU_CLASS
from ..case import Golden
from ..common.cli import guarded, output_file, say, write_text
from ..errors import NOT_CONFORMANT, OK, UsageError
from ._api import against, explain, stored
from ._data import Explanation, to_json
from ._numbers import WORDS, Numbers, case_of
from ._selection import DEFAULT, find, place
from ._side_by_side import beside
from ._text import to_text

__all__ = ["Explanation", "Numbers", "against", "case_of", "explain", "main"]

EXAMPLES = f"""examples:
  python -m refimpl.explain                                   a row that occurs twice: {DEFAULT}
  python -m refimpl.explain torch.Adam/eps/eps-near-root --step 2 --row 1 --col 0
  python -m refimpl.explain {DEFAULT} --against mindspore.LazyAdam.default-target
  python -m refimpl.explain {DEFAULT} --against eps-inside-root
  python -m refimpl.explain --lr 0.1 --grad 1 --grad 0 --grad 0.5 --plot steps.svg
  python -m refimpl.explain --dialect torch.SparseAdam --grad 1,2 --grad empty --step 1

exit codes: 0 explained, a case that is refused too; 1 the vectors hold other numbers; 2 usage or bad input
"""

NUMERIC = ("--grad", "--lr", "--p", "--m", "--v", "--step", "--row", "--col", "--t")
"""Options whose value may begin with a minus sign."""

LONG = 200
"""Steps after which somebody at a terminal should know what takes so long."""

OF_NUMBERS = ("dialect", "dtype", "lr", "set", "p", "m", "v", "t")
"""Options that only say something beside --grad."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = _parser()
    options = parser.parse_args(list(_joined(sys.argv[1:] if argv is None else argv)))
    if options.grad and (options.case or options.vectors):
        parser.error("--grad gives numbers of your own: leave out CASE and --vectors, or --grad")
    alone = [name for name in OF_NUMBERS if getattr(options, name) is not None]
    if alone and not options.grad:
        parser.error(f"--{alone[0]} is for numbers of your own: add --grad, once per step")
    return guarded("refimpl explain", lambda: _run(options))


def _joined(argv: Sequence[str]) -> Iterator[str]:
    """An option and its number as one word: argparse takes -1,2 and -1e-3 behind a space for options."""
    words = iter(argv)
    for word in words:
        value = next(words, None) if word in NUMERIC else None
        yield word if value is None else f"{word}={value}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m refimpl.explain",
        description="One element's update worked through, stage by stage, in the notation of the paper (Kingma and Ba 2015):\n"
        "each formula, the formula with its numbers, the value in the tensor's dtype, the exact value, and how far\n"
        "a correct implementation may be from it by then.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("case", nargs="?", metavar="CASE", help="DIALECT/THEME/SLUG; `refimpl gen --list` prints every id")
    where = parser.add_argument_group("which element (default: where most happens)")
    where.add_argument("--step", type=int, metavar="T", help="the step, from 1")
    where.add_argument("--param", metavar="NAME", help="the parameter")
    where.add_argument("--row", type=int, metavar="R", help="the row, from 0")
    where.add_argument("--col", type=_column, metavar="C", help="the column, from 0; 1,2 where a row has more dimensions")
    how = parser.add_argument_group("how")
    how.add_argument("--against", metavar="DIALECT", help="the same beside another dialect, or a known deviation")
    how.add_argument(
        "--class",
        dest="numerics_class",
        choices=CLASSES,
        default=CPU_CLASS,
        metavar="CLASS",
        help=f"whose bounds are shown, tightest first: {', '.join(CLASSES)} (default: {CPU_CLASS})",
    )
    how.add_argument("--vectors", type=Path, metavar="DIR", help="take the case from here (default: vectors, where it is there)")
    how.add_argument("--plot", type=output_file, metavar="FILE", help="draw p, m, v and the step size over the steps: .png, .svg or .pdf")
    how.add_argument("--json", type=output_file, metavar="FILE", help="everything as JSON, with the bounds of every class")
    own = parser.add_argument_group("numbers of your own, instead of CASE")
    own.add_argument(
        "--grad",
        action="append",
        default=[],
        metavar="G",
        help=f"the gradient of one step (repeat it for more steps): a number; 1,2 for a row that occurs twice; {' or '.join(WORDS)}",
    )
    own.add_argument("--dialect", metavar="NAME", help="who computes it (default: torch.Adam)")
    own.add_argument("--dtype", metavar="D", help="float32 or float64 (default: float32)")
    own.add_argument("--lr", type=float, metavar="X", help="the learning rate")
    own.add_argument("--set", action="append", metavar="NAME=VALUE", help="any other setting, by the name the dialect has for it")
    own.add_argument("--p", type=float, metavar="X", help="the parameter before (default: 1)")
    own.add_argument("--m", type=float, metavar="X", help="the first moment before (default: 0)")
    own.add_argument("--v", type=float, metavar="X", help="the second moment before (default: 0)")
    own.add_argument("--t", type=int, metavar="N", help="steps made before (default: 0)")
    return parser


def _column(text: str) -> tuple[int, ...]:
    try:
        return tuple(map(int, text.split(",")))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a column such as 0, or 1,2") from None


def _run(options: argparse.Namespace) -> int:
    golden = Golden(case_of(_numbers_given(options)), {}) if options.grad else find(options.case or DEFAULT, options.vectors)
    at = place(golden.case, options.param, options.step, options.row, options.col)
    if at.step > LONG:
        say(f"running {at.step} steps in floats, balls and bounds: some seconds")
    one = explain(golden.case, param=at.param, step=at.step, row=at.row, col=at.col)
    other = against(golden.case, one, options.against) if options.against else None
    same = stored(golden, one)
    if options.plot:
        from ._plot import draw

        if one.refused:
            raise UsageError(f"--plot: there is nothing to draw: {one.refused}", "leave --plot out, or choose another case")
        draw(options.plot, one, golden.case, other)
    if options.json:
        write_text(options.json, to_json(*[one, other.explanation] if other else [one]))
    note = "The vectors hold the same p, m and v, to the last digit." if same else ""
    print(beside(one, other, options.numerics_class) if other else to_text(one, options.numerics_class, note), end="")
    if same is False:
        say(f"{golden.case.id}: the vectors hold other numbers for this element; `refimpl gen --check` says which files differ")
        return NOT_CONFORMANT
    return OK


def _numbers_given(options: argparse.Namespace) -> Numbers:
    given = {name: getattr(options, name) for name in ("dialect", "dtype", "lr", "p", "m", "v", "t")}
    return Numbers(options.grad, settings=options.set or (), **{name: value for name, value in given.items() if value is not None})
