"""The matrix as a page of Markdown, made only from the results and the tables of the peers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from peers_matrix import SHORT, Matrix, Result, judged, read_of
from peers_table import Peer

from refimpl.common.text import counted, position, ratio

HEAD = """# What real frameworks do

`python tools/peers.py matrix` wrote this page from the results beside it (`NAME.json`) and from the tables in `tools/peers/`; it is not
edited by hand. `python tools/peers.py run --all` makes the results: each framework in an environment of its own, over
the golden vectors of its dialects (`refimpl gen --suite full --dialect NAME`), judged as `refimpl check BACKEND --python` judges.
"""

LEGEND = """A cell says which class all cases of the theme attain ({classes}),
and how many cases there are; `12/14` means that 12 of 14 passed, `n/a` counts those that the framework has no way to do.
Where a case fails, the cell names what the framework does instead: a deviation of the list below, `rounding` (only the class required is
missed, by flushing subnormals say), `unexplained`, `refusals` (it
accepts what its dialect says it refuses, or refuses with something changed), `errors` (it raised, crashed or hung), `waived`.
`ok`: nothing to measure, all as it must be. Blank: the dialect has no such theme. In the column `all`, `deviates` stands for
every named deviation.
"""


def to_markdown(matrix: Matrix) -> str:
    """The page, whole."""
    classes = ", ".join(f"`{short}`: {name}" for name, short in SHORT.items())
    return "\n".join(
        [
            HEAD,
            LEGEND.format(classes=classes),
            *_table(["peer", "route", "dialect", "all", *matrix.themes], _rows(matrix)),
            *_section("The routes", _routes(matrix)),
            *_section("What they do instead", _by_peer(matrix, _deviations)),
            *_section("Failures without a name", _by_peer(matrix, _nameless)),
            *_section("Waived", _by_peer(matrix, _waived)),
            *_section("What their documentation says, and what is so", _claims(matrix)),
            *_section("Tried, and does not run", _absent(matrix)),
            *_section("Unsupported", _by_peer(matrix, _unsupported)),
        ]
    )


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    """A section, where there is something in it."""
    body = list(lines)
    if body:
        yield from (f"## {title}", "", *body)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    body = [f"| {' | '.join(map(_inline, row))} |" for row in rows]
    if body:
        yield from (f"| {' | '.join(head)} |", "|---" * len(head) + "|", *body, "")


def _inline(text: str) -> str:
    """A text that cannot end a cell of a table or a line, and is no HTML."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def _rows(matrix: Matrix) -> Iterator[Sequence[str]]:
    for row in matrix.rows:
        yield [f"{row.name} {row.version}", row.route, row.dialect, row.all, *(row.cells.get(theme, "") for theme in matrix.themes)]


def _routes(matrix: Matrix) -> Iterator[str]:
    rows = []
    for id, result in matrix.results.items():
        where = f"Python {result['interpreter']}, {result['platform']}, {result['distribution']} {result['version']}"
        rows += [[matrix.peers[id].name, route, run["about"], where] for route, run in result["routes"].items()]
    yield from _table(["peer", "route", "what it is", "run with"], rows)


def _by_peer(matrix: Matrix, say: Any) -> Iterator[str]:
    for id, result in matrix.results.items():
        lines = list(say(matrix.peers[id], result))
        if lines:
            yield from (f"### {matrix.peers[id].name} {result['version']}", "", *lines, "")


def _deviations(peer: Peer, result: Result) -> Iterator[str]:
    for route, dialect, reduced in judged(result):
        for deviation in reduced.get("deviations", ()):
            also = f" The same numbers would come of {', '.join(deviation['also'])}." if deviation["also"] else ""
            where = f"`{route}` by {dialect}, {counted(deviation['cases'], 'case')}"
            yield f"- **{deviation['id']}** ({where}): {_inline(deviation['about'])}.{also}"
            yield f"  {_shown(deviation['shown'])}"
            yield from (f"  Read: {reading.where}: `{reading.code}`" for reading in read_of(peer, route, deviation["id"]))


def _shown(shown: Mapping[str, Any]) -> str:
    """One case, and its numbers or its reason."""
    if "mismatch" not in shown:
        return f"`{shown['case']}`" + (f": {_inline(shown['reason'])}" if "reason" in shown else "")
    mismatch = shown["mismatch"]
    place = f"{mismatch['array']} of {mismatch['param']}, step {mismatch['step']}, {position(mismatch['index'])}"
    numbers = f"got {mismatch['got']}, expected {mismatch['expected']}, bound {_short(mismatch['bound'])}"
    return f"`{shown['case']}`: {place}: {numbers}, {_bounds(mismatch['ratio'])}"


def _short(number: float | str) -> str:
    """A number to three digits; JSON has those that are not finite as words."""
    return f"{number:.3g}" if isinstance(number, float) else str(number)


def _bounds(far: float | str) -> str:
    return f"|error| = {ratio(far)} bounds" if isinstance(far, float) else "not a number of the kind that is expected"


def _nameless(peer: Peer, result: Result) -> Iterator[str]:
    for route, dialect, reduced in judged(result):
        where = f"`{route}` by {dialect}"
        if "rounding" in reduced:
            yield f"- {where}: {counted(reduced['rounding']['cases'], 'case')} of rounding alone: a looser class than required is attained"
            yield from (f"  - {_shown(shown)}" for shown in reduced["rounding"]["first"])
        if "unexplained" in reduced:
            yield f"- {where}: {counted(reduced['unexplained']['cases'], 'case')} that no known deviation explains"
            yield from (f"  - {_shown(shown)}" for shown in reduced["unexplained"]["first"])
            if "leads" in reduced:
                yield f"  - what is seen of them: {_inline('; '.join(reduced['leads']))}"
        for group in (*reduced.get("refusals", ()), *reduced.get("errors", ())):
            yield f"- {where}: {_grouped(group)}"


def _grouped(group: Mapping[str, Any]) -> str:
    more = group["cases"] - len(group["first"])
    cases = ", ".join(f"`{case}`" for case in group["first"]) + (f" and {more} more" if more else "")
    return f"{counted(group['cases'], 'case')}: {_inline(group['reason'])} ({cases})"


def _waived(peer: Peer, result: Result) -> Iterator[str]:
    for route, dialect, reduced in judged(result):
        yield from (f"- `{route}` by {dialect}: {_grouped(group)}" for group in reduced.get("waived", ()))


def _unsupported(peer: Peer, result: Result) -> Iterator[str]:
    for route, dialect, reduced in judged(result):
        for group in reduced.get("unsupported", ()):
            yield f"- `{route}` by {dialect}: {counted(group['cases'], 'case')}: {_inline(group['reason'])}"


def _claims(matrix: Matrix) -> Iterator[str]:
    rows = []
    for entry in matrix.claims:
        claim = entry.claim
        where = f"[{claim.where}]({claim.link})" if claim.link else claim.where
        rows.append(
            [entry.peer, f'"{claim.says}"', where, claim.but, f"route {claim.route}, {entry.shown['status']}: {_shown(entry.shown)}"]
        )
    yield from _table(["peer", "it says", "where", "but", "evidence"], rows)


def _absent(matrix: Matrix) -> Iterator[str]:
    absent = (absence for peer in matrix.peers.values() for absence in peer.absent)
    rows = ([f"[{absence.what}]({absence.link})" if absence.link else absence.what, absence.why] for absence in absent)
    yield from _table(["what", "why"], rows)
