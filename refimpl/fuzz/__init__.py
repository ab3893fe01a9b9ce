"""`python -m refimpl.fuzz`: random cases of every size and mixture of features, judged on the fly, and made small where they fail."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from ..backends.processes import orphans_ended, terminated_in_order
from ..common.cli import guarded, say, write_text
from ..dialects import dialect
from ..errors import UsageError
from ..report import to_junit
from ..vectors import PackedTheme, refuse_other_contents, write_themes
from ._options import Shard, parsed, settings_of
from ._parts import Part, merged, read_part
from ._report import conclude, report_of, to_json, to_text
from ._running import run

__all__ = ["main"]

SELF = "--self"
"""The option that makes refimpl's own bounds what is judged."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if SELF in arguments:
        from . import own_bounds

        return own_bounds.main([word for word in arguments if word != SELF])
    options = parsed(arguments)
    return guarded("refimpl fuzz", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    for name in options.dialect:
        dialect(name)  # raises UsageError with similar names
    if options.save:
        refuse_other_contents(options.save, ())
    part = _merge(options) if options.merge else _drawn(options)
    if options.shard:
        write_text(options.json, part.text())
        say(f"{options.json}: part {part.index} of {part.count}; `refimpl fuzz --merge` makes the report of all parts")
        print(to_text(part, None), end="")
        return conclude(part).exit_code
    if options.save:
        _save(options.save, [shrunk.theme for shrunk in part.shrunk if shrunk.again])
    for file, text in ((options.json, to_json), (options.junit, lambda part: to_junit(report_of(part)))):
        if file:
            write_text(file, text(part))
    print(to_text(part, options.save), end="")
    return conclude(part).exit_code


def _merge(options: argparse.Namespace) -> Part:
    return merged(options.merge, [read_part(file) for file in options.merge])


def _drawn(options: argparse.Namespace) -> Part:
    settings = settings_of(options)
    if options.dask:
        from ._cluster import run_on_cluster

        return run_on_cluster(settings, options.dask)
    say(f"judging {settings.backend} by random cases of seed {settings.seed}")
    with terminated_in_order(), orphans_ended():
        shard = options.shard or Shard(1, 1)
        part = run(settings, shard, options.minutes, options.fail_fast, [_number(id, settings.seed) for id in options.case])
    for id, result in zip(options.case, part.results):
        if result.verdict.case_id != id:
            raise UsageError(f"{id}: this campaign's case of that number is {result.verdict.case_id}", "give its --dialect and --seed, too")
    return part


def _number(id: str, seed: int) -> int:
    match = re.fullmatch(r"[^/]+/[^/]+/seed-(\d+)-case-(\d+)", id)
    if match is None or int(match[1]) != seed:
        raise UsageError(f"{id}: is no case of a campaign with seed {seed}", "give the id that a report names, and its --seed")
    return int(match[2])


def _save(directory: Path, themes: Sequence[PackedTheme]) -> None:
    if not themes:
        return
    directory.mkdir(parents=True, exist_ok=True)
    write_themes(directory, themes)
    say(f"{directory}: {len(themes)} shrunk case{'s' if len(themes) > 1 else ''}, which `refimpl check --vectors {directory}` reads")
