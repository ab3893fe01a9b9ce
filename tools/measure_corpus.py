"""Measure the corpus again: whether a deviation is live in the package and version that it was measured in.

    python tools/measure_corpus.py --package thinc
    python tools/measure_corpus.py --deviation counter-one-ahead
    python tools/measure_corpus.py --all

Each package runs in a virtual environment of its own, made from the pins of its peer (tools/peers/NAME.yaml), over the themes in which
the kept result shows the deviation. It is live if the diagnosis names it. `refimpl corpus` lists what is known.

exit codes: 0 live as recorded; 1 not live any more; 2 usage or bad input, or no interpreter for the environment; 3 it could not be run
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peers_environment import Environment, make_environment
from peers_run import run_goldens
from peers_table import REPOSITORY, find_peer

from refimpl import gen
from refimpl.case import Golden
from refimpl.common.cli import guarded, say
from refimpl.common.text import counted
from refimpl.corpus import measurable, selected
from refimpl.dialects.corpus import Instance
from refimpl.errors import NOT_CONFORMANT, OK, UsageError
from refimpl.judging.verdict import Report, Status
from refimpl.vectors import Vectors

WORK = REPOSITORY / ".peers"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python tools/measure_corpus.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--deviation", action="append", default=[], metavar="NAME", help="only this one (may be repeated)")
    parser.add_argument("--package", action="append", default=[], metavar="NAME", help="only in this package (may be repeated)")
    parser.add_argument("--all", action="store_true", help="everything that was measured: some gigabytes of packages")
    parser.add_argument("--work", type=Path, default=WORK, metavar="DIR", help="where the environments are (default: .peers)")
    parser.add_argument("--python", type=Path, metavar="PATH", help="the interpreter to make the environments with")
    options = parser.parse_args(argv)
    if options.all == bool(options.deviation or options.package):
        parser.error("say what to measure: --deviation NAME, --package NAME, or --all")
    return guarded("corpus", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    found = measurable(selected(options.deviation, options.package))
    if not found:
        raise UsageError("nothing of this was measured, it is only read", "`refimpl corpus` says what was measured")
    codes = [_measure(name, instance, options) for name, instance in found]
    say(f"{counted(codes.count(OK), 'instance')} of {len(codes)} live as recorded")
    return max(codes)


def _measure(name: str, instance: Instance, options: argparse.Namespace) -> int:
    peer = find_peer(instance.peer)
    environment = make_environment(peer, options.work / peer.id / "venv", options.python)
    goldens = cases(name, instance, kept(instance))
    report = run_goldens(peer, instance.route, Vectors(tuple(goldens)), environment)
    live = shows(name, report) and environment.version == instance.version
    print(f"{name}: {'live' if live else 'NOT live'} in {_where(instance, environment)}: {_what(name, report)}", flush=True)
    return OK if live else NOT_CONFORMANT


def kept(instance: Instance) -> dict[str, Any]:
    """What is kept of the peer's route, as judged by the dialect."""
    result: dict[str, Any] = json.loads((REPOSITORY / instance.source).read_text(encoding="utf-8"))
    judged: dict[str, Any] = result["routes"][instance.route]["dialects"][instance.dialect]
    return judged


def cases(name: str, instance: Instance, judged: dict[str, Any]) -> list[Golden]:
    """The cases of the themes in which the kept result shows the deviation."""
    themes = dict.fromkeys(case.split("/")[-2] for entry in judged["deviations"] if name == entry["id"] for case in entry["first"])
    return [golden for theme in themes for golden in gen.compute((instance.dialect, theme, ()))]


def shows(name: str, report: Report) -> bool:
    """Whether the diagnosis names the deviation, or cannot tell it from what it names."""
    return any(name in (diagnosis.name, *diagnosis.also) for diagnosis in report.diagnoses)


def _where(instance: Instance, environment: Environment) -> str:
    now = "" if environment.version == instance.version else f" (installed: {environment.version})"
    return f"{instance.package} {instance.version}{now}, route {instance.route} judged by {instance.dialect}"


def _what(name: str, report: Report) -> str:
    failed = report.count(Status.FAILED)
    explained = {case for diagnosis in report.diagnoses if name in (diagnosis.name, *diagnosis.also) for case in diagnosis.cases}
    others = ", ".join(dict.fromkeys(diagnosis.name for diagnosis in report.diagnoses if name not in (diagnosis.name, *diagnosis.also)))
    return f"it explains {len(explained)} of {counted(failed, 'failure')} of {len(report.verdicts)} cases" + (
        f"; also {others}" if others else ""
    )


if __name__ == "__main__":
    sys.exit(main())
