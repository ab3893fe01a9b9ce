"""The matrix: what each peer did on each theme, made from the kept results and compared with the claims in the tables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from peers_run import FORMAT
from peers_table import Claim, Peer, Reading

from refimpl.cases import THEMES
from refimpl.errors import UsageError
from refimpl.judging.verdict import Status

Result = Mapping[str, Any]
"""The document of a vectors/peers/NAME.json."""

SHORT = {"exact-ieee": "ieee", "exact-faithful": "exact", "tensor-faithful": "tensor", "tensor-approx": "approx"}
"""Numerics classes as cells name them."""


@dataclass(frozen=True)
class Row:
    """A route of a peer, judged by a dialect. cells: theme -> text, for the themes that the dialect has."""

    peer: str
    name: str
    version: str
    route: str
    about: str
    dialect: str
    all: str
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Refuted:
    """A claim with the name of its peer, and what the results say of its case."""

    peer: str
    claim: Claim
    shown: Mapping[str, Any]


@dataclass(frozen=True)
class Matrix:
    """Everything that the page says. peers: by id; results: by id, of those that have been run; problems: what does not hold."""

    peers: Mapping[str, Peer]
    results: Mapping[str, Result]
    rows: Sequence[Row]
    claims: Sequence[Refuted]
    problems: Sequence[str]

    @property
    def themes(self) -> list[str]:
        """The themes that some dialect of some route has, in the order of a summary."""
        return [theme for theme in THEMES if any(theme in row.cells for row in self.rows)]


def build(peers: Mapping[str, Peer], kept: Path) -> Matrix:
    """The matrix of the results that lie in `kept`. Raises UsageError for a result of no peer, or one that cannot be read."""
    results = {file.stem: read_result(file) for file in sorted(kept.glob("*.json")) if file.stem != "matrix"}
    for id in results:
        if id not in peers:
            raise UsageError(f"{kept / id}.json: there is no peer {id!r}", f"remove it, or write tools/peers/{id}.yaml")
    claims = [
        Refuted(peers[id].name, claim, shown) for id in results for claim in peers[id].claims if (shown := _evidence(claim, results[id]))
    ]
    return Matrix(
        peers=peers,
        results=results,
        rows=[row for id, result in results.items() for row in _rows(peers[id], result)],
        claims=claims,
        problems=[problem for id, result in results.items() for problem in problems(peers[id], result)],
    )


def read_result(file: Path) -> dict[str, Any]:
    """A kept result. Raises UsageError where it is not one of this format."""
    try:
        result: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        known = result["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file}: cannot be read: {error!r}", f"make it again: python tools/peers.py run {file.stem}") from None
    if known != FORMAT:
        raise UsageError(f"{file}: format {known!r} is unknown", f"make it again: python tools/peers.py run {file.stem}")
    return result


def judged(result: Result) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(route, dialect, what came out) for each that was run."""
    for route, of_route in result["routes"].items():
        for dialect, reduced in of_route["dialects"].items():
            yield route, dialect, reduced


def problems(peer: Peer, result: Result, routes: Sequence[str] | None = None) -> list[str]:
    """A sentence for each statement of the table that the result contradicts. routes: check only these."""
    again = f"run `python tools/peers.py run {peer.id}`"
    there = {(route, dialect) for route, dialect, _ in judged(result)}
    wanted = {(name, dialect) for name, route in peer.routes.items() for dialect in route.dialects}
    names = routes or tuple({route for route, _ in there | wanted})
    sentences = [
        f"{peer.id}: route {route} by {dialect} has no result; {again}" for route, dialect in sorted(wanted - there) if route in names
    ]
    sentences += [f"{peer.id}: route {route} by {dialect} is not in its table; {again}" for route, dialect in sorted(there - wanted)]
    if result["install"] != list(peer.install):
        sentences.append(f"{peer.id}: its pins have changed since it was run; {again}")
    for route, dialect, reduced in judged(result):
        sentences += [f"{peer.id}: route {route} by {dialect}: {problem}" for problem in reduced.get("problems", ()) if route in names]
    for claim in peer.claims:
        if claim.route in names:
            sentences += _against(peer, claim, _evidence(claim, result))
    return [*sentences, *_unread(peer, result)]


def read_of(peer: Peer, route: str, cause: str) -> list[Reading]:
    """The readings of the source for each part of a cause on a route."""
    return [reading for part in cause.split(" with ") for reading in peer.readings if reading.cause == part and route in reading.routes]


