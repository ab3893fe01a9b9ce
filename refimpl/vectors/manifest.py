"""MANIFEST.yaml: which files a set of vectors has, and a hash of what each of them says."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import VectorError
from ..gradients import Array
from . import schema
from .text import flow, load, read_text

FORMAT = 1
NAME = "MANIFEST.yaml"


@dataclass(frozen=True)
class Manifest:
    """The contents of MANIFEST.yaml. files: `DIALECT/THEME.yaml` and `.npz` to the hash of their contents."""

    version: str
    cases: int
    files: Mapping[str, str]
    format: int = FORMAT

    @property
    def themes(self) -> list[str]:
        """`DIALECT/THEME` of every theme, sorted."""
        return sorted(name.removesuffix(".yaml") for name in self.files if name.endswith(".yaml"))

    @property
    def dialects(self) -> list[str]:
        return sorted({name.split("/")[0] for name in self.files})

    def text(self) -> str:
        files = [f"  {name}: {flow(digest)}" for name, digest in sorted(self.files.items())]
        head = [f"format: {self.format}", f"version: {flow(self.version)}", f"cases: {self.cases}"]
        return "\n".join([*head, "files:" if files else "files: {}", *files]) + "\n"


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a directory of vectors. Raises VectorError where there is none, or one of an unknown format."""
    file = directory / NAME
    if not file.is_file():
        raise VectorError(
            directory, "", f"has no {NAME}, so it holds no vectors", f"write some with: python -m refimpl.gen --out {directory}"
        )
    return parse_manifest(read_text(file), file)


def parse_manifest(text: str, file: object) -> Manifest:
    document = checked(text, "manifest", file)
    manifest = Manifest(document["version"], document["cases"], document["files"])
    for name in manifest.files:
        for one in (".yaml", ".npz"):
            partner = f"{name.rsplit('.', 1)[0]}{one}"
            if partner not in manifest.files:
                raise VectorError(file, f"files.{name}", f"stands without {partner}")
    return manifest


def checked(text: str, kind: str, file: object) -> Any:
    """A document of a known format that satisfies its schema."""
    document = load(text, file)
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        raise VectorError(
            file, "format", f"{found!r} is unknown, this refimpl reads format {FORMAT}", "update refimpl, or generate the vectors again"
        )
    schema.check(document, kind, file)
    return document


def hash_bytes(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def hash_arrays(arrays: Mapping[str, Array]) -> str:
    """SHA-256 over `NAME DTYPE SHAPE`, a newline and the bytes of each array, sorted by name; whatever the zip looks like."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        shape = ",".join(map(str, np.shape(arrays[name])))
        digest.update(f"{name} {little.dtype.str} ({shape})\n".encode())
        digest.update(little.tobytes())
    return digest.hexdigest()
