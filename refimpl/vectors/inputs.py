"""The inputs of a program: cases without expectations, in a directory of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..case import Golden
from ..errors import VectorError
from ._manifest import Manifest, hash_arrays, hash_bytes
from ._roles import roles_of_themes
from ._write import VERSION, serialise, write_files, write_pages
from .npz import pack


def write_inputs(directory: Path, goldens: Sequence[Golden]) -> None:
    """Write a directory that holds exactly these cases, without expectations, bounds, kinds that are allowed, `catches` and `error`.

    Otherwise it is format 2, with a manifest that says `expectations: false`, the README and the schemas; `read_vectors` refuses it
    unless it is told not to expect anything. Raises VectorError where the directory holds something already.
    """
    if directory.exists() and any(directory.iterdir()):
        raise VectorError(directory, "", "is not empty, and a program must be given nothing but its cases", "give a new directory")
    by_theme: dict[str, list[Golden]] = {}
    for golden in goldens:
        by_theme.setdefault(golden.case.id.rsplit("/", 1)[0], []).append(without_answers(golden))
    files: dict[str, str] = {}
    for name in sorted(by_theme):
        theme, text, _, arrays = serialise(by_theme[name])
        write_files(directory, theme, text, pack(arrays, compress=False))  # they are read once and then deleted
        files |= {f"{theme}.yaml": hash_bytes(text.encode("utf-8")), f"{theme}.npz": hash_arrays(arrays)}
    themes = {theme: len(cases) for theme, cases in by_theme.items()}
    write_pages(directory, Manifest(VERSION, themes, roles_of_themes(themes), files, expectations=False))


def without_answers(golden: Golden) -> Golden:
    """The inputs of a case alone; one that records nothing, because it expects an error, records its last step as others do."""
    case = golden.case
    record = case.record or tuple(range(1, len(case.steps) + 1))[-1:]
    return replace(golden, case=replace(case, record=record, catches=(), error=None), expected={})
