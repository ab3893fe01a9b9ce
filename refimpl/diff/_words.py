"""What the tables cannot say of themselves: stages, roles and frameworks in words."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import yaml

from ..dialects import Dialect, Parameter


@cache
def words(file: str = "words") -> Mapping[str, Any]:
    """One of the YAML files that stand beside this module."""
    text = (resources.files(__package__) / f"{file}.yaml").read_text(encoding="utf-8")
    table: dict[str, Any] = yaml.safe_load(text)
    return table


def stage_title(stage: str) -> str:
    """A stage as a reader calls it: "the step counter"."""
    return str(words()["stages"].get(stage, stage.replace("_", " ")))


def means(parameter: Parameter) -> str:
    """What a parameter does, in one clause."""
    if parameter.roles:
        return "; ".join(words()["roles"][role] for role in parameter.roles)
    if parameter.when_true:
        return "; ".join(f"{stage_title(stage)}: {pick.value}" for stage, pick in parameter.when_true.items())
    return str(words()["names"].get(parameter.name, "changes no number"))


def class_path(dialect: Dialect) -> str:
    """Where users import it from, as far as the table knows: torch.optim.SparseAdam."""
    homes = words()["homes"]
    home = homes.get(dialect.name) or homes.get(dialect.framework)
    return f"{home}.{dialect.class_name}" if home else dialect.name
