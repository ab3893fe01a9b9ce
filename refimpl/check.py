"""`python -m refimpl.check`: judge an implementation against golden vectors, and name the cause where it fails."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from .backends.processes import orphans_ended, terminated_in_order
from .checking import history
from .checking.examining import default_class, examine
from .checking.options import command, parsed
from .checking.subject import Judged, judged
from .common.cli import guarded, say, version, write_text
from .common.text import printable
from .dialects import dialect
from .errors import HARNESS_FAILED, OK, UsageError
from .judging.verdict import Report
from .judging.waivers import read_waivers, waive
from .report import conclude, to_github, to_json, to_junit, to_text

__all__ = ["Judged", "default_class", "examine", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = parsed(None if argv is None else list(argv))
    return guarded("refimpl check", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    for name in options.dialect:
        dialect(name)  # raises UsageError with similar names
    waivers = read_waivers(options.waivers) if options.waivers else ()
    files = list(_files(options))
    required = options.require or default_class(options.device)
    failed_before = history.recall(options)
    if not options.list:
        say(f"judging {options.backend or options.program or f'the results in {options.results}'} by the vectors in {options.vectors}")
    with terminated_in_order(), orphans_ended(), judged(options, failed_before) as subject:
        if options.list:
            return _list(subject)
        if options.nearest:
            from .checking.nearest import nearest  # here, since it needs the oracle

            print(nearest(subject), end="")
            return OK
        report = examine(
            subject,
            required,
            profiled=bool(options.html),
            fail_fast=options.fail_fast,
            is_waived=lambda case_id: any(fnmatchcase(case_id, waiver.case) for waiver in waivers),
        )
    narrowed = bool(options.case or options.last_failed or report.not_run)
    verdicts, problems = waive(report.verdicts, waivers, report.diagnoses, narrowed=narrowed or bool(options.backend and options.dialect))
    report = replace(
        report,
        device=options.device or "",
        vectors=str(options.vectors),
        verdicts=verdicts,
        problems=problems,
        environment={**_environment(), "command": command(options)},
        narrowed=bool(options.case or options.last_failed),
        strict=options.strict,
    )
    history.remember(options, report, failed_before)
    for file, text in files:
        write_text(file, text(report))
    print(to_text(report, options.verbose), end="")
    if options.github:
        _tell_github(report)
    return conclude(report).exit_code


def _files(options: argparse.Namespace) -> Iterator[tuple[Path, Callable[[Report], str]]]:
    """The reports to write; raises UsageError, before anything is run, where one cannot be made here."""
    if options.json:
        yield options.json, to_json
    if options.junit:
        yield options.junit, to_junit
    if options.html:
        try:
            from .report.html import to_html  # here, since only a page needs Jinja2
        except ModuleNotFoundError as error:
            raise UsageError(f"--html needs the Python package {error.name}", f"pip install {error.name}") from error
        yield options.html, to_html


def _list(subject: Judged) -> int:
    for golden in subject.vectors:
        print(f"{printable(golden.case.id)}\t{printable(golden.case.about)}")
    for id, reason in subject.vectors.unreadable:
        print(f"{printable(id)}\t{printable(reason)}")
    return OK if subject.vectors.goldens or subject.vectors.unreadable else HARNESS_FAILED


def _tell_github(report: Report) -> None:
    """Print annotations to standard output, where a runner reads them, and write the summary of the step to the file that it names."""
    annotations, summary = to_github(report)
    print(annotations, end="")
    file = os.environ.get("GITHUB_STEP_SUMMARY")
    if file:
        try:
            with open(file, "a", encoding="utf-8") as out:
                out.write(summary)
        except OSError as error:
            raise UsageError(f"GITHUB_STEP_SUMMARY: {file} cannot be written: {error.strerror}") from None


def _environment() -> dict[str, str]:
    return {"refimpl": version(), "python": platform.python_version(), "numpy": np.__version__, "platform": platform.platform()}


if __name__ == "__main__":
    raise SystemExit(main())
