"""The vectors that peers are run on: the full suite, a directory per dialect, generated again when what they come from has changed."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from peers_table import REPOSITORY

from refimpl import gen
from refimpl.common.cli import say
from refimpl.dialects import dialect
from refimpl.errors import HarnessError

STAMP = "sources.sha256"

SOURCES = (
    "case.py",
    "gen.py",
    "gradients.py",
    "arithmetic/*.py",
    "cases/**/*",
    "common/arrays.py",
    "dialects/*.py",
    "dialects/deviations.yaml",
    "oracle/*.py",
    "reference/*.py",
    "vectors/**/*",
)
"""What vectors are computed from, in refimpl/. Of the tables of dialects only the own row counts."""


def make_vectors(name: str, root: Path) -> Path:
    """The directory of a dialect's vectors below `root`, generated where it is missing or out of date."""
    directory, digest = root / name, _digest(name)
    stamp = directory / STAMP
    if stamp.is_file() and stamp.read_text(encoding="ascii") == digest:
        return directory
    say(f"generating the vectors of {name}")
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=f".{name}.") as temporary:
        made = Path(temporary) / name
        if gen.main(["--suite", "full", "--dialect", name, "--out", str(made)]):
            raise HarnessError(f"the vectors of {name} could not be generated", "the reason is above")
        (made / STAMP).write_text(digest, encoding="ascii")
        shutil.rmtree(directory, ignore_errors=True)
        made.rename(directory)
    return directory


def _digest(name: str) -> str:
    digest = hashlib.sha256(repr(dialect(name)).encode())
    package = REPOSITORY / "refimpl"
    files = {file for pattern in SOURCES for file in package.glob(pattern) if file.is_file() and "__pycache__" not in file.parts}
    for file in sorted(files):
        digest.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()
