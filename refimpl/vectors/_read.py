"""Reading a directory of vectors: every file against its hash, every key against the schema, every array against its case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, overload

from ..case import Golden
from ..errors import Unsupported, UsageError, VectorError
from ..gradients import Array
from ._decode import decode
from ._manifest import NAME, Manifest, check_count, checked, hash_arrays, hash_bytes, read_manifest
from ._members import Members
from ._roles import check_hypers
from .globs import may_hold
from .npz import read_npz
from .text import SIZE_LIMIT, decode_text, read_bytes


@dataclass(frozen=True, eq=False)
class Vectors(Sequence[Golden]):
    """The selected cases: a sequence of `goldens`, and the cases that cannot be built in this environment.

    unreadable: (case id, reason), for cases that need a package which is not installed (scipy, ml_dtypes).
    """

    goldens: tuple[Golden, ...]
    unreadable: tuple[tuple[str, str], ...] = ()

    @overload
    def __getitem__(self, index: int) -> Golden: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Golden, ...]: ...
    def __getitem__(self, index: int | slice) -> Golden | tuple[Golden, ...]:
        return self.goldens[index]

    def __len__(self) -> int:
        return len(self.goldens)


def read_vectors(directory: str | Path, dialects: Sequence[str] = (), case_globs: Sequence[str] = (), expects: bool = True) -> Vectors:
    """The cases of a directory, in the order of its themes. Empty filters select everything.

    dialects: names; case_globs: patterns for `DIALECT/THEME/SLUG`, where `*` also crosses slashes. A theme of which nothing can be
    selected is not read, and one of which nothing is selected is not unpacked. expects: whether the cases must have expectations; False
    reads the inputs of a program.
    Raises UsageError for a dialect that the directory does not hold, and VectorError for anything broken.
    """
    directory = Path(directory)
    manifest = read_manifest(directory)
    if manifest.expectations is not expects:
        raise VectorError(directory / NAME, "expectations", *EXPECTATIONS[expects])
    _refuse_unlisted_files(directory, manifest)
    for name in dialects:
        if name not in manifest.dialects:
            raise UsageError(f"{directory}: no vectors of dialect {name!r}", f"it has {', '.join(manifest.dialects) or 'none at all'}")
    goldens: list[Golden] = []
    unreadable: list[tuple[str, str]] = []
    for theme in manifest.themes:
        if (dialects and theme.split("/")[0] not in dialects) or not may_hold(theme, case_globs):
            continue
        for read in _read_theme(directory, theme, manifest, case_globs):
            goldens.append(read) if isinstance(read, Golden) else unreadable.append(read)
    return Vectors(tuple(goldens), tuple(unreadable))


EXPECTATIONS = {
    True: ("is false: the directory holds the inputs of a program, and nothing to judge by", "give the vectors that it was made from"),
    False: ("is true: the directory holds more than the inputs of a program", "read it with expects=True"),
}


def _refuse_unlisted_files(directory: Path, manifest: Manifest) -> None:
    for file in sorted(directory.glob("*/*")):
        name = file.relative_to(directory).as_posix()
        if file.suffix in (".yaml", ".npz") and name not in manifest.files:
            raise VectorError(
                directory / NAME, f"files.{name}", "is missing, and the file exists", "remove the file, or generate the vectors again"
            )


def _read_theme(directory: Path, theme: str, manifest: Manifest, case_globs: Sequence[str]) -> Iterator[Golden | tuple[str, str]]:
    file = directory / f"{theme}.yaml"
    content = read_bytes(file, SIZE_LIMIT)
    _compare(file, hash_bytes(content), manifest.files[f"{theme}.yaml"])
    document = parse_theme(decode_text(content, file), theme, file)
    ids = [entry["id"] for entry in document["cases"]]
    check_count(manifest, theme, len(ids), directory / NAME)
    if manifest.expectations:  # inputs of a program do not show which cases expect an error
        for entry in document["cases"]:
            check_hypers(entry, manifest.roles[document["dialect"]], file)
    selected = {id for id in ids if not case_globs or any(fnmatchcase(id, glob) for glob in case_globs)}
    if not selected:
        return
    file = directory / f"{theme}.npz"
    arrays = read_npz(file)
    _compare(file, hash_arrays(arrays), manifest.files[f"{theme}.npz"])
    yield from decode_theme(document, arrays, file, selected, manifest.expectations)


def parse_theme(text: str, theme: str, file: object) -> Any:
    """The YAML of `DIALECT/THEME` as a document that satisfies the schema and whose names fit its place."""
    document = checked(text, "theme", file)
    if f"{document['dialect']}/{document['theme']}" != theme:
        raise VectorError(file, "dialect, theme", f"{document['dialect']}/{document['theme']} stands in the file of {theme}")
    seen: set[str] = set()
    for k, entry in enumerate(document["cases"]):
        id = entry["id"]
        if id.rsplit("/", 1)[0] != theme or id in seen:
            raise VectorError(file, f"cases[{k}].id", f"{id!r} is there twice" if id in seen else f"{id!r} does not start with {theme}/")
        seen.add(id)
    return document


def decode_theme(
    document: Any, arrays: Mapping[str, Array], file: object, selected: set[str], expects: bool = True
) -> Iterator[Golden | tuple[str, str]]:
    """The selected cases of a theme, or (id, reason) for one that cannot be built here."""
    members = Members(file, arrays)
    passed_over = set()
    for entry in document["cases"]:
        if entry["id"] in selected:
            try:
                yield decode(entry, members, file, expects)
                continue
            except Unsupported as reason:
                yield entry["id"], str(reason)
        passed_over.add(entry["id"].rsplit("/", 1)[1])
    members.refuse_untaken(passed_over)


def _compare(file: Path, computed: str, recorded: str) -> None:
    if computed != recorded:
        raise VectorError(
            file,
            "",
            f"is not what {NAME} records: SHA-256 {computed[:12]}... instead of {recorded[:12]}...",
            "fetch or generate the vectors again",
        )
