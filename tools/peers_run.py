"""Running a peer: its routes over the vectors of their dialects, judged, and reduced to what the matrix is made of."""

from __future__ import annotations

import json
import os
import re
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from peers_environment import Environment, as_words
from peers_table import BACKENDS, REPOSITORY, Peer, Route

from refimpl.arithmetic import CLASSES
from refimpl.backends import run_backend
from refimpl.case import ARRAYS
from refimpl.checking import Judged, default_class, examine
from refimpl.common.json import strict
from refimpl.common.text import printable
from refimpl.judging.verdict import CaseVerdict, Diagnosis, Report, Status
from refimpl.judging.waivers import waive
from refimpl.report import conclude
from refimpl.report.mismatch import worst
from refimpl.vectors import Vectors, read_vectors

FORMAT = 1
FIRST = 3
"""How many cases of a kind are named; the others are counted."""

REASON_LIMIT = 240
"""Characters of a reason that are kept."""


def run_route(peer: Peer, name: str, dialect: str, environment: Environment, directory: Path) -> Report:
    """The report on one route of a peer by one dialect, with the peer's waivers applied."""
    report = run_goldens(peer, name, read_vectors(directory, [dialect]), environment)
    waivers = [waiver for waiver in peer.waivers.get(name, ()) if waiver.case.startswith(f"{dialect}/")]
    verdicts, problems = waive(report.verdicts, waivers, report.diagnoses)
    return replace(report, verdicts=verdicts, problems=problems, device="", vectors="")


def run_goldens(peer: Peer, name: str, vectors: Vectors, environment: Environment) -> Report:
    """The report on one route of a peer over some vectors of one dialect."""
    route = peer.routes[name]
    with (
        _surroundings(peer.prelude),
        run_backend(peer.backend, vectors.goldens, options=route.options, timeout=peer.timeout, python=str(environment.python)) as run,
    ):
        judged = Judged(f"{peer.name} {environment.version}, {route.about}", "", vectors, run, run=run)
        return examine(judged, default_class(None))


@contextmanager
def _surroundings(prelude: Mapping[str, str]) -> Iterator[None]:
    """The environment variables of a backend's process: its own beside ours, and a search path with the backends of the peers alone."""
    before = dict(os.environ)
    os.environ.update(prelude, PYTHONPATH=str(BACKENDS), PYTHONNOUSERSITE="1")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def run_peer(peer: Peer, environment: Environment, routes: Mapping[str, Mapping[str, Report]]) -> dict[str, Any]:
    """What is kept of the reports (route -> dialect -> report) of a peer."""
    return {
        "format": FORMAT,
        "name": peer.name,
        "distribution": peer.distribution,
        **as_words(environment),
        "install": list(peer.install),
        "routes": {name: _route(peer, name, reports) for name, reports in routes.items()},
    }


def _route(peer: Peer, name: str, reports: Mapping[str, Report]) -> dict[str, Any]:
    route: Route = peer.routes[name]
    return {"about": route.about, "dialects": {dialect: reduced(peer, name, report) for dialect, report in reports.items()}}


def reduced(peer: Peer, route: str, report: Report) -> dict[str, Any]:
    """The parts of a report that are kept: counts, the first few cases of each kind, and the evidence of claims."""
    by_id = {verdict.case_id: verdict for verdict in report.verdicts}
    explained = {case for diagnosis in report.diagnoses for case in diagnosis.cases}
    unnamed = [
        verdict for verdict in report.verdicts if verdict.status is Status.FAILED and verdict.mismatch and verdict.case_id not in explained
    ]
    rounding, unexplained = [verdict for verdict in unnamed if verdict.attained], [verdict for verdict in unnamed if not verdict.attained]
    claimed = {claim.case for claim in peer.claims if claim.route == route and claim.case in by_id}
    kept = {
        "verdict": conclude(report).sentence,
        "required": report.required,
        "attained": report.attained,
        "themes": _themes(report),
        "deviations": [_deviation(diagnosis, by_id) for diagnosis in report.diagnoses],
        "rounding": _counted(rounding),
        "unexplained": _counted(unexplained),
        "leads": list(report.leads) if unexplained else [],
        "refusals": _grouped(_refusals(report.verdicts)),
        "errors": _grouped(verdict for verdict in report.verdicts if verdict.status is Status.ERROR),
        "unsupported": _grouped(verdict for verdict in report.verdicts if verdict.status is Status.UNSUPPORTED),
        "waived": _grouped(verdict for verdict in report.verdicts if verdict.status is Status.WAIVED),
        "evidence": {id: {"status": by_id[id].status.value, **_shown(by_id[id])} for id in sorted(claimed)},
        "problems": [*report.problems, *([report.failure] if report.failure else [])],
    }
    return {key: value for key, value in strict(kept).items() if value}


def _counted(verdicts: Sequence[CaseVerdict]) -> dict[str, Any] | None:
    return {"cases": len(verdicts), "first": [_shown(verdict) for verdict in verdicts[:FIRST]]} if verdicts else None


