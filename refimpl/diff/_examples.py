"""A step of an embedding in both APIs: the framework's own code, and code that runs with nothing but refimpl."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..dialects import Dialect
from ._document import Block, Code, Text
from ._words import words


@dataclass(frozen=True)
class Example:
    """A program that ends with the new table in `table`. runs: the package that it needs, "refimpl" where nothing else is."""

    about: str
    runs: str
    code: str


def examples_of(one: Dialect) -> tuple[Example, ...]:
    """The programs for a dialect: in its own API where the table has it, and with refimpl alone where that is another."""
    table = words("examples")
    own = table.get(one.name)
    if own is None:
        return (Example(f"{one.name}, by refimpl's reference:", "refimpl", _generic(one)),)
    found = [Example(f"{one.name}:", own["runs"], own["code"])]
    if "without" in own:
        found.append(Example(f"The same without {one.framework}, in the same API:", "refimpl", own["without"]))
    return tuple(found)


def _generic(one: Dialect) -> str:
    other = words("examples")["other"]
    form = "rows" if "rows" in one.gradients else "dense"
    lr = next(name for name, parameter in one.parameters.items() if "lr" in parameter.roles)
    return str(other["code"]).format(name=one.name, lr=lr, gradient=other[form])


def examples(a: Dialect, b: Dialect) -> Iterator[Block]:
    """The same step under both: a table of 4 rows of 0.5, in which the words 1, 3 and 1 are looked up."""
    yield Text("One step of an embedding: a table of 4 rows of 0.5, the words 1, 3 and 1, the mean of the absolute values as loss, lr 0.1.")
    for example in (*examples_of(a), *examples_of(b)):
        yield Text(example.about)
        yield Code(example.code)
