"""Patterns for ids of cases: which themes they can select from, without looking at a case."""

from __future__ import annotations

import re
from collections.abc import Sequence


def may_hold(theme: str, case_globs: Sequence[str]) -> bool:
    """Whether some id `THEME/SLUG` can match one of the globs, as far as their beginnings without a wildcard tell."""
    prefix = f"{theme}/"
    beginnings = [re.split(r"[*?[]", glob, maxsplit=1)[0] for glob in case_globs]
    return not beginnings or any(prefix.startswith(beginning) or beginning.startswith(prefix) for beginning in beginnings)
