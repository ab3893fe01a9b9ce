"""What the tables of dialects do not say of themselves: stages and roles in words, and the templates of a page."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from ..common.tables import read_table
from ..dialects import Dialect, Parameter

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def words(file: str = "words") -> Mapping[str, Any]:
    """One of the YAML files that stand beside this module."""
    return read_table(__package__, f"{file}.yaml")


@cache
def environment() -> Environment:
    """Jinja2 for the templates (*.j2) that stand beside this module, and for phrases of words.yaml: plain text, nothing is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader(str(__package__), ".")
    templates = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    templates.filters["one_line"] = lambda text: " ".join(text.split())
    return templates


def stage_title(stage: str) -> str:
    """A stage as a reader calls it: "the step counter"."""
    return str(words()["stages"].get(stage, stage.replace("_", " ")))


def means(parameter: Parameter) -> str:
    """What a parameter does, in one clause."""
    if parameter.roles:
        return "; ".join(words()["roles"][role] for role in parameter.roles)
    if parameter.when_true:
        return "; ".join(f"{stage_title(stage)}: {pick.value}" for stage, pick in parameter.when_true.items())
    return parameter.about or "changes no number"


def class_path(dialect: Dialect) -> str:
    """Where users import it from, where the table says so: torch.optim.SparseAdam."""
    return f"{dialect.usage.home}.{dialect.class_name}" if dialect.usage.home else dialect.name
