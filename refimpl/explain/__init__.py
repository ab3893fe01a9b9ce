"""`python -m refimpl.explain`: the update of one element, stage by stage, in the notation of the paper.

In order: `_selection` finds or makes the case and chooses the element, `_tracing` runs the reference and records what it computes,
`_formulas` reads expressions back from that trace, `_derivation` puts the lines of one element together as `_data`, `_api` handles
refusals and the dialect to compare with; `_text` and `_plot` print the result.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..arithmetic import CLASSES, CPU_CLASS
from ..case import Golden
from ..common.cli import command_parser, guarded, output_file, say, write_text
from ..errors import NOT_CONFORMANT, OK, UsageError
from ._api import against, explain, stored
from ._data import Explanation, to_json
from ._selection import DEFAULT, WORDS, Numbers, case_of, find, place
from ._text import beside, to_text

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
    own = {name: value for name in OF_NUMBERS if (value := getattr(options, name)) is not None}
    if own and not options.grad:
        parser.error(f"--{next(iter(own))} is for numbers of your own: add --grad, once per step")
    return guarded("refimpl explain", lambda: _run(options, own))


def _joined(argv: Sequence[str]) -> Iterator[str]:
    """An option and its number as one word: argparse takes -1,2 and -1e-3 behind a space for options."""
    words = iter(argv)
    for word in words:
        value = next(words, None) if word in NUMERIC else None
        yield word if value is None else f"{word}={value}"


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(
        "explain",
        "One element's update worked through, stage by stage, in the notation of the paper (Kingma and Ba 2015):\n"
        "each formula, the formula with its numbers, the value in the tensor's dtype, the exact value, and how far\n"
        "a correct implementation may be from it by then.",
        EXAMPLES,
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


def _run(options: argparse.Namespace, own: dict[str, Any]) -> int:
    if options.grad:
        golden = Golden(case_of(Numbers(options.grad, settings=own.pop("set", ()), **own)), {})
    else:
        golden = find(options.case or DEFAULT, options.vectors)
    at = place(golden.case, options.param, options.step, options.row, options.col)
    if at.step > LONG:
        say(f"running {at.step} steps in floats, balls and bounds: some seconds")
    explanation = explain(golden.case, **vars(at))
    other = against(golden.case, explanation, options.against) if options.against else None
    same = stored(golden, explanation)
    if options.plot:
        from ._plot import draw

        if explanation.refused:
            raise UsageError(f"--plot: there is nothing to draw: {explanation.refused}", "leave --plot out, or choose another case")
        draw(options.plot, explanation, golden.case, other)
    if options.json:
        write_text(options.json, to_json(*[explanation, other.explanation] if other else [explanation]))
    note = "The vectors hold the same p, m and v, to the last digit." if same else ""
    print(beside(explanation, other, options.numerics_class) if other else to_text(explanation, options.numerics_class, note), end="")
    if same is False:
        say(f"{golden.case.id}: the vectors hold other numbers for this element; `refimpl gen --check` says which files differ")
        return NOT_CONFORMANT
    return OK
