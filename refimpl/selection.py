"""The cases that a command is asked for, and what a pattern that selects none of them may have meant."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path

from .command import say
from .errors import UsageError
from .vectors import Vectors, read_vectors


def select(directory: Path, dialects: Sequence[str], case_globs: Sequence[str]) -> Vectors:
    """The vectors of these dialects whose ids match; empty filters select everything.

    Raises UsageError for a pattern that matches nothing beside others that do: it narrows what is judged without a word. Where no
    pattern matches anything, nothing is selected, and the hint goes to standard error.
    """
    vectors = read_vectors(directory, dialects, case_globs)
    ids = [*(golden.case.id for golden in vectors), *(id for id, _ in vectors.unreadable)]
    idle = [glob for glob in case_globs if not any(fnmatchcase(id, glob) for id in ids)]
    if idle:
        message = f"--case {idle[0]!r} matches no case"
        hint = near_glob(idle[0], [golden.case.id for golden in read_vectors(directory, dialects)])
        if ids:
            raise UsageError(message, hint or "`refimpl gen --list` prints every id")
        say(f"{message}; {hint}" if hint else message)
    return vectors


def near_glob(glob: str, ids: Sequence[str]) -> str:
    """A hint at a pattern that matches some of these ids, found by mending each word between the slashes; "" where none is."""
    known = list(dict.fromkeys(word for id in ids for word in id.split("/")))
    mended = "/".join(_mended(word, known) for word in glob.split("/"))
    return f"did you mean {mended!r}?" if any(fnmatchcase(id, mended) for id in ids) else ""


def _mended(word: str, known: Sequence[str]) -> str:
    matches = any(fnmatchcase(name, word) for name in known)
    return word if matches else next(iter(get_close_matches(word, known, n=1)), word)
