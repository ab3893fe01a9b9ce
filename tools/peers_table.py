"""The peers: the table tools/peers/NAME.yaml of each framework, checked against tools/peers/peer.schema.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from refimpl.backends import BUILTIN
from refimpl.dialects import deviations, dialect
from refimpl.errors import UsageError
from refimpl.judging.waivers import Waiver

REPOSITORY = Path(__file__).resolve().parent.parent
TABLES = REPOSITORY / "tools" / "peers"
BACKENDS = TABLES
"""Where the backends of the peers lie, NAME_backend.py."""

TIMEOUT = 180.0
"""Seconds for a case unless the peer says otherwise: frameworks load and compile a lot at first use."""


@dataclass(frozen=True)
class Route:
    """One way to use a framework, the dialects that it is judged by, and the options of the backend that choose it."""

    about: str
    dialects: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Absent:
    """Something that was tried and does not run."""

    what: str
    why: str
    link: str = ""


@dataclass(frozen=True)
class Claim:
    """A sentence of a documentation, where it stands, what is true instead, and the case (on a route) whose status shows it."""

    says: str
    where: str
    but: str
    route: str
    case: str
    status: str
    link: str = ""


@dataclass(frozen=True)
class Reading:
    """Where the source of the framework shows a cause (a name as the matrix has it): file and function, and what stands there."""

    cause: str
    routes: tuple[str, ...]
    where: str
    code: str


@dataclass(frozen=True)
class Peer:
    """A framework as a peer. id: the stem of its file; waivers: route -> Waiver; the other fields as in the schema."""

    id: str
    name: str
    python: tuple[str, ...]
    install: tuple[str, ...]
    distribution: str
    backend: str
    routes: Mapping[str, Route]
    prelude: Mapping[str, str] = field(default_factory=dict)
    timeout: float = TIMEOUT
    absent: tuple[Absent, ...] = ()
    claims: tuple[Claim, ...] = ()
    readings: tuple[Reading, ...] = ()
    waivers: Mapping[str, tuple[Waiver, ...]] = field(default_factory=dict)


def read_peers(tables: Path = TABLES) -> dict[str, Peer]:
    """Every peer by id, in alphabetical order."""
    return {file.stem: read_peer(file) for file in sorted(tables.glob("*.yaml"))}


def find_peer(id: str, tables: Path = TABLES) -> Peer:
    """The peer of this id; raises UsageError with the ids that exist."""
    file = tables / f"{id}.yaml"
    if not file.is_file():
        names = ", ".join(sorted(table.stem for table in tables.glob("*.yaml")))
        raise UsageError(f"no peer {id!r}: there is no {file}", f"choose from {names}, or write that file")
    return read_peer(file)


def read_peer(file: Path) -> Peer:
    """A peer from its file. Raises UsageError with the file, the key and the value that is wrong."""
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{file}: cannot be read: {error}", "see peer.schema.json beside it") from None
    breach = best_match(_validator().iter_errors(document))
    if breach is not None:
        expected = f"; {breach.schema['description']}" if "description" in breach.schema else ""
        raise UsageError(f"{file}: {breach.json_path}: {breach.message}", f"see peer.schema.json beside it{expected}")
    for key, name, known in _references(document):
        if name not in known:
            raise UsageError(f"{file}: {key}: there is no {name!r}", f"choose from {', '.join(known)}")
    for route in document["routes"].values():
        for name in route["dialects"]:
            _check_dialect(file, name)
    return _peer(file.stem, document)


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads((TABLES / "peer.schema.json").read_text(encoding="utf-8")))


def _references(document: Mapping[str, Any]) -> list[tuple[str, str, Sequence[str]]]:
    """What a table names and must exist: (key, name, the names that there are)."""
    routes = list(document["routes"])
    backends = [*BUILTIN, *(f"{file.stem}:factory" for file in sorted(BACKENDS.glob("*_backend.py")))]
    references: list[tuple[str, str, Sequence[str]]] = [("backend", document["backend"], backends)]
    for k, claim in enumerate(document.get("claims", ())):
        evidence = claim["evidence"]
        references.append((f"claims[{k}].evidence.route", evidence["route"], routes))
        references.append((f"claims[{k}].evidence.case", evidence["case"].split("/")[0], _dialects_of(document, evidence["route"])))
    for k, reading in enumerate(document.get("readings", ())):
        references += [(f"readings[{k}].routes", route, routes) for route in reading["routes"]]
    for k, waiver in enumerate(document.get("waivers", ())):
        references.append((f"waivers[{k}].route", waiver["route"], routes))
        references.append((f"waivers[{k}].case", waiver["case"].split("/")[0], _dialects_of(document, waiver["route"])))
        if "deviation" in waiver:
            references.append((f"waivers[{k}].deviation", waiver["deviation"], list(deviations())))
    return references


def _dialects_of(document: Mapping[str, Any], route: str) -> list[str]:
    return list(document["routes"].get(route, {"dialects": []})["dialects"])


def _check_dialect(file: Path, name: str) -> None:
    try:
        dialect(name)
    except UsageError as error:
        raise UsageError(f"{file}: routes: {error.message}", error.hint) from None


def _peer(id: str, document: Mapping[str, Any]) -> Peer:
    plain = {key: document[key] for key in ("name", "distribution", "backend")}
    optional = {key: document[key] for key in ("prelude", "timeout") if key in document}
    waivers: dict[str, tuple[Waiver, ...]] = {}
    for row in document.get("waivers", ()):
        route, entry = row["route"], {key: value for key, value in row.items() if key != "route"}
        waivers[route] = (*waivers.get(route, ()), Waiver(**entry))
    return Peer(
        id=id,
        **plain,
        **optional,
        python=tuple(document["python"]),
        install=tuple(document["install"]),
        routes={name: Route(row["about"], tuple(row["dialects"]), row.get("options", {})) for name, row in document["routes"].items()},
        absent=tuple(Absent(**row) for row in document.get("absent", ())),
        claims=tuple(_claim(row) for row in document.get("claims", ())),
        readings=tuple(Reading(row["cause"], tuple(row["routes"]), row["where"], row["code"]) for row in document.get("readings", ())),
        waivers=waivers,
    )


def _claim(row: Mapping[str, Any]) -> Claim:
    return Claim(row["says"], row["where"], row["but"], **row["evidence"], link=row.get("link", ""))
