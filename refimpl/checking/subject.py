"""What is judged: a backend, a program or results; the selected vectors; and the outcomes as soon as they exist."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..backends import BackendRun, judge_program, read_results, run_backend
from ..backends.outcome import Outcome
from ..case import Golden
from ..common.cli import say
from ..errors import RefimplError, UsageError, did_you_mean
from ..vectors import Vectors, read_manifest, read_vectors, write_inputs
from ..vectors.selection import ReadAhead, select
from .claimed import claimed_by_name, without_unclaimed
from .options import PER_CASE, PER_PROGRAM


@dataclass(frozen=True)
class Judged:
    """What is run, the vectors that were selected, and the outcome of each as soon as it exists.

    failure: the exit status or signal of a program, empty on success; run: the backend, where cases can be run again.
    """

    name: str
    version: str
    vectors: Vectors
    outcomes: Iterable[Outcome]
    failure: str = ""
    run: BackendRun | None = None


@contextmanager
def judged(options: argparse.Namespace, last_failed: Sequence[str]) -> Iterator[Judged]:
    """Start what is to be judged, and end all of it on exit. last_failed: only these cases, where there are any."""
    if options.backend:
        yield from _backend(options, last_failed)
    elif options.program is not None:
        yield from _program(options, last_failed)
    elif options.results is not None:
        written = {f"{file.parent.name}/{file.stem}" for file in options.results.glob("*/*.npz")}
        vectors = _selected(options, options.dialect, last_failed)
        vectors = without_unclaimed(vectors, options.case, lambda theme, need: theme in written)
        yield Judged(f"results in {options.results}", "", vectors, read_results(options.results, vectors))
    else:  # a list of the vectors of any dialect
        yield Judged("", "", _selected(options, options.dialect, last_failed), ())


def _selected(
    options: argparse.Namespace, dialects: Sequence[str], last_failed: Sequence[str], read: Callable[..., Vectors] = read_vectors
) -> Vectors:
    vectors = select(options.vectors, dialects, options.case, read)
    if not options.last_failed:
        return vectors
    again = Vectors(
        tuple(golden for golden in vectors if golden.case.id in last_failed),
        tuple((id, reason) for id, reason in vectors.unreadable if id in last_failed),
    )
    if not (again.goldens or again.unreadable):
        say("--last-failed: none of the selected cases failed last time, so all of them are run")
        return vectors
    return again


def _backend(options: argparse.Namespace, last_failed: Sequence[str]) -> Iterator[Judged]:
    goldens: list[Golden] = []  # filled below, before the run reads it: what to read depends on what the backend claims
    timeout = options.timeout or PER_CASE
    read = _read_ahead(options)
    with run_backend(options.backend, goldens, options.device, dict(options.option), timeout, options.jobs, options.python) as run:
        vectors = _claimed(options, run.name, tuple(run.dialects), last_failed, read)
        vectors = without_unclaimed(vectors, options.case, claimed_by_name(run.dialects))
        goldens += vectors
        yield Judged(run.name, run.version, vectors, run, run=run)


def _read_ahead(options: argparse.Namespace) -> Callable[..., Vectors]:
    """Reading what the backend will probably claim, while it is made: what was asked for, or the dialects of its own framework."""
    try:
        there = read_manifest(options.vectors).dialects
    except RefimplError:  # the error is reported when the vectors are needed
        return read_vectors
    probable = options.dialect or [name for name in there if name.split(".")[0] == options.backend]
    return ReadAhead(options.vectors, probable, options.case) if probable else read_vectors


def _claimed(
    options: argparse.Namespace, name: str, claimed: Sequence[str], last_failed: Sequence[str], read: Callable[..., Vectors]
) -> Vectors:
    """The vectors of the dialects that were asked for, or of all that the backend claims."""
    for asked in options.dialect:
        if asked not in claimed:
            said = f"it claims {', '.join(claimed) or 'no dialect'}"
            raise UsageError(f"{name} does not claim {asked}", " ".join(filter(None, (did_you_mean(asked, claimed), said))))
    there = read_manifest(options.vectors).dialects
    missing = [dialect for dialect in claimed if dialect not in there]
    if missing and not options.dialect:
        say(f"{name} claims {', '.join(missing)}, of which {options.vectors} has no vectors")
    wanted = options.dialect or [dialect for dialect in claimed if dialect in there]
    return _selected(options, wanted, last_failed, read) if wanted else Vectors(())


def _program(options: argparse.Namespace, last_failed: Sequence[str]) -> Iterator[Judged]:
    vectors = without_unclaimed(_selected(options, options.dialect, last_failed), options.case, claimed_by_name({}))
    if options.list:
        yield Judged(options.program, "", vectors, ())
        return
    with tempfile.TemporaryDirectory(prefix="refimpl-", ignore_cleanup_errors=True) as scratch:
        inputs, results = Path(scratch, "vectors"), Path(scratch, "results")
        write_inputs(inputs, vectors.goldens)
        run = judge_program(options.program, inputs, results, vectors.goldens, options.timeout or PER_PROGRAM)
        yield Judged(options.program, "", vectors, run.outcomes, run.failure)
