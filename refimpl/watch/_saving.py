"""Calls that are wrong as vectors that `check` and `explain` read, and beside them what the implementation gave."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..vectors import pack_theme, read_npz, read_vectors, store, write_npz, write_themes

if TYPE_CHECKING:
    from ._session import Failure

THEME = "watch"
ABOUT = "Calls of an optimizer in a run, of which refimpl.Watch found that they are wrong."
RESULTS = "results"
"""The directory beside the vectors that has what the implementation gave: `refimpl check --results DIR/results --vectors DIR`."""


def save(directory: Path, failures: Sequence[Failure]) -> None:
    """Write the calls into DIALECT/watch of a directory of vectors, beside those that it has; a call of the same number is replaced.

    Raises UsageError for a directory that holds something else.
    """
    by_dialect: dict[str, list[Failure]] = {}
    for failure in failures:
        assert failure.golden is not None
        by_dialect.setdefault(failure.golden.case.dialect, []).append(failure)
    if directory.exists() and any(directory.iterdir()) and not (directory / "MANIFEST.yaml").is_file():
        raise UsageError(f"{directory} holds something else than vectors", "name a new directory for the calls that are wrong")
    for name, own in by_dialect.items():
        fresh = {failure.golden.case.id: failure.golden for failure in own if failure.golden is not None}
        here = (directory / name / f"{THEME}.yaml").is_file()
        kept = {golden.case.id: golden for golden in read_vectors(directory, [name])} if here else {}
        goldens = [golden for id, golden in {**kept, **fresh}.items() if id.startswith(f"{name}/{THEME}/")]
        directory.mkdir(parents=True, exist_ok=True)
        write_themes(directory, [pack_theme(goldens, ABOUT)])
        file = directory / RESULTS / name / f"{THEME}.npz"
        members = dict(read_npz(file)) if file.is_file() else {}
        for failure in own:
            assert failure.golden is not None
            assert failure.outcome is not None
            slug = failure.golden.case.slug
            members = {member: array for member, array in members.items() if not member.startswith(f"{slug}/")}
            for param, arrays in failure.outcome.states.items():
                members |= {f"{slug}/{array}.{param}": store(values) for array, values in arrays.items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        write_npz(file, members)
