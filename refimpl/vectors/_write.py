"""Write vectors: a theme at a time, then the manifest and the pages that explain the format."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from ..case import Golden
from ..errors import VectorError
from ..gradients import Array
from . import _schema as schema
from ._decode import decode
from ._encode import encode, theme_text
from ._manifest import NAME, Manifest, checked, hash_arrays, hash_bytes
from ._members import Members
from ._read import decode_theme, parse_theme
from ._roles import roles_of_themes
from .npz import pack, read_npz, unpack, write_atomically
from .text import SIZE_LIMIT, decode_text, read_bytes

VERSION = "3"
"""Of the set of vectors that `gen` writes; CHANGELOG.md has a section for each."""

PAGES = ("README.md", "CHANGELOG.md")
"""The pages that are copied beside the vectors."""


@dataclass(frozen=True)
class PackedTheme:
    """A theme as the text and the bytes of its two files, and what the manifest says of them.

    name: DIALECT/THEME; content: the NPZ; digest: the hash of the arrays that a reader finds in it.
    """

    name: str
    text: str
    content: bytes
    cases: int
    digest: str


def pack_theme(goldens: Sequence[Golden], about: str = "") -> PackedTheme:
    """The files of a theme, after a check that a reader accepts them.

    The goldens are of one dialect and one theme. Raises VectorError for what the format cannot hold.
    """
    theme, text, document, arrays = serialise(goldens, about)
    _validate(document, "theme", theme)
    for _ in decode_theme(document, arrays, theme, {golden.case.id for golden in goldens}):
        pass  # a case that no reader could decode is refused before anything is written
    content = pack(arrays)
    return PackedTheme(theme, text, content, len(goldens), hash_arrays(unpack(content, theme)))


def write_theme(directory: Path, goldens: Sequence[Golden], about: str = "") -> None:
    """Write DIALECT/THEME.yaml and .npz under a directory, each all or nothing; see `pack_theme`.

    `write_manifest` makes the directory readable afterwards.
    """
    packed = pack_theme(goldens, about)
    write_files(directory, packed.name, packed.text, packed.content)


def write_themes(directory: Path, packed: Sequence[PackedTheme]) -> None:
    """Write the files of themes, and the manifest of all that the directory holds then."""
    for theme in packed:
        write_files(directory, theme.name, theme.text, theme.content)
    write_manifest(directory, fresh=packed)


def refuse_other_contents(directory: Path, themes: Collection[str]) -> None:
    """Raise VectorError, before any work, for a directory that holds what is neither vectors nor about to be replaced by these themes."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise VectorError(directory, "", "is no directory", "name one for the vectors")
    if not (directory / NAME).is_file():
        for name in (*PAGES, "schema"):
            if (directory / name).exists():
                raise VectorError(
                    directory, name, f"exists, and there is no {NAME} beside it: it would be replaced", "name a new directory"
                )
    for file in sorted(directory.glob("*/*.yaml")):
        theme = file.relative_to(directory).with_suffix("").as_posix()
        if theme not in themes:
            parse_theme(decode_text(read_bytes(file, SIZE_LIMIT), file), theme, file)
            read_npz(file.with_suffix(".npz"))


def write_manifest(directory: Path, version: str = VERSION, fresh: Sequence[PackedTheme] = ()) -> Manifest:
    """Write the manifest of the themes that a directory holds, README.md, CHANGELOG.md and the schemas. version: of this set.

    fresh: themes that were written just now, which need not be read again.
    Raises UsageError for a dialect that refimpl does not know: the roles of its hyper-parameters are unknown.
    """
    files: dict[str, str] = {}
    themes: dict[str, int] = {}
    known = {packed.name: packed for packed in fresh}
    for file in sorted(directory.glob("*/*.yaml")):
        theme = file.relative_to(directory).with_suffix("").as_posix()
        content = read_bytes(file, SIZE_LIMIT)
        if theme in known:
            themes[theme], digest = known[theme].cases, known[theme].digest
        else:
            themes[theme] = len(parse_theme(decode_text(content, file), theme, file)["cases"])
            digest = hash_arrays(read_npz(directory / f"{theme}.npz"))
        files |= {f"{theme}.yaml": hash_bytes(content), f"{theme}.npz": digest}
    manifest = Manifest(version, themes, roles_of_themes(themes), files)
    _validate(checked(manifest.text(), "manifest", NAME), "manifest", NAME)
    write_pages(directory, manifest)
    return manifest


def write_pages(directory: Path, manifest: Manifest) -> None:
    """Write the other files of a directory: the schemas, README.md, CHANGELOG.md, and last the manifest."""
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
    theme, _, document, arrays = serialise([replace(golden, expected={})])
    return decode(document["cases"][0], Members(theme, unpack(pack(arrays, compress=False), theme)), theme, expects=False)


def serialise(goldens: Sequence[Golden], about: str = "") -> tuple[str, str, Any, dict[str, Array]]:
    """`DIALECT/THEME` of some goldens, its YAML, what a reader makes of that (it satisfies the schema), and its arrays by member name."""
    themes = {golden.case.id.rsplit("/", 1)[0] for golden in goldens}
    if len(themes) != 1:
        raise VectorError("vectors", "", f"a file holds the cases of one theme, and these are of {sorted(themes) or 'none'}")
    theme = themes.pop()
    encoded = [encode(golden, theme) for golden in goldens]
    dialect, _, slug = theme.partition("/")
    text = theme_text(dialect, slug, about, [entry for entry, _ in encoded])
    return theme, text, parse_theme(text, theme, theme), {name: array for _, part in encoded for name, array in part.items()}


def _validate(document: Any, kind: str, file: str) -> None:
    """Check a document against the published schema with jsonschema, an independent implementation of the standard."""
    from jsonschema import Draft202012Validator

    for error in Draft202012Validator(schema.schema(kind)).iter_errors(document):
        raise VectorError(file, error.json_path, error.message, f"schema/{kind}.json says what may stand here")
