"""`refimpl COMMAND`, the same as `python -m refimpl.COMMAND`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from .common.cli import guarded, say, version
from .errors import BAD_INPUT, OK, did_you_mean

COMMANDS: dict[str, str] = {
    "gen": "write golden vectors: inputs, exact results and per-element bounds",
    "check": "judge an implementation against golden vectors, and name the cause where it fails",
    "audit": "which known mistakes a tolerance lets pass, and which correct results it refuses",
    "corpus": "in which packages and versions each known deviation is live",
    "watch": "judge steps of a real run that were written elsewhere (refimpl.Watch judges them while it runs)",
    "fuzz": "judge an implementation by random cases of every size, and make a failure as small as possible",
    "explain": "one element's update worked through, stage by stage, with every number",
    "diff": "what differs between two dialects, how much, and how to make one reproduce the other",
    "warm": "compile the kernels behind refimpl's optimizers now, and keep them",
    "guide": "build the guide: what Adam is, what implementations make of it, and how refimpl judges them",
}
"""Command to its one-line description. The module of the same name has `main(argv)`, and is imported when the command runs."""

HELP = f"""usage: refimpl COMMAND [ARGUMENT]...

The referee for the Adam family: what an update must give, how far a correct implementation may be from it,
whether one conforms, and what it does instead where it does not.

commands:
{chr(10).join(f"  {name:<8} {line}" for name, line in COMMANDS.items())}

options:
  -h, --help  this text; `refimpl COMMAND --help` says more
  --version   the version of refimpl

examples:
  refimpl gen                                      golden vectors into vectors/, computed anew
  refimpl check torch                              judge torch against them
  refimpl check my_package.my_module:make_backend  judge your own
  refimpl audit --preset torch --suite smoke       what the defaults of torch.testing.assert_close let pass
  refimpl watch dumps/                             judge steps of a run, see refimpl.watch.record
  refimpl fuzz torch                               a minute of random cases
  refimpl explain                                  one update, worked through
  refimpl diff torch.SparseAdam mindspore.LazyAdam what changes between the two
  refimpl warm                                     no step waits for the compiler afterwards
  refimpl guide --out guide                        pages to read, from guide/index.html on

exit codes: 0 all well; 1 the check says no; 2 usage or bad input; 3 refimpl could not do its work, or nothing was run
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return guarded("refimpl", lambda: _dispatch(arguments))


def _dispatch(arguments: list[str]) -> int:
    if not arguments:
        say(HELP)
        return BAD_INPUT
    name, *rest = arguments
    if name in ("-h", "--help"):
        print(HELP, end="")
        return OK
    if name == "--version":
        print(f"refimpl {version()}")
        return OK
    if name not in COMMANDS:
        return _unknown(name)
    code: int = import_module(f".{name}", __package__).main(rest)
    return code


def _unknown(name: str) -> int:
    everything = f"the commands are {', '.join(COMMANDS)}; see refimpl --help"
    say(f"refimpl: no command {name!r}")
    say(f"  hint: {did_you_mean(name, COMMANDS) or everything}")
    return BAD_INPUT


if __name__ == "__main__":
    raise SystemExit(main())
