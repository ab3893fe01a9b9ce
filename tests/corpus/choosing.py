"""Which cases a row runs in the suite, where all would take too long: those that show its fault, and a sample of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from refimpl.case import THEMES_FOR_FEW, Golden

from .running import Judged
from .table import Row


def cost(golden: Golden) -> int:
    """Elements updated, plus 300 per step for the time of its Python code."""
    return (sum(param.value.size for param in golden.case.params) + 300) * len(golden.case.steps)


def by_turns(goldens: Sequence[Golden], number: int, key: Callable[[Golden], Any] = cost) -> list[Golden]:
    """So many cases, one of each theme in turn, in the order of the key."""
    themes: dict[str, list[Golden]] = {}
    for golden in sorted(goldens, key=key):
        themes.setdefault(golden.case.theme, []).append(golden)
    rounds = [[cases[k] for cases in themes.values() if k < len(cases)] for k in range(max(map(len, themes.values()), default=0))]
    return [golden for turn in rounds for golden in turn][:number]


def mattering(row: Row, goldens: Sequence[Golden], asked: int, others: int, dearest: int) -> list[Golden]:
    """So many of the cases that the row asks for and of the others. dearest: the largest cost of a case that the row does not ask for.

    The themes of what few implementations have are left out: no row claims it.
    """
    goldens = [golden for golden in goldens if golden.case.theme not in THEMES_FOR_FEW]
    cheap = [golden for golden in goldens if cost(golden) <= dearest]
    if row.cases == ("*",):
        return by_turns(cheap, asked)
    chosen = [*by_turns([golden for golden in goldens if _asks(row, golden)], asked), *by_turns(cheap, others)]
    return list({golden.case.id: golden for golden in chosen}.values())


def _asks(row: Row, golden: Golden) -> bool:
    return any(fnmatchcase(golden.case.id.split("/", 1)[1], glob) for glob in row.cases)


def with_few_failing(judged: Judged, number: int, row: Row) -> Judged:
    """The same with at most so many failing cases; all passing cases stay.

    Those that the row asks for come first, of every theme in turn, and among them those of three calls and more: at the first two, many
    faults compute the same.
    """
    ids = {verdict.case_id for verdict in judged.failing}
    failing = [golden for golden in judged.goldens if golden.case.id in ids]

    def telling(golden: Golden) -> tuple[bool, int]:
        return len(golden.case.steps) < 3, cost(golden)

    asked = by_turns([golden for golden in failing if _asks(row, golden)], number, telling)
    few = {golden.case.id for golden in (*asked, *by_turns(failing, number - len(asked), telling))}
    return judged.only(verdict.case_id for verdict in judged.verdicts if verdict.case_id in few or verdict.case_id not in ids)
