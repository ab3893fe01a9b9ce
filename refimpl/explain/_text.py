"""One explanation for a terminal, or two of the same element side by side: lines of at most 100 columns."""

from __future__ import annotations

import difflib
import math
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from ..common.text import WIDTH, joined, paragraph, position, ratio
from ..reference import FIELDS
from ._api import Counterpart
from ._data import Explanation, Line, Value
from ._tracing import HYPER

NAME, EXACT = 8, 28
COMPUTED = {"float64": 25}
"""Columns of the computed value, by dtype; where it is not listed, 17 have room for it."""

REFUSED = "A correct implementation raises an error, and leaves every array as it was before."
LEFT = "Some correct formulation has left the range of {dtype} by here, and others need not. An implementation may come to:"


def to_text(explanation: Explanation, numerics_class: str, note: str = "") -> str:
    """The whole explanation. note: what there is to say at its end."""
    heading = _heading(explanation)
    if explanation.refused:
        return joined([heading, [*paragraph(explanation.refused, "  "), *paragraph(REFUSED, "  ")]])
    wide = COMPUTED.get(explanation.dtype, 17)
    head = f"{'given':<{NAME}}{explanation.dtype:<{wide}}{'exactly':<{EXACT}}{'bound':<9} ({numerics_class})"
    inputs = [line for line in explanation.given if line.name not in HYPER.values()]
    hyper = ", ".join(f"{line.name} = {line.value.computed}" for line in explanation.given if line not in inputs)
    before = [head, *_lines(inputs, numerics_class, wide), *paragraph(hyper and f"with {hyper}")]
    after = [*_end(explanation, numerics_class), *paragraph(note)]
    return joined([heading, before, _lines(explanation.lines, numerics_class, wide), after])


def _heading(explanation: Explanation) -> Iterator[str]:
    """Which case, which element, which step."""
    shape = " x ".join(map(str, explanation.shape)) or "scalar"
    element = f"{position(explanation.index)} of {explanation.param!r} ({shape}, {explanation.dtype})"
    yield from paragraph(explanation.case)
    yield from paragraph(explanation.about, "  ")
    yield from paragraph(f"step {explanation.step} of {explanation.steps}, {element}", "  ")
    if explanation.t is not None:
        yield from paragraph(f"t = {explanation.t}: steps are counted {explanation.clock}", "  ", "    ")
    for k, sentence in enumerate(explanation.touched):
        yield from paragraph(sentence if k else f"touched: {sentence}", "    " if k else "  ", "    ")


MANY = 6
"""Lines of one name that are all shown; of more, the first two and the last."""


def _few(lines: Sequence[Line]) -> Iterator[tuple[Line, int]]:
    """Lines to be shown, and how many of the same name are left out behind each."""
    times = Counter(line.base for line in lines)
    seen: Counter[str] = Counter()
    for line in lines:
        seen[line.base] += 1
        number, total = seen[line.base], times[line.base]
        if total <= MANY or number in (1, 2, total):
            yield line, total - 3 if total > MANY and number == 2 else 0


def _lines(lines: Sequence[Line], numerics_class: str, wide: int) -> Iterator[str]:
    """Each formula with its numbers, on one line where there is room; below, the value in its columns, and beside it what it is."""
    for line, left_out in _few(lines):
        name, value = line.name, line.value
        if line.formula:
            name, texts = "", [f"{line.name} = {line.formula} = {line.numbers}"]
            if len(texts[0]) > WIDTH:
                texts = [f"{line.name} = {line.formula}", f"= {line.numbers}"]
            for k, text in enumerate(texts):
                yield from paragraph(text, " " * NAME * k, " " * (NAME + 2))
        columns = f"{name + ' ':<{NAME}}{value.computed:<{wide}}{value.exact:<{EXACT}}{value.bound[numerics_class]:<9.2g} "
        yield from paragraph(line.about, columns, " " * len(columns))
        if left_out:
            yield LEFT_OUT[bool(line.formula)].format(left_out)


LEFT_OUT = {
    True: "... {} more like this, one for each further time that the row is stored; the last:",
    False: f"{'...':<{NAME}}{{}} more gradients of this row",
}


def _end(explanation: Explanation, numerics_class: str) -> Iterator[str]:
    """What is expected after the step, where the lines do not say it already."""
    allowed = [_allowed(FIELDS[array], value, numerics_class) for array, value in explanation.state.items() if value.allowed]
    if allowed:
        yield from paragraph(f"{LEFT.format(dtype=explanation.dtype)} {'; '.join(allowed)}.", "", "  ")
    kept = [name for name in ("p", "m", "v") if all(line.base != name for line in explanation.lines)]
    if not explanation.lines:
        yield "So p, m and v are what they were."
    elif kept:
        yield f"{' and '.join(kept)}: as before."


def _allowed(name: str, value: Value, numerics_class: str) -> str:
    """What an element may be, where correct formulations part ways; a finite one within which bound."""
    bound = value.bound[numerics_class]
    finite = f"{value.nearest:.9g} within {bound:.2g}" if math.isfinite(bound) else "any finite number"
    return f"{name} = {value.allowed.replace('finite', finite)}"


