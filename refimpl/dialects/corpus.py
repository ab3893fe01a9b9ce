"""The corpus: in which packages and versions each deviation is live, and how that is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..common.tables import read_table
from ._table import Deviation, deviations, dialects

EVIDENCE = ("measured", "read")
"""measured: the version was run over the vectors, and the diagnosis named the deviation; read: a report says so."""


@dataclass(frozen=True)
class Instance:
    """A package in which a deviation is live.

    source: the kept result of what was measured, or the report as the table of deviations cites it; peer, route, dialect: what was run,
    and by which dialect it was judged; "" where it is read.
    """

    package: str
    version: str
    evidence: str
    source: str
    peer: str = ""
    route: str = ""
    dialect: str = ""


@dataclass(frozen=True)
class Entry:
    """A deviation, or another cause that a diagnosis names, and where it is live. kind: as in the table of deviations; "" for a cause."""

    name: str
    about: str
    kind: str
    instances: tuple[Instance, ...]
    by_design: tuple[str, ...]


@cache
def corpus() -> Mapping[str, Entry]:
    """Every deviation in the order of its table, then the other causes that were measured."""
    rows = read_table(__package__, "corpus.yaml")
    others = [name for name in rows if name not in deviations()]
    entries = [_entry(name, deviations().get(name), rows.get(name, {})) for name in (*deviations(), *others)]
    return {entry.name: entry for entry in entries}


def _entry(name: str, deviation: Deviation | None, row: Mapping[str, Any]) -> Entry:
    instances = tuple(Instance(**instance) for instance in row.get("instances", ()))
    if deviation is None:
        return Entry(name, row["about"], "", instances, ())
    return Entry(name, deviation.about, deviation.kind, instances, tuple(_by_design(deviation)))


def _by_design(deviation: Deviation) -> Iterator[str]:
    """The dialects that make these choices with their defaults, where they are choices and no mistakes."""
    if deviation.kind == "D":
        for dialect in dialects("full").values():
            usual = dialect.resolve({})[1]
            if all(getattr(usual, stage) is pick for stage, pick in deviation.picks.items()):
                yield dialect.name
