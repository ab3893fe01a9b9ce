"""What the vectors exercise: which features meet in them, and how large things get. Computed from the vectors, held against a table.

A feature belongs to one parameter of one case; two features meet where one parameter has both. A backend that claims float32 alone must
not lose a pair, so only float32 parameters count, but for the pairs of float64 itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, product
from typing import Any

from ..case import THEMES_FOR_FEW, Golden
from ..common.tables import read_table
from ._measures import MEASURES
from .features import features

Pair = frozenset[str]


@dataclass(frozen=True)
class Ladder:
    """The sizes that must occur: each of `all`, and something not below each of `at_least`."""

    all: tuple[int, ...]
    at_least: tuple[int, ...]

    def missing(self, sizes: set[int]) -> list[int]:
        return [size for size in self.all if size not in sizes] + [size for size in self.at_least if max(sizes, default=-1) < size]


@dataclass(frozen=True)
class Requirements:
    """What the vectors of a dialect must exercise, and with which reason they do not exercise the rest."""

    features: tuple[str, ...]
    ladders: Mapping[str, Ladder]
    lacks: Mapping[str, str]
    excused: Mapping[Pair, str]
    proofs: Mapping[str, tuple[str, ...]]

    def pairs(self) -> set[Pair]:
        """Every pair that must meet."""
        return {frozenset(pair) for pair in combinations(self.features, 2)} - self.excused.keys()


@dataclass(frozen=True)
class Coverage:
    """What the vectors of a dialect exercise: feature to the ids of its cases, pair to the first of its cases, measure to sizes."""

    features: Mapping[str, tuple[str, ...]]
    pairs: Mapping[Pair, str]
    sizes: Mapping[str, set[int]]


@cache
def table() -> Mapping[str, Any]:
    """The text of coverage.yaml."""
    return read_table(__package__, "coverage.yaml")


def is_abridged(dialect: str) -> bool:
    """Whether the vectors of a dialect leave out sizes that those of a dialect near to it hold."""
    return "abridged" in table()["dialects"].get(dialect, {})


@cache
def requirements(dialect: str) -> Requirements:
    """What coverage.yaml requires of a dialect."""
    text = table()
    lacks: dict[str, str] = text["dialects"][dialect]["lacks"]
    excused = {
        frozenset(pair): row["because"]
        for row in text["excused"]
        if dialect in row.get("dialects", (dialect,))
        for pair in product(row["these"], row["those"])
        if not lacks.keys() & set(pair)
    }
    sizes = {**text["sizes"], **(text["abridged"] if is_abridged(dialect) else {})}
    ladders = {name: Ladder(tuple(row.get("all", ())), tuple(row.get("from", ()))) for name, row in sizes.items()}
    return Requirements(
        tuple(name for name in text["features"] if name not in lacks),
        {name: ladder for name, ladder in ladders.items() if name not in lacks},
        lacks,
        excused,
        {name: tuple(ids) for name, ids in text["proofs"].items()},
    )


def coverage(goldens: Iterable[Golden], proofs: Mapping[str, Sequence[str]]) -> Coverage:
    """What these vectors of one dialect exercise. proofs: feature to the deviations of which a case must catch one to have it."""
    by_feature: dict[str, list[str]] = {}
    pairs: dict[Pair, str] = {}
    sizes: dict[str, set[int]] = {name: set() for name in MEASURES}
    for golden in goldens:
        case = golden.case
        if case.error is not None or case.theme in THEMES_FOR_FEW:
            continue
        unproven = {feature for feature, ids in proofs.items() if not set(ids) & set(case.catches)}
        for name in sorted({name for own in features(golden).values() for name in own - unproven}):
            by_feature.setdefault(name, []).append(case.id)
        for own in features(golden).values():
            for pair in combinations(sorted(own - unproven), 2):
                if "float64" not in own or "float64" in pair:
                    pairs.setdefault(frozenset(pair), case.id)
        if case.dtype == "float32":
            for name, measure in MEASURES.items():
                sizes[name] |= measure(case)
    return Coverage({name: tuple(ids) for name, ids in by_feature.items()}, pairs, sizes)


def gaps(required: Requirements, covered: Coverage) -> list[str]:
    """What is missing without an excuse, and which excuses are not needed: one line each, none where the table is complete."""
    lines = [f"{' and '.join(sorted(pair))} never meet" for pair in sorted(required.pairs() - covered.pairs.keys(), key=sorted)]
    for name, ladder in required.ladders.items():
        lines += [f"{name}: no case of {size}" for size in ladder.missing(covered.sizes[name])]
    lines += [
        f"{' and '.join(sorted(pair))} meet in {covered.pairs[pair]}, and are excused" for pair in required.excused if pair in covered.pairs
    ]
    for name in required.lacks:
        if name in covered.features:
            lines.append(f"{name} occurs in {covered.features[name][0]}, and stands under `lacks`")
        ladder = table()["sizes"].get(name)
        if ladder and not Ladder(tuple(ladder.get("all", ())), tuple(ladder.get("from", ()))).missing(covered.sizes[name]):
            lines.append(f"{name}: every size occurs, and it stands under `lacks`")
    return lines
