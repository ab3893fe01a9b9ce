"""A step of an embedding in both APIs: the framework's own code, and code that runs with nothing but refimpl."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..dialects import Dialect
from ._words import words


@dataclass(frozen=True)
class Example:
    """A program that ends with the new table in `table`. runs: the package that it needs, "refimpl" where nothing else is."""

    about: str
    runs: str
    code: str


def examples_of(dialect: Dialect) -> Iterator[Example]:
    """The programs for a dialect: in its own API where the table has it, and with refimpl alone where that is another."""
    table = words("examples")
    own, other = table.get(dialect.name), table["other"]
    if own:
        yield Example(f"{dialect.name}:", own["runs"], own["code"])
        if "without" in own:
            yield Example(f"The same without {dialect.framework}, in the same API:", "refimpl", own["without"])
    else:
        lr = next(name for name, parameter in dialect.parameters.items() if "lr" in parameter.roles)
        gradient = other["rows" if "rows" in dialect.gradients else "dense"]
        code = other["code"].format(name=dialect.name, lr=lr, gradient=gradient)
        yield Example(f"{dialect.name}, by refimpl's reference:", "refimpl", code)