def _themes(report: Report) -> dict[str, dict[str, Any]]:
    themes: dict[str, list[CaseVerdict]] = {}
    for verdict in report.verdicts:
        themes.setdefault(verdict.theme, []).append(verdict)
    return {theme: _theme(verdicts, report) for theme, verdicts in themes.items()}


def _theme(verdicts: Sequence[CaseVerdict], report: Report) -> dict[str, Any]:
    """Counts by status, how far each array is attained (the loosest class among its cases, and the worst |error|/bound), and the causes."""
    counts = {status.value: sum(entry.status is status for entry in verdicts) for status in Status} | {"refusals": len(_refusals(verdicts))}
    arrays = [entry for verdict in verdicts for entry in verdict.arrays]
    ids = {verdict.case_id for verdict in verdicts if verdict.status is Status.FAILED}
    causes = Tally[str]()
    for diagnosis in report.diagnoses:  # a cause that holds under two conditions is two diagnoses of one name
        causes[diagnosis.name] += len(ids.intersection(diagnosis.cases))
    causes["rounding"] = sum(entry.status is Status.FAILED and entry.attained is not None for entry in verdicts)
    attained = {array: _attained([entry.attained for entry in arrays if entry.array == array]) for array in ARRAYS}
    furthest = {array: ratio for array in ARRAYS if (ratio := worst(arrays, array, report.required)) is not None}
    kept = {
        **counts,
        "attained": replace(report, verdicts=tuple(verdicts)).attained,
        "arrays": {array: [attained[array], _rounded(ratio)] for array, ratio in furthest.items()},
        "causes": {cause: count for cause, count in causes.items() if count},
    }
    return {name: value for name, value in kept.items() if value}


def _attained(classes: Sequence[str | None]) -> str | None:
    attained = [name for name in classes if name is not None]
    return max(attained, key=CLASSES.index) if len(attained) == len(classes) and attained else None


def _rounded(ratio: float) -> float:
    return float(f"{ratio:.3g}")


def _deviation(diagnosis: Diagnosis, by_id: Mapping[str, CaseVerdict]) -> dict[str, Any]:
    """A named cause, and the case that shows it: the first of those that it explains."""
    return {
        "id": diagnosis.name,
        "about": diagnosis.about,
        "cases": len(diagnosis.cases),
        "first": list(diagnosis.cases[:FIRST]),
        "also": list(diagnosis.also),
        "shown": _shown(by_id[diagnosis.cases[0]]),
    }


def _shown(verdict: CaseVerdict) -> dict[str, Any]:
    """A case with the numbers of its first mismatch, or the reason of its verdict."""
    shown: dict[str, Any] = {"case": verdict.case_id}
    if verdict.mismatch is not None:
        shown["mismatch"] = {**asdict(verdict.mismatch), "index": list(verdict.mismatch.index), "ratio": _rounded(verdict.mismatch.ratio)}
    if verdict.reason:
        shown["reason"] = _plain(verdict.reason)
    return shown


def _refusals(verdicts: Sequence[CaseVerdict]) -> list[CaseVerdict]:
    """The failures without numbers: something is accepted that must be refused, or refused with something changed."""
    return [verdict for verdict in verdicts if verdict.status is Status.FAILED and not verdict.mismatch]


def _grouped(verdicts: Iterable[CaseVerdict]) -> list[dict[str, Any]]:
    """The cases by reason: how many, and the first few."""
    reasons: dict[str, list[str]] = {}
    for verdict in verdicts:
        reasons.setdefault(_plain(verdict.waiver or verdict.reason), []).append(verdict.case_id)
    return [{"reason": reason, "cases": len(cases), "first": cases[:FIRST]} for reason, cases in reasons.items()]


def _plain(reason: str) -> str:
    """A reason that is the same on the next run and on every machine: one line, without paths and addresses."""
    line = printable(" ".join(reason.split("\n", 1)[0].split()))
    line = line.replace(str(REPOSITORY), "").replace(str(Path.home()), "~")
    line = re.sub(r"0x[0-9a-fA-F]+", "0x...", re.sub(r"\S*/(site-packages|refimpl-\w+)/", "", line))
    return line if len(line) <= REASON_LIMIT else line[: REASON_LIMIT - 3] + "..."


def to_json(result: Mapping[str, Any]) -> str:
    """The text of a result: a line per theme, per named cause and per reason."""
    return _text(result, 0) + "\n"


DEEP = 6
"""Nesting of a result down to the themes of a dialect of a route; deeper than that, a value stands on one line."""


def _text(value: Any, depth: int) -> str:
    pad = " " * (depth + 1)
    if isinstance(value, Mapping) and value and depth < DEEP:
        lines = (f"{pad}{json.dumps(key)}: {_text(entry, depth + 1)}" for key, entry in value.items())
        return "{\n" + ",\n".join(lines) + f"\n{' ' * depth}}}"
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return "[\n" + ",\n".join(pad + json.dumps(entry, ensure_ascii=False) for entry in value) + f"\n{' ' * depth}]"
    return json.dumps(value, ensure_ascii=False)
