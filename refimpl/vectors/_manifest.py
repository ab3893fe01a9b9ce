"""MANIFEST.yaml: which files a set of vectors has, how many cases each holds, and a hash of the content of each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import VectorError
from ..gradients import Array
from . import _schema as schema
from ._members import FORMAT
from ._roles import Roles, check_roles
from .text import flow, load, read_text

NAME = "MANIFEST.yaml"


@dataclass(frozen=True)
class Manifest:
    """The contents of MANIFEST.yaml.

    themes: `DIALECT/THEME` to its count of cases; roles: dialect to the role of each hyper-parameter; files: `DIALECT/THEME.yaml`
    and `.npz` to the hash of their contents; expectations: whether the cases have expectations, or are the inputs of a program.
    """

    version: str
    themes: Mapping[str, int]
    roles: Mapping[str, Roles]
    files: Mapping[str, str]
    expectations: bool = True
    format: int = FORMAT

    @property
    def cases(self) -> int:
        return sum(self.themes.values())

    @property
    def dialects(self) -> list[str]:
        return sorted({name.split("/")[0] for name in self.files})

    def text(self) -> str:
        head = {"format": self.format, "version": self.version, "expectations": self.expectations, "cases": self.cases}
        tables: dict[str, Mapping[str, Any]] = {"themes": self.themes, "roles": self.roles, "files": self.files}
        lines = [f"{key}: {flow(value)}" for key, value in head.items()]
        return "\n".join([*lines, *(line for key, table in tables.items() for line in _table(key, table))]) + "\n"


def _table(key: str, table: Mapping[str, Any]) -> Iterator[str]:
    """A mapping with one entry to a line, sorted."""
    yield f"{key}:" if table else f"{key}: {{}}"
    yield from (f"  {name}: {flow(value)}" for name, value in sorted(table.items()))


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a directory of vectors. Raises VectorError where there is none, or where its figures contradict each other."""
    file = directory / NAME
    if not file.is_file():
        raise VectorError(
            directory, "", f"has no {NAME}, so it holds no vectors", f"write some with: python -m refimpl.gen --out {directory}"
        )
    return parse_manifest(read_text(file), file)


def parse_manifest(text: str, file: object) -> Manifest:
    document = checked(text, "manifest", file)
    manifest = Manifest(document["version"], document["themes"], document["roles"], document["files"], document["expectations"])
    for name in manifest.files:
        theme = name.rsplit(".", 1)[0]
        for end in (".yaml", ".npz"):
            if f"{theme}{end}" not in manifest.files:
                raise VectorError(file, f"files.{name}", f"stands without {theme}{end}")
        if theme not in manifest.themes:
            raise VectorError(file, f"themes.{theme}", "is missing, and its files are named")
    for theme in manifest.themes:
        if f"{theme}.yaml" not in manifest.files:
            raise VectorError(file, f"files.{theme}.yaml", "is missing, and its cases are counted")
    if document["cases"] != manifest.cases:
        raise VectorError(file, "cases", f"{document['cases']} is not the sum over the themes, {manifest.cases}")
    check_roles(manifest.roles, manifest.dialects, file)
    return manifest


def check_count(manifest: Manifest, theme: str, cases: int, file: object) -> None:
    """Raise VectorError where the manifest has another number of cases for a theme."""
    counted = manifest.themes[theme]
    if counted != cases:
        raise VectorError(file, f"themes.{theme}", f"counts {counted} cases, and {theme}.yaml holds {cases}")


def checked(text: str, kind: str, file: object) -> Any:
    """A document of a known format that satisfies its schema."""
    document = load(text, file)
    version = document.get("format") if isinstance(document, dict) else None
    if version != FORMAT or not isinstance(version, int):
        raise VectorError(
            file, "format", f"{version!r} is unknown, this refimpl reads format {FORMAT}", "update refimpl, or generate the vectors again"
        )
    schema.check(document, kind, file)
    return document


def hash_bytes(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def hash_arrays(arrays: Mapping[str, Array]) -> str:
    """SHA-256 over `NAME DTYPE SHAPE`, a newline and the bytes of each array, sorted by name; independent of the zip."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        shape = ",".join(map(str, np.shape(arrays[name])))
        digest.update(f"{name} {little.dtype.str} ({shape})\n".encode())
        digest.update(little.tobytes())
    return digest.hexdigest()
