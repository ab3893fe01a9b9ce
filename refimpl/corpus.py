"""`python -m refimpl.corpus`: in which packages and versions each known deviation is live, and how that is known."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

from .common.cli import command_parser, guarded, output_file, version, write_text
from .common.text import counted, first_few, joined, paragraph
from .dialects.corpus import Entry, Instance, corpus
from .errors import OK, UsageError, did_you_mean

EXAMPLES = """examples:
  python -m refimpl.corpus                                 every deviation, and where it is live
  python -m refimpl.corpus --deviation counter-one-ahead   one of them
  python -m refimpl.corpus --package keras                 what is known of a package
  python -m refimpl.corpus --json corpus.json

measured: that version was run over the vectors, and the diagnosis named the deviation; read: a report says so. In a checkout,
`python tools/measure_corpus.py --package thinc` makes an environment with the pinned version and measures it again.

exit codes: 0 listed; 2 usage, or a name that is not in the corpus
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(argv)
    return guarded("refimpl corpus", lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    about = "In which packages and versions each known deviation is live, and how that is known."
    parser = command_parser("corpus", about, EXAMPLES)
    parser.add_argument("--version", action="version", version=f"refimpl {version()}")
    parser.add_argument("--deviation", action="append", default=[], metavar="NAME", help="only this one (may be repeated)")
    parser.add_argument(
        "--package", action="append", default=[], metavar="NAME", help="only what is known of this package (may be repeated)"
    )
    parser.add_argument("--json", type=output_file, metavar="FILE", help="the same as JSON")
    return parser


def _run(options: argparse.Namespace) -> int:
    entries = selected(options.deviation, options.package)
    if options.json:
        write_text(options.json, json.dumps([asdict(entry) for entry in entries], indent=1) + "\n")
    print(to_text(entries), end="")
    return OK


def selected(names: Sequence[str] = (), packages: Sequence[str] = ()) -> list[Entry]:
    """The entries with these names, and of each what is known of these packages; empty filters select everything.

    Raises UsageError for a name or a package that the corpus does not hold, and where they have nothing in common.
    """
    every = corpus()
    known = dict.fromkeys(instance.package for entry in every.values() for instance in entry.instances)
    for what, given, all_known in (("deviation", names, list(every)), ("package", packages, list(known))):
        for name in given:
            if name not in all_known:
                raise UsageError(
                    f"--{what}: there is no {name!r} in the corpus", did_you_mean(name, all_known) or "leave it out to see all"
                )
    entries = [entry for entry in every.values() if not names or entry.name in names]
    if packages:
        own = [
            replace(entry, instances=tuple(one for one in entry.instances if one.package in packages), by_design=()) for entry in entries
        ]
        entries = [entry for entry in own if entry.instances]
    if not entries:
        raise UsageError(f"nothing is known of {', '.join(names)} in {', '.join(packages)}", "leave one of the options out")
    return entries


def to_text(entries: Sequence[Entry]) -> str:
    """The entries with what is known of them, then those of which nothing is, then the counts."""
    seen = [entry for entry in entries if entry.instances or entry.by_design]
    unseen = [entry.name for entry in entries if entry not in seen]
    instances = [instance for entry in entries for instance in entry.instances]
    measured = sum(instance.evidence == "measured" for instance in instances)
    known = f"{measured} measured, {len(instances) - measured} read"
    counts = f"{counted(len(entries), 'deviation')}, {counted(len(instances), 'instance')}: {known}"
    nowhere = f"known in no package (mutants, or options that are not read): {', '.join(unseen)}" if unseen else ""
    return joined([*(_entry(entry) for entry in seen), paragraph(nowhere, hanging="  ") if nowhere else [], [counts]])


def _entry(entry: Entry) -> Iterator[str]:
    yield from paragraph(f"{entry.name}: {entry.about}", hanging="  ")
    for instance in entry.instances:
        yield from paragraph(_instance(instance), "  ", "    ")
    if entry.by_design:
        yield from paragraph(f"by design: {first_few(entry.by_design)}", "  ", "    ")


def _instance(instance: Instance) -> str:
    route = f", route {instance.route} judged by {instance.dialect}" if instance.peer else ""
    return f"{instance.evidence:<8} {instance.package} {instance.version}{route} ({instance.source})"


def measurable(entries: Sequence[Entry]) -> list[tuple[str, Instance]]:
    """The name and the instance of everything here that was measured, and so can be again."""
    return [(entry.name, instance) for entry in entries for instance in entry.instances if instance.peer]


if __name__ == "__main__":
    raise SystemExit(main())
