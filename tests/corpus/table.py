"""What a row of the corpus is: an implementation that differs from the right one in a few hooks, and the verdict that it must get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .dialects import ALL


@dataclass(frozen=True)
class Answer:
    """The diagnoses of a wrong row that are right.

    names: ids of causes, alone or together; words: a regular expression over id and words, for what says where it is wrong;
    number: one that must stand behind the words, alone or in a range, counted from 0 or from 1; reason: a regular expression over the
    reasons of failing cases, for what is no matter of numbers; none: that nothing known fits.
    """

    names: frozenset[str] = frozenset()
    words: str = ""
    number: int = 0
    reason: str = ""
    none: bool = False

    def or_none(self) -> Answer:
        return replace(self, none=True)

    def or_placed(self, words: str) -> Answer:
        return replace(self, words=words)


def named(*names: str) -> Answer:
    return Answer(frozenset(names))


def placed(words: str) -> Answer:
    return Answer(words=words)


def within(words: str, number: int) -> Answer:
    return Answer(words=words, number=number)


def refused_because(reason: str) -> Answer:
    return Answer(reason=reason)


NO_CAUSE = Answer(none=True)


@dataclass(frozen=True)
class Row:
    """One implementation. hooks: methods that replace those of the right one; cases: globs after the dialect, of what shows it."""

    id: str
    about: str
    hooks: Mapping[str, Callable[..., Any]]
    dialects: tuple[str, ...] = ALL
    answer: Answer | None = None
    source: str = ""
    cases: tuple[str, ...] = field(default=("*",))


def right(
    id: str, about: str, hooks: Mapping[str, Callable[..., Any]], dialects: tuple[str, ...] = ALL, cases: tuple[str, ...] = ("*",)
) -> Row:
    return Row(id, about, hooks, dialects, cases=cases)


def wrong(
    id: str,
    about: str,
    source: str,
    answer: Answer,
    hooks: Mapping[str, Callable[..., Any]],
    *,
    dialects: tuple[str, ...] = ALL,
    cases: tuple[str, ...] = ("*",),
) -> Row:
    """source: who has this fault, or why it is likely."""
    return Row(id, about, hooks, dialects, answer, source, cases)
