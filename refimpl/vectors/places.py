"""The default directory of vectors: `./vectors`, or the set that came with refimpl."""

from __future__ import annotations

from pathlib import Path

from ._manifest import NAME

LOCAL = Path("vectors")

PACKAGED = Path(__file__).resolve().parent / "core"
"""The core set in an installed wheel."""

SOURCE = Path(__file__).resolve().parents[2] / "vectors"
"""The core set beside the package, in a source tree or an editable install."""


def here() -> Path:
    """`./vectors` where it exists, else the set that came with refimpl; `./vectors` also where there is neither."""
    return next((place for place in (LOCAL, PACKAGED, SOURCE) if (place / NAME).exists() or (place is LOCAL and place.exists())), LOCAL)
