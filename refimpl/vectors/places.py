"""Where the vectors lie that a command reads when it is told nothing: `./vectors`, or those that came with refimpl."""

from __future__ import annotations

from pathlib import Path

from ._manifest import NAME

LOCAL = Path("vectors")

PACKAGED = Path(__file__).resolve().parent / "core"
"""The core set in an installed wheel."""

SOURCE = Path(__file__).resolve().parents[2] / "vectors"
"""The core set beside the package, in a source tree and where one is installed to be edited."""


def here() -> Path:
    """`./vectors` where it stands, else the set that refimpl brings; `./vectors` again where it brings none."""
    return next((place for place in (LOCAL, PACKAGED, SOURCE) if (place / NAME).exists() or (place is LOCAL and place.exists())), LOCAL)
