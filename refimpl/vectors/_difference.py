"""What differs between two directories of vectors, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from ..gradients import Array
from ._manifest import NAME
from ._members import same_bits
from .npz import read_npz
from .text import flow, load, read_text

PEERS = "peers/"
"""The directory with the results of real frameworks. `gen` does not write it."""

SHOWN = 5
"""Differences that are named per file; the others are counted."""


def compare_directories(fresh: Path, existing: Path, partial: bool = False) -> list[str]:
    """A sentence per difference between freshly written vectors and those that exist; empty where they are the same bytes.

    partial: `fresh` holds only some of the cases, so compare just these, and not the manifest.
    """
    new, old = _files(fresh), _files(existing)
    if partial:
        new -= {NAME}
        old &= new
    sentences = [f"{name}: is missing in {existing}" for name in sorted(new - old)]
    sentences += [f"{name}: is not generated any more" for name in sorted(old - new)]
    for name in sorted(new & old):
        if (fresh / name).read_bytes() != (existing / name).read_bytes():
            sentences += [f"{name}: {reason}" for reason in _few(_reasons(fresh / name, existing / name, partial), partial)]
    return sentences


def _files(directory: Path) -> set[str]:
    every = {file.relative_to(directory).as_posix() for file in directory.rglob("*") if file.is_file()}
    return {name for name in every if not name.startswith(PEERS)}


def _few(reasons: Iterator[str], partial: bool) -> Iterator[str]:
    every = list(reasons)
    yield from every[:SHOWN]
    if len(every) > SHOWN:
        yield f"and {len(every) - SHOWN} differences more"
    if not every and not partial:
        yield "says the same in other bytes"


def _reasons(fresh: Path, existing: Path, partial: bool) -> Iterator[str]:
    """The differences between two files of the same name."""
    if fresh.suffix == ".npz":
        new, old = read_npz(fresh), read_npz(existing)
        yield from _keys(new, old, partial)
        for name in sorted(new.keys() & old.keys()):
            if not same_bits(new[name], old[name]):
                yield f"{name} {_where(new[name], old[name])}"
    elif fresh.suffix == ".yaml" and fresh.name != NAME:
        new_cases, old_cases = _cases(fresh), _cases(existing)
        yield from _keys(new_cases, old_cases, partial)
        for id in (id for id in new_cases if id in old_cases):
            for key in sorted(new_cases[id].keys() | old_cases[id].keys()):
                new_text, old_text = (flow(cases[id].get(key, "absent")) for cases in (new_cases, old_cases))
                if new_text != old_text:
                    yield f"{id}: {key} is {old_text} and should be {new_text}"
    else:
        yield from _lines(fresh, existing)


def _keys(new: Mapping[str, Any], old: Mapping[str, Any], partial: bool) -> Iterator[str]:
    yield from (f"{name} is missing" for name in new if name not in old)
    if not partial:
        yield from (f"{name} is not generated any more" for name in old if name not in new)


def _cases(file: Path) -> dict[str, dict[str, Any]]:
    document = load(read_text(file), file)
    return {"the theme": {key: value for key, value in document.items() if key != "cases"}} | {
        entry["id"]: entry for entry in document["cases"]
    }


def _lines(fresh: Path, existing: Path) -> Iterator[str]:
    texts = (file.read_bytes().decode("utf-8", "replace").splitlines() for file in (fresh, existing))
    for number, (new, old) in enumerate(zip_longest(*texts, fillvalue="(the file ends)"), start=1):
        if new != old:
            yield f"line {number} is {old.strip()!r} and should be {new.strip()!r}"
            return


def _where(new: Array, old: Array) -> str:
    if (new.dtype, new.shape) != (old.dtype, old.shape):
        return f"is {old.dtype} {old.shape} and should be {new.dtype} {new.shape}"
    differs = np.frombuffer(new.tobytes(), f"V{new.itemsize}") != np.frombuffer(old.tobytes(), f"V{old.itemsize}")
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(differs)), new.shape))
    return f"differs in {int(differs.sum())} of {new.size} elements; at {at} it is {old[at]!s} and should be {new[at]!s}"