def _unread(peer: Peer, result: Result) -> Iterator[str]:
    """The causes without a reading of the framework's source: they may be false."""
    for route, dialect, reduced in judged(result):
        for part in dict.fromkeys(part for cause in reduced.get("deviations", ()) for part in cause["id"].split(" with ")):
            if not read_of(peer, route, part):
                yield f"{peer.id}: route {route} by {dialect}: {part} is not under `readings` in its table: find it in the source"


def _against(peer: Peer, claim: Claim, shown: Mapping[str, Any]) -> Iterator[str]:
    """Why the evidence of a claim does not hold."""
    where = f"{peer.id}: the claim {claim.says!r} ({claim.where}): its evidence {claim.case} on route {claim.route}"
    if not shown:
        yield f"{where} has no result; run `python tools/peers.py run {peer.id} --route {claim.route}`"
    elif shown["status"] != claim.status:
        yield f"{where} {shown['status']}, and the table says {claim.status}; correct tools/peers/{peer.id}.yaml"


def _evidence(claim: Claim, result: Result) -> Mapping[str, Any]:
    of_route = result["routes"].get(claim.route, {"dialects": {}})["dialects"].get(claim.case.split("/")[0], {})
    shown: Mapping[str, Any] = of_route.get("evidence", {}).get(claim.case, {})
    return shown


def _rows(peer: Peer, result: Result) -> Iterator[Row]:
    for route, dialect, reduced in judged(result):
        themes = reduced["themes"]
        yield Row(
            peer=peer.id,
            name=peer.name,
            version=result["version"],
            route=route,
            about=result["routes"][route]["about"],
            dialect=dialect,
            all=cell(_summed(list(themes.values()), reduced.get("attained"))),
            cells={theme: cell(counts) for theme, counts in themes.items()},
        )


COUNTS = (*(status.value for status in Status), "refusals")


def _summed(themes: Sequence[Mapping[str, Any]], attained: str | None) -> dict[str, Any]:
    """All themes as one, without the names of causes: each theme has its own."""
    counts = {name: sum(theme.get(name, 0) for theme in themes) for name in COUNTS}
    rounding = sum(theme.get("causes", {}).get("rounding", 0) for theme in themes)
    failing = sum(sum(theme.get("causes", {}).values()) for theme in themes) - rounding
    causes = {"deviates": failing, "rounding": rounding}
    return {**counts, "attained": attained, "causes": {name: count for name, count in causes.items() if count}}


def cell(theme: Mapping[str, Any]) -> str:
    """A theme in a few words: what fails and why, or else the class attained; then how many cases pass, and how many were not run."""
    count = {name: theme.get(name, 0) for name in COUNTS}
    causes = theme.get("causes", {})
    total = sum(theme.get(status.value, 0) for status in Status)
    ways = {
        **causes,
        "unexplained": count["failed"] - count["refusals"] - sum(causes.values()),
        "refusals": count["refusals"],
        "errors": count["error"],
        "waived": count["waived"],
    }
    failing = [way for way, cases in ways.items() if cases > 0]
    if count["unsupported"] == total:
        return "unsupported"
    words = ", ".join(failing) or SHORT.get(theme.get("attained") or "", "ok")
    passed = f"{total}" if count["passed"] == total else f"{count['passed']}/{total}"
    return f"{words} {passed}" + (f", {count['unsupported']} n/a" if count["unsupported"] else "")


def to_json(matrix: Matrix) -> str:
    """The matrix for programs: a line per row, claim and absence."""
    parts = {
        "classes": [{"short": short, "class": name} for name, short in SHORT.items()],
        "rows": [asdict(row) for row in matrix.rows],
        "claims": [{"peer": claim.peer, **asdict(claim.claim), "shown": claim.shown} for claim in matrix.claims],
        "absent": [{"peer": peer.name, **asdict(absent)} for peer in matrix.peers.values() for absent in peer.absent],
    }
    lists = (f' "{name}": [' + ",".join(f"\n  {json.dumps(row, ensure_ascii=False)}" for row in rows) + "]" for name, rows in parts.items())
    return f'{{\n "format": {FORMAT},\n "themes": {json.dumps(matrix.themes)},\n' + ",\n".join(lists) + "\n}\n"
