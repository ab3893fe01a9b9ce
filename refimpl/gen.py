"""`python -m refimpl.gen`: write golden vectors, or check that those in a directory are what refimpl computes."""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from .backends.processes import in_processes, terminated_in_order
from .case import Golden
from .cases import SUITES, drafts
from .cases.claims import candidates
from .common.cli import command_parser, guarded, say
from .common.progress import watched
from .dialects import dialect, dialects
from .errors import NOT_CONFORMANT, OK, UsageError
from .vectors import PackedTheme, compare_directories, pack_theme, read_vectors, refuse_other_contents, roundtrip, write_themes
from .vectors.globs import may_hold

EXAMPLES = """examples:
  python -m refimpl.gen                                  the core suite into vectors/
  python -m refimpl.gen --check                          is vectors/ what this refimpl would write?
  python -m refimpl.gen --out /tmp/v --suite smoke       a few themes, quickly
  python -m refimpl.gen --list --dialect torch.SparseAdam --case '*/duplicates/*'

exit codes: 0 all well; 1 --check found a difference; 2 usage or bad input; 3 a proof failed
"""

Work = tuple[str, str, tuple[str, ...]]
"""A dialect, a theme of it, and the globs that select its cases."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(argv)
    return guarded("refimpl gen", lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(
        "gen",
        "Write golden vectors: inputs, exact results, and per element how far a correct implementation may be from them.",
        EXAMPLES,
    )
    parser.add_argument("--out", type=Path, default=Path("vectors"), metavar="DIR", help="where the vectors lie (default: vectors)")
    parser.add_argument(
        "--suite",
        choices=tuple(SUITES),
        default="core",
        help="smoke: a few themes; core: what implementations need; full: half precision and the dialects of every peer too",
    )
    parser.add_argument("--dialect", action="append", default=[], metavar="NAME", help="only this dialect (may be repeated)")
    parser.add_argument("--case", action="append", default=[], metavar="GLOB", help="only cases whose id matches (may be repeated)")
    parser.add_argument("--list", action="store_true", help="print the selected cases and write nothing")
    parser.add_argument("--check", action="store_true", help="write nothing; compare with what DIR holds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: one per core)")
    return parser


def _run(options: argparse.Namespace) -> int:
    names = [dialect(name).name for name in options.dialect] or list(dialects(options.suite))
    works = [(name, theme, tuple(options.case)) for name in names for theme in SUITES[options.suite]]
    nothing = UsageError(f"no case matches {', '.join(options.case)}", "`refimpl gen --list` prints every id")
    if options.list:
        cases = [golden.case for work in works for golden in selection(work)]
        for case in cases:
            print(f"{case.id}\t{case.about}")
        if not cases:
            raise nothing
        return OK
    if options.check:
        _refuse_empty(options.out)
    else:
        refuse_other_contents(options.out, {f"{name}/{theme}" for name, theme, _ in works})
    into = None if options.check else options.out
    with terminated_in_order():
        computed = watched(_computed(works, options.jobs, into), len(works), sys.stderr, what="themes")
        themes = [theme for theme in computed if theme is not None]
    if not themes:
        raise nothing
    if options.check:
        return _check(themes, options.out, partial=bool(options.case or options.dialect or options.suite != "core"))
    write_themes(options.out, themes)
    say(f"wrote {sum(theme.cases for theme in themes)} cases of {len(names)} dialects to {options.out}")
    if options.case or options.dialect:
        say(f"  themes: {', '.join(sorted(theme.name for theme in themes))}; the others are as they were")
    return OK


def selection(work: Work) -> list[Golden]:
    """The drafts of a theme whose ids match one of the globs."""
    name, theme, globs = work
    if not may_hold(f"{name}/{theme}", globs):
        return []
    every = drafts(dialect(name), theme)
    return [golden for golden in every if not globs or any(fnmatch.fnmatchcase(golden.case.id, glob) for glob in globs)]


def compute(work: Work) -> list[Golden]:
    """The vectors of a theme: inputs as a reader gets them, expectations, and the deviations that each case is proven to catch."""
    return [complete(draft) for draft in selection(work)]


def complete(draft: Golden) -> Golden:
    """A draft with its expectations, evaluated from the inputs as serialised."""
    from .oracle import catches_of_reduced, expectations, reduced

    golden = roundtrip(draft)
    if golden.case.error is not None:
        return golden
    few = reduced(golden.case)
    expected = expectations(few.case)
    caught = catches_of_reduced(few, expected, candidates(draft.case.theme))
    return replace(golden, expected=few.expand(expected), case=replace(golden.case, catches=caught))


SLOWEST = ("horizons", "sizes", "pairs", "shapes", "counters")
"""The themes that take the longest, longest first: they are started first, so that no process waits for another at the end."""


def _computed(works: Sequence[Work], jobs: int, into: Path | None) -> Iterator[PackedTheme | None]:
    """The files of each theme, None where no case of it was asked for, in an order of its own. into: where they will be written."""
    by_cost = sorted(works, key=lambda work: SLOWEST.index(work[1]) if work[1] in SLOWEST else len(SLOWEST))
    yield from in_processes(partial(_packed, into=into), by_cost, jobs)


def _packed(work: Work, into: Path | None) -> PackedTheme | None:
    goldens = compute(work)
    if not goldens:
        return None
    if into and work[2]:
        every = {golden.case.id: golden for golden in (*_kept(work, into), *goldens)}
        order = [draft.case.id for draft in drafts(dialect(work[0]), work[1])]
        goldens = sorted(every.values(), key=lambda golden: order.index(golden.case.id) if golden.case.id in order else len(order))
    return pack_theme(goldens)


def _kept(work: Work, into: Path) -> list[Golden]:
    """The cases of the same theme that a directory has: writing one case must not remove the others."""
    name, theme, _ = work
    if not (into / name / f"{theme}.yaml").is_file():
        return []
    kept = read_vectors(into, [name], [f"{name}/{theme}/*"])
    if kept.unreadable:
        raise UsageError(f"{into}: {kept.unreadable[0][0]}: {kept.unreadable[0][1]}", "it would be lost: install what is missing")
    return list(kept.goldens)


def _refuse_empty(directory: Path) -> None:
    if not (directory / "MANIFEST.yaml").is_file():
        raise UsageError(f"{directory} holds no vectors (no MANIFEST.yaml)", f"write them first: python -m refimpl.gen --out {directory}")


def _check(themes: Sequence[PackedTheme], directory: Path, partial: bool) -> int:
    with tempfile.TemporaryDirectory(prefix="refimpl-") as temporary:
        write_themes(Path(temporary), themes)
        differences = compare_directories(Path(temporary), directory, partial=partial)
    for difference in differences:
        print(difference)
    say(f"{directory}: {len(differences)} differences" if differences else f"{directory} is what this refimpl writes")
    return NOT_CONFORMANT if differences else OK


if __name__ == "__main__":
    raise SystemExit(main())
