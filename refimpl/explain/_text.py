"""An explanation for a terminal: lines of at most 100 columns."""

from __future__ import annotations

import math
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from ..common.text import WIDTH, counted, joined, paragraph, position
from ._data import Explanation, Line, Value
from ._labels import HYPER

NAME, EXACT = 8, 28
COMPUTED = {"float64": 25}
"""Columns of the computed value, by dtype; where it is not listed, 17 have room for it."""


def to_text(one: Explanation, numerics_class: str, note: str = "") -> str:
    """The whole explanation. note: what there is to say at its end."""
    blocks: list[Iterable[str]] = [heading(one)]
    if one.refused:
        blocks.append([*paragraph(one.refused, "  "), *paragraph(REFUSED, "  ")])
    else:
        blocks += [_given(one, numerics_class), _lines(one, numerics_class), [*_end(one, numerics_class), *paragraph(note)]]
    return joined(blocks)


REFUSED = "A correct implementation raises an error, and leaves every array as it was before."


def heading(one: Explanation) -> Iterator[str]:
    """Which case, which element, which step."""
    yield from paragraph(one.case)
    yield from paragraph(one.about, "  ")
    shape = " x ".join(map(str, one.shape)) or "scalar"
    yield from paragraph(f"step {one.step} of {one.steps}, {position(one.index)} of {one.param!r} ({shape}, {one.dtype})", "  ")
    if one.t is not None:
        yield from paragraph(f"t = {one.t}: steps are counted {one.clock}", "  ", "    ")
    for k, sentence in enumerate(one.touched):
        yield from paragraph(("touched: " if k == 0 else "") + sentence, "  " if k == 0 else "    ", "    ")


def _given(one: Explanation, numerics_class: str) -> Iterator[str]:
    yield f"{'given':<{NAME}}{one.dtype:<{_wide(one)}}{'exactly':<{EXACT}}{'bound':<9} ({numerics_class})"
    for line, left_out in _few([line for line in one.given if line.name not in HYPER]):
        yield from _numbers(line, line.name, numerics_class, _wide(one))
        if left_out:
            yield f"{'...':<{NAME}}{counted(left_out, 'more gradient')} of this row"
    hyper = ", ".join(f"{line.name} = {line.value.computed}" for line in one.given if line.name in HYPER)
    if hyper:
        yield from paragraph(f"with {hyper}")


def _lines(one: Explanation, numerics_class: str) -> Iterator[str]:
    for line, left_out in _few(one.lines):
        yield from _formula(line)
        yield from _numbers(line, "", numerics_class, _wide(one))
        if left_out:
            yield f"... {left_out} more like this, one for each further time that the row is stored; the last:"


MANY = 6
"""Lines of one name that are all shown; of more, the first two and the last."""


def _few(lines: Sequence[Line]) -> Iterator[tuple[Line, int]]:
    """Lines to be shown, and how many of the same name are left out behind each."""
    times = Counter(line.base for line in lines)
    seen: Counter[str] = Counter()
    for line in lines:
        seen[line.base] += 1
        number, of = seen[line.base], times[line.base]
        if of <= MANY or number in (1, 2, of):
            yield line, of - 3 if of > MANY and number == 2 else 0


def _formula(line: Line) -> Iterator[str]:
    """The formula and its numbers, on one line where there is room."""
    first = f"{line.name} = {line.formula}"
    both = f"{first} = {line.numbers}"
    for k, text in enumerate([both] if len(both) <= WIDTH else [first, f"= {line.numbers}"]):
        yield from _wrapped(text, "" if k == 0 else " " * NAME)


def _wrapped(text: str, indent: str) -> list[str]:
    later = indent or " " * NAME
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=f"{later}  ", break_long_words=False, break_on_hyphens=False)


def _wide(one: Explanation) -> int:
    return COMPUTED.get(one.dtype, 17)


def _numbers(line: Line, name: str, numerics_class: str, wide: int) -> Iterator[str]:
    """The value in its columns, and beside it what it is."""
    value = line.value
    columns = f"{name + ' ':<{NAME}}{value.computed:<{wide}}{value.exact:<{EXACT}}{value.bound[numerics_class]:<9.2g} "
    first, *more = textwrap.wrap(line.about, WIDTH - len(columns), break_on_hyphens=False) or [""]
    yield (columns + first).rstrip()
    for rest in more:
        yield " " * len(columns) + rest


def _end(one: Explanation, numerics_class: str) -> Iterator[str]:
    """What is expected after the step, where the lines do not say it already."""
    names = dict(zip(one.state, ("p", "m", "v")))
    changed = {line.base for line in one.lines}
    allowed = [_allowed(names[array], value, numerics_class) for array, value in one.state.items() if value.allowed]
    if allowed:
        yield from paragraph(f"{LEFT.format(dtype=one.dtype)} {'; '.join(allowed)}.", "", "  ")
    if not one.lines:
        yield "So p, m and v are what they were."
    elif not changed >= set(names.values()):
        kept = [name for name in names.values() if name not in changed]
        yield f"{' and '.join(kept)}: as before."


LEFT = "Some correct formulation has left the range of {dtype} by here, and others need not. An implementation may come to:"


def _allowed(name: str, value: Value, numerics_class: str) -> str:
    """What an element may be, where correct formulations part ways; a finite one within which bound."""
    bound = value.bound[numerics_class]
    finite = f"{value.nearest:.9g} within {bound:.2g}" if math.isfinite(bound) else "any finite number"
    return f"{name} = {value.allowed.replace('finite', finite)}"
