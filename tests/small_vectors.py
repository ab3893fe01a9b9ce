"""A small directory of golden vectors, written by `gen`, for the tests of commands."""

from __future__ import annotations

from pathlib import Path

from refimpl import gen

CASES = (
    "torch.SparseAdam/basics/one-step",
    "torch.SparseAdam/duplicates/pair",
    "torch.SparseAdam/duplicates/neighbours",
    "torch.SparseAdam/refused/lr-negative",
    "torch.Adam/basics/one-step",
    "mindspore.LazyAdam/basics/one-step",
)


def write(directory: Path, *cases: str) -> Path:
    """Write these cases (by default a handful over three dialects) and return the directory."""
    globs = [word for case in cases or CASES for word in ("--case", case)]
    assert gen.main(["--out", str(directory), "--jobs", "1", *globs]) == 0
    return directory
