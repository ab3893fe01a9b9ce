"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from glob import escape
from pathlib import Path

TEMPORARY = ".tmp"
"""The suffix of a file that is being written. Its name begins with that of the file that it replaces."""

STALE = 3600.0
"""Age in seconds from which such a file is taken for that of a killed process."""


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """Write a file under another name and rename it, so that no reader sees half of it; on failure remove it."""
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
    """Remove the temporary files of killed processes that wrote the same file."""
    for left in path.parent.glob(f".{escape(path.name)}.*{TEMPORARY}"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE:
                left.unlink()
