"""The lines of refimpl that a text shows: found in the source as it is now, or the text is wrong."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from ._chapter import Wrong

ROOT = Path(__file__).parent.parent.parent
"""What the paths in the text start from: the directory that holds the package."""

MEND = ": show what the source says now"


def line_of(path: str, snippet: str) -> int:
    """The number of the first of these lines in a file of refimpl, distinguished from others of the same words.

    Indentation as a whole does not count. Raises Wrong where they do not stand there exactly once.
    """
    file = (ROOT / path).resolve()
    if not path.startswith("refimpl/") or not file.is_relative_to(ROOT / "refimpl") or not file.is_file():
        raise Wrong(f"there is no file {path} in refimpl{MEND}")
    lines = file.read_text(encoding="utf-8").splitlines()
    wanted = _normal(snippet.splitlines())
    places = [k for k in range(len(lines) - len(wanted) + 1) if _normal(lines[k : k + len(wanted)]) == wanted]
    if len(places) != 1:
        times = f"stands {len(places)} times" if places else "is not"
        raise Wrong(f"{wanted[0].strip()!r} {times} in {path}{MEND}")
    return places[0] + 1


def _normal(lines: list[str]) -> list[str]:
    return dedent("\n".join(line.rstrip() for line in lines)).splitlines()
