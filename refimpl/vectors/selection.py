"""The cases that the options of a command select, and a hint at what a pattern that selects none may have meant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from threading import Thread

from ..common.cli import say
from ..errors import UsageError
from . import Vectors, read_vectors


def select(directory: Path, dialects: Sequence[str], case_globs: Sequence[str], read: Callable[..., Vectors] = read_vectors) -> Vectors:
    """The vectors of these dialects whose ids match; empty filters select everything.

    read: `read_vectors`, or a function with the same result (see ReadAhead). Raises UsageError for a pattern that matches nothing if
    others match: it would silently narrow what is judged. Where no pattern matches anything, nothing is selected, and the hint goes to
    standard error.
    """
    vectors = read(directory, dialects, case_globs)
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
    corrected = "/".join(_corrected(word, known) for word in glob.split("/"))
    return f"did you mean {corrected!r}?" if any(fnmatchcase(id, corrected) for id in ids) else ""


def _corrected(word: str, known: Sequence[str]) -> str:
    matches = any(fnmatchcase(name, word) for name in known)
    return word if matches else next(iter(get_close_matches(word, known, n=1)), word)


class ReadAhead:
    """Reads the vectors that will probably be needed in a thread, while the caller waits for something else."""

    def __init__(self, directory: Path, dialects: Sequence[str], case_globs: Sequence[str]) -> None:
        self._asked = (directory, list(dialects), list(case_globs))
        self._found: list[Vectors | Exception] = []
        self._thread = Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            self._found.append(read_vectors(*self._asked))
        except Exception as error:  # it is raised by the call that needs the vectors
            self._found.append(error)

    def __call__(self, directory: Path, dialects: Sequence[str], case_globs: Sequence[str]) -> Vectors:
        """The same as `read_vectors`; the vectors that were read ahead where the arguments are the same."""
        if (directory, list(dialects), list(case_globs)) != self._asked:
            return read_vectors(directory, dialects, case_globs)
        self._thread.join()
        (result,) = self._found
        if isinstance(result, Exception):
            raise result
        return result
