"""`python -m refimpl.gen`: write golden vectors, or check that those which lie in a directory are still what refimpl computes."""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from .case import Golden
from .cases import SUITES, drafts
from .cases.claims import candidates
from .command import guarded, say
from .dialects import dialect, dialects
from .errors import NOT_CONFORMANT, OK, UsageError
from .progress import watched

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
    parser = argparse.ArgumentParser(
        prog="python -m refimpl.gen",
        description="Write golden vectors: inputs, exact results, and per element how far a correct implementation may be from them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    if options.list:
        found = [golden.case for work in works for golden in selection(work)]
        for case in found:
            print(f"{case.id}\t{case.about}")
    else:
        found = [theme for theme in watched(_packed(works, options.jobs), len(works), sys.stderr, what="themes") if theme]
    if not found:
        raise UsageError(f"no case matches {', '.join(options.case)}", "`refimpl gen --list` prints every id")
    if options.list:
        return OK
    if options.check:
        return _check(found, options.out, partial=bool(options.case or options.dialect or options.suite != "core"))
    write_themes(options.out, found)
    say(f"wrote {total} cases of {len(names)} dialects to {options.out}")
    return OK


def selection(work: Work) -> list[Golden]:
    """The drafts of a theme whose ids match one of the globs."""
    name, theme, globs = work
    every = drafts(dialect(name), theme)
    return [golden for golden in every if not globs or any(fnmatch.fnmatchcase(golden.case.id, glob) for glob in globs)]


def compute(work: Work) -> list[Golden]:
    """The vectors of a theme: inputs as a reader gets them, expectations, and the deviations that each case is proven to catch."""
    return [complete(draft) for draft in selection(work)]


def complete(draft: Golden) -> Golden:
    """A draft with its expectations, evaluated from the inputs as serialised."""
    from .oracle import catches_of_reduced, expectations, reduced
    from .vectors import roundtrip

    golden = roundtrip(draft)
    if golden.case.error is not None:
        return golden
    few = reduced(golden.case)
    expected = expectations(few.case)
    caught = catches_of_reduced(few, expected, candidates(draft.case.theme))
    return replace(golden, expected=few.expand(expected), case=replace(golden.case, catches=caught))


def _computed(works: list[Work], jobs: int) -> Iterator[Golden]:
    if jobs == 1:
        for work in works:
            yield from compute(work)
        return
    with ProcessPoolExecutor(jobs) as pool:
        longest_first = sorted(works, key=lambda work: work[1] not in ("horizons", "rows"))
        for goldens in pool.map(compute, longest_first):
            yield from goldens


def _write(goldens: Iterator[Golden], directory: Path) -> None:
    from .vectors import write_manifest, write_theme

    themes: dict[tuple[str, str], list[Golden]] = defaultdict(list)
    for golden in goldens:
        themes[golden.case.dialect, golden.case.theme].append(golden)
    for key in sorted(themes):
        write_theme(directory, themes[key])
    write_manifest(directory)


def _check(goldens: Iterator[Golden], directory: Path, partial: bool) -> int:
    from .vectors import compare_directories

    if not (directory / "MANIFEST.yaml").is_file():
        raise UsageError(f"{directory} holds no vectors (no MANIFEST.yaml)", f"write them first: python -m refimpl.gen --out {directory}")
    with tempfile.TemporaryDirectory(prefix="refimpl-") as temporary:
        _write(goldens, Path(temporary))
        differences = compare_directories(Path(temporary), directory, partial=partial)
    for difference in differences:
        print(difference)
    say(f"{directory}: {len(differences)} differences" if differences else f"{directory} is what this refimpl writes")
    return NOT_CONFORMANT if differences else OK


if __name__ == "__main__":
    raise SystemExit(main())