Side = tuple[str, ...]
Row = tuple[str, Side, Side]
"""A name, and the texts of both sides."""

NOTHING: Side = ("-",)
"""The side that has no such line."""

MARK = ">"
"""What stands before the row in which the sides part."""


def beside(explanation: Explanation, counterpart: Counterpart, numerics_class: str) -> str:
    """Both in columns: each line's formula and its exact value; MARK stands where they part."""
    other = counterpart.explanation
    rows = list(_rows(explanation, other))
    first = _parting(rows)
    table = _table([("", (title(explanation),), (title(other),)), *rows], first)
    return joined([_heading(explanation), table, _apart(explanation, counterpart, first, numerics_class)])


def title(explanation: Explanation) -> str:
    """The dialect, with the deviations that it was computed with."""
    return " with ".join([explanation.dialect, *explanation.deviations])


def _rows(left: Explanation, right: Explanation) -> Iterator[Row]:
    if left.refused or right.refused:
        yield "", (left.refused or "takes it",), (right.refused or "takes it",)
        return
    yield "touched", left.touched, right.touched
    yield "t", ("none" if left.t is None else str(left.t),), ("none" if right.t is None else str(right.t),)
    for mine, theirs in _paired(_ordered(left), _ordered(right)):
        present = [line for line in (mine, theirs) if line is not None]
        name = present[0].name if len({line.name for line in present}) == 1 else present[0].base
        yield name, _texts(mine, name), _texts(theirs, name)


def _ordered(explanation: Explanation) -> list[Line]:
    """All lines, with the hyper-parameters first and then the other inputs."""
    return [*sorted(explanation.given, key=lambda line: line.name not in HYPER.values()), *explanation.lines]


def _paired(left: list[Line], right: list[Line]) -> Iterator[tuple[Line | None, Line | None]]:
    """Lines of the same name, occurrences of a row among them by their order; what one side alone has stands by itself."""
    matcher = difflib.SequenceMatcher(None, _keys(left, right), _keys(right, left), autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            yield from zip(left[i1:i2], right[j1:j2])
        else:
            yield from ((line, None) for line in left[i1:i2])
            yield from ((None, line) for line in right[j1:j2])


def _keys(lines: list[Line], others: list[Line]) -> list[tuple[str, str, int]]:
    """What each line is paired by: its name where the other side has it too, else the name without the place of an occurrence."""
    exact, theirs = _numbered([line.name for line in lines]), _numbered([line.name for line in others])
    by_base = _numbered([line.base for line in lines])
    return [("name", *name) if name in theirs else ("base", *base) for name, base in zip(exact, by_base)]


def _numbered(names: list[str]) -> list[tuple[str, int]]:
    """Each name, with how often it stands before."""
    return [(name, names[:k].count(name)) for k, name in enumerate(names)]


def _texts(line: Line | None, name: str) -> Side:
    if line is None:
        return NOTHING
    own = "" if line.name == name else f"{line.name} = "
    return (f"{own}{line.formula}", f"  {line.value.exact}") if line.formula else (f"{own}{line.value.exact}",)


def _parting(rows: Sequence[Row]) -> Row | None:
    """The first row in which both sides say something else; what one side alone has is another way to write it, unless it is all."""
    different = [row for row in rows if row[1] != row[2]]
    return next((row for row in different if NOTHING not in row), next(iter(different), None))


def _table(rows: Sequence[Row], first: Row | None) -> Iterator[str]:
    label = max(len(name) for name, _, _ in rows) + len(MARK) + 2
    half = (WIDTH - label - 2) // 2
    for row in rows:
        name, *sides = row
        mark = MARK if row is first else " "
        columns = [[line for text in side for line in _wrapped(text, half)] for side in sides]
        for k, (left, right) in enumerate(zip_longest(*columns, fillvalue="")):
            yield f"{'' if k else f'{mark} {name}':<{label}}{left:<{half}}  {right}".rstrip()


def _wrapped(text: str, width: int) -> list[str]:
    indent = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(text.strip(), width, initial_indent=indent, subsequent_indent=f"{indent}  ", break_on_hyphens=False)


def _apart(explanation: Explanation, counterpart: Counterpart, first: Row | None, numerics_class: str) -> Iterator[str]:
    """How far apart they end, in each array."""
    other, since = counterpart.explanation, counterpart.since
    if first is None:
        yield "They are the same, line by line."
        return
    if explanation.refused or other.refused:
        return
    if since is not None and since < explanation.step:
        yield from paragraph(f"They parted before, at step {since}: --step {since} shows where. After this step:")
    else:
        yield from paragraph(f"They part at {first[0]!r} (marked {MARK}). After the step:")
    for name, (array, mine) in zip(("p", "m", "v"), explanation.state.items()):
        distance = abs(other.state[array].nearest - mine.nearest)
        bound = mine.bound[numerics_class]
        bounds = distance / bound if bound else math.inf if distance else 0.0
        yield f"  {name}: {distance:.6g} apart, {ratio(bounds)} bounds ({numerics_class})" if distance else f"  {name}: the same"
