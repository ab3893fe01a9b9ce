"""Run the corpus of wrong and right implementations: each on all vectors, and the causes that the last line of each verdict names.

    python tools/try_corpus.py [--only GLOB]... [--dialect NAME]... [--case GLOB]... [--failing N | --refusals] [--jobs 2] [--verbose]

Prints a line per row and dialect: how many cases refuse it, whether the causes that the verdict's last line names are those of the table
(right), say where it is wrong (placed), are missing (none) or others (WRONG), and the causes; below, the totals. Right implementations are
to conform. --verbose also prints the diagnosis as text, and what the table allows.
Exit code 1 if a wrong one passes or is named wrongly, or a right one is refused. The rows are those of tests/corpus.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from refimpl.case import Golden
from refimpl.common.cli import guarded, output_file, write_text
from refimpl.errors import NOT_CONFORMANT, OK, UsageError
from refimpl.judging.verdict import CaseVerdict, Diagnosis
from refimpl.vectors import read_vectors

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from corpus import ALL, RIGHT, WRONG, Row  # noqa: E402  # it lies among the tests
from corpus.choosing import with_few_failing  # noqa: E402  # as above
from corpus.running import Judged, naming, run  # noqa: E402  # as above

Goldens = dict[str, list[Golden]]
Work = tuple[str, str, int]
"""The id of a row, a dialect, and from how many failing cases its causes are to be named."""

ALL_OF_THEM = 1 << 30


@dataclass(frozen=True)
class Line:
    """The result of a row on the cases of a dialect. word: right, placed, none, WRONG or passed; for a right row conforms or REFUSED."""

    id: str
    dialect: str
    cases: int
    failing: int
    word: str
    causes: tuple[str, ...]
    seconds: float
    about: str
    allowed: str
    details: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def bad(self) -> bool:
        return self.word in ("WRONG", "passed", "REFUSED")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="GLOB", help="rows by id")
    parser.add_argument("--dialect", action="append", default=[], choices=ALL)
    parser.add_argument("--case", action="append", default=[], metavar="GLOB", help="cases by id")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    parser.add_argument("--vectors", type=Path, default=ROOT / "vectors", metavar="DIR")
    parser.add_argument("--json", type=output_file, metavar="FILE")
    parser.add_argument(
        "--failing", type=int, default=ALL_OF_THEM, metavar="N", help="name the causes from N failing cases at most: faster"
    )
    parser.add_argument("--refusals", action="store_true", help="only whether rows are refused, without their causes")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--list", action="store_true", help="print the rows and their sentences, and run nothing")
    options = parser.parse_args(arguments)
    rows = [row for row in (*WRONG, *RIGHT) if not options.only or any(fnmatchcase(row.id, glob) for glob in options.only)]
    wanted = options.dialect or ALL
    failing = 0 if options.refusals else options.failing
    work = [(row.id, dialect, failing) for row in rows for dialect in row.dialects if dialect in wanted]
    if not work:
        raise UsageError("no row is selected", "`--list` prints every id")
    if options.list:
        for row in rows:
            print(f"{row.id}\t{row.about}\t{', '.join(row.dialects)}")
        return OK
    lines = []
    _goldens.update(_read(options.vectors, options.dialect, options.case))
    for line in _lines(work, options.jobs):
        print(_text(line, options.verbose), flush=True)
        lines.append(line)
    print(totals(lines))
    if options.json:
        write_text(options.json, json.dumps([asdict(line) for line in lines], indent=1) + "\n")
    return NOT_CONFORMANT if any(line.bad for line in lines) else OK


def _read(directory: Path, dialects: Sequence[str], globs: Sequence[str]) -> Goldens:
    goldens: Goldens = {}
    for golden in read_vectors(directory, dialects, globs):
        goldens.setdefault(golden.case.dialect, []).append(golden)
    return goldens


_goldens: Goldens = {}
"""The cases; filled before the processes fork, which then share them."""


def _lines(work: Sequence[Work], jobs: int) -> Iterator[Line]:
    if jobs == 1:
        yield from map(_line, work)
        return
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap(_line, work)


def _line(work: Work) -> Line:
    id, dialect, failing = work
    row = next(row for row in (*WRONG, *RIGHT) if row.id == id)
    began = time.perf_counter()
    judged = run(row, _goldens.get(dialect, []))
    word, causes, details = _said(row, judged, failing)
    return Line(
        id=row.id,
        dialect=dialect,
        cases=len(judged.verdicts),
        failing=len(judged.failing),
        word=word,
        causes=causes,
        seconds=round(time.perf_counter() - began, 2),
        about=row.about,
        allowed=str(row.answer),
        details=details,
        reasons=tuple(map(_reason, judged.failing)),
    )


def _said(row: Row, judged: Judged, failing: int) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The word of a line, the causes, and the diagnosis with its leads."""
    if row.answer is None:
        return "REFUSED" if judged.failing or judged.unsupported else "conforms", (), ()
    if not judged.failing or not failing:
        return "refused" if judged.failing else "passed", (), ()
    part = with_few_failing(judged, failing, row)
    diagnoses = part.diagnoses()
    answer = naming(part, row.answer, diagnoses)
    return answer.word, answer.causes, (*map(_described, diagnoses), *(f"lead: {lead}" for lead in part.leads(diagnoses)))


def _reason(verdict: CaseVerdict) -> str:
    at = verdict.mismatch
    if at is None or verdict.reason:
        return f"{verdict.case_id}: {verdict.reason}"
    place = f"{at.array} of {at.param!r} at step {at.step}, {at.index}"
    return f"{verdict.case_id}: {place}: {at.got!r} for {at.expected!r}, {at.ratio:.3g} bounds away"


def _described(diagnosis: Diagnosis) -> str:
    also, cases = ", ".join(diagnosis.also) or "nothing", ", ".join(diagnosis.cases[:3])
    return f"{' with '.join(diagnosis.deviations)} ({len(diagnosis.cases)}): {diagnosis.about}; also {also}; e.g. {cases}"


def _text(line: Line, verbose: bool) -> str:
    causes = ", ".join(line.causes) or "-"
    text = f"{line.word:8} {line.id:34} {line.dialect:34} {line.failing:4} of {line.cases:4}  {line.seconds:6.1f} s  {causes}"
    if verbose:
        more = (line.about, f"allowed: {line.allowed}", *line.details, *line.reasons[:20])
        text += "".join(f"\n    {part}" for part in more)
    return text


def totals(lines: Sequence[Line]) -> str:
    words = Counter(line.word for line in lines)
    wrong = [line for line in lines if line.word not in ("conforms", "REFUSED")]
    refused = [line for line in wrong if line.word != "passed"]
    named = f"{words['right'] + words['placed']} named or placed rightly, {words['none']} unnamed, {words['WRONG']} wrongly"
    return "\n".join(
        (
            f"wrong: {len(refused)} of {len(wrong)} refused; {named}",
            f"right: {words['conforms']} of {words['conforms'] + words['REFUSED']} conform",
        )
    )


if __name__ == "__main__":
    raise SystemExit(guarded("corpus", main))
