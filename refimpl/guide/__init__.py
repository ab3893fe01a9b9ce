"""`python -m refimpl.guide --out DIR`: the guide as pages, every number of it computed while they are made."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

from ..common.cli import command_parser, guarded, say
from ..common.text import counted
from ..errors import NOT_CONFORMANT, OK, UsageError
from ._chapter import TEXT, Built, Chapter, broken_links, chapters

__all__ = ["main"]

EXAMPLES = """examples:
  python -m refimpl.guide --out guide                    write guide/index.html and a page per chapter
  python -m refimpl.guide --out guide --without-torch    leave out the chapters that run torch; their pages say so
  python -m refimpl.guide --serve                        build the pages and show them at http://127.0.0.1:8000
  python -m refimpl.guide --check                        run and compute everything, write nothing

exit codes: 0 all well; 1 something in the text does not hold; 2 usage, or a package is missing
"""

REQUIRED = {"matplotlib": "matplotlib", "markdown_it": "markdown-it-py", "latex2mathml": "latex2mathml", "pygments": "pygments"}
"""Module to the package that brings it, of what building needs beside refimpl's own dependencies."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.out is None and not options.check and options.serve is None:
        parser.error("say where the pages go (--out DIR), show them (--serve), or only --check the text")
    if options.check and options.serve is not None:
        parser.error("--check writes no pages that --serve could show")
    return guarded("refimpl guide", lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(
        "guide",
        "Build the guide: what Adam is, what implementations make of it, and how refimpl judges them.\n"
        "Every snippet is run, every figure drawn and every number compared with the text while it is built.",
        EXAMPLES,
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the pages go; what else is there stays")
    parser.add_argument(
        "--serve", nargs="?", const=8000, type=_port, metavar="PORT", help="show the pages in a browser until Ctrl-C (default port: 8000)"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; say whether everything in the text holds")
    parser.add_argument("--without-torch", action="store_true", help="leave out the chapters that need torch")
    parser.add_argument("--text", type=Path, default=TEXT, metavar="DIR", help="chapters of your own, instead of the guide's")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: one per core)")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a number up to 65535; 0 takes a free one")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    if options.serve is None:
        return _build_pages(options)
    from ._serving import listening, serve

    with tempfile.TemporaryDirectory(prefix="refimpl-guide-") as temporary:
        options.out = options.out or Path(temporary)
        with listening(options.serve, options.out) as server:
            return _build_pages(options) or serve(server)


def _build_pages(options: argparse.Namespace) -> int:
    texts = chapters(options.text)
    _require(texts, options.without_torch)
    if not options.check:
        from ._pages import check_target

        check_target(options.out)
    built = tuple(_watched(_built(texts, options), len(texts)))
    failures = [*(failure for page in built for failure in page.failures), *broken_links(built)]
    for failure in failures:
        print(failure)
    if failures:
        say(f"the text does not hold in {counted(len(failures), 'place')}; nothing was written")
        return NOT_CONFORMANT
    if options.check:
        say(f"everything in {len(built)} chapters holds")
        return OK
    from ._pages import pages, write

    write(options.out, pages(built))
    say(f"wrote {len(built)} pages and the search; open {options.out / 'index.html'}")
    return OK


def _require(texts: Sequence[Chapter], without_torch: bool) -> None:
    """Raise UsageError, with what to install, before any work is done."""
    missing = [package for module, package in REQUIRED.items() if find_spec(module) is None]
    if missing:
        raise UsageError(f"building the guide needs {', '.join(missing)}", "pip install 'refimpl[guide]'")
    for name in sorted({name for chapter in texts for name in chapter.needs} - ({"torch"} if without_torch else set())):
        if find_spec(name) is None:
            way_out = "pip install 'refimpl[torch]'; or build without it: --without-torch" if name == "torch" else f"pip install {name}"
            raise UsageError(f"a chapter of the guide runs {name}, which is not installed", way_out)


def _built(texts: Sequence[Chapter], options: argparse.Namespace) -> Iterator[Built]:
    work = partial(_build_chapter, directory=options.text.resolve(), without=("torch",) if options.without_torch else ())
    if options.jobs == 1:
        yield from map(work, texts)
        return
    # spawn: each chapter starts from a fresh interpreter's state, and numba's threads do not survive a fork
    with ProcessPoolExecutor(min(options.jobs, len(texts)), mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, texts)


def _build_chapter(chapter: Chapter, directory: Path, without: tuple[str, ...]) -> Built:
    from ._build import built, left_out

    missing = tuple(name for name in chapter.needs if name in without)
    return left_out(chapter, missing) if missing else built(chapter, directory)


def _watched(built: Iterator[Built], total: int) -> Iterator[Built]:
    for number, page in enumerate(built, start=1):
        state = "left out" if page.left_out else f"{len(page.failures)} do not hold" if page.failures else f"{page.seconds:.1f} s"
        say(f"[{number}/{total}] {page.chapter.name}: {state}")
        yield page
