"""Writing vectors: a theme at a time, then the manifest and what explains the format beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from ..case import Golden
from ..errors import VectorError
from ..gradients import Array
from . import schema
from .decode import decode
from .encode import encode, theme_text
from .manifest import NAME, Manifest, checked, hash_arrays, hash_bytes
from .members import Members
from .npz import pack, read_npz, unpack, write_atomically
from .read import decode_theme, parse_theme
from .roles import roles_of_themes
from .text import SIZE_LIMIT, decode_text, read_bytes

VERSION = "2"
"""Of the set of vectors that `gen` writes; CHANGELOG.md has a section for each."""

PAGES = ("README.md", "CHANGELOG.md")
"""What is copied beside the vectors, for those who read them."""


def write_theme(directory: Path, goldens: Sequence[Golden], about: str = "") -> None:
    """Write DIALECT/THEME.yaml and .npz under a directory, each all or nothing; what was written is what a reader accepts.

    The goldens are of one dialect and one theme. `write_manifest` makes the directory readable afterwards. Raises VectorError
    for what the format cannot hold.
    """
    theme, text, arrays = serialise(goldens, about)
    _validate(text, "theme", theme)
    for _ in decode_theme(parse_theme(text, theme, theme), arrays, theme, {golden.case.id for golden in goldens}):
        pass  # a case that no reader could decode is refused before anything is written
    write_files(directory, theme, text, pack(arrays))


def write_manifest(directory: Path, version: str = VERSION) -> Manifest:
    """Write the manifest of the themes that a directory holds, README.md, CHANGELOG.md and the schemas. version: of this set.

    Raises UsageError for a dialect that refimpl does not know: nobody could say what its hyper-parameters are.
    """
    files: dict[str, str] = {}
    themes: dict[str, int] = {}
    for file in sorted(directory.glob("*/*.yaml")):
        theme = file.relative_to(directory).with_suffix("").as_posix()
        content = read_bytes(file, SIZE_LIMIT)
        themes[theme] = len(parse_theme(decode_text(content, file), theme, file)["cases"])
        files[f"{theme}.yaml"] = hash_bytes(content)
        files[f"{theme}.npz"] = hash_arrays(read_npz(directory / f"{theme}.npz"))
    manifest = Manifest(version, themes, roles_of_themes(themes), files)
    _validate(manifest.text(), "manifest", NAME)
    write_pages(directory, manifest)
    return manifest


def write_pages(directory: Path, manifest: Manifest) -> None:
    """Write what stands beside the themes of a directory: the schemas, README.md, CHANGELOG.md, and the manifest at last."""
    for name in schema.NAMES:
        write_atomically(directory / "schema" / f"{name}.json", schema.text(name).encode("utf-8"))
    for name in PAGES:
        write_atomically(directory / name, (resources.files(__package__) / name).read_bytes())
    write_atomically(directory / NAME, manifest.text().encode("utf-8"))


def write_files(directory: Path, theme: str, text: str, content: bytes) -> None:
    """Write the YAML and the NPZ of a theme."""
    write_atomically(directory / f"{theme}.npz", content)
    write_atomically(directory / f"{theme}.yaml", text.encode("utf-8"))


def roundtrip(golden: Golden) -> Golden:
    """The inputs of a case as a reader of its file will get them, without expectations.

    An expectation that is computed from these holds for every reader.
    """
    theme, text, arrays = serialise([replace(golden, expected={})])
    entry = parse_theme(text, theme, theme)["cases"][0]
    return decode(entry, Members(theme, unpack(pack(arrays, compress=False), theme)), theme, expects=False)


def serialise(goldens: Sequence[Golden], about: str = "") -> tuple[str, str, dict[str, Array]]:
    """`DIALECT/THEME` of some goldens, its YAML, which satisfies the schema, and its arrays by member name."""
    themes = {golden.case.id.rsplit("/", 1)[0] for golden in goldens}
    if len(themes) != 1:
        raise VectorError("vectors", "", f"a file holds the cases of one theme, and these are of {sorted(themes) or 'none'}")
    theme = themes.pop()
    encoded = [encode(golden, theme) for golden in goldens]
    dialect, _, slug = theme.partition("/")
    text = theme_text(dialect, slug, about, [entry for entry, _ in encoded])
    parse_theme(text, theme, theme)
    return theme, text, {name: array for _, part in encoded for name, array in part.items()}


def _validate(text: str, kind: str, file: str) -> None:
    """Check a document against the published schema with jsonschema, the standard's own reading of it."""
    from jsonschema import Draft202012Validator

    document: Any = checked(text, kind, file)
    for error in Draft202012Validator(schema.schema(kind)).iter_errors(document):
        raise VectorError(file, error.json_path, error.message, f"schema/{kind}.json says what may stand here")
