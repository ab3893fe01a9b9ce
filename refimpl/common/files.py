"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from glob import escape
from pathlib import Path

TEMPORARY = ".tmp"
"""How the name of a file ends that is being written; its beginning tells of which."""

STALE = 3600.0
"""Seconds after which nobody writes to such a file any more: the process that did has been killed."""


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """Write a file under another name and rename it, so that nobody sees half of it; on failure nothing stays behind."""
    _sweep(path)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=TEMPORARY)
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _sweep(path: Path) -> None:
    """Remove what killed writers of the same file have left."""
    for left in path.parent.glob(f".{escape(path.name)}.*{TEMPORARY}"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE:
                left.unlink()
