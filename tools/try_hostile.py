"""Run the corpus of hostile input (tests/hostile) and print what held: backends, programs, files, gradients, settings and states.

    python tools/try_hostile.py                          everything, with 50,000 changed files
    python tools/try_hostile.py --kind backend --kind program
    python tools/try_hostile.py --mutations 5000 --jobs 4

Exit code 1 where something did not hold.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from hostile import Entry, backends, files, gradients, programs, states

from refimpl.common.progress import Progress

KINDS = ("backend", "program", "file", "gradient", "setting", "state")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", action="append", choices=KINDS, help="only these (may be repeated)")
    parser.add_argument("--mutations", type=int, default=50_000, metavar="N", help="changed files (default: 50000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the changed files (default: 0)")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="backends and programs at once (default: 2)")
    options = parser.parse_args(argv)
    entries = [entry for entry in every(options.mutations, options.seed) if not options.kind or entry.kind in options.kind]
    tried, failed = Counter[str](), Counter[str]()
    with Progress(len(entries), sys.stderr, "hostile things") as progress, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy and scipy warn of many of these inputs
        for entry, wrong in results(entries, options.jobs):
            tried[entry.kind] += 1
            failed[entry.kind] += bool(wrong)
            progress.advance(bool(wrong))
            if wrong:
                progress.say(f"{entry.kind}: {entry.id}: {wrong}")
    print(f"{'kind':<10}{'tried':>8}{'held':>8}")
    for kind in (kind for kind in KINDS if tried[kind]):
        print(f"{kind:<10}{tried[kind]:>8}{tried[kind] - failed[kind]:>8}")
    return 1 if failed.total() else 0


def every(mutations: int, seed: int) -> Iterator[Entry]:
    yield from backends.entries()
    yield from programs.entries()
    yield from files.entries(mutations, seed)
    yield from gradients.entries()
    yield from gradients.memory_entries()
    yield from states.entries()


def results(entries: Sequence[Entry], jobs: int) -> Iterator[tuple[Entry, str]]:
    """Each entry with what went wrong. Backends and programs run at once; the others share this process, and run one by one."""
    apart = [entry for entry in entries if entry.kind in ("backend", "program")]
    if apart:
        backends.vectors()  # before there are threads that would each make them
        with ThreadPoolExecutor(jobs) as pool:
            yield from zip(apart, pool.map(happened, apart))
    yield from ((entry, happened(entry)) for entry in entries if entry.kind not in ("backend", "program"))


def happened(entry: Entry) -> str:
    """What went wrong, "" where nothing did."""
    try:
        entry.run()
    except BaseException as error:  # the table checks for any error
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"{type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    raise SystemExit(main())
