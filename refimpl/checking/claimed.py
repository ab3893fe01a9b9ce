"""The cases of what few implementations have: only for those who claim it by name, or ask for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase

from ..backends import Capabilities
from ..backends.features import CLAIMED_BY_NAME, dtypes_of, needed_features
from ..case import THEMES_FOR_FEW, Case
from ..vectors import Vectors

IsClaimed = Callable[[str, str], bool]
"""Whether a feature or dtype of CLAIMED_BY_NAME is claimed for a theme, given as DIALECT/THEME."""


def claimed_by_name(claims: Mapping[str, Capabilities]) -> IsClaimed:
    """What the claims of a backend name; a claim without restrictions names nothing."""
    names = {dialect: (*claim.dtypes, *claim.features) for dialect, claim in claims.items()}
    return lambda theme, need: need in names.get(theme.rpartition("/")[0], ())


def without_unclaimed(vectors: Vectors, case_globs: Sequence[str], is_claimed: IsClaimed) -> Vectors:
    """The vectors without the cases that need something of CLAIMED_BY_NAME that is neither claimed nor asked for.

    A case is asked for by a pattern that matches it and has the name of its theme.
    """

    def is_kept(case: Case) -> bool:
        needs = [need for need in (*needed_features(case), *dtypes_of(case)) if need in CLAIMED_BY_NAME]
        return all(is_claimed(_theme(case.id), need) for need in needs) or _is_asked_for(case.id, case_globs)

    def is_unreadable_kept(case_id: str) -> bool:
        theme = _theme(case_id)
        is_for_few = theme.rpartition("/")[2] in THEMES_FOR_FEW
        return not is_for_few or any(is_claimed(theme, need) for need in CLAIMED_BY_NAME) or _is_asked_for(case_id, case_globs)

    return Vectors(
        tuple(golden for golden in vectors if is_kept(golden.case)),
        tuple((case_id, reason) for case_id, reason in vectors.unreadable if is_unreadable_kept(case_id)),
    )


def _theme(case_id: str) -> str:
    """DIALECT/THEME of a case."""
    return case_id.rpartition("/")[0]


def _is_asked_for(case_id: str, case_globs: Sequence[str]) -> bool:
    theme = _theme(case_id).rpartition("/")[2]
    return any(theme in glob and fnmatchcase(case_id, glob) for glob in case_globs)
