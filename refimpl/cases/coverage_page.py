"""The table of coverage as Markdown, for the guide and the README."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .coverage import Coverage, Requirements, table


def as_markdown(required: Requirements, covered: Coverage) -> str:
    """What the vectors of a dialect exercise: each feature with its cases and what it never meets, each size, and what is lacking."""
    meanings: Mapping[str, str] = table()["features"]
    features = [
        (name, meanings[name], f"{len(covered.features.get(name, ())):,}", _never_meets(name, required)) for name in required.features
    ]
    sizes = [(name, _listed(covered.sizes[name])) for name in required.ladders]
    parts = [
        *_table(("feature", "meaning", "cases", "never together with"), features),
        "",
        *_table(("size", "what occurs"), sizes),
        "",
        *(f"- no {name}: {reason}" for name, reason in required.lacks.items()),
    ]
    return "\n".join(parts) + "\n"


def _never_meets(name: str, required: Requirements) -> str:
    return "; ".join(f"{other} ({reason})" for pair, reason in required.excused.items() if name in pair for other in pair - {name})


def _listed(sizes: set[int]) -> str:
    """Numbers in order, and runs of three or more as a range."""
    words: list[str] = []
    run: list[int] = []
    for size in [*sorted(sizes), None]:
        if run and size != run[-1] + 1:
            words += [f"{run[0]:,} to {run[-1]:,}"] if len(run) > 2 else [f"{number:,}" for number in run]
            run = []
        if size is not None:
            run.append(size)
    return ", ".join(words)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
