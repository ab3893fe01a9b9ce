"""Which cases failed last time: kept per directory and subject in the user's cache, for `--last-failed`."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Collection
from pathlib import Path

from ..common.files import replace_file
from ..judging.verdict import Report
from ..report.conclusion import FAILURES

LIMIT = 16 << 20


def recall(options: argparse.Namespace) -> list[str]:
    """The ids of the cases that failed when this subject was last judged from this directory; none where that is not known."""
    try:
        file = _file(options)
        if file.stat().st_size > LIMIT:
            return []
        failed = json.loads(file.read_text(encoding="utf-8"))["failed"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    return [id for id in failed if isinstance(id, str)] if isinstance(failed, list) else []


def remember(options: argparse.Namespace, report: Report, before: Collection[str]) -> None:
    """Record the failures: those of this run, and for cases that were not run those of the record before."""
    run = {verdict.case_id for verdict in report.verdicts}
    failed = {verdict.case_id for verdict in report.verdicts if verdict.status in FAILURES}
    content = {"directory": os.getcwd(), "subject": _subject(options), "failed": sorted(failed | (set(before) - run))}
    try:
        file = _file(options)
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_file(file, json.dumps(content, indent=1).encode("ascii"), 0o600)
    except OSError:  # a home directory that cannot be written to: the verdict does not need it
        return


def _subject(options: argparse.Namespace) -> list[str]:
    words = [options.backend, options.program, options.results and str(options.results), options.device, options.python]
    return [str(word) for word in words if word] + [f"{key}={value}" for key, value in options.option]


def _file(options: argparse.Namespace) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    key = hashlib.sha256(json.dumps([os.getcwd(), *_subject(options)]).encode("ascii")).hexdigest()
    return Path(cache, "refimpl", "last-failed", f"{key[:32]}.json")
